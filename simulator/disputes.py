"""Disputes: the cardholder asks the bank for the money back, and the bank takes it first and decides later.

An inquiry only asks: nothing is withdrawn until it is escalated. What is withdrawn comes back when the dispute is won.
The words that decide a dispute of test mode are those of docs.stripe.com/testing#evidence.
"""

import json
import sqlite3
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from simulator import charges, events, intents, machine, methods, refunds
from simulator.charges import Charge
from simulator.context import Context
from simulator.methods import Method
from simulator.stripe_forms import missing
from simulator.wire import new_id

EVIDENCE = (
    *("access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure"),
    *("cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name"),
    *("customer_purchase_ip", "customer_signature", "duplicate_charge_documentation", "duplicate_charge_explanation"),
    *("duplicate_charge_id", "product_description", "receipt", "refund_policy", "refund_policy_disclosure"),
    *("refund_refusal_explanation", "service_date", "service_documentation", "shipping_address", "shipping_carrier"),
    *(
        "shipping_date",
        "shipping_documentation",
        "shipping_tracking_number",
        "uncategorized_file",
        "uncategorized_text",
    ),
)
MAX_EVIDENCE_LENGTH = 20_000
#: what the bank makes of a text; anything else leaves the dispute with the bank
WINNING, LOSING, ESCALATING = "winning_evidence", "losing_evidence", "escalate_inquiry_evidence"
INQUIRY = ("warning_needs_response", "warning_under_review")
OPEN = ("needs_response", "under_review", *INQUIRY)
#: docs.stripe.com/disputes/how-disputes-work: 7 to 21 days to respond; an inquiry ends after 120
RESPONSE_SECONDS = 7 * 86_400
INQUIRY_SECONDS = 120 * 86_400
#: per dispute, in minor units; kept by the gateway whoever wins
FEES = {"gbp": 2000, "eur": 2000, "usd": 1500}
DEFAULT_FEE = 1500
UPDATE = """
UPDATE disputes SET status = :status, amount_withdrawn = :amount_withdrawn, evidence = :evidence,
    submission_count = :submission_count, past_due = :past_due, balance_transactions = :balance_transactions,
    metadata = :metadata WHERE seq = :seq
"""


@dataclass(frozen=True, kw_only=True)
class Dispute:
    """One dispute; amounts in minor units of `currency`."""

    seq: int
    id: str
    intent_id: str
    charge: str
    order_ref: str
    amount: int
    #: taken off the account and not given back
    amount_withdrawn: int
    currency: str
    reason: str
    status: str
    evidence: str
    submission_count: int
    due_by: int
    past_due: int
    balance_transactions: str
    metadata: str
    created: int

    def change(self, ctx: Context, *, cause: str | None = None, **columns: Any) -> "Dispute":
        """Write the given columns and return the dispute as it now is; `cause` is why its status changes."""
        changed = replace(self, **columns)
        if changed.status != self.status:
            machine.move(ctx.tx, "dispute", self.id, self.status, changed.status, cause=cause or "", at=ctx.now)
        ctx.tx.execute(UPDATE, asdict(changed))
        return changed

    def publish(self, ctx: Context, *kinds: str) -> None:
        """Write events about the dispute as it now is."""
        for kind in kinds:
            events.publish(ctx, f"charge.dispute.{kind}", self.as_json(), intent=self.intent_id, order=self.order_ref)

    def as_json(self) -> dict[str, Any]:
        """Return the dispute as Stripe shows it."""
        given = json.loads(self.evidence)
        case = "inquiry" if self.status.startswith("warning") else "chargeback"
        return {
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": json.loads(self.balance_transactions),
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence": {name: given.get(name) for name in EVIDENCE},
            "evidence_details": {
                "due_by": self.due_by,
                "enhanced_eligibility": {},
                "has_evidence": bool(given),
                "past_due": bool(self.past_due),
                "submission_count": self.submission_count,
            },
            "is_charge_refundable": self.status in (*INQUIRY, "warning_closed", "won"),
            "livemode": False,
            "metadata": json.loads(self.metadata),
            "network_reason_code": None,
            "payment_intent": self.intent_id,
            "payment_method_details": {"type": "card", "card": {"brand": "visa", "case_type": case}},
            "reason": self.reason,
            "status": self.status,
        }

    @classmethod
    def of(cls, row: sqlite3.Row) -> Self:
        """Return the dispute in a row of the table."""
        return cls(**dict(row))


def open_for(ctx: Context, charge: Charge) -> None:
    """Have the cardholder dispute the charge, as its method says; not when all of it went back before."""
    method = methods.find(charge.payment_method) or Method()
    inquiry = method.dispute == "inquiry"
    left = charge.amount_captured - charge.amount_refunded + (0 if inquiry else _on_its_way(ctx, charge))
    if left == 0:
        return
    dispute_id, status = new_id("du"), "warning_needs_response" if inquiry else "needs_response"
    seconds = INQUIRY_SECONDS if inquiry else RESPONSE_SECONDS
    ctx.tx.execute(
        "INSERT INTO disputes (id, intent_id, charge, order_ref, amount, currency, reason, status, due_by, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            dispute_id,
            charge.intent_id,
            charge.id,
            charge.order_ref,
            left,
            charge.currency,
            "general" if inquiry else method.dispute,
            status,
            ctx.wall + seconds,
            ctx.wall,
        ),
    )
    machine.move(ctx.tx, "dispute", dispute_id, None, status, cause="cardholder", at=ctx.now)
    charge.change(ctx, disputed=1)
    dispute = load(ctx.tx, dispute_id)
    _note(ctx, dispute, "disputes.open", 0)
    if inquiry:
        dispute.publish(ctx, "created")
    else:
        dispute = _withdraw(ctx, dispute)
        dispute.publish(ctx, "created", "funds_withdrawn")
    ctx.schedule("dispute_expires", seconds, dispute.id)


