"""The filters of the list of orders by name and value, for a filter that is saved today and applied next month.

The names are those of `GET /api/orders/`, and one more: `last_hours`, since a plan that names a day exports that day
for ever. A saved filter is checked when it is saved; one that is misspelled must never come to mean "all orders".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from orders import clock
from orders.errors import InvalidInput
from orders.models import Order
from orders.selectors import incidents
from orders.selectors.queues import MEMBERS, Queue
from orders.vocabulary import OrderStatus

MAX_BIGINT = 2**63 - 1
MAX_LAST_HOURS = 24 * 366
Orders = QuerySet[Order]


def matching(asked: Mapping[str, Any]) -> Orders:
    """The orders that meet every one of the filters. Raises `InvalidInput` that names the bad one."""
    orders = Order.objects.all()
    for name, value in asked.items():
        if name not in FILTERS:
            raise InvalidInput(f"filter.{name[:40]}", f"Unknown filter; there are {', '.join(FILTERS)}.")
        try:
            orders = FILTERS[name](orders, value)
        except (ValueError, TypeError) as error:
            raise InvalidInput(f"filter.{name}", f"{str(value)[:40]} is no {name}.") from error
    return orders


def _same(path: str) -> Callable[[Orders, Any], Orders]:
    def chosen(orders: Orders, value: Any) -> Orders:
        if not isinstance(value, str) or not 1 <= len(value) <= 200 or "\x00" in value:
            raise ValueError(value)
        return orders.filter(**{path: value})

    return chosen


def _amount(lookup: str) -> Callable[[Orders, Any], Orders]:
    return lambda orders, value: orders.filter(**{f"total_minor__{lookup}": _whole(value, MAX_BIGINT)})


def _moment(lookup: str) -> Callable[[Orders, Any], Orders]:
    def chosen(orders: Orders, value: Any) -> Orders:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(value)
        return orders.filter(**{f"created_at__{lookup}": moment})

    return chosen


def _whole(value: Any, most: int, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(value)
    return value


FILTERS: Mapping[str, Callable[[Orders, Any], Orders]] = {
    "queue": lambda orders, value: MEMBERS[Queue(value)](orders),
    "status": lambda orders, value: orders.filter(status__in=[OrderStatus(one) for one in value]),
    "number": _same("number"),
    "reference": _same("reference"),
    "source": _same("source"),
    "customer": _same("customer__reference"),
    "incident": lambda orders, value: incidents.orders_of(orders, UUID(value)),
    "created_after": _moment("gte"),
    "created_before": _moment("lt"),
    "total_min": _amount("gte"),
    "total_max": _amount("lte"),
    "last_hours": lambda orders, value: orders.filter(
        created_at__gte=clock.now() - timedelta(hours=_whole(value, MAX_LAST_HOURS, 1))
    ),
}
