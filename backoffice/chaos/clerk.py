"""A clerk in the middle of the faults: decides reviews, holds and releases, refunds, takes goods back, runs playbooks.

Over the same API as everybody, and like the clients: asked until yes or a final no, and written down only when the
product acknowledged it. Without a clerk no run would ever see an order wait for a person while workers die. Once in a
while somebody with access to Temporal ends an order's workflow there; that is the one thing that no API offers.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from backoffice.chaos.asking import LOOK, PATIENCE, Asker
from backoffice.chaos.facts import Hold, Waited
from backoffice.chaos.plan import PLAYBOOK, PLAYBOOK_INPUTS, PLAYBOOK_REFUND_MINOR, Errands

THREADS = 12
FIRST_LINE = """
    SELECT l.position, l.quantity, l.total_minor, o.total_minor FROM orders_orderline l
    JOIN orders_order o ON o.id = l.order_id WHERE o.number = %s ORDER BY l.position LIMIT 1
"""
#: one refund of an order at a time
BACK_ON_ITS_WAY = """
    SELECT count(*) FROM orders_refund r JOIN orders_order o ON o.id = r.order_id
    WHERE o.number = %s AND r.status IN ('requested', 'sent', 'pending')
"""
#: how the page of an order begins that waits for a customer, for the bank or for staff
WAITS = ("Waiting", "Stopped")
#: and when somebody else was quicker
OTHERWISE = ("Being cancelled", "Holding")
#: so long its page is read until it says so, and so often at least before it is believed that it does not
WHY_SECONDS, ENOUGH_READ = 15.0, 10
RUN_ENDED = "SELECT ended_at IS NOT NULL FROM orders_playbookrun WHERE id = %s"


@dataclass(kw_only=True)
class Clerk:
    asker: Asker
    #: numbers of orders that the rules must find suspicious, and of those that were decided
    suspicious: list[str] = field(default_factory=list)
    approved: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    #: (number, minor units) of each refund that was accepted, whoever asks for it
    refunds: list[tuple[str, int]] = field(default_factory=list)
    #: (number, pieces) of each return that was received
    returns: list[tuple[str, int]] = field(default_factory=list)
    #: (number, id of the run) of each playbook that was started
    playbooks: list[tuple[str, str]] = field(default_factory=list)
    #: numbers of the orders whose workflow somebody tried to terminate
    ended: list[str] = field(default_factory=list)
    #: what the pages of orders said whose payment waits
    waited: list[Waited] = field(default_factory=list)
    #: numbers of the orders that got another payment method while they waited
    changed: list[str] = field(default_factory=list)
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
            "returned": len(self.returns),
            "playbooks": len(self.playbooks),
            "other methods": len(self.changed),
        }

    def take(self, number: str, errands: Errands) -> None:
        """Have everything done about the order that the plan says; returns at once."""
        if errands.verdict:
            self.suspicious.append(number)
        if errands.waits:
            self._submit(number, lambda: self._look_after_payment(number, errands.another_method))
        if errands.end_after is not None:
            self._submit(number, lambda: self._end(number, errands.end_after or 0.0))
        self._submit(number, lambda: self._serve(number, errands))

    def leave(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, number: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as error:
                self.asker.complain(f"the clerk failed at {number}: {error!r}")
            finally:
                with self._lock:
                    self._left -= 1

        with self._lock:
            self._left += 1
        self._pool.submit(guarded)

    def _serve(self, number: str, errands: Errands) -> None:
        if errands.hold_after is not None:
            self.asker.over.wait(errands.hold_after)
            self._hold(number, errands.hold_for)
        if errands.verdict and self.asker.await_status(number, "in_review"):
            self._decide(number, errands.verdict)
        if not errands.after_completion or not self.asker.await_status(number, "completed"):
            return
        if errands.refund_minor:
            self._refund(number, errands.refund_minor)
        if errands.comes_back and self._nothing_on_its_way_back(number):
            self._take_back(number)
        if errands.playbook and self._nothing_on_its_way_back(number):
            self._run_playbook(number)

    def _end(self, number: str, after: float) -> None:
        """As an operator who believes that it hangs; the sweep must find it and have the order undone."""
        self.asker.over.wait(after)
        # Before it is known: the answer may get lost although Temporal did it.
        self.ended.append(number)
        self.asker.end_run(number, "terminate")

    def _look_after_payment(self, number: str, another_method: str) -> None:
        """Read why the order waits, as staff do who are asked about it, and give it the other method."""
        if not self.asker.await_status(number, "awaiting_payment"):
            return
        waited = self._read_why(number)
        if waited is not None:
            self.waited.append(waited)
        body = {"payment_method": another_method, "reason": "She wants to pay with another card"}
        if another_method and self._give(number, "payment-method", body):
            self.changed.append(number)

    def _read_why(self, number: str) -> Waited | None:
        """What its page says of the wait; None when the wait is over before it says so.

        Between two waits, or with the bank's answer just coming in, it says that it is under way. It may not go on
        saying so.
        """
        give_up, read = time.monotonic() + WHY_SECONDS, 0
        while time.monotonic() < give_up and not self.asker.over.wait(LOOK):
            told = self.asker.ask("GET", f"{self.asker.doors.api}orders/{number}/why/")
            if told is None or told.status_code != 200:
                continue
            why = told.json()
            if why["status"] != "awaiting_payment" or why["headline"].startswith(OTHERWISE):
                return None
            read += 1
            if why["headline"].startswith(WAITS):
                words = bool(why["coming"] and why["you_can"])
                return Waited(number=number, says=words, until=why["deadline_at"] or "")
        return Waited(number=number, says=False, until="") if read >= ENOUGH_READ else None

    def _hold(self, number: str, seconds: float) -> None:
        if not self._give(number, "hold", {"reason": "Is the address right?"}):
            return
        since = time.time()
        self.asker.over.wait(seconds)
        until = time.time()
        # A no means that the order was cancelled meanwhile; nothing holds it any more.
        if self._give(number, "release", {"reason": "It is"}):
            self.holds.append(Hold(number=number, since=since, until=until))

    def _decide(self, number: str, verdict: str) -> None:
        # The clients place orders with the first token, and whoever placed an order does not approve it.
        second = {"Authorization": f"Token {self.asker.doors.second_token}"}
        if self._give(number, f"review/{verdict}", {"reason": "Called the customer"}, headers=second):
            (self.approved if verdict == "approve" else self.rejected).append(number)

    def _refund(self, number: str, amount_minor: int) -> None:
        if self._give(number, "refunds", {"amount_minor": amount_minor, "reason": "One piece came broken"}):
            self.refunds.append((number, amount_minor))

    def _take_back(self, number: str) -> None:
        """One piece of the first line comes back, is counted, and is paid for."""
        line = self.asker.look(FIRST_LINE, number)
        if line is None:
            return self.asker.complain(f"the lines of {number} were not shown")
        position, quantity, line_minor, _ = line
        announced = self._give(
            number, "returns", {"lines": [{"position": position, "quantity": 1}], "reason": "Does not fit"}
        )
        if announced is None:
            return None
        path = f"returns/{announced['id']}"
        came = {"lines": [{"position": position, "received": 1}], "reason": "It came"}
        if self._ask(number, f"{path}/receive", came) is None:
            return None
        self.returns.append((number, 1))
        due = line_minor // quantity
        if due and self._ask(number, f"{path}/refund", {"amount_minor": due, "reason": "It came back"}):
            self.refunds.append((number, due))
        return None

    def _run_playbook(self, number: str) -> None:
        """The shipped apology for a late delivery, which pays a part back once."""
        line = self.asker.look(FIRST_LINE, number)
        if line is None:
            # The database was cut off just now: what the run gives back could not be told from what it may give back.
            return
        given = sum(amount for order, amount in self.refunds if order == number)
        body = {"order": number, "playbook": PLAYBOOK, "inputs": PLAYBOOK_INPUTS, "reason": "It came late"}
        run = self._ask(number, "playbook-runs", body)
        if run is None:
            return
        self.playbooks.append((number, run["id"]))
        if line[3] - given >= PLAYBOOK_REFUND_MINOR:
            self.refunds.append((number, PLAYBOOK_REFUND_MINOR))
        self._await(lambda: (self.asker.look(RUN_ENDED, run["id"]) or (False,))[0])

    def _nothing_on_its_way_back(self, number: str) -> bool:
        """Whether no refund of the order is under way any more; two at once are refused."""
        return self._await(lambda: self.asker.look(BACK_ON_ITS_WAY, number) == (0,))

    def _await(self, condition: Callable[[], bool]) -> bool:
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and not self.asker.over.wait(LOOK):
            if condition():
                return True
        return False

    def _give(self, number: str, command: str, body: dict[str, Any], **request: Any) -> dict[str, Any] | None:
        return self._ask(number, f"orders/{number}/{command}", body, **request)

    def _ask(self, number: str, path: str, body: dict[str, Any], **request: Any) -> dict[str, Any] | None:
        """What the product answered when it accepted; None after a final no."""
        key = f"clerk-{number}-{path.rsplit(number, 1)[-1].strip('/').replace('/', '-')}"
        answer = self.asker.insist(
            f"{path} of {number}", f"{path}/", key=key, yes={200, 201, 202}, json=body, **request
        )
        return None if answer is None else answer.json()
