"""Work on several database connections at once, for the tests that are about locks."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import connection

from tests.e2e.engine import eventually

PATIENCE = 20


class Connections:
    """A pool of threads, each with a database connection of its own."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def begin(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> Future[Any]:
        """Run `work` beside the caller."""

        def with_own_connection() -> Any:
            try:
                return work(*arguments, **options)
            finally:
                connection.close()

        return self._pool.submit(with_own_connection)


@contextmanager
def connections(count: int) -> Iterator[Connections]:
    with ThreadPoolExecutor(count) as pool:
        yield Connections(pool)


def wait_for_a_blocked_connection() -> None:
    """Return once some connection of this database waits for a lock that another one holds."""
    eventually(_somebody_is_blocked, seconds=PATIENCE, what="a connection that waits for a lock")


def _somebody_is_blocked() -> bool:
    with connection.cursor() as cursor:
        # Inside a transaction the view would show its first answer for ever.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' LIMIT 1"
        )
        return cursor.fetchone() is not None
