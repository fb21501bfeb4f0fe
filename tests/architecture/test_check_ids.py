"""The id of a check is what an operator looks up and silences, so each names one check."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("backoffice", "orders", "temporal_app", "simulator")
CHECK_ID = re.compile(r"[a-z_]+\.[EWC]\d{3}")


def shared_ids(sources: dict[str, str]) -> dict[str, list[str]]:
    """Ids that several functions give, with the functions; `sources` is file -> text."""
    givers = defaultdict(set)
    for name, source in sources.items():
        for function in ast.walk(ast.parse(source)):
            if isinstance(function, ast.FunctionDef):
                for value in ast.walk(function):
                    if (
                        isinstance(value, ast.Constant)
                        and isinstance(value.value, str)
                        and CHECK_ID.fullmatch(value.value)
                    ):
                        givers[value.value].add(f"{name}:{function.name}")
    return {one: sorted(given_by) for one, given_by in givers.items() if len(given_by) > 1}


def test_no_two_checks_share_an_id() -> None:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    sources = {str(path.relative_to(ROOT)): path.read_text() for path in paths}
    assert any(CHECK_ID.search(source) for source in sources.values())
    assert shared_ids(sources) == {}, "give the newer one the next free number, in the pages of docs too"


CHECK = 'def {name}():\n    return [Error("no", id="{id}")]\n'


@pytest.mark.parametrize(("other", "is_shared"), [("backoffice.E024", True), ("backoffice.E025", False)])
def test_the_rule_sees_an_id_that_another_module_gives(other: str, is_shared: bool) -> None:
    one, two = CHECK.format(name="one", id="backoffice.E024"), CHECK.format(name="two", id=other)
    assert bool(shared_ids({"a.py": one, "b.py": two})) is is_shared