def decide(ctx: Context, dispute: Dispute) -> None:
    """Have the bank decide on the evidence it was given."""
    text = json.loads(dispute.evidence).get("uncategorized_text")
    if dispute.status == "warning_under_review":
        if text == ESCALATING:
            _escalate(ctx, dispute)
        else:
            end(ctx, dispute, "warning_closed", cause="bank")
    elif dispute.status == "under_review":
        end(ctx, dispute, "won" if text == WINNING else "lost", cause="bank")


def expire(ctx: Context, dispute: Dispute) -> None:
    """End a dispute that nobody answered in time: lost, and an inquiry without consequences."""
    dispute = dispute.change(ctx, past_due=1)
    end(ctx, dispute, "warning_closed" if dispute.status in INQUIRY else "lost", cause="deadline")


def load(tx: sqlite3.Connection, dispute_id: str) -> Dispute:
    """Return the dispute of this id. Refuses with 404 resource_missing when there is none."""
    row = tx.execute("SELECT * FROM disputes WHERE id = ?", (dispute_id,)).fetchone()
    return Dispute.of(row) if row else missing("dispute", dispute_id[:100], "dispute")


def _escalate(ctx: Context, dispute: Dispute) -> None:
    charge = charges.load(ctx.tx, dispute.charge)
    if charge.amount_captured - charge.amount_refunded + _on_its_way(ctx, charge) == 0:
        # "After the payment has been fully refunded, no further funds are withdrawn."
        end(ctx, dispute, "warning_closed", cause="bank")
        return
    ctx.unschedule(dispute.id)
    dispute = dispute.change(ctx, cause="bank", status="needs_response", evidence="{}")
    dispute = _withdraw(ctx, dispute)
    dispute.publish(ctx, "updated", "funds_withdrawn")
    ctx.schedule("dispute_expires", RESPONSE_SECONDS, dispute.id)


def _on_its_way(ctx: Context, charge: Charge) -> int:
    """Return what refunds of the charge are still on their way, in minor units."""
    return sum(one.amount for one in refunds.of_charge(ctx, charge) if one.status == "pending")


def _withdraw(ctx: Context, dispute: Dispute) -> Dispute:
    """Take the money off the account; refunds that have not arrived yet fail, or it would be paid back twice."""
    for refund in refunds.of_charge(ctx, charges.load(ctx.tx, dispute.charge)):
        if refund.status == "pending":
            refunds.give_up(ctx, refund, "failed", "charge_for_pending_refund_disputed", cause="dispute")
    charge, intent = charges.load(ctx.tx, dispute.charge), intents.load(ctx.tx, dispute.intent_id)
    amount = min(dispute.amount, charge.amount_captured - charge.amount_refunded)
    intent.change(ctx, amount_disputed=intent.amount_disputed + amount)
    _note(ctx, dispute, "disputes.withdraw", amount)
    moved = _movement(ctx, dispute, -amount, FEES.get(dispute.currency, DEFAULT_FEE))
    return dispute.change(ctx, amount_withdrawn=amount, balance_transactions=_more(dispute.balance_transactions, moved))


def end(ctx: Context, dispute: Dispute, status: str, *, cause: str) -> Dispute:
    ctx.unschedule(dispute.id)
    dispute = dispute.change(ctx, cause=cause, status=status)
    if status == "won" and dispute.amount_withdrawn:
        amount, intent = dispute.amount_withdrawn, intents.load(ctx.tx, dispute.intent_id)
        intent.change(ctx, amount_disputed=intent.amount_disputed - amount)
        _note(ctx, dispute, "disputes.reinstate", -amount)
        moved = _movement(ctx, dispute, amount, 0)
        dispute = dispute.change(
            ctx, amount_withdrawn=0, balance_transactions=_more(dispute.balance_transactions, moved)
        )
        dispute.publish(ctx, "funds_reinstated")
    _note(ctx, dispute, "disputes.close", 0)
    dispute.publish(ctx, "closed")
    return dispute


def _movement(ctx: Context, dispute: Dispute, amount: int, fee: int) -> dict[str, Any]:
    word = "withdrawal" if amount < 0 else "reversal"
    return {
        "id": ctx.balance_transaction(),
        "object": "balance_transaction",
        "amount": amount,
        "created": ctx.wall,
        "currency": dispute.currency,
        "description": f"Chargeback {word} for {dispute.charge}",
        "fee": fee,
        "net": amount - fee,
        "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
        "source": dispute.id,
        "status": "available",
        "type": "adjustment",
    }


def _more(before: str, item: dict[str, Any]) -> str:
    return json.dumps([*json.loads(before), item])


def _note(ctx: Context, dispute: Dispute, operation: str, disputed_minor: int) -> None:
    ctx.note(
        operation,
        order=dispute.order_ref,
        object_id=dispute.id,
        currency=dispute.currency,
        disputed_minor=disputed_minor,
    )
