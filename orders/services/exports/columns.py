"""What a row of an export says of an order.

No names and no addresses of people: a file on somebody's desk is a copy that the erasure of a customer cannot reach.
The customer's reference is in it, which is why `keeping.forget` deletes files that hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from orders.models import Order
from orders.vocabulary import MINOR_UNITS_PER_MAJOR

#: what a format writes: text, a number, a moment, or nothing
Cell = str | int | Decimal | datetime | None

#: title -> where it is found; amounts are minor units there and major units in the file
COLUMNS: dict[str, str] = {
    "number": "number",
    "status": "status",
    "status_since": "status_since",
    "source": "source",
    "reference": "reference",
    "channel": "channel",
    "customer": "customer__reference",
    "country": "ship_to_country",
    "currency": "currency",
    "total": "total_minor",
    "captured": "payment__captured_minor",
    "refunded": "payment__refunded_minor",
    "lines": "line_count",
    "failure": "failure_type",
    "placed_at": "placed_at",
    "created_at": "created_at",
    "closed_at": "closed_at",
}
HEADER = tuple(COLUMNS)
_AMOUNTS = [path.endswith("_minor") for path in COLUMNS.values()]


def read(order_ids: Sequence[UUID]) -> list[list[Cell]]:
    """One row for each of the orders, the oldest first, as they are frozen."""
    rows = Order.objects.filter(pk__in=order_ids).order_by("created_at", "id").values_list(*COLUMNS.values())
    return [
        [_amount(value) if is_amount else value for value, is_amount in zip(row, _AMOUNTS, strict=True)] for row in rows
    ]


def _amount(minor: Any) -> Decimal | None:
    return None if minor is None else (Decimal(minor) / MINOR_UNITS_PER_MAJOR).quantize(Decimal("0.01"))
