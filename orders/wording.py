"""The words and colours of single things: a status, a step, an event, a failure.

One table each, so that a list, a page and a mail call the same thing by the same name.
"""

from __future__ import annotations

from enum import StrEnum

from orders.amounts import counted, money
from orders.vocabulary import (
    EventType,
    FailureType,
    FindingKind,
    NoticeKind,
    NoticeStatus,
    OrderStatus,
    PartnerCode,
    StepName,
)


class Tone(StrEnum):
    """How a thing stands; pages show it as a colour and always with words and a sign beside it."""

    NEUTRAL = "neutral"
    MOVING = "moving"
    WAITING = "waiting"
    TROUBLE = "trouble"
    DONE = "done"

    @property
    def sign(self) -> str:
        """Name of the symbol that goes with the colour, for those who do not see colours."""
        return SIGNS[self]


SIGNS = {
    Tone.NEUTRAL: "radio_button_unchecked",
    Tone.MOVING: "sync",
    Tone.WAITING: "schedule",
    Tone.TROUBLE: "error",
    Tone.DONE: "check_circle",
}

STATUS_TONES: dict[OrderStatus, Tone] = {
    OrderStatus.PLACED: Tone.NEUTRAL,
    OrderStatus.QUEUED: Tone.MOVING,
    OrderStatus.IN_REVIEW: Tone.WAITING,
    OrderStatus.ON_HOLD: Tone.WAITING,
    OrderStatus.RESERVING: Tone.MOVING,
    OrderStatus.CHECKING: Tone.MOVING,
    OrderStatus.CHARGING: Tone.MOVING,
    OrderStatus.AWAITING_PAYMENT: Tone.WAITING,
    OrderStatus.SHIPPING: Tone.MOVING,
    OrderStatus.UNDOING: Tone.WAITING,
    OrderStatus.COMPLETED: Tone.DONE,
    OrderStatus.CANCELLED: Tone.NEUTRAL,
    OrderStatus.FAILED: Tone.TROUBLE,
}

