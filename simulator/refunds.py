"""Refunds: money back, never more than was taken, and not there before the bank says so.

The bound is checked in the transaction that writes the refund, so two people refunding one payment at the same moment
cannot both succeed. A refund that fails later frees its amount again: the customer has nothing, and somebody must pay.
"""

import json
import sqlite3
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from simulator import charges, events, intents, machine, methods
from simulator.charges import Charge
from simulator.context import Context
from simulator.intents import Intent
from simulator.listing import newest_first
from simulator.methods import Method
from simulator.store import Store
from simulator.stripe_forms import PAGING, Form, dump, error_answer, invalid, missing, missing_parameter
from simulator.wire import Request, Response, answer, new_id

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
#: statuses of a refund whose amount is away: arrived, or on its way
AWAY = ("pending", "requires_action", "succeeded")
#: docs.stripe.com/refunds: how long a customer has to say where the money should go
ACTION_SECONDS = 45 * 86_400
UPDATE = """
UPDATE refunds SET status = :status, pending_reason = :pending_reason, failure_reason = :failure_reason,
    failure_balance_transaction = :failure_balance_transaction, metadata = :metadata WHERE seq = :seq
"""


@dataclass(frozen=True, kw_only=True)
class Refund:
    """One refund; its amount in minor units of `currency`."""

    seq: int
    id: str
    intent_id: str
    charge: str
    order_ref: str
    amount: int
    currency: str
    status: str
    reason: str | None
    pending_reason: str | None
    failure_reason: str | None
    balance_transaction: str | None
    failure_balance_transaction: str | None
    metadata: str
    created: int

    def change(self, ctx: Context, *, cause: str | None = None, **columns: Any) -> "Refund":
        """Write the given columns and return the refund as it now is; `cause` is why its status changes."""
        changed = replace(self, **columns)
        if changed.status != self.status:
            machine.move(ctx.tx, "refund", self.id, self.status, changed.status, cause=cause or "", at=ctx.now)
        ctx.tx.execute(UPDATE, asdict(changed))
        return changed

    def publish(self, ctx: Context, *kinds: str) -> None:
        """Write events about the refund as it now is."""
        for kind in kinds:
            events.publish(ctx, kind, self.as_json(), intent=self.intent_id, order=self.order_ref)

    def note(self, ctx: Context, operation: str, refunded_minor: int) -> None:
        """Write an effect on the refund into the log of operations; below zero for money that came back."""
        ctx.note(
            operation, order=self.order_ref, object_id=self.id, currency=self.currency, refunded_minor=refunded_minor
        )

    def as_json(self) -> dict[str, Any]:
        """Return the refund as Stripe shows it."""
        shown: dict[str, Any] = {
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "metadata": json.loads(self.metadata),
            "payment_intent": self.intent_id,
            "reason": self.reason,
            "status": self.status,
        }
        if self.status == "requires_action":
            email = {"email_sent_at": self.created, "email_sent_to": "customer@example.com"}
            details = {"email_sent": email, "expires_at": self.created + ACTION_SECONDS}
            shown["next_action"] = {"type": "display_details", "display_details": details}
        optional = ("pending_reason", "failure_reason", "failure_balance_transaction")
        return shown | {name: getattr(self, name) for name in optional if getattr(self, name) is not None}

    @classmethod
    def of(cls, row: sqlite3.Row) -> Self:
        """Return the refund in a row of the table."""
        return cls(**dict(row))


def create(ctx: Context, request: Request) -> Response:
    """POST /v1/refunds: payment_intent or charge, amount? (minor units, all that is left when absent), reason?, ..."""
    form = Form(request, frozenset({"payment_intent", "charge", "amount", "reason", "metadata"}))
    intent, charge = _of_form(ctx, form)
    reason, metadata, asked = form.choice("reason", REASONS), form.metadata(), form.amount("amount")
    if charge is None or charge.status != "succeeded" or charge.amount_captured == 0:
        return error_answer(
            400,
            f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.",
            code="charge_not_refundable",
            param="payment_intent",
        )
    if intent.amount_disputed:
        return error_answer(
            400, f"Charge {charge.id} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    left = charge.amount_captured - charge.amount_refunded
    if left == 0:
        return error_answer(400, f"Charge {charge.id} has already been refunded.", code="charge_already_refunded")
    amount = asked or left
    if amount > left:
        return error_answer(
            400,
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}).",
            code="amount_too_large",
            param="amount",
        )
    if ctx.faults.declines(ctx.tx, "payments", "refunds.create", intent.facts(ctx.key)):
        return error_answer(
            400, "You have insufficient funds in your account for this refund.", code="balance_insufficient"
        )
    refund = _insert(ctx, intent, charge, amount, reason, metadata)
    _count(ctx, intent, charge, amount)
    refund.publish(ctx, "refund.created")
    charges.load(ctx.tx, charge.id).publish(ctx, "charge.refunded")
    refund.note(ctx, "refunds.create", amount)
    return answer(200, refund.as_json())


def update(ctx: Context, request: Request) -> Response:
    """POST /v1/refunds/{id}: metadata, and nothing else."""
    form = Form(request, frozenset({"metadata"}))
    refund = load(ctx.tx, request.last)
    refund = refund.change(ctx, metadata=dump(form.metadata_change(json.loads(refund.metadata))))
    refund.publish(ctx, "refund.updated")
    return answer(200, refund.as_json())


def cancel(ctx: Context, request: Request) -> Response:
    """POST /v1/refunds/{id}/cancel: only while the customer has still to say where the money should go."""
    Form(request, frozenset())
    refund = load(ctx.tx, request.segments[2])
    if refund.status != "requires_action":
        return error_answer(400, f"You cannot cancel a refund with a status of {refund.status}.")
    return answer(200, give_up(ctx, refund, "canceled", "merchant_request", cause="cancel").as_json())


