"""Who may connect to PostgreSQL, and how: what is connected by hand loses the options of the address."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: it and Django make the product's connections
ONLY = ROOT / "orders" / "connections.py"
#: tools of the developer, who have an address and no settings
TOOLS = ("backoffice/devstack", "backoffice/chaos", "backoffice/bench")
PRODUCT = [
    path
    for package in ("backoffice", "orders", "temporal_app")
    for path in (ROOT / package).rglob("*.py")
    if not str(path.relative_to(ROOT)).startswith(TOOLS)
]
OTHERS = [path for folder in (*TOOLS, "tests") for path in (ROOT / folder).rglob("*.py")]
CONNECTING = {
    "psycopg.connect",
    "psycopg.Connection.connect",
    "psycopg.AsyncConnection.connect",
    "Connection.connect",
    "AsyncConnection.connect",
    "ConnectionPool",
    "psycopg_pool.ConnectionPool",
}
#: the address by its parts
PARTS = {"host", "hostaddr", "port", "user", "password", "dbname", "options", "sslmode"}


def nodes(paths: list[Path], kind: type[ast.AST]) -> Iterator[tuple[str, Any]]:
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kind):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node  # type: ignore[attr-defined]


def calls(paths: list[Path]) -> Iterator[tuple[str, ast.Call]]:
    for where, call in nodes(paths, ast.Call):
        if ast.unparse(call.func) in CONNECTING:
            yield where, call


def test_the_product_connects_in_one_module() -> None:
    found = [where for where, _ in calls([path for path in PRODUCT if path != ONLY])]
    assert not found, "orders/connections.py makes the connections beside Django's."
    assert list(calls([ONLY])), "This test no longer finds how we connect."


def test_tools_and_tests_connect_with_a_whole_address() -> None:
    found = [where for where, call in calls(OTHERS) if PARTS & {keyword.arg for keyword in call.keywords}]
    assert not found, "An address by its parts loses its options."


def test_no_reader_asks_for_a_cursor_at_the_server() -> None:
    found = [where for where, node in nodes(PRODUCT, ast.Attribute) if node.attr == "iterator"]
    assert not found, "iterator() holds all rows in memory without such a cursor; use orders.paging.pages."


def test_no_lock_belongs_to_a_session() -> None:
    """Behind a pooler a session is anybody's; commands that change tables go past it."""
    found = [
        where
        for where, node in nodes([path for path in PRODUCT if "backoffice" not in path.parts], ast.Constant)
        if isinstance(node.value, str) and re.search(r"pg_(try_)?advisory_lock", node.value)
    ]
    assert not found, "Use a lease row, or pg_advisory_xact_lock in a short transaction."
