"""The clock of the books: what happens later happens by it, and a test can turn it forward by days.

It runs with the computer's clock and only ever gets ahead of it. Objects carry the computer's time as `created`, since
callers ask for ranges of their own time; this clock decides what is due: debits, refunds, disputes, searches, keys.
"""

import sqlite3
import time
from collections.abc import Callable

from simulator.store import Store
from simulator.wire import Request, Response, answer, number_field, read_object

MAX_ADVANCE_SECONDS = 10 * 366 * 86_400
ADVANCED = "advanced_seconds"


class Clock:
    """Seconds since 1970, by the books; `wall` is the computer's clock, or a test's."""

    def __init__(self, store: Store, wall: Callable[[], float] = time.time) -> None:
        self._store = store
        self.wall = wall

    def now(self, tx: sqlite3.Connection) -> float:
        """Return the time by the books."""
        return self.wall() + _advanced(tx)

    def show(self, request: Request) -> Response:
        """GET /clock: {now, advanced_seconds}, in seconds."""
        with self._store.read() as snapshot:
            return answer(200, {"now": self.now(snapshot), ADVANCED: _advanced(snapshot)})

    def advance(self, request: Request) -> Response:
        """POST /clock {"advance_seconds": N}: turn it forward by 0 to ten years; answers as GET does.

        What has become due meanwhile has happened when this is answered.
        """
        body = read_object(request, frozenset({"advance_seconds"}))
        seconds = number_field(body, "advance_seconds", 0, MAX_ADVANCE_SECONDS)
        with self._store.write() as tx:
            tx.execute(
                "INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (ADVANCED, repr(_advanced(tx) + seconds)),
            )
        return self.show(request)


def _advanced(tx: sqlite3.Connection) -> float:
    row = tx.execute("SELECT value FROM settings WHERE name = ?", (ADVANCED,)).fetchone()
    return float(row["value"]) if row else 0.0
