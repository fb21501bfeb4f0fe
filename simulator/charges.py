"""Charges: one for each attempt that reached a bank, and what refunds and disputes refer to."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from simulator import events, machine, methods
from simulator.context import Context
from simulator.intents import Intent
from simulator.listing import newest_first
from simulator.methods import Refusal
from simulator.store import Store
from simulator.stripe_forms import PAGING, Form, missing
from simulator.wire import Request, Response, answer, new_id

UPDATE = """
UPDATE charges SET amount_captured = :amount_captured, amount_refunded = :amount_refunded, status = :status,
    disputed = :disputed, failure_code = :failure_code, failure_message = :failure_message,
    outcome_reason = :outcome_reason, balance_transaction = :balance_transaction
WHERE seq = :seq
"""


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One charge; amounts in minor units of `currency`."""

    seq: int
    id: str
    intent_id: str
    order_ref: str
    amount: int
    amount_captured: int
    amount_refunded: int
    currency: str
    status: str
    disputed: int
    payment_method: str
    failure_code: str | None
    failure_message: str | None
    outcome_reason: str | None
    balance_transaction: str | None
    metadata: str
    description: str | None
    created: int

    def change(self, ctx: Context, *, cause: str = "", **columns: Any) -> "Charge":
        """Write the given columns and return the charge as it now is."""
        changed = replace(self, **columns)
        if changed.status != self.status:
            machine.move(ctx.tx, "charge", self.id, self.status, changed.status, cause=cause, at=ctx.now)
        ctx.tx.execute(UPDATE, asdict(changed))
        return changed

    def publish(self, ctx: Context, kind: str) -> None:
        """Write an event about the charge as it now is."""
        events.publish(ctx, kind, self.as_json(), intent=self.intent_id, order=self.order_ref)

    def as_json(self) -> dict[str, Any]:
        """Return the charge as Stripe shows it."""
        kind = (methods.find(self.payment_method) or methods.Method()).type
        return {
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.amount_captured,
            "amount_refunded": self.amount_refunded,
            "balance_transaction": self.balance_transaction,
            "captured": self.amount_captured > 0,
            "created": self.created,
            "currency": self.currency,
            "customer": None,
            "description": self.description,
            "disputed": bool(self.disputed),
            "failure_balance_transaction": None,
            "failure_code": self.failure_code,
            "failure_message": self.failure_message,
            "livemode": False,
            "metadata": json.loads(self.metadata),
            "outcome": self._outcome(),
            "paid": self.status == "succeeded",
            "payment_intent": self.intent_id,
            "payment_method": self.payment_method,
            "payment_method_details": {"type": kind, kind: {}},
            "refunded": 0 < self.amount_captured == self.amount_refunded,
            "status": self.status,
        }

    def _outcome(self) -> Mapping[str, Any]:
        declined = self.status == "failed"
        return {
            "network_status": "declined_by_network" if declined else "approved_by_network",
            "reason": self.outcome_reason,
            "type": "issuer_declined" if declined else "authorized",
        }

    @classmethod
    def of(cls, row: sqlite3.Row) -> Self:
        """Return the charge in a row of the table."""
        return cls(**dict(row))


def begin(ctx: Context, intent: Intent, status: str, *, captured: int = 0, refusal: Refusal | None = None) -> Charge:
    """Write the charge of one attempt, `captured` minor units of it taken at once."""
    charge_id = new_id("ch")
    ctx.tx.execute(
        "INSERT INTO charges (id, intent_id, order_ref, amount, amount_captured, currency, status, payment_method,"
        " failure_code, failure_message, outcome_reason, balance_transaction, metadata, description, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            charge_id,
            intent.id,
            intent.order_ref,
            intent.amount,
            captured,
            intent.currency,
            status,
            intent.payment_method,
            refusal.code if refusal else None,
            refusal.message if refusal else None,
            refusal.decline_code if refusal else None,
            ctx.balance_transaction() if captured else None,
            intent.metadata,
            intent.description,
            ctx.wall,
        ),
    )
    machine.move(ctx.tx, "charge", charge_id, None, status, cause="attempt", at=ctx.now)
    return load(ctx.tx, charge_id)


def load(tx: sqlite3.Connection, charge_id: str, param: str = "charge") -> Charge:
    """Return the charge of this id. Refuses with 404 resource_missing when there is none."""
    row = tx.execute("SELECT * FROM charges WHERE id = ?", (charge_id,)).fetchone()
    if row is None:
        missing("charge", charge_id[:100], param)
    return Charge.of(row)


def of_intent(tx: sqlite3.Connection, intent: Intent) -> Charge | None:
    """Return the intent's latest charge."""
    return load(tx, intent.latest_charge) if intent.latest_charge else None


def retrieve(store: Store, request: Request) -> Response:
    """GET /v1/charges/{id}."""
    Form(request, frozenset())
    with store.read() as snapshot:
        return answer(200, load(snapshot, request.last, "id").as_json())


def index(store: Store, request: Request) -> Response:
    """GET /v1/charges: payment_intent, and what every list takes."""
    form = Form(request, frozenset({"payment_intent", *PAGING}))
    with store.read() as snapshot:
        return newest_first(
            snapshot,
            form,
            table="charges",
            url="/v1/charges",
            show=lambda row: Charge.of(row).as_json(),
            where={"intent_id = ?": form.text("payment_intent")},
        )


def failure_of(refusal: Refusal, charge: str | None, method: str, kind: str) -> dict[str, Any]:
    """Return a refusal as `last_payment_error` and as the error of a 402 show it."""
    error: dict[str, Any] = {"type": "card_error", "code": refusal.code, "message": refusal.message}
    error["doc_url"] = f"https://docs.stripe.com/error-codes/{refusal.code.replace('_', '-')}"
    if refusal.decline_code is not None:
        error["decline_code"] = refusal.decline_code
    if charge is not None:
        error["charge"] = charge
    return error | {"payment_method": {"id": method, "object": "payment_method", "type": kind}}
