"""What happens to an order, in words: what, since when, why it waits, what comes next, what you can do.

Staff who see "status: charging" ask a developer why it does not move; staff who see "attempt 4, the gateway answers
503, tried again by itself" do not. Everything here is a pure function of facts, so every sentence has a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orders.amounts import counted, duration, money
from orders.vocabulary import EventType, FailureType, OrderStatus, StepName


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
    EventType.PAYMENT_CAPTURED: "Payment taken",
    EventType.SHIPPED: "Shipment booked",
    EventType.COMPLETED: "Order completed",
    EventType.STEP_RETRYING: "Attempt failed, tried again",
    EventType.UNDO_BEGUN: "Undo begun",
    EventType.STOCK_RELEASED: "Stock given back",
    EventType.PAYMENT_UNDONE: "Payment undone",
    EventType.SHIPMENT_UNDONE: "Shipment undone",
    EventType.CANCELLED: "Order cancelled",
    EventType.FAILED: "Order failed",
    EventType.CUSTOMER_ERASED: "Customer's personal data erased",
}
EVENT_TONES: dict[EventType, Tone] = {
    EventType.STEP_RETRYING: Tone.WAITING,
    EventType.UNDO_BEGUN: Tone.WAITING,
    EventType.FAILED: Tone.TROUBLE,
    EventType.COMPLETED: Tone.DONE,
}

#: what a step does, as it is said while it runs
STEP_DOING: dict[StepName, str] = {
    StepName.VALIDATE: "checking the order",
    StepName.RESERVE: "reserving the stock",
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
    StepName.CHARGE: "Payment",
    StepName.SHIP: "Shipment",
    StepName.COMPLETE: "Close",
    StepName.RELEASE: "Give the stock back",
    StepName.REFUND: "Undo the payment",
    StepName.RECALL: "Cancel the shipment",
    StepName.CLOSE: "Close",
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
    FailureType.OUTCOME_UNKNOWN: (
        "a partner did not answer in time",
        "The partners were asked and everything was undone. Place the order again.",
    ),
    FailureType.PARTNER_UNAVAILABLE: (
        "a partner could not be reached",
        "Place the order again when the partner is back.",
    ),
    FailureType.CANCELLED: ("it was cancelled", ""),
}
OTHER_FAILURE = ("the process could not go on", "Read the timeline below; the last lines say where it stopped.")


@dataclass(frozen=True, kw_only=True)
class OpenStep:
    """The step that is under way, as the fence knows it."""

    name: StepName
    #: how often it was claimed, this time included
    attempt: int
    claimed_at: datetime
    last_error: str = ""
    last_error_at: datetime | None = None

    @property
    def waits(self) -> bool:
        """The newest attempt has failed and the next one has not begun."""
        return self.last_error_at is not None and self.last_error_at >= self.claimed_at


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a standing is made of; all of it comes from the database."""

    now: datetime
    status: OrderStatus
    since: datetime
    total: str
    line_count: int
    #: None when nothing is under way
    step: OpenStep | None = None
    #: empty when a worker beats, else how long none has been seen, in words
    engine_trouble: str = ""
    #: why the start could not be handed to Temporal yet
    outbox_error: str = ""
    failure_type: str = ""
    failure_message: str = ""
    #: what the customer got back, formatted; empty when nothing had moved
    refunded: str = ""
    #: what was taken and not given back, formatted; empty when nothing is
    kept: str = ""
    may_start: bool = False


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The first thing on an order's page."""

    headline: str
    tone: Tone
    #: why it waits or how it came to this; may be empty
    why: str = ""
    #: what happens next without anybody doing anything
    coming: str = ""
    #: what the reader can do
    you_can: str = ""


def status_word(status: str) -> str:
    """`on_hold` as "On hold"."""
    return status.replace("_", " ").capitalize()


def failure_words(failure_type: str) -> tuple[str, str]:
    """What went wrong, and what a person can do about it."""
    return FAILURES.get(FailureType(failure_type), OTHER_FAILURE) if failure_type else OTHER_FAILURE


def standing(facts: Facts) -> Standing:
    """The status sentence of an order."""
    tell = _TELL.get(facts.status, _under_way)
    return tell(facts)


def _placed(facts: Facts) -> Standing:
    can = 'Press "Start processing".' if facts.may_start else "Ask somebody who may start orders to start it."
    return Standing(
        headline="Placed. Nobody has asked for its processing yet.",
        tone=Tone.NEUTRAL,
        coming=f"Once started: {counted(facts.line_count, 'line')} reserved, {facts.total} taken, the shipment booked.",
        you_can=can,
    )


