"""Shipped orders of a day, and the checks that were drawn from them."""

import itertools
from datetime import UTC, date, datetime, timedelta

from orders.actor import system
from orders.models import Order, QualityCheck
from orders.services import quality
from tests.factories import make_order
from tests.orders import driving

DAY = date(2026, 3, 1)
_days = itertools.count(1)
DRAWER = system("quality sample", run_id="run-1")


def make_shipped(count: int, *, day: date = DAY) -> list[Order]:
    """Completed orders, one a minute from noon of the day on."""
    orders = [driving.drive(make_order()) for _ in range(count)]
    for minute, order in enumerate(orders):
        Order.objects.filter(pk=order.pk).update(
            closed_at=datetime(day.year, day.month, day.day, 12, minute, tzinfo=UTC)
        )
    return orders


def make_check(order: Order) -> QualityCheck:
    """A check of a completed order that nobody has answered; each order is shipped on a day of its own."""
    day = DAY - timedelta(days=next(_days))
    Order.objects.filter(pk=order.pk).update(closed_at=datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
    quality.store(day, shipped=1, positions=[0], actor=DRAWER)
    return QualityCheck.objects.get(order=order)
