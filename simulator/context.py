"""What a rule of the gateway works with: one transaction, the time, the switches, and on whose behalf it runs."""

import sqlite3
from dataclasses import dataclass

from simulator.behaviour import Behaviour
from simulator.faults import FaultBook
from simulator.store import record
from simulator.wire import new_id


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything about one change, made by a call or by the clock."""

    tx: sqlite3.Connection
    #: by the clock of the books; for a change that was due, the moment it was due
    now: float
    #: by the computer's clock: what objects carry as `created`
    wall: int
    behaviour: Behaviour
    faults: FaultBook
    seed: str
    base_url: str
    #: of the call; None for what happened by itself
    request_id: str | None = None
    key: str | None = None

    def schedule(self, kind: str, seconds: float, object_id: str) -> None:
        """Have something happen to the object later; `due.KINDS` says what."""
        self.tx.execute("INSERT INTO due (at, kind, object_id) VALUES (?, ?, ?)", (self.now + seconds, kind, object_id))

    def unschedule(self, object_id: str, *kinds: str) -> None:
        """Forget what was going to happen to the object: everything, or only these kinds."""
        marks = ", ".join("?" * len(kinds))
        only = f" AND kind IN ({marks})" if kinds else ""
        self.tx.execute(f"DELETE FROM due WHERE object_id = ?{only}", (object_id, *kinds))

    def note(
        self,
        operation: str,
        *,
        order: str,
        object_id: str,
        currency: str,
        charged_minor: int = 0,
        refunded_minor: int = 0,
        disputed_minor: int = 0,
    ) -> None:
        """Write an effect into the log of operations."""
        record(
            self.tx,
            partner="payments",
            operation=operation,
            order=order,
            object_id=object_id,
            key=self.key,
            currency=currency,
            charged_minor=charged_minor,
            refunded_minor=refunded_minor,
            disputed_minor=disputed_minor,
        )

    def balance_transaction(self) -> str:
        """Return the id of a movement on the account's balance."""
        return new_id("txn")
