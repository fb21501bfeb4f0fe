"""Borrow PostgreSQL for one command, whether or not `./dev up` runs.

`./dev manage` must work in both cases, and two such commands at once must not stop the server under each other. A
shared lock counts the borrowers; the supervisor holds the same lock alone, so it never starts a second server.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from backoffice.devstack import postgres, state, terminal
from backoffice.devstack.errors import DevstackError
from backoffice.devstack.paths import Home, open_lock


@contextlib.contextmanager
def borrowed(home: Home) -> Iterator[bool]:
    """Yield with a server that answers; the value says whether a supervisor owns it."""
    if os.environ.get("DATABASE_URL"):
        yield True
        return
    lock = open_lock(home.database_users_lock)
    try:
        if _shared_unless_supervised(home, lock.fileno()):
            postgres.ensure(home)
            try:
                yield False
            finally:
                _stop_if_last(home, lock.fileno())
        else:
            _wait_for_supervised(home)
            yield True
    finally:
        lock.close()


def _shared_unless_supervised(home: Home, lock: int) -> bool:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if state.supervisor_runs(home):
                return False
            time.sleep(0.05)  # another borrower is just stopping the server


def _stop_if_last(home: Home, lock: int) -> None:
    # Only the last borrower can turn its shared lock into an exclusive one.
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        postgres.stop(home)


def _wait_for_supervised(home: Home, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not postgres.answers(home):
        if time.monotonic() > deadline:
            raise DevstackError(f"PostgreSQL does not answer after {seconds:.0f} s; see ./dev status")
        terminal.passing("waiting for PostgreSQL")
        time.sleep(0.1)
    terminal.clear()
