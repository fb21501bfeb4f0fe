"""Only the database's clock is written down or compared with what is: `orders/clock.py`, or `Now()` in SQL."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: chaos, bench and the servers of `./dev` judge from outside and write into no table of ours
APART = {"migrations", "chaos", "bench", "devstack"}
MODULES = [
    path
    for package in ("orders", "temporal_app", "backoffice")
    for path in sorted((ROOT / package).rglob("*.py"))
    if not APART & set(path.relative_to(ROOT).parts)
]
#: what reads the clock of the process
READERS = {
    "timezone": {"now", "localdate"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns", "localtime", "gmtime"},
}
#: Django fills such a column with the clock of the process
AUTOMATIC = {"auto_now", "auto_now_add"}
#: module -> why it reads the process's own clock
ALLOWED = {
    "orders/clock.py": "says how far that clock is off",
    "orders/services/tokens.py": "knox adds that clock to the life of a token; it is taken off again",
    "backoffice/sign_in.py": "django-axes notes attempts with that clock, and is compared with itself",
    "backoffice/guessing.py": "the same attempts",
    "backoffice/asking_again.py": "allauth notes with that clock when somebody showed who they are",
}


def readings(source: str) -> list[str]:
    """The places of a module that ask the process what time it is."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            # `datetime.datetime.now` and `timezone.now`, called or handed on.
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if node.attr in READERS.get(owner, ()):
                found.append(f"line {node.lineno}: {owner}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            taken = {alias.name for alias in node.names} & READERS.get((node.module or "").split(".")[-1], set())
            found += [f"line {node.lineno}: {node.module}.{name}" for name in sorted(taken)]
        elif isinstance(node, ast.keyword) and node.arg in AUTOMATIC:
            found.append(f"line {node.value.lineno}: {node.arg}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_asks_the_process_what_time_it_is(path: Path) -> None:
    found = readings(path.read_text())
    name = str(path.relative_to(ROOT))
    if name in ALLOWED:
        assert found, f"{name} no longer reads the process's clock: take it from the list."
    else:
        assert not found, f"{name}: take the database's time (orders/clock.py, or Now() in SQL): {found}"


@pytest.mark.parametrize(
    "source",
    [
        "from django.utils import timezone\nx = timezone.now()",
        "from django.utils import timezone\nField(default=timezone.now)",
        "from django.utils.timezone import now",
        "import datetime\nx = datetime.datetime.now(datetime.UTC)",
        "from datetime import date\nx = date.today()",
        "import time\nx = time.time()",
        "from time import time",
        "models.DateTimeField(auto_now=True)",
    ],
)
def test_each_way_to_ask_is_seen(source: str) -> None:
    assert readings(source)


@pytest.mark.parametrize(
    "source",
    [
        "x = workflow.now()",
        "x = clock.now()",
        "import time\nx = time.monotonic()",
        "x = datetime.combine(day, time.min)",
        "x = models.DateTimeField(default=clock.now)",
    ],
)
def test_workflow_time_timers_and_the_clock_itself_are_let_be(source: str) -> None:
    assert not readings(source)
