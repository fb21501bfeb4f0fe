"""What the reader of an order's page can do about it now: its buttons, and the case that waits for a verdict.

Only what the state and the reader's permissions allow is offered; the services refuse everything else anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from orders.amounts import counted, money
from orders.facts import OpenStep
from orders.models import Command, Order, Refund, ReviewCase
from orders.selectors import notices
from orders.vocabulary import (
    MOVING_REFUNDS,
    OPEN_REFUNDS,
    PARTNER_STEPS,
    SKIPPABLE_STEPS,
    CommandKind,
    CommandStatus,
    DisputeStatus,
    OrderStatus,
    PaymentStatus,
    PaymentWait,
    RefundStatus,
    ReviewStatus,
    StepName,
)

May = Callable[[str], bool]
#: what the buttons depend on
PERMISSIONS = (
    "orders.place_order",
    "orders.start_order",
    "orders.hold_order",
    "orders.cancel_order",
    "orders.drive_step",
    "orders.skip_step",
    "orders.change_payment_method",
    "orders.refund_order",
    "orders.decide_review",
    "orders.extend_review",
    "orders.announce_return",
    "orders.receive_return",
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
    #: the money or goods that it moves, as words: "takes £5,452.00"
    moves: str = ""
    primary: bool = False

    @property
    def address(self) -> str:
        return reverse(f"orders:{self.name}", args=[self.order_number])


@dataclass(frozen=True, kw_only=True)
class Case:
    """The open review of the order."""

    score: int
    hits: list[str]
    #: None when a person skipped the partner
    partner_asked_at: datetime | None
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
    #: to be obeyed by the next attempt of a step
    skip: Command | None
    payment_method: Command | None


def standing_commands(order: Order) -> Standing:
    """One query."""
    given = Command.objects.filter(order=order, status=CommandStatus.ACCEPTED)
    found = {command.kind: command for command in given}
    return Standing(
        hold=found.get(CommandKind.HOLD),
        cancel=found.get(CommandKind.CANCEL),
        pause=found.get(CommandKind.STEP_PAUSE),
        skip=found.get(CommandKind.STEP_SKIP),
        payment_method=found.get(CommandKind.PAYMENT_METHOD),
    )


def offers(order: Order, standing: Standing, may: May) -> list[Offer]:
    """The order's buttons, the expected one first; a completed order comes with its payment."""
    if order.status == OrderStatus.COMPLETED:
        refunds = _after_completion(order) if may("orders.refund_order") else []
        return [*refunds, *_return_offers(order, may)]
    if order.is_terminal:
        return _after_undo(order, may)
    if order.status == OrderStatus.UNDOING or standing.cancel is not None:
        return []
    number = order.number
    found = []
    if order.status == OrderStatus.PLACED and may("orders.start_order"):
        title, moves = "Start processing", takes(order)
        found.append(
            Offer(order_number=number, name="start", title=title, icon="play_arrow", moves=moves, primary=True)
        )
    if may("orders.hold_order"):
        if standing.hold is not None:
            moves = takes(order) if order.resume_status != OrderStatus.PLACED else ""
            icon = "play_arrow"
            found.append(
                Offer(order_number=number, name="release", title="Release", icon=icon, moves=moves, primary=True)
            )
        else:
            found.append(Offer(order_number=number, name="hold", title="Hold", icon="pause"))
    if may("orders.change_payment_method") and _may_change_payment(order, standing):
        title, icon = "Change payment method…", "credit_card"
        found.append(Offer(order_number=number, name="payment-method", title=title, icon=icon, by_page=True))
    if may("orders.cancel_order"):
        found.append(Offer(order_number=number, name="cancel", title="Cancel…", icon="cancel", by_page=True))
    return found


def step_offers(order: Order, standing: Standing, step: OpenStep | None, may: May) -> list[Offer]:
    """Buttons of the step that fails, also while the order is being undone."""
    if order.status == OrderStatus.AWAITING_PAYMENT and standing.cancel is None and may("orders.drive_step"):
        return [Offer(order_number=order.number, name="step-retry", title="Ask the gateway now", icon="replay")]
    if step is None or not step.last_error or step.name not in PARTNER_STEPS:
        return []
    number, skips = order.number, []
    if step.name in SKIPPABLE_STEPS and standing.skip is None and standing.cancel is None and may("orders.skip_step"):
        skips = [Offer(order_number=number, name="step-skip", title="Skip…", icon="skip_next", by_page=True)]
    return [*_drives(order, step, standing), *skips] if may("orders.drive_step") else skips


def _drives(order: Order, step: OpenStep, standing: Standing) -> list[Offer]:
    number, moves = order.number, _step_moves(order, step)
    if standing.pause is not None and standing.pause.step == step.name:
        title, icon = "Resume step", "play_arrow"
        return [Offer(order_number=number, name="step-resume", title=title, icon=icon, moves=moves, primary=True)]
    return [
        Offer(order_number=number, name="step-retry", title="Retry now", icon="replay", moves=moves),
        Offer(order_number=number, name="step-pause", title="Pause step", icon="pause_circle"),
    ]


def takes(order: Order) -> str:
    """What the order will cost its customer from here; empty once it is paid."""
    payment = getattr(order, "payment", None)
    if payment is not None and payment.status != PaymentStatus.PENDING:
        return ""
    return f"takes {money(order.total_minor, order.currency)}"


