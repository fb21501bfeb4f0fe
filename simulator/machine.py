"""The published machines of the gateway's objects, in one table: every status, every transition, and where it says so.

The code changes a status only through `move`, which refuses what is not in the table. Without that the double would
drift towards whatever the adapter under test finds convenient. Where the pages are silent the row says `observed`: seen
at the real gateway's test mode by people who published what they saw.
"""

import sqlite3
from dataclasses import dataclass

LIFECYCLE = "docs.stripe.com/payments/paymentintents/lifecycle"
CREATE = "docs.stripe.com/api/payment_intents/create"
UPDATE = "docs.stripe.com/api/payment_intents/update"
CONFIRM = "docs.stripe.com/api/payment_intents/confirm"
CAPTURE = "docs.stripe.com/api/payment_intents/capture"
CANCEL = "docs.stripe.com/api/payment_intents/cancel"
HOLD = "docs.stripe.com/payments/place-a-hold-on-a-payment-method"
BACS = "docs.stripe.com/payments/bacs-debit/accept-a-payment"
ACH = "docs.stripe.com/payments/ach-direct-debit/accept-a-payment"
REFUNDS = "docs.stripe.com/refunds"
REFUND_CREATE = "docs.stripe.com/api/refunds/create"
REFUND_CANCEL = "docs.stripe.com/api/refunds/cancel"
TESTING = "docs.stripe.com/testing"
DISPUTE = "docs.stripe.com/disputes/how-disputes-work"
DISPUTE_UPDATE = "docs.stripe.com/api/disputes/update"
DISPUTE_CLOSE = "docs.stripe.com/api/disputes/close"
CHARGE = "docs.stripe.com/api/charges/object"
OBSERVED = "observed in test mode"

#: OpenAPI components.schemas.*.properties.status.enum; generated clients carry the same words
INTENT_STATUSES = (
    "canceled",
    "processing",
    "requires_action",
    "requires_capture",
    "requires_confirmation",
    "requires_payment_method",
    "succeeded",
)
CHARGE_STATUSES = ("failed", "pending", "succeeded")
REFUND_STATUSES = ("pending", "requires_action", "succeeded", "failed", "canceled")
DISPUTE_STATUSES = (
    "appeal_needs_response",
    "appeal_under_review",
    "lost",
    "needs_response",
    "prevented",
    "under_review",
    "warning_closed",
    "warning_needs_response",
    "warning_under_review",
    "won",
)
#: published, and never reached here: no test payment method leads there
NOT_IMITATED = frozenset({"appeal_needs_response", "appeal_under_review", "prevented"})

#: OpenAPI components.schemas.event, the types about these objects that the double sends
EVENT_TYPES = (
    "payment_intent.created",
    "payment_intent.requires_action",
    "payment_intent.processing",
    "payment_intent.amount_capturable_updated",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.pending",
    "charge.succeeded",
    "charge.failed",
    "charge.captured",
    "charge.expired",
    "charge.refunded",
    "charge.refund.updated",
    "charge.dispute.created",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "refund.created",
    "refund.updated",
    "refund.failed",
)


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One allowed change of a status; `before` is None where the object begins."""

    machine: str
    before: str | None
    after: str
    cause: str
    source: str


def _rows(
    machine: str, befores: tuple[str | None, ...], afters: tuple[str, ...], cause: str, source: str
) -> tuple[Transition, ...]:
    return tuple(
        Transition(machine=machine, before=before, after=after, cause=cause, source=source)
        for before in befores
        for after in afters
    )


CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action")
OUTCOMES = ("succeeded", "requires_capture", "processing", "requires_payment_method")

TRANSITIONS: tuple[Transition, ...] = (
    *_rows("payment_intent", (None,), ("requires_payment_method", "requires_confirmation"), "create", CREATE),
    *_rows("payment_intent", CONFIRMABLE, ("requires_confirmation",), "update", UPDATE),
    *_rows("payment_intent", CONFIRMABLE, OUTCOMES, "confirm", CONFIRM),
    *_rows("payment_intent", CONFIRMABLE, ("requires_action",), "confirm", CONFIRM),
    *_rows("payment_intent", ("requires_action",), OUTCOMES, "customer", LIFECYCLE),
    # confirmation_method=manual: "will return to the requires_confirmation state after those actions are completed"
    *_rows("payment_intent", ("requires_action",), ("requires_confirmation",), "customer", CONFIRM),
    *_rows("payment_intent", ("processing",), ("succeeded", "requires_payment_method"), "bank", BACS),
    *_rows("payment_intent", ("requires_capture",), ("succeeded",), "capture", CAPTURE),
    *_rows("payment_intent", ("requires_capture",), ("canceled",), "authorization expired", HOLD),
    *_rows("payment_intent", CANCELABLE, ("canceled",), "cancel", CANCEL),
    # "or, in rare cases, processing"; pm_usBankAccount_processing is documented as such a case.
    *_rows("payment_intent", ("processing",), ("canceled",), "cancel", ACH),
    *_rows("charge", (None,), ("succeeded", "pending", "failed"), "attempt", CHARGE),
    *_rows("charge", ("pending",), ("succeeded", "failed"), "bank", CHARGE),
    *_rows("charge", ("pending",), ("failed",), "cancel", ACH),
    *_rows("refund", (None,), ("succeeded", "pending", "requires_action"), "create", REFUND_CREATE),
    *_rows("refund", ("pending",), ("succeeded",), "bank", TESTING),
    *_rows("refund", ("succeeded",), ("failed",), "bank", TESTING),
    # failure_reason charge_for_pending_refund_disputed
    *_rows("refund", ("pending",), ("failed",), "dispute", REFUNDS),
    *_rows("refund", ("requires_action",), ("pending", "failed"), "customer", REFUNDS),
    *_rows("refund", ("requires_action",), ("canceled",), "cancel", REFUND_CANCEL),
    *_rows("dispute", (None,), ("needs_response", "warning_needs_response"), "cardholder", DISPUTE),
    *_rows("dispute", ("needs_response",), ("under_review",), "evidence", DISPUTE_UPDATE),
    *_rows("dispute", ("warning_needs_response",), ("warning_under_review",), "evidence", DISPUTE_UPDATE),
    *_rows("dispute", ("under_review",), ("won", "lost"), "bank", TESTING),
    *_rows("dispute", ("warning_under_review",), ("warning_closed", "needs_response"), "bank", TESTING),
    *_rows("dispute", ("needs_response",), ("lost",), "close", DISPUTE_CLOSE),
    *_rows("dispute", ("needs_response",), ("lost",), "deadline", DISPUTE),
    *_rows("dispute", ("warning_needs_response", "warning_under_review"), ("warning_closed",), "deadline", DISPUTE),
)
ALLOWED = frozenset((one.machine, one.before, one.after, one.cause) for one in TRANSITIONS)


class MachineError(RuntimeError):
    """The double itself was about to do what the published machine does not know."""


def move(
    tx: sqlite3.Connection, machine: str, object_id: str, before: str | None, after: str, *, cause: str, at: float
) -> None:
    """Record a change of status. Raises MachineError when the table does not allow it."""
    if (machine, before, after, cause) not in ALLOWED:
        raise MachineError(f"{machine} {object_id}: {before} -> {after} by {cause} is in no published table")
    tx.execute(
        "INSERT INTO transitions (machine, object_id, before, after, cause, at) VALUES (?, ?, ?, ?, ?, ?)",
        (machine, object_id, before, after, cause, at),
    )
