"""Sending events to webhook endpoints, apart from every call: an endpoint that is slow or gone slows nobody else.

What waits is in the store, so it survives a `kill -9`; an endpoint may hear of an event twice and in another order,
as docs.stripe.com/webhooks#event-delivery-behaviors says. An answer of 2xx ends it, everything else is tried again for
three days, more and more slowly.
"""

import http.client
import json
import logging
import queue
import sqlite3
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

from simulator import webhooks
from simulator.clock import Clock
from simulator.events import as_json
from simulator.store import Store

logger = logging.getLogger("simulator")

SENDERS = 4
TIMEOUT_SECONDS = 10.0
POLL_SECONDS = 0.05
#: at once with the senders, waiting included; what an endpoint that is gone can be asked in vain
MAX_UNDER_WAY = 16
#: how far it looks for one that is not kept waiting by an earlier event of its payment
PAGE = 500
#: docs.stripe.com/webhooks#retries: "for up to three days with an exponential back off"
GIVE_UP_SECONDS = 3 * 86_400
MAX_BACK_OFF_SECONDS = 3600
#: after so many failures in a row an endpoint is only tried once in a while, not with everything that waits
FAILURES_UNTIL_REST = 5
REST_SECONDS = 10.0

DUE = """
SELECT deliveries.seq, deliveries.intent_id, deliveries.endpoint_id, deliveries.event_id, deliveries.attempts,
    deliveries.first_at, url, secret, failures
FROM deliveries JOIN webhook_endpoints ON webhook_endpoints.id = deliveries.endpoint_id
WHERE state = 'pending' AND due_at <= ? AND status = 'enabled' AND rests_until <= ?
ORDER BY due_at, deliveries.seq LIMIT ?
"""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint."""

    seq: int
    intent_id: str
    endpoint_id: str
    url: str
    secret: str
    body: str
    attempts: int
    first_at: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one attempt; `error` is None when the endpoint took the event."""

    delivery: Delivery
    error: str | None


class Deliveries:
    """The threads that send, and the one that gives them work and writes down what came of it."""

    def __init__(self, store: Store, clock: Clock, stopping: threading.Event) -> None:
        self._store = store
        self._clock = clock
        self._stopping = stopping
        self.todo: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self.done: queue.SimpleQueue[Result] = queue.SimpleQueue()
        # What is being sent. The events of one payment go one after the other: their order is kept when nothing fails.
        self._under_way: set[int] = set()
        self._busy: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Begin to send. The threads end with the process; nothing they know is not in the store."""
        threading.Thread(target=self._run, name="deliveries", daemon=True).start()
        for number in range(SENDERS):
            threading.Thread(target=self._send_all, name=f"sender-{number}", daemon=True).start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if not (self.write_results() + self.hand_out()):
                    self._stopping.wait(POLL_SECONDS)
            except sqlite3.Error:
                # Closed at the end of the process, or busy: what waits is tried again.
                logger.warning("deliveries: the store did not answer", exc_info=not self._stopping.is_set())
                self._stopping.wait(1.0)

    def hand_out(self) -> int:
        """Give the senders what is due and return how many that are."""
        with self._store.read() as snapshot:
            now = self._clock.now(snapshot)
            found = []
            tried: set[str] = set()
            for row in snapshot.execute(DUE, (now, now, PAGE)):
                if len(self._under_way) >= MAX_UNDER_WAY:
                    break
                lane = (row["endpoint_id"], row["intent_id"])
                ill = row["failures"] >= FAILURES_UNTIL_REST
                if row["seq"] in self._under_way or lane in self._busy or (ill and row["endpoint_id"] in tried):
                    continue
                tried.add(row["endpoint_id"])
                self._busy.add(lane)
                self._under_way.add(row["seq"])
                event = snapshot.execute("SELECT * FROM events WHERE id = ?", (row["event_id"],)).fetchone()
                found.append(
                    Delivery(
                        seq=row["seq"],
                        intent_id=row["intent_id"],
                        endpoint_id=row["endpoint_id"],
                        url=row["url"],
                        secret=row["secret"],
                        body=json.dumps(as_json(snapshot, event), separators=(",", ":")),
                        attempts=row["attempts"],
                        first_at=row["first_at"],
                    )
                )
        for delivery in found:
            self.todo.put(delivery)
        return len(found)

    def write_results(self) -> int:
        """Write down what came of the last attempts, all in one commit, and return how many they are."""
        results = []
        while not self.done.empty():
            results.append(self.done.get())
        if not results:
            return 0
        with self._store.write() as tx:
            now = self._clock.now(tx)
            for result in results:
                _record(tx, result, now)
        for result in results:
            self._under_way.discard(result.delivery.seq)
            self._busy.discard((result.delivery.endpoint_id, result.delivery.intent_id))
        return len(results)

    def _send_all(self) -> None:
        while True:
            delivery = self.todo.get()
            try:
                error = send(delivery, int(self._clock.wall()))
            except Exception as failed:
                error = f"{type(failed).__name__}: {failed}"[:200]
            self.done.put(Result(delivery=delivery, error=error))


def send(delivery: Delivery, seconds: int) -> str | None:
    """Post the event, signed at `seconds`, and return None when the endpoint took it, or what it answered."""
    parts = urlsplit(delivery.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://docs.stripe.com/webhooks)",
        "Stripe-Signature": webhooks.signature(delivery.secret, seconds, delivery.body),
    }
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, body=delivery.body.encode("utf-8"), headers=headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as failed:
        return f"{type(failed).__name__}: {failed}"[:200]
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"the endpoint answered {status}"


def _record(tx: sqlite3.Connection, result: Result, now: float) -> None:
    delivery = result.delivery
    if result.error is None:
        tx.execute(
            "UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, last_error = NULL WHERE seq = ?",
            (delivery.seq,),
        )
        tx.execute(
            "UPDATE webhook_endpoints SET failures = 0, rests_until = 0 WHERE id = ? AND failures > 0",
            (delivery.endpoint_id,),
        )
        return
    back_off = min(2**delivery.attempts, MAX_BACK_OFF_SECONDS)
    gives_up = now + back_off > delivery.first_at + GIVE_UP_SECONDS
    tx.execute(
        "UPDATE deliveries SET state = ?, attempts = attempts + 1, due_at = ?, last_error = ? WHERE seq = ?",
        ("failed" if gives_up else "pending", now + back_off, result.error, delivery.seq),
    )
    tx.execute(
        "UPDATE webhook_endpoints SET failures = failures + 1,"
        " rests_until = CASE WHEN failures + 1 >= ? THEN ? ELSE 0 END WHERE id = ?",
        (FAILURES_UNTIL_REST, now + REST_SECONDS, delivery.endpoint_id),
    )
