"""The back office's lists. Rows are changed by services only, so nearly everything here is for reading."""

from orders.admin import (
    access,
    approvals,
    catalogue,
    feeds,
    machinery,
    money,
    orders,
    partners,
    playbooks,
    reviews,
    seals,
    tasks,
    tokens,
)

__all__ = [
    "access",
    "approvals",
    "catalogue",
    "feeds",
    "machinery",
    "money",
    "orders",
    "partners",
    "playbooks",
    "reviews",
    "seals",
    "tasks",
    "tokens",
]
