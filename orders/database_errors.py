"""Which errors of PostgreSQL mean "not now", for every door of the web and for the worker.

By SQLSTATE (appendix A of PostgreSQL's manual), not by the class of the exception: a primary that became read-only
reports an InternalError, which looks like a bug of ours and would be answered as one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from django.db import Error, InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

READ_ONLY = "25006"
LOCK_NOT_AVAILABLE = "55P03"
#: whole classes: no connection, out of resources, an operator or the system intervened
CLASSES = ("08", "53", "57", "58")
#: two transactions met, a lock was not to be had, a transaction was open for too long, or the server takes no writes
STATES = frozenset({READ_ONLY, "25P03", "25P04", "40001", "40P01", LOCK_NOT_AVAILABLE})
#: the server answers and can be read, but takes no write: read-only, disk full, out of memory, a file that failed
NO_WRITES = frozenset({READ_ONLY, "53000", "53100", "53200", "58000", "58030"})
#: seconds after which whoever was turned away may come back
RETRY_AFTER_SECONDS = 5


def is_passing(error: BaseException | None) -> bool:
    """Whether `error` is, or was raised from, trouble of the database that passes: answer 503, or try again."""
    return any(_passes(one) for one in _causes(error))


def is_write_refused(error: BaseException | None) -> bool:
    """Whether the database could still be read: what only takes a note may go on without it."""
    return any(sqlstate(one) in NO_WRITES for one in _causes(error))


def sqlstate(error: BaseException) -> str:
    """The five characters, or nothing for an error that PostgreSQL did not report."""
    return getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None) or ""


def _passes(error: BaseException) -> bool:
    state = sqlstate(error)
    if state:
        return state in STATES or state.startswith(CLASSES)
    # Without a state there was no answer: refused, broken off, or no connection of the pool was free.
    return isinstance(error, (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError))


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found


def leave_read_only_servers(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Receiver of `connection_created`: a connection that turns out to be read-only is not used again.

    After a failover the old primary may live on as a standby, and a connection that is kept would fail every write
    until somebody restarts the process. The next one is made anew and finds the new primary.
    """
    if _leaving not in connection.execute_wrappers:
        # In front: `connection.execute_wrapper` takes the last one off again.
        connection.execute_wrappers.insert(0, _leaving)


def _leaving(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    try:
        return execute(sql, params, many, context)
    except Error as error:
        if sqlstate(error) == READ_ONLY:
            connection: BaseDatabaseWrapper = context["connection"]
            if connection.connection is not None:
                # Closed itself first: the pool would take it back and hand it out again.
                connection.connection.close()
            connection.close()
        raise
