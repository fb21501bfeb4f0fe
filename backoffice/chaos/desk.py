"""The people at the desk: whatever the product leaves to a person is done, as in an office on an ordinary day.

They read the queue of tasks over the API. Money that is owed is sent again once and then paid back by other means with
a reference; what the gateway's own page asks for, evidence about a dispute, is answered there. So nothing may be left
at the end of a run but what nobody can do anything about.
"""

import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backoffice.chaos.asking import LOOK, Asker

#: between two looks at the queue
PAUSE = 1.0
#: an unknown outcome is settled by whoever finds out; here that is the partner, who answers again before the end
REFUSED, INCIDENT, RESTORED = "request_refused", "incident", "restored"
LEFT_ALONE = frozenset({"outcome_unknown", REFUSED})
#: what they answer the bank, drawn per dispute: the words that decide a dispute of test mode, or giving in
ANSWERS = ("winning_evidence", "losing_evidence", "close")
AT_THE_GATEWAY = {"Authorization": "Bearer sk_test_desk"}
NEEDS_AN_ANSWER = frozenset({"needs_response", "warning_needs_response"})
#: what a lead decides about each kind of what a restored database does not have
DECIDED = {"order_behind": "finish", "order_unknown": "undo", "run_behind": "again"}
#: what an order that goes through its steps again may wait for a second time: list, filter, command, name of its order
WAITS: tuple[tuple[str, dict[str, str], str, str], ...] = (
    ("reviews", {}, "review/approve", "order"),
    ("orders", {"status": "on_hold"}, "release", "number"),
)
DISPUTED = """
    SELECT count(*) FROM orders_dispute d JOIN orders_order o ON o.id = d.order_id
    WHERE o.number = %s AND d.status IN ('inquiry', 'open')
"""


