"""The strip of steps above an order's timeline: how far it is, in a word for each step."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orders.models import Order, Step
from orders.vocabulary import PaymentWait, ReviewStatus, StepName, StepStatus
from orders.wording import STEP_TITLES, Tone

FORWARD = (StepName.VALIDATE, StepName.RESERVE, StepName.FRAUD, StepName.CHARGE, StepName.SHIP, StepName.COMPLETE)
UNDO_OF = {StepName.RESERVE: StepName.RELEASE, StepName.CHARGE: StepName.REFUND, StepName.SHIP: StepName.RECALL}
REVIEW_MARKS = {
    ReviewStatus.OPEN: (Tone.WAITING, "In review"),
    ReviewStatus.APPROVED: (Tone.DONE, "Approved"),
    ReviewStatus.REJECTED: (Tone.TROUBLE, "Rejected"),
    ReviewStatus.CLOSED: (Tone.NEUTRAL, "Not decided"),
}
WAITS = {
    PaymentWait.CUSTOMER: "Waits for the customer",
    PaymentWait.BANK: "Waits for the bank",
    PaymentWait.PERSON: "Needs a person",
}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One of the six steps on the strip above the timeline."""

    title: str
    tone: Tone
    #: the state in a word or two
    word: str


def marks(order: Order, steps: dict[str, Step]) -> list[Mark]:
    """The strip, in the order in which the steps are done; `order` comes with its review and payment."""
    shown = {name: _mark(name, steps) for name in FORWARD}
    shown[StepName.FRAUD] = _screening(order, steps)
    payment = getattr(order, "payment", None)
    if payment is not None and payment.waits_for:
        word = WAITS[PaymentWait(payment.waits_for)]
        shown[StepName.CHARGE] = replace(shown[StepName.CHARGE], tone=Tone.WAITING, word=word)
    if order.refund_outstanding_minor:
        shown[StepName.CHARGE] = replace(shown[StepName.CHARGE], tone=Tone.TROUBLE, word="Refund outstanding")
    return list(shown.values())


def _screening(order: Order, steps: dict[str, Step]) -> Mark:
    """The fraud check, with the verdict where a person had to give one."""
    title = "Fraud / Review"
    case = getattr(order, "review", None)
    if case is not None:
        tone, word = REVIEW_MARKS[ReviewStatus(case.status)]
        return Mark(title=title, tone=tone, word=word)
    if StepName.FRAUD not in steps and StepName.CHARGE in steps:
        # Started before there was a fraud check.
        return Mark(title=title, tone=Tone.NEUTRAL, word="Not made")
    return replace(_mark(StepName.FRAUD, steps), title=title)


def _mark(name: StepName, steps: dict[str, Step]) -> Mark:
    title = STEP_TITLES[name]
    step = steps.get(name)
    undo = steps.get(UNDO_OF[name]) if name in UNDO_OF else None
    if step is None:
        return Mark(title=title, tone=Tone.NEUTRAL, word="To come" if StepName.CLOSE not in steps else "Not reached")
    if name is StepName.COMPLETE and StepName.CLOSE in steps:
        closed = steps[StepName.CLOSE].status == StepStatus.DONE
        return Mark(title=title, tone=Tone.NEUTRAL, word="Closed" if closed else "Being closed")
    if undo is not None and step.status == StepStatus.DONE:
        return Mark(title=title, tone=Tone.WAITING, word="Undone" if undo.status == StepStatus.DONE else "Being undone")
    if step.status == StepStatus.DONE:
        return Mark(title=title, tone=Tone.DONE, word="Done")
    if step.status == StepStatus.VOID:
        return Mark(title=title, tone=Tone.NEUTRAL, word="Stopped" if step.last_error or step.token > 1 else "Not done")
    if step.last_error:
        return Mark(title=title, tone=Tone.WAITING, word=f"Attempt {step.token}")
    return Mark(title=title, tone=Tone.MOVING, word="Under way")
