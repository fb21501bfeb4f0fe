"""One at a time: two deployments that migrate or bootstrap at once wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper

LOCK = "backoffice.migrate"


@contextmanager
def alone(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Wait, for as long as it takes, until nobody else migrates this database, and keep others waiting in the block.

    On a connection of its own, because the work may close its. In a transaction and not for the session: a pooler in
    transaction mode would give a lock of the session to somebody else.
    """
    holding = connection.copy()
    try:
        holding.set_autocommit(False)
        with holding.cursor() as cursor:
            for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                cursor.execute("SELECT set_config(%s, '0', true)", [limit])
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [LOCK])
        yield
    finally:
        holding.close()
