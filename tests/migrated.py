"""A migrated database to copy for each test process, because migrating takes longer than most files of tests.

It lies beside the test databases on the same server and is named after what it was made from, so a change of a
migration or a model makes a new one, and the next run finds it ready.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
from django.core.management import call_command
from django.db import connection

from orders.connections import parameters
from tests import rights

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "migrated_for_tests_"
UNFINISHED = f"{PREFIX}unfinished"
#: which tables, triggers, permissions and rights there are
MADE_FROM = (
    "requirements.lock",
    "backoffice/settings.py",
    "backoffice/database_roles.py",
    "backoffice/mask_function.py",
    "backoffice/table_rights.py",
    "orders/services/texts/registry.py",
    "orders/models/**/*.py",
    "orders/migrations/*.py",
)


@contextlib.contextmanager
def ready_made() -> Iterator[str]:
    """The name of the database, which nobody drops inside the block."""
    name = PREFIX + fingerprint()
    with psycopg.connect(**{**parameters(), "dbname": "postgres"}, autocommit=True) as server:
        # One process makes it; the others wait here and find it.
        server.execute("SELECT pg_advisory_lock(hashtext(%s))", (PREFIX,))
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            drop_old_ones(server)
            server.execute(f"CREATE DATABASE {UNFINISHED}")
            migrate(UNFINISHED)
            server.execute(f"ALTER DATABASE {UNFINISHED} RENAME TO {name}")
        server.execute("SELECT pg_advisory_lock_shared(hashtext(%s))", (name,))
        server.execute("SELECT pg_advisory_unlock(hashtext(%s))", (PREFIX,))
        yield name


def fingerprint() -> str:
    digest = hashlib.sha256()
    for pattern in MADE_FROM:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def drop_old_ones(server: psycopg.Connection) -> None:
    """All that no other test run works with."""
    for (old,) in server.execute(
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (PREFIX,)
    ).fetchall():
        (is_free,) = server.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (old,)).fetchone() or (False,)
        if is_free:
            server.execute(f"DROP DATABASE {old}")
            server.execute("SELECT pg_advisory_unlock(hashtext(%s))", (old,))


def migrate(name: str) -> None:
    connection.close()
    mine, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], name
    try:
        call_command("migrate", verbosity=0, interactive=False)
        rights.grant()
    finally:
        connection.close()
        connection.settings_dict["NAME"] = mine