@dataclass(kw_only=True)
class Desk:
    asker: Asker
    #: how many tasks of each kind were settled, how often money that is owed was sent again, and disputes answered
    settled: Counter[str] = field(default_factory=Counter)
    #: (order number, unix time) of each order that was cancelled because a partner refuses it for good
    cancelled: list[tuple[str, float]] = field(default_factory=list)
    _retried: set[str] = field(default_factory=set)
    #: orders that go through their steps again after the database was set back
    _finished: set[str] = field(default_factory=set)
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
            self._thread.start()

    def leave(self) -> None:
        """Go home; the asker's `over` has told them to."""
        if self._thread is not None:
            self._thread.join(5.0)

    def figures(self) -> dict[str, int]:
        return dict(sorted(self.settled.items()))

    def _work(self) -> None:
        while not self.asker.over.wait(PAUSE):
            if self.asker.undecided.is_set():
                continue
            for look in (self._look_at_disputes, self._look_at_tasks, self._look_at_what_waits):
                self._guarded(look)

    def _guarded(self, look: Callable[[], None]) -> None:
        try:
            look()
        except Exception as error:
            self.asker.complain(f"the desk failed: {error!r}")

    def _look_at_tasks(self) -> None:
        told = self.asker.ask("GET", f"{self.asker.doors.api}tasks/")
        if told is None or told.status_code != 200:
            return
        for task in told.json()["results"]:
            if task["kind"] == INCIDENT:
                # It closes by itself when the last of those behind it has gone on.
                behind = {"incident": task["subject"].rpartition(":")[2]}
                told = self.asker.ask("GET", f"{self.asker.doors.api}tasks/", params=behind)
                for one in told.json()["results"] if told is not None and told.status_code == 200 else ():
                    self._look_at(one)
            elif task["kind"] != RESTORED or self._decide():
                self._look_at(task)

    def _decide(self) -> bool:
        """A lead's word about all that a restored database does not have; True when nothing is left to decide."""
        told = self.asker.ask("GET", f"{self.asker.doors.api}restore-differences/")
        if told is None or told.status_code != 200:
            return False
        found = told.json()["results"]
        for one in found:
            decision = DECIDED[one["kind"]]
            if one["kind"] == "order_unknown" and not one["payment_reference"]:
                decision = "keep"
            body = {"decision": decision, "note": "After the backup", "names": [one["name"]]}
            if self._post("restore-differences/decide", f"{decision}-{one['name']}", body):
                self.settled[f"restored: {decision}"] += 1
                self._finished |= {one["name"]} if decision == "finish" else set()
        return not found

    def _look_at_what_waits(self) -> None:
        """Decide once more what the restored database has as never decided; of other orders the clerk does that."""
        if not self._finished:
            return
        for path, where, command, key in WAITS:
            told = self.asker.ask("GET", f"{self.asker.doors.api}{path}/", params=where)
            rows = told.json()["results"] if told is not None and told.status_code == 200 else ()
            # As the clerk does: whoever placed an order does not approve it.
            second = {"Authorization": f"Token {self.asker.doors.second_token}"}
            for number in [row[key] for row in rows if row[key] in self._finished]:
                if self._post(f"orders/{number}/{command}", f"{command}-{number}", {"reason": "As before"}, **second):
                    self.settled[f"after a restore: {command}"] += 1

    def _look_at(self, task: dict[str, Any]) -> None:
        if self.asker.over.is_set():
            return
        if task["order"] in self.asker.poisoned and task["kind"] == REFUSED and self.asker.mended.is_set():
            self._give_up(task["order"])
        elif self._is_ours(task):
            self._settle(task)

    def _is_ours(self, task: dict[str, Any]) -> bool:
        """Whether they can do something about it now."""
        waits = task["order"] in self.asker.poisoned and not self.asker.mended.is_set()
        return task["kind"] not in LEFT_ALONE and not waits

    def _give_up(self, number: str) -> None:
        """No partner will ever take it as it is."""
        if self._post(f"orders/{number}/cancel", f"cancel-{number}", {"reason": "The partner refuses it for good"}):
            self.cancelled.append((number, time.time()))
            self.settled["poisoned orders cancelled"] += 1

    def _settle(self, task: dict[str, Any]) -> None:
        number = task["order"]
        # The money is with a bank that has not decided whose it is: paid back now, the customer might have it twice.
        if task["kind"] in {"refund_owed", "dispute"} and self._is_disputed(number):
            return
        # Once: every try that fails is a task of its own.
        if task["kind"] == "refund_owed" and number not in self._retried:
            self._retried.add(number)
            if self._post(f"orders/{number}/refunds/retry", f"retry-{number}", {"reason": "Once more"}):
                self.settled["refunds sent again"] += 1
                return
        body = {"note": "Seen to it", "reference": f"desk-{task['id'][:8]}"}
        if task["kind"] == "process_ended" and "parcel was booked" in task["says"]:
            body["decision"] = "finish"
        if self._post(f"tasks/{task['id']}/resolve", f"resolve-{task['id']}", body):
            self.settled[task["kind"]] += 1

    def _is_disputed(self, number: str) -> bool:
        found = self.asker.look(DISPUTED, number)
        return found is None or found[0] > 0

    def _post(self, path: str, key: str, body: dict[str, Any], **headers: str) -> bool:
        """Whether it was accepted; tried once, since the queue is looked at again."""
        headers |= {"Idempotency-Key": f"desk-{key}"}
        told = self.asker.ask("POST", f"{self.asker.doors.api}{path}/", headers=headers, json=body)
        return told is not None and told.status_code in {200, 201, 202}

    def _look_at_disputes(self) -> None:
        disputes = f"{self.asker.doors.simulator}/v1/disputes"
        told = self.asker.ask(
            "GET", disputes, params={"limit": "100"}, headers={"Authorization": "Bearer sk_test_desk"}
        )
        if told is None or told.status_code != 200:
            return
        for dispute in told.json()["data"]:
            if dispute["status"] in NEEDS_AN_ANSWER and not self.asker.over.wait(LOOK):
                self._answer(dispute)

    def _answer(self, dispute: dict[str, Any]) -> None:
        answer = ANSWERS[zlib.crc32(dispute["id"].encode()) % len(ANSWERS)]
        url, given = f"{self.asker.doors.simulator}/v1/disputes/{dispute['id']}", {}
        if answer == "close" and dispute["status"] == "needs_response":
            url += "/close"
        else:
            given = {"evidence[uncategorized_text]": answer if answer != "close" else "losing_evidence"}
        told = self.asker.ask("POST", url, data=given, headers=AT_THE_GATEWAY)
        if told is not None and told.status_code == 200:
            self.settled["disputes answered"] += 1