EVENT_TITLES: dict[EventType, str] = {
    EventType.PLACED: "Order placed",
    EventType.START_REQUESTED: "Processing asked for",
    EventType.VALIDATED: "Order checked",
    EventType.STOCK_RESERVED: "Stock reserved",
    EventType.FRAUD_CHECKED: "Checked for fraud",
    EventType.REVIEW_OPENED: "Review asked for",
    EventType.REVIEW_CLAIMED: "Review claimed",
    EventType.REVIEW_ASKED: "Question in the review",
    EventType.REVIEW_EXTENDED: "Review given more time",
    EventType.REVIEW_ESCALATED: "Review escalated to the lead",
    EventType.REVIEW_SECONDED: "Approved by the first of two",
    EventType.REVIEW_DECIDED: "Review decided",
    EventType.REVIEW_OBEYED: "Went on after the review",
    EventType.HOLD_ASKED: "Hold asked for",
    EventType.HELD: "Put on hold",
    EventType.RELEASED: "Released",
    EventType.CANCEL_ASKED: "Cancellation asked for",
    EventType.PAYMENT_WAITS: "Payment waits",
    EventType.PAYMENT_CAPTURED: "Payment taken",
    EventType.SHIPPED: "Shipment booked",
    EventType.COMPLETED: "Order completed",
    EventType.STEP_RETRYING: "Attempt failed, tried again",
    EventType.STEP_RETRY_ASKED: "Told to try again at once",
    EventType.STEP_PAUSED: "Step paused",
    EventType.STEP_RESUMED: "Step resumed",
    EventType.STEP_LEFT_ALONE: "Command came too late",
    EventType.STEP_PARKED: "Step parked: the partner refuses our request",
    EventType.STEP_UNPROVEN: "Step done again: it was reported as done and was not",
    EventType.ENGINE_CANCEL_IGNORED: "Cancelled at Temporal without a command: ignored",
    EventType.UNDO_BEGUN: "Undo begun",
    EventType.STOCK_RELEASED: "Stock given back",
    EventType.PAYMENT_UNDONE: "Payment undone",
    EventType.SHIPMENT_UNDONE: "Shipment undone",
    EventType.CANCELLED: "Order cancelled",
    EventType.FAILED: "Order failed",
    EventType.CUSTOMER_ERASED: "Customer's personal data erased",
    EventType.REFUND_ASKED: "Refund asked for",
    EventType.REFUND_PENDING: "Refund on its way",
    EventType.REFUNDED: "Refunded",
    EventType.REFUND_FAILED: "Refund came back",
    EventType.REFUNDED_OUTSIDE: "Refunded outside of this office",
    EventType.DISPUTE_OPENED: "Payment disputed",
    EventType.DISPUTE_CHANGED: "Dispute went on",
    EventType.DISPUTE_CLOSED: "Dispute decided",
    EventType.REFUND_REFUSED: "Refund refused by the gateway",
    EventType.REFUND_RETRIED: "Refund tried again",
    EventType.REFUND_SETTLED: "Refunded by hand",
    EventType.REFUND_DROPPED: "Refund dropped",
    EventType.TASK_OPENED: "Task for staff",
    EventType.TASK_ACKNOWLEDGED: "Task taken",
    EventType.TASK_DONE: "Task done",
    EventType.STEP_SKIP_ASKED: "Told to do without the partner",
    EventType.PAYMENT_METHOD_ASKED: "Another payment method asked for",
    EventType.PAYMENT_METHOD_CHANGED: "Payment method changed",
    EventType.RETURN_ANNOUNCED: "Return announced",
    EventType.RETURN_RECEIVED: "Return received",
    EventType.RETURN_WITHDRAWN: "Return withdrawn",
    EventType.RETURN_CLOSED: "Return closed without a refund",
    EventType.NOTICE_SENT: "Customer told by mail",
    EventType.NOTICE_FAILED: "Mail to the customer failed",
    EventType.NOTICE_ASKED: "Mail to the customer asked for again",
    EventType.SETTLED_BY_HAND: "Settled by hand",
    EventType.TRACKING_UPDATED: "Parcel moved",
    EventType.FINDING_OPENED: "Found by the sweep",
    EventType.FINDING_RESOLVED: "No longer found by the sweep",
    EventType.START_REDELIVERED: "Start handed to Temporal again",
    EventType.RECOVERY_BEGUN: "Recovery asked for",
    EventType.RESTORE_DECIDED: "Decided after the database was restored",
    EventType.QUALITY_SAMPLED: "Drawn for the quality check",
    EventType.QUALITY_CHECKED: "Quality checked",
    EventType.RECHECKED: "Checked again",
    EventType.PLACED_AGAIN: "Placed again as another order",
    EventType.REPRICED: "Prices taken from the catalogue",
    EventType.SHIPMENT_CHECKED: "Carrier asked about the shipment",
    EventType.NOTE_ADDED: "Note",
    EventType.TAG_ADDED: "Tagged",
    EventType.TAG_REMOVED: "Tag removed",
    EventType.VOUCHER_ISSUED: "Voucher issued",
    EventType.VOUCHER_WITHDRAWN: "Voucher withdrawn",
    EventType.COUNTRY_CHANGED: "Country corrected",
    EventType.PARTNER_CALLED: "Partner called",
    EventType.MAIL_ASKED: "Mail to the customer",
    EventType.APPROVAL_ASKED: "A second person is asked",
    EventType.APPROVAL_GIVEN: "Approved by a second person",
    EventType.APPROVAL_DECLINED: "Declined by a second person",
    EventType.APPROVAL_LAPSED: "Approval lapsed",
    EventType.PLAYBOOK_STARTED: "Playbook started",
    EventType.PLAYBOOK_STEP_DONE: "Step of a playbook done",
    EventType.PLAYBOOK_STEP_FAILED: "Step of a playbook failed",
    EventType.PLAYBOOK_STEP_UNDONE: "Step of a playbook undone",
    EventType.PLAYBOOK_ASKED: "Question in a playbook",
    EventType.PLAYBOOK_TOLD: "Command to a playbook",
    EventType.PLAYBOOK_ENDED: "Playbook ended",
}
#: of an event that carries out what two people agreed on: it was asked for earlier, and says when
AGREED_TITLES: dict[EventType, str] = {EventType.REFUND_ASKED: "Refund begun"}
EVENT_TONES: dict[EventType, Tone] = {
    EventType.STEP_RETRYING: Tone.WAITING,
    EventType.STEP_PAUSED: Tone.WAITING,
    EventType.UNDO_BEGUN: Tone.WAITING,
    EventType.HELD: Tone.WAITING,
    EventType.REVIEW_OPENED: Tone.WAITING,
    EventType.REVIEW_ESCALATED: Tone.WAITING,
    EventType.FAILED: Tone.TROUBLE,
    EventType.TASK_OPENED: Tone.TROUBLE,
    EventType.PLAYBOOK_STEP_FAILED: Tone.TROUBLE,
    EventType.PLAYBOOK_ASKED: Tone.WAITING,
    EventType.APPROVAL_ASKED: Tone.WAITING,
    EventType.APPROVAL_DECLINED: Tone.TROUBLE,
    EventType.APPROVAL_LAPSED: Tone.WAITING,
    EventType.REFUND_REFUSED: Tone.TROUBLE,
    EventType.REFUND_FAILED: Tone.TROUBLE,
    EventType.REFUNDED_OUTSIDE: Tone.TROUBLE,
    EventType.DISPUTE_OPENED: Tone.TROUBLE,
    EventType.PAYMENT_WAITS: Tone.WAITING,
    EventType.STEP_PARKED: Tone.TROUBLE,
    EventType.STEP_UNPROVEN: Tone.TROUBLE,
    EventType.ENGINE_CANCEL_IGNORED: Tone.TROUBLE,
    EventType.NOTICE_FAILED: Tone.TROUBLE,
    EventType.COMPLETED: Tone.DONE,
    EventType.FINDING_OPENED: Tone.TROUBLE,
    EventType.RECOVERY_BEGUN: Tone.WAITING,
    EventType.RESTORE_DECIDED: Tone.WAITING,
}