def expire(ctx: Context, request: Request) -> Response:
    """POST /v1/test_helpers/refunds/{id}/expire: the customer never said where the money should go."""
    Form(request, frozenset())
    refund = load(ctx.tx, request.segments[3])
    if refund.status != "requires_action":
        return error_answer(400, f"You cannot expire a refund with a status of {refund.status}.")
    return answer(200, give_up(ctx, refund, "failed", "unknown", cause="customer").as_json())


def arrive(ctx: Context, refund: Refund, *, cause: str = "bank") -> Refund:
    """Have the money arrive, or start on its way once the customer has said where it should go."""
    waiting = refund.status == "requires_action"
    refund = refund.change(
        ctx,
        cause=cause,
        status="pending" if waiting else "succeeded",
        pending_reason="processing" if waiting else None,
    )
    ctx.unschedule(refund.id)
    if waiting:
        ctx.schedule("refund_arrives", ctx.behaviour.refund_seconds, refund.id)
    refund.publish(ctx, "refund.updated", "charge.refund.updated")
    return refund


def give_up(ctx: Context, refund: Refund, status: str, reason: str, *, cause: str) -> Refund:
    """Have a refund fail or be canceled: its amount is with the shop again, and can be refunded again."""
    intent, charge = intents.load(ctx.tx, refund.intent_id), charges.load(ctx.tx, refund.charge)
    ctx.unschedule(refund.id)
    refund = refund.change(
        ctx,
        cause=cause,
        status=status,
        pending_reason=None,
        failure_reason=reason,
        failure_balance_transaction=ctx.balance_transaction(),
    )
    _count(ctx, intent, charge, -refund.amount)
    refund.publish(ctx, "refund.updated", *(("refund.failed",) if status == "failed" else ()), "charge.refund.updated")
    refund.note(ctx, "refunds.fail" if status == "failed" else "refunds.cancel", -refund.amount)
    return refund


def of_charge(ctx: Context, charge: Charge) -> list[Refund]:
    """Return every refund of the charge, oldest first."""
    rows = ctx.tx.execute("SELECT * FROM refunds WHERE charge = ? ORDER BY seq", (charge.id,)).fetchall()
    return [Refund.of(row) for row in rows]


def load(tx: sqlite3.Connection, refund_id: str, param: str = "refund") -> Refund:
    """Return the refund of this id. Refuses with 404 resource_missing when there is none."""
    row = tx.execute("SELECT * FROM refunds WHERE id = ?", (refund_id,)).fetchone()
    return Refund.of(row) if row else missing("refund", refund_id[:100], param)


def retrieve(store: Store, request: Request) -> Response:
    """GET /v1/refunds/{id}."""
    Form(request, frozenset())
    with store.read() as snapshot:
        return answer(200, load(snapshot, request.last).as_json())


def index(store: Store, request: Request) -> Response:
    """GET /v1/refunds: payment_intent, charge, and what every list takes."""
    form = Form(request, frozenset({"payment_intent", "charge", *PAGING}))
    with store.read() as snapshot:
        intent_id, charge_id = form.text("payment_intent"), form.text("charge")
        if intent_id:
            intents.load(snapshot, intent_id, "payment_intent")
        return newest_first(
            snapshot,
            form,
            table="refunds",
            url="/v1/refunds",
            show=lambda row: Refund.of(row).as_json(),
            where={"intent_id = ?": intent_id, "charge = ?": charge_id},
        )


def _of_form(ctx: Context, form: Form) -> tuple[Intent, Charge | None]:
    intent_id, charge_id = form.text("payment_intent"), form.text("charge")
    if charge_id is None:
        intent = intents.load(ctx.tx, intent_id or missing_parameter("payment_intent"), "payment_intent")
        return intent, charges.of_intent(ctx.tx, intent)
    charge = charges.load(ctx.tx, charge_id)
    if intent_id not in (None, charge.intent_id):
        invalid("The charge does not belong to the payment intent.", param="charge", code="charge_invalid_parameter")
    return intents.load(ctx.tx, charge.intent_id), charge


def _insert(
    ctx: Context, intent: Intent, charge: Charge, amount: int, reason: str | None, metadata: dict[str, str]
) -> Refund:
    method = methods.find(charge.payment_method) or Method()
    status = {"pending": "pending", "requires_action": "requires_action"}.get(method.refund, "succeeded")
    refund_id = new_id("re")
    ctx.tx.execute(
        "INSERT INTO refunds (id, intent_id, charge, order_ref, amount, currency, status, reason, pending_reason,"
        " balance_transaction, metadata, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            refund_id,
            intent.id,
            charge.id,
            intent.order_ref,
            amount,
            intent.currency,
            status,
            reason,
            "processing" if status == "pending" else None,
            ctx.balance_transaction(),
            dump(metadata),
            ctx.wall,
        ),
    )
    machine.move(ctx.tx, "refund", refund_id, None, status, cause="create", at=ctx.now)
    match method.refund:
        case "pending":
            ctx.schedule("refund_arrives", ctx.behaviour.refund_seconds, refund_id)
        case "fails":
            ctx.schedule("refund_fails", ctx.behaviour.refund_seconds, refund_id)
        case "requires_action":
            ctx.schedule("refund_expires", ACTION_SECONDS, refund_id)
    return load(ctx.tx, refund_id)


def _count(ctx: Context, intent: Intent, charge: Charge, amount: int) -> None:
    intent.change(ctx, amount_refunded=intent.amount_refunded + amount)
    charge.change(ctx, amount_refunded=charge.amount_refunded + amount)