def _queued(facts: Facts) -> Standing:
    if facts.engine_trouble:
        return Standing(
            headline="Waiting for the engine, which is not running.",
            tone=Tone.TROUBLE,
            why=facts.engine_trouble,
            coming="The start is recorded and safe; it begins by itself when a worker is back.",
            you_can="Nothing on this page. Whoever runs the system must start a worker.",
        )
    if facts.outbox_error:
        return Standing(
            headline="Waiting to be handed to the engine.",
            tone=Tone.WAITING,
            why=f"Temporal could not be told yet: {_sentence(facts.outbox_error)}",
            coming="It is told again by itself, until it answers.",
            you_can="Nothing; the start is recorded and safe.",
        )
    return Standing(
        headline="Queued. The engine takes it up in a moment.",
        tone=Tone.MOVING,
        coming="The order is checked and its stock reserved.",
        you_can="Nothing; it goes on by itself.",
    )


_DOING = {
    OrderStatus.RESERVING: ("Reserving the stock", "Then the payment of {total} is taken."),
    OrderStatus.CHARGING: ("Taking the payment of {total}", "Then the shipment is booked."),
    OrderStatus.SHIPPING: ("Booking the shipment", "Then the sale is booked and the order is complete."),
    OrderStatus.UNDOING: ("Undoing what was done", "The order is closed when everything is undone."),
}


def _under_way(facts: Facts) -> Standing:
    doing, then = _DOING[facts.status]
    headline, then = doing.format(total=facts.total), then.format(total=facts.total)
    undoing = facts.status is OrderStatus.UNDOING
    reason = f"Because {failure_words(facts.failure_type)[0]}: {_sentence(facts.failure_message)} " if undoing else ""
    if facts.engine_trouble:
        return Standing(
            headline=f"{headline}: stopped, the engine is not running.",
            tone=Tone.TROUBLE,
            why=f"{reason}{facts.engine_trouble}",
            coming="It goes on by itself where it stopped when a worker is back.",
            you_can="Nothing on this page. Whoever runs the system must start a worker.",
        )
    step = facts.step
    if step is None or not step.last_error:
        late = step is not None and step.attempt > 1
        lost = "The attempt before got lost; the partner is asked what became of it." if late else ""
        return Standing(
            headline=f"{headline}, attempt {step.attempt}." if step and late else f"{headline}.",
            tone=Tone.WAITING if undoing or late else Tone.MOVING,
            why=f"{reason}{lost}".strip(),
            coming=then,
            you_can="Nothing; it goes on by itself.",
        )
    return _retrying(facts, step, headline, then, reason)


def _retrying(facts: Facts, step: OpenStep, headline: str, then: str, reason: str) -> Standing:
    if step.waits:
        last = f"Attempt {step.attempt} at {STEP_DOING[step.name]} failed: {_sentence(step.last_error)}"
        headline = f"{headline}: attempt {step.attempt} failed, the next one follows."
    else:
        last = f"The attempt before failed: {_sentence(step.last_error)}"
        headline = f"{headline}: attempt {step.attempt} is under way."
    return Standing(
        headline=headline,
        tone=Tone.WAITING,
        why=f"{reason}{last}",
        coming=f"It is tried again by itself; nothing is done twice, the partner is asked first. {then}",
        you_can="Wait, or ask the partner whether it has a problem. Nothing is lost meanwhile.",
    )


def _completed(facts: Facts) -> Standing:
    return Standing(headline=f"Completed: {facts.total} paid, goods handed to the carrier.", tone=Tone.DONE)


def _cancelled(facts: Facts) -> Standing:
    return Standing(
        headline=f"Cancelled. {_money_back(facts)}",
        tone=Tone.NEUTRAL,
        why=_sentence(facts.failure_message),
    )


def _failed(facts: Facts) -> Standing:
    what, can = failure_words(facts.failure_type)
    return Standing(
        headline=f"Failed: {what}. {_money_back(facts)}",
        tone=Tone.TROUBLE,
        why=_sentence(facts.failure_message),
        coming="Nothing more happens by itself.",
        you_can=can,
    )


def _money_back(facts: Facts) -> str:
    if facts.kept:
        return f"{facts.kept} was taken and not given back yet."
    return f"{facts.refunded} went back to the customer." if facts.refunded else "No money was taken."


def _waits_for_person(facts: Facts) -> Standing:
    held = facts.status is OrderStatus.ON_HOLD
    return Standing(
        headline="On hold: a person stopped it." if held else "In review: a person must decide.",
        tone=Tone.WAITING,
        coming="Nothing moves until then.",
        you_can="Release or cancel it." if held else "Decide, if you may review orders.",
    )


_TELL = {
    OrderStatus.PLACED: _placed,
    OrderStatus.QUEUED: _queued,
    OrderStatus.IN_REVIEW: _waits_for_person,
    OrderStatus.ON_HOLD: _waits_for_person,
    OrderStatus.COMPLETED: _completed,
    OrderStatus.CANCELLED: _cancelled,
    OrderStatus.FAILED: _failed,
}


def engine_trouble(seen_at: datetime | None, *, now: datetime, silent_after: timedelta) -> str:
    """Empty while a worker beats; else since when none does."""
    if seen_at is None:
        return "No worker has been seen yet; orders wait."
    silence = now - seen_at
    return "" if silence <= silent_after else f"No worker has been seen for {duration(silence)}; orders wait."


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


def _sentence(text: str) -> str:
    """An error message as a sentence: first letter large, one full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
