"""Tests own the database; here they do something with the rights that a process of ours has, and no others.

Every request of a test client runs with the rights of the web (tests/orders/conftest.py), so that a table which
`backoffice.table_rights` gives too little of fails the test of the page that needs it.
"""

import contextlib
from collections.abc import Iterator

import psycopg
from django.conf import settings
from django.db import connection

from backoffice import database_roles
from backoffice.database_roles import Role

#: of accounts that nobody signs in with: roles belong to the whole server, and all its test databases share these
PREFIX = "rights_of_tests"


def grant() -> None:
    """Give those accounts their rights in the connected database."""
    before, settings.DATABASE_ROLE_PREFIX = settings.DATABASE_ROLE_PREFIX, PREFIX
    try:
        database_roles.grant({})
    finally:
        settings.DATABASE_ROLE_PREFIX = before


@contextlib.contextmanager
def of(role: Role) -> Iterator[None]:
    """Inside the block the connection of this thread may do what `role` may."""
    before = _become(f"{PREFIX}_{role}")
    try:
        yield
    finally:
        _become(before)


def _become(name: str) -> str:
    """Answers who it was before. Not through Django, which counts and times the statements of tests."""
    with contextlib.suppress(Exception):
        connection.ensure_connection()
    if connection.connection is None:  # the test plays a database that is away, or needs none
        return "none"
    try:
        (before,) = connection.connection.execute("SHOW role").fetchone()
        connection.connection.execute(f"SET ROLE {name}")
        # A request of the same transaction may have left its context. The next begins its own, and a worker has none.
        connection.connection.execute("SELECT set_config('pghistory.context_id', '', true)")
    except psycopg.Error:
        # A transaction that has failed is rolled back by whoever began it, and the account with it.
        return "none"
    return str(before)