#: what a step does, as it is said while it runs
STEP_DOING: dict[StepName, str] = {
    StepName.VALIDATE: "checking the order",
    StepName.RESERVE: "reserving the stock",
    StepName.FRAUD: "checking for fraud",
    StepName.CHARGE: "taking the payment",
    StepName.SHIP: "booking the shipment",
    StepName.COMPLETE: "closing the order",
    StepName.RELEASE: "giving the stock back",
    StepName.REFUND: "cancelling or refunding the payment",
    StepName.RECALL: "cancelling the shipment",
    StepName.CLOSE: "closing the order",
}
STEP_TITLES: dict[StepName, str] = {
    StepName.VALIDATE: "Check",
    StepName.RESERVE: "Stock",
    StepName.FRAUD: "Fraud check",
    StepName.CHARGE: "Payment",
    StepName.SHIP: "Shipment",
    StepName.COMPLETE: "Close",
    StepName.RELEASE: "Give the stock back",
    StepName.REFUND: "Undo the payment",
    StepName.RECALL: "Cancel the shipment",
    StepName.CLOSE: "Close",
}

NOTICE_TITLES: dict[NoticeKind, str] = {
    NoticeKind.ORDER_FAILED: "that the order could not be completed",
    NoticeKind.PAYMENT_ACTION: "that the bank asks for a confirmation of the payment",
    NoticeKind.MESSAGE: "a message about the order",
}
NOTICE_TONES: dict[NoticeStatus, Tone] = {
    NoticeStatus.QUEUED: Tone.MOVING,
    NoticeStatus.SENT: Tone.DONE,
    NoticeStatus.FAILED: Tone.TROUBLE,
    NoticeStatus.DROPPED: Tone.NEUTRAL,
}

PARTNERS: dict[PartnerCode, str] = {
    PartnerCode.PAYMENTS: "the payment gateway",
    PartnerCode.CARRIER: "the carrier",
    PartnerCode.FRAUD: "the fraud partner",
    PartnerCode.RATES: "the rates partner",
    PartnerCode.ADDRESSES: "the address partner",
}

