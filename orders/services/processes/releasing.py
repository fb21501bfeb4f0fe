"""Giving back what orders hold that ended without it: the pieces nobody could sell for the rest of their days.

An undo gives its pieces back itself, so nothing is found as long as every process ended properly. The order's lock and
the tombstone of its reservation are the fence: a reservation that comes late can not commit behind our back.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from orders import fence, history
from orders.amounts import counted
from orders.models import Order, Reservation
from orders.services import stock
from orders.services.processes.pacing import Pace
from orders.vocabulary import (
    DifferenceKind,
    EventType,
    OrderStatus,
    ReservationStatus,
    StepName,
)

#: orders of these statuses shall hold nothing, and what they hold goes back
WITHOUT_GOODS = (OrderStatus.CANCELLED, OrderStatus.FAILED)
CHUNK = 50


def release_stale(pace: Pace) -> str:
    held = Reservation.objects.filter(status=ReservationStatus.HELD)
    while True:
        stale = held.filter(order__status__in=WITHOUT_GOODS).order_by("order_id").values_list("order_id", flat=True)
        orders = list(stale.distinct()[:CHUNK])
        if not orders:
            break
        with pace.chunk() as step:
            released = _release(pace, orders)
            step.figures["orders"] = step.figures.get("orders", 0) + sum(1 for pieces in released if pieces)
            step.figures["pieces"] = step.figures.get("pieces", 0) + sum(released)
    with pace.chunk() as step:
        step.figures["differences"] = _report_shipped(pace)
    figures = pace.step.figures
    if not figures.get("pieces") and not figures["differences"]:
        return "Nothing was held by an order that has ended."
    told = (
        f"{counted(figures.get('pieces', 0), 'piece')} of {counted(figures.get('orders', 0), 'closed order')} released"
    )
    if figures["differences"]:
        told += f"; {counted(figures['differences'], 'completed order')} still hold pieces"
    return f"{told}."


def _release(pace: Pace, order_ids: Sequence[UUID]) -> list[int]:
    """Give the pieces of orders that have ended back; answers how many of each."""
    # Steps, then orders, then the stock of all of them: a reservation that is under way locks in this order too.
    for order_id in order_ids:
        fence.void(order_id, StepName.RESERVE)
    orders = history.lock_orders(order_ids)
    stock.lock_held_by(orders)
    return [_give_back(pace, order) for order in orders]


def _give_back(pace: Pace, order: Order) -> int:
    pieces = stock.move_reserved(order, to=ReservationStatus.RELEASED)
    if pieces:
        history.record(
            order,
            EventType.STOCK_RELEASED,
            actor=pace.actor,
            reason="The order was closed and still held them",
            data={"pieces": pieces, "process": str(pace.run.pk)},
        )
    return pieces


def _report_shipped(pace: Pace) -> int:
    """Completed orders that hold pieces: whether they left the house is for a person to find out."""
    found = Order.objects.filter(status=OrderStatus.COMPLETED, reservations__status=ReservationStatus.HELD).distinct()
    for order in found:
        says = f"Order {order.number} is completed and still holds pieces of the stock."
        pace.differs(DifferenceKind.STOCK, order.number, says, order_id=order.pk)
    return len(found)
