"""The back office's lists. Rows are changed by services only, so nearly everything here is for reading."""

from orders.admin import (
    access,
    approvals,
    batches,
    catalogue,
    feeds,
    machinery,
    money,
    orders,
    partners,
    reviews,
    seals,
    tasks,
    tokens,
)

__all__ = [
    "access",
    "approvals",
    "batches",
    "catalogue",
    "feeds",
    "machinery",
    "money",
    "orders",
    "partners",
    "reviews",
    "seals",
    "tasks",
    "tokens",
]