#: (what went wrong, what a person can do about it)
FAILURES: dict[FailureType, tuple[str, str]] = {
    FailureType.INVALID_ORDER: ("the order does not add up", "Correct it at its source and place it again."),
    FailureType.OUT_OF_STOCK: ("there was not enough stock", "Place it again when the products are back in stock."),
    FailureType.PAYMENT_DECLINED: (
        "the payment was declined",
        "Ask the customer for another payment method and place the order again.",
    ),
    FailureType.CARRIER_REJECTED: (
        "the carrier does not take the shipment",
        "Check the address with the customer and place the order again.",
    ),
    FailureType.SHIPMENT_REFUSED: (
        "the carrier refused the shipment",
        "A task asks somebody to find out why; then place the order again.",
    ),
    FailureType.OUTCOME_UNKNOWN: (
        "a partner did not answer in time",
        "The partners were asked and everything was undone. Place the order again.",
    ),
    FailureType.PARTNER_UNAVAILABLE: (
        "a partner could not be reached",
        "Place the order again when the partner is back.",
    ),
    FailureType.CANCELLED: ("it was cancelled", ""),
    FailureType.REVIEW_REJECTED: (
        "a reviewer rejected it",
        "Read the reviewer's note; place the order again if it was wrong.",
    ),
    FailureType.PROCESS_ENDED: (
        "its process was ended at Temporal",
        "Everything was undone. Ask whoever runs Temporal why, and place the order again.",
    ),
}
#: where an order stands when the engine cannot go on: (headline, what comes by itself, who can act)
STANDSTILLS: dict[FindingKind, tuple[str, str, str]] = {
    FindingKind.WEDGED: (
        "Wedged: the code of its process fails, again and again.",
        "It goes on by itself where it stopped when the code is mended or the deploy taken back. No money moves.",
        "Nothing on this page. Whoever deploys must mend the code or take the deploy back.",
    ),
    FindingKind.PROCESS_ENDED: (
        "Without a process: it was ended at Temporal while the order was open.",
        "Another process undoes what was done, unless a lead has a task to decide that.",
        "A lead can resolve the task; otherwise nothing, the undo begins by itself.",
    ),
    FindingKind.PROCESS_LOST: (
        "Without a process: Temporal never heard of its start.",
        "The start was handed over again; it begins by itself.",
        "Nothing; the start is recorded and safe.",
    ),
}
OTHER_FAILURE = ("the process could not go on", "Read the timeline below; the last lines say where it stopped.")


def status_word(status: str) -> str:
    """`on_hold` as "On hold"."""
    return status.replace("_", " ").capitalize()


def event_title(kind: EventType, data: dict[str, object]) -> str:
    return AGREED_TITLES.get(kind, EVENT_TITLES[kind]) if "approval" in data else EVENT_TITLES[kind]


def order_word(status: str, *, refund_outstanding: bool) -> str:
    """The status of an order as lists and calls say it: one that was undone but for its money says so."""
    return status_word(status) + (" \u2013 refund outstanding" if refund_outstanding else "")


def order_tone(status: str, *, refund_outstanding: bool) -> Tone:
    return Tone.TROUBLE if refund_outstanding else STATUS_TONES[OrderStatus(status)]


def failure_words(failure_type: str) -> tuple[str, str]:
    """What went wrong, and what a person can do about it."""
    return FAILURES.get(FailureType(failure_type), OTHER_FAILURE) if failure_type else OTHER_FAILURE


def event_amounts(data: dict[str, object], currency: str) -> list[str]:
    """The figures of an event as short phrases."""
    said = []
    for key, words in (
        ("total_minor", ""),
        ("total_before_minor", "before"),
        ("amount_minor", ""),
        ("refunded_minor", "refunded"),
        ("due_minor", "due"),
    ):
        amount = data.get(key)
        if isinstance(amount, int) and amount:
            said.append(f"{money(amount, currency)} {words}".strip())
    for key, singular in (
        ("lines", "line"),
        ("products", "product"),
        ("pieces", "piece"),
        ("restocked", "restocked piece"),
    ):
        count = data.get(key)
        if isinstance(count, int) and count:
            said.append(counted(count, singular))
    for key, words in (("carrier", ""), ("tracking_number", "tracking "), ("gateway_reference", "gateway ")):
        if data.get(key):
            said.append(f"{words}{data[key]}")
    return said
