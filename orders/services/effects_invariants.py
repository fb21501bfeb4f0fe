"""What must always be true of effects: each has its predecessors by the database's word, whoever asked for it.

Temporal only carries messages. A forged start, signal or activity may ask for any step; that it did not get it is
looked at here, in the results.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Exists, F, OuterRef, QuerySet

from orders.models import Order, OrderEvent, Shipment, Step
from orders.services.violation import Violation
from orders.vocabulary import EventType, OrderStatus, ReviewStatus, StepName, StepStatus

UNDO_STEPS = (StepName.REFUND, StepName.RECALL, StepName.RELEASE)
#: an order that is being undone, or was
UNDONE = (OrderStatus.UNDOING, OrderStatus.CANCELLED, OrderStatus.FAILED)
#: the steps of every completed order, and the one that version 1 of its process did not know
NEEDED = (StepName.VALIDATE, StepName.RESERVE, StepName.CHARGE, StepName.SHIP, StepName.COMPLETE)


def check_effects() -> Iterator[Violation]:
    yield from goods_leave_paid_and_approved()
    yield from only_what_is_undone_gives_back()
    yield from completed_orders_went_all_the_way()


def goods_leave_paid_and_approved() -> Iterator[Violation]:
    """A parcel, also one that was booked by hand, is of an order that was charged, and approved where a case exists."""
    shipped = Shipment.objects.select_related("order")
    for shipment in shipped.exclude(Exists(_done(OuterRef("order"), StepName.CHARGE))):
        detail = f"parcel {shipment.reference} was booked, and its order not charged"
        yield Violation(invariant="effects", subject=shipment.order.number, detail=detail)
    unapproved = shipped.filter(order__review__isnull=False).exclude(order__review__status=ReviewStatus.APPROVED)
    for shipment in unapproved.annotate(verdict=F("order__review__status")):
        detail = f"parcel {shipment.reference} was booked, its review is {shipment.verdict}"
        yield Violation(invariant="effects", subject=shipment.order.number, detail=detail)


def only_what_is_undone_gives_back() -> Iterator[Violation]:
    """Money, parcels and pieces come back by an undo of an order that is being undone, or was."""
    done = Step.objects.filter(name__in=UNDO_STEPS, status=StepStatus.DONE).exclude(order__status__in=UNDONE)
    for number, name, status in done.values_list("order__number", "name", "order__status"):
        detail = f"step {name} is done, and the order is {status}"
        yield Violation(invariant="effects", subject=number, detail=detail)


def completed_orders_went_all_the_way() -> Iterator[Violation]:
    """Every step of a completed order is done; the fraud check too, unless its process began before there was one."""
    completed = Order.objects.filter(status=OrderStatus.COMPLETED)
    for name in NEEDED:
        yield from _missing(completed, name)
    # A process of version 1 goes on to charge what it has reserved.
    unchecked = OrderEvent.objects.filter(
        order=OuterRef("pk"), type=EventType.STOCK_RESERVED, status_after=OrderStatus.CHARGING
    )
    yield from _missing(completed.exclude(Exists(unchecked)), StepName.FRAUD)


def _missing(orders: QuerySet[Order], name: StepName) -> Iterator[Violation]:
    left = orders.exclude(Exists(_done(OuterRef("pk"), name)))
    for number in left.values_list("number", flat=True):
        yield Violation(invariant="effects", subject=number, detail=f"completed, and its step {name} is not done")


def _done(order: OuterRef, name: StepName) -> QuerySet[Step]:
    return Step.objects.filter(order=order, name=name, status=StepStatus.DONE)
