"""A clerk in the middle of the faults: decides reviews, holds and releases, refunds, over the same API as everybody.

Like the clients it repeats each request until it hears yes or a final no, and writes down only what the product
acknowledged. Without a clerk no run would ever see an order wait for a person while workers die.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests

from backoffice.chaos.plan import Errands
from backoffice.chaos.verdict import TERMINAL, Hold

THREADS = 12
PATIENCE = 300.0
#: asks over the API; None without an answer
Ask = Callable[..., requests.Response | None]


@dataclass(kw_only=True)
class Clerk:
    api: str
    ask: Ask
    #: the order's status in the database, or None when nobody answers
    status_of: Callable[[str], str | None]
    complain: Callable[[str], None]
    over: threading.Event
    #: numbers of orders that the rules must find suspicious, and of those that were decided
    suspicious: list[str] = field(default_factory=list)
    approved: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    #: (number, minor units) of each refund that was accepted
    refunds: list[tuple[str, int]] = field(default_factory=list)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="clerk"))
    _left: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def done(self) -> bool:
        return self._left == 0

    def figures(self) -> dict[str, int]:
        """What was acknowledged, for the report."""
        return {
            "approved": len(self.approved),
            "rejected": len(self.rejected),
            "held": len(self.holds),
            "refunded": len(self.refunds),
        }

    def take(self, number: str, errands: Errands) -> None:
        """Have everything done about the order that the plan says; returns at once."""
        if errands.verdict:
            self.suspicious.append(number)
        with self._lock:
            self._left += 1
        self._pool.submit(self._serve, number, errands)

    def leave(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _serve(self, number: str, errands: Errands) -> None:
        try:
            if errands.hold_after is not None:
                self.over.wait(errands.hold_after)
                self._hold(number, errands.hold_for)
            if errands.verdict and self._await(number, "in_review"):
                self._decide(number, errands.verdict)
            if errands.refund_minor and self._await(number, "completed"):
                self._refund(number, errands.refund_minor)
        except Exception as error:
            self.complain(f"the clerk failed at {number}: {error!r}")
        finally:
            with self._lock:
                self._left -= 1

    def _hold(self, number: str, seconds: float) -> None:
        if not self._give(number, "hold", {"reason": "Is the address right?"}):
            return
        since = time.time()
        self.over.wait(seconds)
        until = time.time()
        # A no means that the order was cancelled meanwhile; nothing holds it any more.
        if self._give(number, "release", {"reason": "It is"}):
            self.holds.append(Hold(number=number, since=since, until=until))

    def _decide(self, number: str, verdict: str) -> None:
        if self._give(number, f"review/{verdict}", {"reason": "Called the customer"}):
            (self.approved if verdict == "approve" else self.rejected).append(number)

    def _refund(self, number: str, amount_minor: int) -> None:
        if self._give(number, "refunds", {"amount_minor": amount_minor, "reason": "One piece came broken"}):
            self.refunds.append((number, amount_minor))

    def _give(self, number: str, command: str, body: dict[str, Any]) -> bool:
        """Whether the command was accepted; asked until yes or a final no."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and not self.over.is_set():
            answer = self.ask(
                "POST",
                f"{self.api}orders/{number}/{command}/",
                json=body,
                headers={"Idempotency-Key": f"clerk-{number}-{command.replace('/', '-')}"},
            )
            if answer is not None and answer.status_code == 202:
                return True
            # A problem that names the state is a final no; the same code also says that the key is still in flight.
            if answer is not None and answer.status_code == 409 and "wrong-state" in answer.text:
                return False
            if answer is not None and answer.status_code < 500 and answer.status_code not in {409, 429}:
                self.complain(f"{command} of {number} was refused: {answer.status_code} {answer.text[:300]}")
                return False
            self.over.wait(0.3)
        self.complain(f"{command} of {number} was not answered within {PATIENCE:.0f} s")
        return False

    def _await(self, number: str, status: str) -> bool:
        """Whether the order came into the status; False when it ended otherwise, or nobody waits any more."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and not self.over.wait(0.3):
            found = self.status_of(number)
            if found == status:
                return True
            if found in TERMINAL:
                return False
        return False
