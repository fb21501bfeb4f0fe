"""Simulated clients: each orders over the real API, repeats with the same key until it hears yes, and writes that down.

The file of acknowledgements is the only witness of what the product promised. It is written by the other side, so an
order that was acknowledged and then lost cannot vanish from it together with the database.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import requests

from backoffice.chaos.asking import Asker, Doors
from backoffice.chaos.clerk import Clerk
from backoffice.chaos.desk import Desk
from backoffice.chaos.office import Office
from backoffice.chaos.plan import Errands, Plan, Purchase

THREADS = 24


@dataclass(kw_only=True)
class Clients:
    doors: Doors
    acknowledgements: Path
    #: is told the number of each poisoned order, and how it is
    on_poison: Callable[[str, str], None] = lambda number, poison: None
    #: (order number, unix time) of each cancellation that the product accepted
    accepted: list[tuple[str, float]] = field(default_factory=list)
    #: numbers of the orders that somebody tried to cancel over the API
    asked_to_cancel: list[str] = field(default_factory=list)
    #: seconds that each acknowledging request took
    _answered: list[float] = field(default_factory=list)
    #: key of each purchase that nothing is special about -> whether it comes when poisoned orders do
    plain: dict[str, bool] = field(default_factory=dict)
    acknowledged: int = 0
    replayed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pool: ThreadPoolExecutor | None = None
    _left: int = 0
    asker: Asker = field(init=False)
    clerk: Clerk = field(init=False)
    office: Office = field(init=False)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.asker = Asker(doors=self.doors)
        self.clerk = Clerk(asker=self.asker)
        self.office = Office(asker=self.asker)
        self.desk = Desk(asker=self.asker)

    def begin(self, plan: Plan, started: float) -> None:
        """Let every client act at its moment, counted from `started` (monotonic)."""
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="client")
        self._left = len(plan.purchases)
        self.plain = plan.compared()
        for purchase in plan.purchases:
            self._pool.submit(self._live, purchase, started + purchase.at)
        self.office.begin(plan.jobs, started)
        self.desk.begin()

    @property
    def done(self) -> bool:
        return self._left == 0 and self.clerk.done and self.office.done

    def answers_ms(self) -> dict[str, int]:
        """How long the requests took that were answered with 201."""
        ordered = sorted(self._answered) or [0.0]
        return {
            "median": round(1000 * ordered[len(ordered) // 2]),
            "p95": round(1000 * ordered[int(0.95 * (len(ordered) - 1))]),
        }

    def leave(self) -> None:
        """Send everybody home; a thread that still waited would keep the command from ending."""
        self.asker.over.set()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self.clerk.leave()
        self.office.leave()
        self.desk.leave()

    def _live(self, purchase: Purchase, moment: float) -> None:
        try:
            self.asker.over.wait(max(0.0, moment - time.monotonic()))
            answer = self.asker.insist(purchase.key, "orders/", key=purchase.key, yes={201}, json=purchase.body)
            if answer is None:
                return
            number = self._note(purchase.key, answer)
            if purchase.poison:
                self.asker.poisoned[number] = purchase.poison
                self.on_poison(number, purchase.poison)
            if purchase.errands != Errands():
                self.clerk.take(number, purchase.errands)
            if purchase.cancel_after is not None:
                self._change_mind(number, purchase)
        except Exception as error:
            self.asker.complain(f"client {purchase.key} failed: {error!r}")
        finally:
            with self._lock:
                self._left -= 1

    def _note(self, key: str, answer: requests.Response) -> str:
        number = str(answer.json()["number"])
        with self._lock:
            self._answered.append(answer.elapsed.total_seconds())
            self.acknowledged += 1
            self.replayed += answer.headers.get("Idempotent-Replayed") == "true"
            with self.acknowledgements.open("a", encoding="utf-8") as file:
                file.write(f"{key}\t{number}\n")
        return number

    def _change_mind(self, number: str, purchase: Purchase) -> None:
        """As a customer's program does; where the plan says so, behind the product's back and without a promise."""
        if purchase.cancel_when and not self.asker.await_status(number, purchase.cancel_when):
            return
        if purchase.cancel_at_engine:
            self.asker.end_run(number, "cancel")
            return
        self.asker.over.wait(purchase.cancel_after)
        path, key = f"orders/{number}/cancel/", f"{purchase.key}-cancel"
        # Before it is known: the answer may get lost although the product obeys.
        self.asked_to_cancel.append(number)
        reason = {"reason": "The customer changed her mind"}
        if self.asker.insist(f"the cancellation of {number}", path, key=key, json=reason) is not None:
            with self._lock:
                self.accepted.append((number, time.time()))


def read_acknowledgements(path: Path) -> list[tuple[str, str]]:
    """(key, order number) as the clients wrote them down."""
    if not path.exists():
        return []
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [(key, number) for key, number in rows]
