"""The product's connections to PostgreSQL: made here and by Django only, given back, and looked at at the start.

Web and worker share a pool among their threads. A thread has a connection while it speaks to the database, and never
while it waits for somebody else: a partner that answers after three seconds would take the connections of all others.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connection, connections, transaction
from django.db import Error as DatabaseError

logger = logging.getLogger(__name__)
#: the entry of DATABASES that DATABASE_DIRECT_URL makes
DIRECT = "direct"
#: a forgotten transaction or a lost lock ends by itself, sooner than an activity's timeout; roles have them, so that
#: they hold on connections that our settings did not open, and through poolers
LIMITS = {"statement_timeout": "30s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "60s"}
SESSION = "SELECT pg_backend_pid()"
LOOK = """
SELECT session_user, current_setting('statement_timeout'), current_setting('lock_timeout'),
       current_setting('idle_in_transaction_session_timeout'), rolconnlimit, datconnlimit,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true), '0')::int,
       pg_backend_pid()
  FROM pg_roles, pg_database WHERE rolname = session_user AND datname = current_database()
"""


def give_back() -> None:
    """Before a wait for anybody but PostgreSQL: hand this thread's connection to whoever needs it.

    Raises RuntimeError inside an open transaction: its locks would be held for as long as somebody else likes.
    """
    if connection.in_atomic_block:
        # Lets only the transaction pass that a test is wrapped in.
        with transaction.atomic(durable=True):
            return
    close_old_connections()


def parameters(alias: str = DEFAULT_DB_ALIAS) -> dict[str, Any]:
    """psycopg's parameters of a connection beside Django's own: the same address, account and options."""
    wanted: dict[str, Any] = connections[alias].get_connection_params()
    return {name: value for name, value in wanted.items() if name not in {"cursor_factory", "context"}}


async def open_direct() -> psycopg.AsyncConnection[Any]:
    """A session of its own: past the pooler, where DATABASE_DIRECT_URL says how. Raises `psycopg.Error`."""
    alias = DIRECT if DIRECT in settings.DATABASES else DEFAULT_DB_ALIAS
    return await psycopg.AsyncConnection.connect(**parameters(alias), autocommit=True)


async def open_beside(*, connect_timeout: int) -> psycopg.AsyncConnection[Any]:
    """A connection by the same address, beside the pool, which may be used up. Raises `psycopg.Error`."""
    wanted = parameters() | {"connect_timeout": connect_timeout}
    return await psycopg.AsyncConnection.connect(**wanted, autocommit=True)


async def is_pooled(session: psycopg.AsyncConnection[Any]) -> bool:
    """Whether a pooler such as PgBouncer stands before PostgreSQL: it names another process than the one that works."""
    found = await (await session.execute(SESSION)).fetchone()
    return found is not None and found[0] != session.info.backend_pid


@dataclass(frozen=True, kw_only=True)
class Look:
    """What this process's connections are like."""

    address: str
    role: str
    is_encrypted: bool
    sslmode: str
    #: setting -> value, "0" for none
    limits: dict[str, str]
    #: connections that all processes of the role may have together
    most: int
    is_pooled: bool

    def __str__(self) -> str:
        tls = f"TLS (sslmode {self.sslmode})" if self.is_encrypted else "no TLS"
        limits = ", ".join(f"{name} {value}" for name, value in self.limits.items())
        size = settings.DATABASE_POOL_SIZE
        pool = f"a pool of {size}" if size else "no pool"
        between = "through a pooler" if self.is_pooled else f"no pooler, {self.most} connections for the role"
        return f"PostgreSQL at {self.address} as {self.role}: {tls}; {limits}; {pool}; {between}"


def look() -> Look:
    """Ask PostgreSQL. Raises `DatabaseError` when it does not answer."""
    with connection.cursor() as cursor:
        cursor.execute(LOOK)
        role, *limits, of_role, of_database, of_server, process = cursor.fetchone()
        link = cursor.connection
    return Look(
        address=f"{link.info.host}:{link.info.port}/{link.info.dbname}",
        role=role,
        is_encrypted=link.pgconn.ssl_in_use,
        sslmode=link.info.get_parameters().get("sslmode", "prefer"),
        limits=dict(zip(LIMITS, limits, strict=True)),
        most=min(most for most in (of_role, of_database, of_server) if most >= 0),
        is_pooled=process != link.info.backend_pid,
    )


def tell() -> bool:
    """Say in one line of the log what the connections are like; False when PostgreSQL does not answer."""
    try:
        logger.info("%s", look())
    except DatabaseError as error:
        logger.warning("PostgreSQL does not answer, so its connections are not checked: %s", error)
        return False
    return True
