"""Simulated clients: each orders over the real API, repeats with the same key until it hears yes, and writes that down.

The file of acknowledgements is the only witness of what the product promised. It is written by the other side, so an
order that was acknowledged and then lost cannot vanish from it together with the database.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import requests

from backoffice.chaos.clerk import Clerk
from backoffice.chaos.plan import Errands, Plan, Purchase
from backoffice.chaos.verdict import TERMINAL

THREADS = 24
REQUEST_TIMEOUT = 8.0
#: a client whose key is leased by a killed web process waits 30 seconds; nobody waits longer than this
PATIENCE = 300.0


@dataclass(frozen=True, kw_only=True)
class Doors:
    """Where the clients knock."""

    api: str
    token: str
    temporal_http: str
    database_url: str


@dataclass(kw_only=True)
class Clients:
    doors: Doors
    acknowledgements: Path
    #: (order number, unix time) of each cancellation that the product, or the engine, accepted
    accepted: list[tuple[str, float]] = field(default_factory=list)
    #: seconds that each acknowledging request took
    _answered: list[float] = field(default_factory=list)
    #: what no client may ever be told, in words
    complaints: list[str] = field(default_factory=list)
    acknowledged: int = 0
    replayed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _local: threading.local = field(default_factory=threading.local)
    _pool: ThreadPoolExecutor | None = None
    _left: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    clerk: Clerk = field(init=False)

    def __post_init__(self) -> None:
        self.clerk = Clerk(
            api=self.doors.api,
            ask=self._ask,
            status_of=lambda number: self._look(number, "status"),
            complain=self._complain,
            over=self._over,
        )

    def begin(self, plan: Plan, started: float) -> None:
        """Let every client act at its moment, counted from `started` (monotonic)."""
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="client")
        self._left = len(plan.purchases)
        for purchase in plan.purchases:
            self._pool.submit(self._live, purchase, started + purchase.at)

    @property
    def done(self) -> bool:
        return self._left == 0 and self.clerk.done

    def answers_ms(self) -> dict[str, int]:
        """How long the requests took that were answered with 201."""
        ordered = sorted(self._answered) or [0.0]
        return {
            "median": round(1000 * ordered[len(ordered) // 2]),
            "p95": round(1000 * ordered[int(0.95 * (len(ordered) - 1))]),
        }

    def leave(self) -> None:
        """Send everybody home; a thread that still waited would keep the command from ending."""
        self._over.set()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self.clerk.leave()

    def _live(self, purchase: Purchase, moment: float) -> None:
        try:
            self._over.wait(max(0.0, moment - time.monotonic()))
            number = self._order(purchase)
            if number is not None and purchase.errands != Errands():
                self.clerk.take(number, purchase.errands)
            if number is not None and purchase.cancel_after is not None:
                if purchase.cancel_when:
                    self._await(number, purchase.cancel_when)
                    self._cancel_run(number)
                else:
                    self._over.wait(purchase.cancel_after)
                    self._cancel(number, purchase.key)
        except Exception as error:
            self._complain(f"client {purchase.key} failed: {error!r}")
        finally:
            with self._lock:
                self._left -= 1

    def _order(self, purchase: Purchase) -> str | None:
        give_up = time.monotonic() + PATIENCE
        wait = 0.2
        while time.monotonic() < give_up and not self._over.is_set():
            asked = time.monotonic()
            answer = self._ask(
                "POST", f"{self.doors.api}orders/", json=purchase.body, headers={"Idempotency-Key": purchase.key}
            )
            if answer is not None and answer.status_code == 201:
                self._answered.append(time.monotonic() - asked)
                return self._note(purchase.key, answer)
            if answer is not None and answer.status_code < 500 and answer.status_code not in {409, 429}:
                self._complain(f"{purchase.key} was refused with {answer.status_code}: {answer.text[:300]}")
                return None
            self._over.wait(wait)
            wait = min(wait * 1.5, 2.0)
        self._complain(f"{purchase.key} was not acknowledged within {PATIENCE:.0f} s")
        return None

    def _note(self, key: str, answer: requests.Response) -> str:
        number = str(answer.json()["number"])
        with self._lock:
            self.acknowledged += 1
            self.replayed += answer.headers.get("Idempotent-Replayed") == "true"
            with self.acknowledgements.open("a", encoding="utf-8") as file:
                file.write(f"{key}\t{number}\n")
        return number

    def _cancel(self, number: str, key: str) -> None:
        """Cancel as a customer's program does, until yes or no is heard; a no means that it is too late."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and not self._over.is_set():
            answer = self._ask(
                "POST",
                f"{self.doors.api}orders/{number}/cancel/",
                json={"reason": "The customer changed her mind"},
                headers={"Idempotency-Key": f"{key}-cancel"},
            )
            if answer is not None and answer.status_code == 202:
                with self._lock:
                    self.accepted.append((number, time.time()))
                return
            # A problem that names the state is a final no; the same code also says that the key is still in flight.
            if answer is not None and answer.status_code == 409 and "wrong-state" in answer.text:
                return
            if answer is not None and answer.status_code < 500 and answer.status_code not in {409, 429}:
                self._complain(f"the cancellation of {number} was refused: {answer.status_code} {answer.text[:300]}")
                return
            self._over.wait(0.3)
        self._complain(f"the cancellation of {number} was not answered within {PATIENCE:.0f} s")

    def _cancel_run(self, number: str) -> None:
        """Behind the product's back: ask Temporal to cancel the workflow; not found means not started yet, or over."""
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up and not self._over.is_set():
            order_id = self._order_id(number)
            if order_id is not None:
                workflow = quote(f"order:{order_id}", safe="")
                answer = self._ask("POST", f"{self.doors.temporal_http}/workflows/{workflow}/cancel", json={})
                if answer is not None and answer.status_code == 200:
                    with self._lock:
                        self.accepted.append((number, time.time()))
                    return
            self._over.wait(0.3)

    def _await(self, number: str, status: str) -> None:
        """Return when the order is in the status, or over, or nobody waits any more."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and not self._over.wait(0.2):
            if self._look(number, "status") in {status, *TERMINAL}:
                return

    def _order_id(self, number: str) -> str | None:
        return self._look(number, "id::text")

    def _look(self, number: str, column: str) -> str | None:
        try:
            with psycopg.connect(self.doors.database_url, connect_timeout=2) as connection:
                row = connection.execute(f"SELECT {column} FROM orders_order WHERE number = %s", [number]).fetchone()
        except psycopg.Error:
            return None
        return str(row[0]) if row else None

    def _ask(self, method: str, url: str, **options: Any) -> requests.Response | None:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            # A proxy of the environment must not get between us and loopback.
            session.trust_env = False
        headers = {"Authorization": f"Token {self.doors.token}", **options.pop("headers", {})}
        try:
            answer: requests.Response = session.request(
                method, url, headers=headers, timeout=REQUEST_TIMEOUT, **options
            )
        except requests.RequestException:
            return None
        return answer

    def _complain(self, words: str) -> None:
        with self._lock:
            self.complaints.append(words)


def read_acknowledgements(path: Path) -> list[tuple[str, str]]:
    """(key, order number) as the clients wrote them down."""
    if not path.exists():
        return []
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [(key, number) for key, number in rows]
