"""The rules of the house that no linter knows; each failure says what broke and what to do."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from temporalio import activity, workflow

from backoffice.devstack.project_commands import WITH_SERVERS, WITHOUT_SERVERS
from temporal_app.registry import REGISTRY

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("backoffice", "orders", "temporal_app", "simulator")
MODULES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts]
WORKFLOW_MODULES = sorted((ROOT / "temporal_app" / "workflows").glob("*.py"))
MAX_LINES = 400
VAGUE = {"utils", "helpers", "common", "shared", "misc"}


def test_every_folder_of_tests_belongs_to_one_half_of_the_run() -> None:
    folders = sorted(f"tests/{path.parent.name}" for path in ROOT.glob("tests/*/__init__.py"))
    assert folders == sorted([*WITHOUT_SERVERS, *WITH_SERVERS]), "Put it into one of project_commands.py's two lists."


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"An import rule is broken; ARCHITECTURE.md gives the reasons:\n{done.stdout}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_one_subject(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES, f"{path.name} has {lines} lines, over {MAX_LINES}: split it by subject."
    assert path.stem not in VAGUE, f"{path.name} says nothing: name it after what it is about."


@pytest.mark.parametrize("path", WORKFLOW_MODULES, ids=lambda path: path.name)
def test_a_workflow_only_names_activities_and_never_calls_them(path: Path) -> None:
    """Called directly, an activity would run inside the workflow task: no retry, no history, the ORM in a replay."""
    called = [
        f"line {node.lineno}: activities.{node.func.attr}(...)"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "activities"
    ]
    assert not called, f"{path.name}: use workflow.execute_activity(activities.name, ...): {called}"


def test_every_workflow_and_activity_is_registered_once() -> None:
    """An unregistered one looks like slow work: its tasks wait for ever."""
    import importlib

    modules = [
        importlib.import_module(f"temporal_app.{folder}.{path.stem}")
        for folder in ("workflows", "activities")
        for path in (ROOT / "temporal_app" / folder).glob("*.py")
        if path.stem != "__init__"
    ]
    defined = {
        value
        for module in modules
        for value in vars(module).values()
        if callable(value)
        and getattr(value, "__module__", "") == module.__name__
        and (
            activity._Definition.from_callable(value)
            or (isinstance(value, type) and workflow._Definition.from_class(value))
        )
    }
    listed = Counter(entry for contents in REGISTRY.values() for entry in (*contents.workflows, *contents.activities))
    assert defined == set(listed), "temporal_app/registry.py does not list exactly what is defined."
    # Its workflow says which of its steps call out.
    assert [entry.__name__ for entry, times in listed.items() if times > 1] == ["run_playbook_step"]


def test_django_starts_without_temporal() -> None:
    """Web and commands must not pay for or depend on the Temporal client; the worker and its commands load it."""
    script = "import django, sys; django.setup(); import backoffice.urls; sys.exit('temporalio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"Something that django.setup() or the URLs import loads temporalio.\n{done.stderr}"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements.run.lock"])
def test_the_locks_carry_hashes_and_no_addresses(name: str) -> None:
    lock = (ROOT / name).read_text()
    assert "://" not in lock
    pins = sum(1 for line in lock.splitlines() if line[:1].isalnum())
    assert lock.count("--hash=sha256:") >= pins > 50


def pinned(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """package -> its version and its hashes"""
    found = {}
    for section in re.split(r"^(?=[A-Za-z0-9])", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]:
        package, version = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\\n]+)", section).groups()
        found[package] = (version, frozenset(re.findall(r"--hash=(sha256:\w+)", section)))
    return found


def test_a_server_installs_what_it_runs_with_in_the_versions_that_were_tested() -> None:
    run, develop = pinned("requirements.run.lock"), pinned("requirements.lock")
    assert run.items() <= develop.items(), "make requirements.run.lock anew: see ARCHITECTURE, Dependencies"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {re.match(r"[A-Za-z0-9._-]+", one).group() for one in project["project"]["dependencies"]}
    assert wanted <= run.keys()
    groups = project["dependency-groups"].values()
    tools = {re.match(r"[A-Za-z0-9._-]+", one).group() for group in groups for one in group}
    assert not tools & run.keys(), "tools of the developer are no part of a server"