def _step_moves(order: Order, step: OpenStep) -> str:
    payment, pieces = getattr(order, "payment", None), getattr(order, "pieces_held", None) or 0
    if step.name == StepName.CHARGE:
        return takes(order)
    if step.name == StepName.SHIP and pieces:
        return f"sends {counted(pieces, 'piece')}"
    if step.name == StepName.REFUND and payment is not None and payment.captured_minor:
        return f"gives back {money(payment.captured_minor, payment.currency)}"
    return ""


def _may_change_payment(order: Order, standing: Standing) -> bool:
    """As far as the rows tell that come with the order; the service looks closer."""
    payment = getattr(order, "payment", None)
    begun = payment is not None and order.status != OrderStatus.ON_HOLD
    taken = payment is not None and payment.status != PaymentStatus.PENDING
    failing = order.status == OrderStatus.CHARGING
    if payment is not None and payment.waits_for:
        return standing.payment_method is None and payment.waits_for != PaymentWait.BANK
    return standing.payment_method is None and not taken and (failing or not begun)


def _after_undo(order: Order, may: May) -> list[Offer]:
    """What is left to do about an order that ended as cancelled or failed."""
    found = []
    owed = owed_refund(order)
    if may("orders.refund_order") and owed is not None and not is_disputed(order):
        found.append(_retry_refund(order, owed))
    if order.status == OrderStatus.FAILED and may("orders.place_order") and not _placed_again(order):
        moves = f"a new order of {money(order.total_minor, order.currency)}"
        found.append(
            Offer(order_number=order.number, name="place-again", title="Place again", icon="content_copy", moves=moves)
        )
    if may("orders.send_notice") and notices.has_unsent(order):
        found.append(Offer(order_number=order.number, name="notice-send", title="Send the mail again", icon="mail"))
    return found


def _placed_again(order: Order) -> bool:
    """Or it must wait until the customer has their money back."""
    return bool(order.refund_outstanding_minor) or order.commands.filter(kind=CommandKind.PLACE_AGAIN).exists()


def _retry_refund(order: Order, owed: Refund) -> Offer:
    title, moves = "Try the refund again", f"gives back {money(owed.amount_minor, owed.currency)}"
    return Offer(order_number=order.number, name="refund-retry", title=title, icon="replay", moves=moves)


def _after_completion(order: Order) -> list[Offer]:
    number, payment = order.number, getattr(order, "payment", None)
    if payment is None:
        return []
    owed = owed_refund(order)
    if owed is not None:
        return [] if is_disputed(order) else [_retry_refund(order, owed)]
    if not payment.left_minor or is_disputed(order) or is_held_up(order):
        return []
    return [Offer(order_number=number, name="refund", title="Refund…", icon="undo", by_page=True)]


def _return_offers(order: Order, may: May) -> list[Offer]:
    """Announcing one; what to do about an open one is offered beside it (`orders.selectors.returns`)."""
    left = (getattr(order, "pieces_consumed", None) or 0) - (getattr(order, "pieces_returned", None) or 0)
    if left <= 0 or getattr(order, "open_returns", None) or not may("orders.announce_return"):
        return []
    return [
        Offer(order_number=order.number, name="return-announce", title="Return…", icon="move_to_inbox", by_page=True)
    ]


def owed_refund(order: Order) -> Refund | None:
    """The oldest refund that the gateway refused."""
    return next(iter(open_refunds(order, RefundStatus.REFUSED)), None)


def open_refunds(order: Order, status: RefundStatus) -> list[Refund]:
    """Those of that status, the oldest first; asks the database only where money is kept back, and once."""
    payment = getattr(order, "payment", None)
    if payment is None or not payment.refunding_minor:
        return []
    if not hasattr(order, "open_refund_rows"):
        rows = order.refunds.filter(status__in=OPEN_REFUNDS).order_by("created_at", "id")
        order.open_refund_rows = list(rows)  # type: ignore[attr-defined]
    return [refund for refund in order.open_refund_rows if refund.status == status]  # type: ignore[attr-defined]


def is_disputed(order: Order) -> bool:
    """A bank has the money until it decides."""
    payment = getattr(order, "payment", None)
    if payment is None or not payment.disputed_minor:
        return False
    return order.disputes.filter(status=DisputeStatus.OPEN).exists()


def is_held_up(order: Order) -> bool:
    """Another refund is asked for only when this one was sent or decided, and when what is owed went back."""
    if getattr(order, "refund_waits", False):
        return True
    return any(open_refunds(order, RefundStatus(status)) for status in MOVING_REFUNDS | {RefundStatus.REFUSED})


def open_case(order: Order, may: May) -> Case | None:
    """The case that waits for a verdict; `order` comes with its review and fraud check."""
    case: ReviewCase | None = getattr(order, "review", None)
    if case is None or case.status != ReviewStatus.OPEN:
        return None
    check = order.fraud_check
    decides = may("orders.decide_review")
    approves, pieces = takes(order), getattr(order, "pieces_held", None) or 0
    if case.needs_second and case.first_by is None:
        approves = f"{approves} once a second person approves"
    rejects = f"{counted(pieces, 'piece')} back into the stock" if pieces else ""
    buttons = [
        Offer(
            order_number=order.number,
            name="review-approve",
            title="Approve",
            icon="check",
            moves=approves.strip(),
            primary=True,
        ),
        Offer(order_number=order.number, name="review-reject", title="Reject", icon="close", moves=rejects),
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
