"""What the reader of an order's page can do about it now: its buttons, and the case that waits for a verdict.

Only what the state and the reader's permissions allow is offered; the services refuse everything else anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from orders.models import Command, Order, Refund, ReviewCase
from orders.selectors import notices
from orders.sentences import OpenStep
from orders.vocabulary import PARTNER_STEPS, CommandKind, CommandStatus, OrderStatus, RefundStatus, ReviewStatus

May = Callable[[str], bool]
#: what the buttons depend on
PERMISSIONS = (
    "orders.start_order",
    "orders.hold_order",
    "orders.cancel_order",
    "orders.drive_step",
    "orders.refund_order",
    "orders.decide_review",
    "orders.extend_review",
    "orders.send_notice",
)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A button; `name` is that of its address ("orders:<name>")."""

    name: str
    order_number: str
    title: str
    icon: str
    #: asks on a page of its own first
    by_page: bool = False
    primary: bool = False

    @property
    def address(self) -> str:
        return reverse(f"orders:{self.name}", args=[self.order_number])


@dataclass(frozen=True, kw_only=True)
class Case:
    """The open review of the order."""

    score: int
    hits: list[str]
    partner_asked_at: datetime
    deadline_at: datetime
    escalated: bool
    owner: str
    question: str
    #: who approved first, where two must
    first_by: str
    needs_second: bool
    offers: list[Offer]
    may_extend: bool


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The binding commands that stand."""

    hold: Command | None
    cancel: Command | None
    #: of the step that it names, and only while that is open
    pause: Command | None


def standing_commands(order: Order) -> Standing:
    """One query."""
    kinds = (CommandKind.HOLD, CommandKind.CANCEL, CommandKind.STEP_PAUSE)
    given = Command.objects.filter(order=order, status=CommandStatus.ACCEPTED, kind__in=kinds)
    found = {command.kind: command for command in given}
    return Standing(
        hold=found.get(CommandKind.HOLD),
        cancel=found.get(CommandKind.CANCEL),
        pause=found.get(CommandKind.STEP_PAUSE),
    )


def offers(order: Order, standing: Standing, may: May) -> list[Offer]:
    """The order's buttons, the expected one first; a completed order comes with its payment."""
    if order.status == OrderStatus.COMPLETED:
        return _after_completion(order) if may("orders.refund_order") else []
    if order.is_terminal:
        return _after_undo(order, may)
    if order.status == OrderStatus.UNDOING or standing.cancel is not None:
        return []
    number = order.number
    found = []
    if order.status == OrderStatus.PLACED and may("orders.start_order"):
        found.append(
            Offer(order_number=number, name="start", title="Start processing", icon="play_arrow", primary=True)
        )
    if may("orders.hold_order"):
        if standing.hold is not None:
            found.append(Offer(order_number=number, name="release", title="Release", icon="play_arrow", primary=True))
        else:
            found.append(Offer(order_number=number, name="hold", title="Hold", icon="pause"))
    if may("orders.cancel_order"):
        found.append(Offer(order_number=number, name="cancel", title="Cancel…", icon="cancel", by_page=True))
    return found


def step_offers(order: Order, standing: Standing, step: OpenStep | None, may: May) -> list[Offer]:
    """Buttons of the step that fails, also while the order is being undone."""
    if step is None or not step.last_error or step.name not in PARTNER_STEPS or not may("orders.drive_step"):
        return []
    number = order.number
    if standing.pause is not None and standing.pause.step == step.name:
        return [Offer(order_number=number, name="step-resume", title="Resume step", icon="play_arrow", primary=True)]
    return [
        Offer(order_number=number, name="step-retry", title="Retry now", icon="replay"),
        Offer(order_number=number, name="step-pause", title="Pause step", icon="pause_circle"),
    ]


def _after_undo(order: Order, may: May) -> list[Offer]:
    """What is left to do about an order that ended as cancelled or failed."""
    found = []
    if may("orders.refund_order") and owed_refund(order) is not None:
        found.append(_retry_refund(order))
    if may("orders.send_notice") and notices.has_unsent(order):
        found.append(Offer(order_number=order.number, name="notice-send", title="Send the mail again", icon="mail"))
    return found


def _retry_refund(order: Order) -> Offer:
    return Offer(order_number=order.number, name="refund-retry", title="Try the refund again", icon="replay")


def _after_completion(order: Order) -> list[Offer]:
    number, payment = order.number, getattr(order, "payment", None)
    if payment is None:
        return []
    if owed_refund(order) is not None:
        return [_retry_refund(order)]
    if payment.refunding_minor or not payment.left_minor:
        return []
    return [Offer(order_number=number, name="refund", title="Refund…", icon="undo", by_page=True)]


def owed_refund(order: Order) -> Refund | None:
    """The refund that the gateway refused; asks the database only where money is kept back."""
    payment = getattr(order, "payment", None)
    if payment is None or not payment.refunding_minor:
        return None
    return order.refunds.filter(status=RefundStatus.REFUSED).first()


def open_case(order: Order, may: May) -> Case | None:
    """The case that waits for a verdict; `order` comes with its review and fraud check."""
    case: ReviewCase | None = getattr(order, "review", None)
    if case is None or case.status != ReviewStatus.OPEN:
        return None
    check = order.fraud_check
    decides = may("orders.decide_review")
    buttons = [
        Offer(order_number=order.number, name="review-approve", title="Approve", icon="check", primary=True),
        Offer(order_number=order.number, name="review-reject", title="Reject", icon="close"),
        Offer(order_number=order.number, name="review-ask", title="Ask", icon="help"),
    ]
    if case.owner is None:
        buttons.append(Offer(order_number=order.number, name="review-claim", title="Claim", icon="person_add"))
    return Case(
        score=check.score,
        hits=[f"{hit['says']}: {hit['points']}" for hit in check.hits],
        partner_asked_at=check.partner_asked_at,
        deadline_at=case.deadline_at,
        escalated=case.escalated_at is not None,
        owner=case.owner.get_username() if case.owner else "",
        question=case.question,
        first_by=case.first_by.get_username() if case.first_by else "",
        needs_second=case.needs_second,
        offers=buttons if decides else [],
        may_extend=may("orders.extend_review"),
    )
