"""`orders.access.COMMANDS` names every way in which a person can change something; what it forgets fails here."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import find_commands, load_command_class
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from orders import access
from orders.access import CHANNELS, COMMANDS, MACHINE_CALLS, MACHINE_COMMANDS, RULES, CommandRule
from orders.api import urls as api_urls
from orders.management.acting import ActingCommand
from orders.playbooks.catalogue import CATALOGUE
from orders.services import deciding
from orders.vocabulary import Channel, CommandKind

ROOT = Path(__file__).resolve().parents[2]
ACTION_LISTS = ("actions_list", "actions_row", "actions_detail", "actions_submit_line")
WRITING = {"post", "put", "patch", "delete"}
HINT = "Add a row to orders/access/, or name the door in the row it belongs to."


def doors(channel: Channel) -> dict[str, list[CommandRule]]:
    """Each door of the table -> the rules that name it."""
    found: dict[str, list[CommandRule]] = {}
    for rule in COMMANDS:
        for door in rule.doors.get(channel, ()):
            found.setdefault(door, []).append(rule)
    return found


def superuser_request() -> Any:
    """Whoever holds everything: what is not offered to them is offered to nobody."""
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True)
    return request


def admin_actions() -> Iterator[tuple[str, Any]]:
    for model_admin in admin.site._registry.values():
        for name, (action, *_) in model_admin.get_actions(superuser_request()).items():
            yield f"{type(model_admin).__name__}.{name}", action
        for attribute in ACTION_LISTS:
            for entry in getattr(model_admin, attribute, None) or ():
                for action in entry["items"] if isinstance(entry, dict) else [entry]:
                    name = action if isinstance(action, str) else action.__name__
                    yield f"{type(model_admin).__name__}.{name}", getattr(model_admin, name, action)


def admin_forms() -> Iterator[str]:
    """Forms through which even a superuser can change a row."""
    request = superuser_request()
    for model_admin in admin.site._registry.values():
        for verb, may in (
            ("add", model_admin.has_add_permission),
            ("change", model_admin.has_change_permission),
            ("delete", model_admin.has_delete_permission),
        ):
            if may(request):
                yield f"{type(model_admin).__name__}.{verb}"


def api_calls() -> Iterator[tuple[str, type]]:
    for pattern in api_urls.urlpatterns:
        view = getattr(pattern.callback, "cls", None) or pattern.callback.view_class
        by_method = getattr(pattern.callback, "actions", None) or {
            name: name for name in WRITING if hasattr(view, name)
        }
        for method, action in by_method.items():
            if method in WRITING:
                yield f"{view.__name__}.{action}", view


def commands_of(config: AppConfig) -> list[str]:
    return find_commands(str(Path(config.path) / "management"))


def names_of_addresses(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{pattern.namespace}:" if pattern.namespace else ""
            yield from names_of_addresses(pattern.url_patterns, prefix + inner)
        else:
            yield f"{prefix}{pattern.name}"


def required_permissions() -> Iterator[tuple[str, str]]:
    """(where, permission) of every `actor.require(...)` in the services."""
    for path in sorted((ROOT / "orders" / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "require":
                yield f"{path.name}:{node.lineno}", ast.unparse(node.args[0])


def test_each_command_is_offered_on_every_channel_or_says_why_not() -> None:
    for rule in COMMANDS:
        assert set(rule.doors) | set(rule.not_offered) == set(CHANNELS), rule.name
        assert not set(rule.doors) & set(rule.not_offered), rule.name
        assert all(rule.doors.values()), rule.name
        assert all(rule.not_offered.values()), rule.name
    assert len(RULES) == len(COMMANDS), "Two rows have one name."


def test_every_kind_of_command_has_a_row() -> None:
    assert {kind.value for kind in CommandKind} <= set(RULES), HINT


def test_services_require_only_permissions_of_the_table() -> None:
    known = {repr(rule.permission) for rule in COMMANDS}
    unknown = [
        f"{where} requires {permission}"
        for where, permission in required_permissions()
        # A rule of the table, or a variable that holds one, needs no look at its text.
        if permission not in known
        and not permission.startswith("'orders.view_")
        and not permission.endswith((".permission", ".second_needs"))
    ]
    assert not unknown, f"{unknown}. {HINT}"
    assert list(required_permissions()), "The search finds nothing any more."


def test_what_playbooks_do_needs_only_permissions_of_the_table() -> None:
    assert {entry.permission for entry in CATALOGUE.values()} <= {rule.permission for rule in COMMANDS}, HINT


def test_every_admin_action_has_a_row_and_asks_for_its_permission() -> None:
    found = dict(admin_actions())
    named = doors(Channel.ADMIN)
    assert found
    for name, action in found.items():
        assert name in named, f"{name} has no row. {HINT}"
        permissions = {rule.permission.split(".")[1] for rule in named[name]}
        # Django's own delete_selected says "delete", which stands for delete_<model>.
        asked = {
            one if "_" in one else next(wanted for wanted in permissions if wanted.startswith(f"{one}_"))
            for one in getattr(action, "allowed_permissions", ())
        }
        assert asked == permissions, f"{name} needs permissions={permissions}."


def test_every_form_that_writes_has_a_row() -> None:
    missing = set(admin_forms()) - set(doors(Channel.ADMIN))
    assert not missing, f"{missing} can be saved by a superuser. {HINT}"


def test_no_list_or_inline_is_edited_in_place() -> None:
    request = superuser_request()
    for model, model_admin in admin.site._registry.items():
        assert not model_admin.list_editable, model_admin
        for inline in (cls(model, admin.site) for cls in model_admin.inlines):
            writes = inline.has_add_permission(request, None) or inline.has_change_permission(request, None)
            deletes = inline.can_delete and inline.has_delete_permission(request, None)
            assert not writes, f"{inline} writes rows that the table does not name."
            assert not deletes, f"{inline} deletes rows that the table does not name."


def test_every_call_that_writes_has_a_row_and_asks_for_its_permission() -> None:
    named = doors(Channel.API)
    assert set(MACHINE_CALLS) <= {name for name, _ in api_calls()}, "The table names a call that does not exist."
    for name, view in api_calls():
        if name in MACHINE_CALLS:
            assert not view.action_permissions, name  # type: ignore[attr-defined]
            continue
        assert name in named, f"{name} has no row. {HINT}"
        asked = set(view.action_permissions[name.split(".")[1]])  # type: ignore[attr-defined]
        assert asked, name
        assert asked <= {rule.permission for rule in named[name]}, f"{name} asks for {asked}."


def test_every_management_command_has_a_row_or_belongs_to_the_machine() -> None:
    ours = [
        config
        for config in apps.get_app_configs()
        if Path(config.path).is_relative_to(ROOT) and ".venv" not in config.path
    ]
    found = {name for config in ours for name in commands_of(config)}
    named = set(doors(Channel.CLI))
    for name in named:
        command = load_command_class(next(config.name for config in ours if name in commands_of(config)), name)
        assert isinstance(command, ActingCommand), f"{name} cannot act for a person: derive it from ActingCommand."
    assert found - named - set(MACHINE_COMMANDS) == set(), HINT
    assert not named & set(MACHINE_COMMANDS)
    assert named | set(MACHINE_COMMANDS) <= found, "The table names a management command that does not exist."


def test_a_second_person_can_decide_every_command_that_needs_one() -> None:
    assert set(deciding.WORK) == {rule.name for rule in COMMANDS if rule.four_eyes}


def test_every_door_of_the_table_exists() -> None:
    real = (
        {name for name, _ in admin_actions()}
        | set(admin_forms())
        | set(names_of_addresses(get_resolver().url_patterns))
    )
    assert set(doors(Channel.ADMIN)) <= real
    assert set(doors(Channel.API)) <= {name for name, _ in api_calls()}


def test_the_documentation_shows_the_table() -> None:
    text = (ROOT / "docs" / "access.md").read_text()
    assert access.as_markdown() in text, "docs/access.md is old: paste what `python -m orders.access` prints."
    assert access.asking_again() in text, "docs/access.md is old: paste what access.asking_again() answers."
