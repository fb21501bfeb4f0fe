"""What an undo does, line by line, and which lines are done: from the rows that it changes.

The same lines are the plan before a cancellation and the ticks while it runs, so what was promised and what is shown
cannot drift apart; what a step did between the two appears as one more line.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, Sum

from orders.amounts import counted, money
from orders.models import Command, Order, Payment
from orders.vocabulary import (
    PARTNER_STEPS,
    CommandKind,
    CommandStatus,
    OrderStatus,
    PaymentStatus,
    ReservationStatus,
    ShipmentStatus,
    StepName,
    StepStatus,
)

UNDOING = frozenset({StepName.RECALL, StepName.REFUND})


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that an undo does."""

    #: the step of the undo that does it
    step: StepName
    #: a sentence for people
    says: str
    done: bool


@dataclass(frozen=True, kw_only=True)
class Undo:
    """In the order in which it is undone."""

    lines: tuple[Line, ...]
    #: what cannot be undone, or not be said yet, as sentences
    stays: tuple[str, ...]


def is_undone(order: Order) -> bool:
    """Whether an undo runs or has run."""
    return order.status in {OrderStatus.UNDOING, OrderStatus.CANCELLED, OrderStatus.FAILED}


def is_cancelled(order: Order) -> bool:
    """Whether a cancellation stands, which the process has not begun to obey."""
    asked = Command.objects.filter(order=order, kind=CommandKind.CANCEL, status=CommandStatus.ACCEPTED)
    return not order.is_terminal and asked.exists()


def undo_of(order: Order) -> Undo:
    """Of an order whatever its state: at most four queries."""
    shipments = list(order.shipments.order_by("pk"))
    lines = [
        Line(
            step=StepName.RECALL,
            says=f"The shipment {shipment.tracking_number or shipment.reference} is cancelled at the carrier.",
            done=shipment.status == ShipmentStatus.CANCELLED,
        )
        for shipment in shipments
        if not shipment.by_hand
    ]
    stays = [
        f"{shipment.tracking_number} was booked by hand with {shipment.carrier}: a person must cancel it there."
        for shipment in shipments
        if shipment.by_hand
    ]
    return Undo(lines=(*lines, *_money(order), *_stock(order)), stays=(*stays, *_unknown(order)))


def _money(order: Order) -> list[Line]:
    payment = Payment.objects.filter(order=order).first()
    if payment is None or payment.status == PaymentStatus.DECLINED:
        return []
    if payment.captured_minor:
        says = f"{money(payment.captured_minor, payment.currency)} are refunded to the payment method."
    else:
        says = f"The payment of {money(payment.amount_minor, payment.currency)} is cancelled before it is taken."
    done = payment.status in {PaymentStatus.REFUNDED, PaymentStatus.VOIDED}
    return [Line(step=StepName.REFUND, says=says, done=done)]


def _stock(order: Order) -> list[Line]:
    left = Count("pk", filter=~Q(status=ReservationStatus.RELEASED))
    found = order.reservations.aggregate(pieces=Sum("quantity"), left=left)
    pieces = found["pieces"]
    if not pieces:
        return []
    goes = "goes" if pieces == 1 else "go"
    says = f"{counted(pieces, 'piece')} {goes} back into the stock."
    return [Line(step=StepName.RELEASE, says=says, done=not found["left"])]


def _unknown(order: Order) -> list[str]:
    begun = order.steps.filter(status=StepStatus.OPEN, name__in=PARTNER_STEPS - UNDOING)
    failing = begun.exclude(last_error="").first()
    if failing is None:
        return []
    return [f"The step {failing.name} may still have its effect; the partner is asked, and it is undone too."]
