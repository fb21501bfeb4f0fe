"""Roles: the permissions of the table, and what somebody changed in the admin stays until it is reset."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.core.management import call_command

from orders.actor import person, system
from orders.errors import NotPermitted
from orders.services import roles
from orders.vocabulary import Channel

pytestmark = pytest.mark.django_db


def held(role: str) -> set[str]:
    names = Group.objects.get(name=role).permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in names}


def test_each_role_holds_exactly_what_the_table_says() -> None:
    roles.ensure_roles()

    assert {role: held(role) for role in roles.ROLES} == {role: set(names) for role, names in roles.ROLES.items()}


def test_running_again_leaves_what_was_given_and_taken_by_hand_and_says_so() -> None:
    assert roles.ensure_roles() == []
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.remove(Permission.objects.get(codename="view_order"))
    viewer.permissions.add(Permission.objects.get(codename="start_order"))

    (difference,) = roles.ensure_roles()

    assert (difference.missing, difference.extra) == (("orders.view_order",), ("orders.start_order",))
    assert held("viewer") == {*roles.ROLES["viewer"], "orders.start_order"} - {"orders.view_order"}

    assert roles.ensure_roles(reset=True) == [difference]
    assert held("viewer") == set(roles.ROLES["viewer"])
    assert roles.ensure_roles() == []
    assert Group.objects.count() == len(roles.ROLES)


def test_a_permission_that_a_new_version_brings_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    roles.ensure_roles()
    monkeypatch.setitem(roles.ROLES, "viewer", (*roles.ROLES["viewer"], "orders.view_approval"))
    assert roles.ensure_roles() == []
    assert "orders.view_approval" in held("viewer")


@pytest.mark.parametrize(("options", "is_back"), [([], False), (["--reset-roles"], True)])
def test_bootstrap_gives_nothing_back_that_was_taken_away_unless_told(
    options: list[str], is_back: bool, capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    settings.DATABASE_OWNER_URL, settings.ENVIRONMENT = "", "test"
    call_command("bootstrap")
    Group.objects.get(name="agent").permissions.remove(Permission.objects.get(codename="refund_order"))
    call_command("bootstrap", *options)
    assert "The role agent lacks orders.refund_order." in capsys.readouterr().err
    assert ("orders.refund_order" in held("agent")) is is_back


def test_groups_of_other_names_are_left_alone() -> None:
    auditors = Group.objects.create(name="auditors")
    auditors.permissions.add(Permission.objects.get(codename="view_order"))

    roles.ensure_roles()

    assert held("auditors") == {"orders.view_order"}


def test_misspelt_permission_stops_the_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(roles.ROLES, "agent", ("orders.view_order", "orders.strat_order"))

    with pytest.raises(RuntimeError, match=r"Role agent names unknown permissions: orders\.strat_order"):
        roles.ensure_roles()


def test_viewer_holds_nothing_but_views() -> None:
    assert all(name.startswith("orders.view_") for name in roles.ROLES["viewer"])


def test_no_role_may_change_or_delete_orders_money_or_history() -> None:
    guarded = {"order", "orderline", "orderevent", "payment", "ledgertransfer", "reservation", "stockitem", "step"}
    given = {name.split(".")[1] for names in roles.ROLES.values() for name in names}

    assert not {f"{verb}_{name}" for verb in ("add", "change", "delete") for name in guarded} & given


def test_superuser_holds_every_permission_and_an_inactive_one_none() -> None:
    chief = get_user_model().objects.create_superuser("chief")
    person(chief, Channel.ADMIN).require("orders.start_order")

    chief.is_active = False
    with pytest.raises(NotPermitted):
        person(chief, Channel.ADMIN).require("orders.start_order")


def test_nobody_signed_in_holds_nothing() -> None:
    with pytest.raises(NotPermitted, match="anonymous does not have"):
        person(AnonymousUser(), Channel.API).require("orders.view_order")


def test_processes_of_ours_need_no_permission() -> None:
    system("order process").require("orders.start_order")
