"""Idempotency keys as Stripe keeps them: one key, one effect, one saved answer.

The effect and its answer are committed together, and the answer is looked up again inside that transaction. Without
this a caller that lost the answer, which every caller does one day, would charge a second time by retrying.

Not saved: a refusal before execution began (bad parameter, unknown id, a fault before the gateway, too many requests).
Saved: everything else, declines, refused transitions and the gateway's own 500s included. A key ends after a day
(docs.stripe.com/api/idempotent_requests: "at least 24 hours old"), and the same request is then carried out again.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from simulator import behaviour
from simulator.clock import Clock
from simulator.store import Store
from simulator.stripe_forms import error_answer, invalid
from simulator.wire import RefusedError, Request, Response, digest, parse_form

MAX_KEY_LENGTH = 255

Effect = Callable[[sqlite3.Connection], Response]


class InFlight:
    """The keys being worked on in this process; a crash forgets them, and rightly, with the work itself."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Keep a second request with the same key out with 409 idempotency_key_in_use."""
        with self._lock:
            if key in self._keys:
                raise RefusedError(in_use(key))
            self._keys.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard(key)


def in_use(key: str) -> Response:
    """Return the 409 for a key whose first request is not finished."""
    return error_answer(
        409,
        f"There is currently another in-progress request using this Idempotent Key ({key}).",
        code="idempotency_key_in_use",
        kind="idempotency_error",
    )


def run_once(
    store: Store,
    clock: Clock,
    in_flight: InFlight,
    request: Request,
    effect: Effect,
    pause: Callable[[bool], None],
) -> Response:
    """Run `effect` in one transaction with its saved answer, or return the answer saved for the same key.

    `pause` is where a slow partner spends its time, told whether there is anything left to do: the key is in flight
    meanwhile, nothing is decided yet. Raises `RefusedError` with 409 while the key is in flight and with 400
    idempotency_error when it was used for another request.
    """
    key = request.idempotency_key
    if key is None:
        pause(True)
        with store.write() as tx:
            return effect(tx)
    if not 1 <= len(key) <= MAX_KEY_LENGTH:
        invalid(f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} characters", param="Idempotency-Key")
    fingerprint = _fingerprint(request)
    with in_flight.hold(key):
        with store.read() as snapshot:
            saved = _saved(snapshot, clock, key, request, fingerprint)
        pause(saved is None)
        if saved is not None:
            return saved
        with store.write() as tx:
            # Asked again under the writer's lock: another process on the same store may have been faster.
            saved = _saved(tx, clock, key, request, fingerprint)
            if saved is not None:
                return saved
            response = effect(tx)
            tx.execute(
                "INSERT OR REPLACE INTO idempotency (key, path, fingerprint, status, body, request_id, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key, request.path, fingerprint, response.status, response.text, request.id, int(clock.now(tx))),
            )
            return response


def _fingerprint(request: Request) -> str:
    try:
        return digest(parse_form(request.body.decode("utf-8")))
    except ValueError as error:
        invalid(f"The request body cannot be read as a form: {error}")


def _saved(tx: sqlite3.Connection, clock: Clock, key: str, request: Request, fingerprint: str) -> Response | None:
    row = tx.execute("SELECT * FROM idempotency WHERE key = ?", (key,)).fetchone()
    if row is None or clock.now(tx) >= row["created"] + behaviour.load(tx).key_seconds:
        return None
    if row["path"] != request.path or row["fingerprint"] != fingerprint:
        raise RefusedError(
            error_answer(
                400,
                "Keys for idempotent requests can only be used with the same endpoint and the same parameters they"
                f" were first used with. Try using a key other than '{key}'.",
                kind="idempotency_error",
            )
        )
    headers = {"Idempotent-Replayed": "true", "Original-Request": row["request_id"]}
    return Response(status=row["status"], text=row["body"], headers=headers)
