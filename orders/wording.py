"""The words and colours of single things: a status, a step, an event, a failure.

One table each, so that a list, a page and a mail call the same thing by the same name.
"""

from __future__ import annotations

from enum import StrEnum

from orders.amounts import counted, money
from orders.vocabulary import EventType, FailureType, OrderStatus, PartnerCode, StepName


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
    EventType.PAYMENT_CAPTURED: "Payment taken",
    EventType.SHIPPED: "Shipment booked",
    EventType.COMPLETED: "Order completed",
    EventType.STEP_RETRYING: "Attempt failed, tried again",
    EventType.STEP_RETRY_ASKED: "Told to try again at once",
    EventType.STEP_PAUSED: "Step paused",
    EventType.STEP_RESUMED: "Step resumed",
    EventType.STEP_LEFT_ALONE: "Command came too late",
    EventType.UNDO_BEGUN: "Undo begun",
    EventType.STOCK_RELEASED: "Stock given back",
    EventType.PAYMENT_UNDONE: "Payment undone",
    EventType.SHIPMENT_UNDONE: "Shipment undone",
    EventType.CANCELLED: "Order cancelled",
    EventType.FAILED: "Order failed",
    EventType.CUSTOMER_ERASED: "Customer's personal data erased",
    EventType.REFUND_ASKED: "Refund asked for",
    EventType.REFUNDED: "Refunded",
    EventType.REFUND_REFUSED: "Refund refused by the gateway",
    EventType.REFUND_RETRIED: "Refund tried again",
    EventType.REFUND_SETTLED: "Refunded by hand",
    EventType.REFUND_DROPPED: "Refund dropped",
    EventType.TASK_OPENED: "Task for staff",
    EventType.TASK_ACKNOWLEDGED: "Task taken",
    EventType.TASK_DONE: "Task done",
    EventType.NOTE_ADDED: "Note",
    EventType.TAG_ADDED: "Tagged",
    EventType.TAG_REMOVED: "Tag removed",
    EventType.VOUCHER_ISSUED: "Voucher issued",
    EventType.VOUCHER_WITHDRAWN: "Voucher withdrawn",
    EventType.COUNTRY_CHANGED: "Country corrected",
    EventType.PARTNER_CALLED: "Partner called",
    EventType.MAIL_ASKED: "Mail to the customer",
    EventType.PLAYBOOK_STARTED: "Playbook started",
    EventType.PLAYBOOK_STEP_DONE: "Step of a playbook done",
    EventType.PLAYBOOK_STEP_FAILED: "Step of a playbook failed",
    EventType.PLAYBOOK_STEP_UNDONE: "Step of a playbook undone",
    EventType.PLAYBOOK_ASKED: "Question in a playbook",
    EventType.PLAYBOOK_TOLD: "Command to a playbook",
    EventType.PLAYBOOK_ENDED: "Playbook ended",
}
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
    EventType.REFUND_REFUSED: Tone.TROUBLE,
    EventType.COMPLETED: Tone.DONE,
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

#: (what went wrong, what a person can do about it)
PARTNERS: dict[PartnerCode, str] = {
    PartnerCode.PAYMENTS: "the payment gateway",
    PartnerCode.CARRIER: "the carrier",
    PartnerCode.FRAUD: "the fraud partner",
    PartnerCode.RATES: "the rates partner",
}

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
}
OTHER_FAILURE = ("the process could not go on", "Read the timeline below; the last lines say where it stopped.")


def status_word(status: str) -> str:
    """`on_hold` as "On hold"."""
    return status.replace("_", " ").capitalize()


def failure_words(failure_type: str) -> tuple[str, str]:
    """What went wrong, and what a person can do about it."""
    return FAILURES.get(FailureType(failure_type), OTHER_FAILURE) if failure_type else OTHER_FAILURE


def event_amounts(data: dict[str, object], currency: str) -> list[str]:
    """The figures of an event as short phrases."""
    said = []
    for key, words in (("total_minor", ""), ("amount_minor", ""), ("refunded_minor", "refunded")):
        amount = data.get(key)
        if isinstance(amount, int) and amount:
            said.append(f"{money(amount, currency)} {words}".strip())
    for key, singular in (("lines", "line"), ("products", "product"), ("pieces", "piece")):
        count = data.get(key)
        if isinstance(count, int) and count:
            said.append(counted(count, singular))
    for key, words in (("carrier", ""), ("tracking_number", "tracking "), ("gateway_reference", "gateway ")):
        if data.get(key):
            said.append(f"{words}{data[key]}")
    return said
