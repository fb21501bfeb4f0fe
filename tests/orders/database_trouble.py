"""Trouble of PostgreSQL on demand: any SQLSTATE at chosen statements, or a database that really takes no writes."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection
from django.db import utils as django_errors

from orders.database_errors import _leaving

READ_ONLY, DISK_FULL, TOO_MANY, SHUTDOWN = "25006", "53100", "53300", "57P01"
WRITE = re.compile(r"\s*(INSERT|UPDATE|DELETE|TRUNCATE)\b|.*\bFOR (NO KEY )?UPDATE\b", re.IGNORECASE | re.DOTALL)


def of_state(state: str) -> django_errors.Error:
    """The error of that SQLSTATE as a query of Django's raises it."""
    cause = psycopg.errors.lookup(state)("no")
    kinds = (kind.__name__ for kind in type(cause).__mro__ if hasattr(django_errors, kind.__name__))
    error: django_errors.Error = getattr(django_errors, next(kinds))("no")
    error.__cause__ = cause
    return error


class Struck:
    """How many statements failed, and which was the first."""

    def __init__(self) -> None:
        self.count = 0
        self.first = ""


@contextmanager
def failing(state: str, wanted: Callable[[str], object] = WRITE.match) -> Iterator[Struck]:
    """Statements that `wanted` finds fail in every request of this thread; all others work."""
    struck = Struck()

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if not wanted(str(sql)):
            return run(sql, params, many, context)
        struck.count += 1
        struck.first = struck.first or str(sql)
        raise of_state(state)

    # It would close the connection, and with it the transaction of the test.
    wrappers = connection.execute_wrappers
    connection.execute_wrappers = [one for one in wrappers if one is not _leaving]
    try:
        with connection.execute_wrapper(execute):
            yield struck
    finally:
        connection.execute_wrappers = wrappers


@contextmanager
def read_only_database() -> Iterator[None]:
    """As a primary that became a standby: every new session reads only. For tests without a transaction around them."""
    name = connection.settings_dict["NAME"]
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    connection.close()
    try:
        yield
    finally:
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        connection.close()


@contextmanager
def full_disk(*tables: str) -> Iterator[None]:
    """A trigger raises what PostgreSQL raises when a table cannot grow. For tests without a transaction around them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
        )
        for table in tables:
            cursor.execute(
                f"CREATE TRIGGER a_full_disk BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION disk_is_full()"
            )
    try:
        yield
    finally:
        connection.close()
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"DROP TRIGGER a_full_disk ON {table}")
