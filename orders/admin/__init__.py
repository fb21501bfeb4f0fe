"""The back office's lists. Rows are changed by services only, so nearly everything here is for reading."""

from orders.admin import (
    access,
    approvals,
    catalogue,
    export_plans,
    exports,
    feeds,
    machinery,
    money,
    orders,
    partners,
    returns,
    reviews,
    seals,
    tasks,
    tokens,
)

__all__ = [
    "access",
    "approvals",
    "catalogue",
    "export_plans",
    "exports",
    "feeds",
    "machinery",
    "money",
    "orders",
    "partners",
    "returns",
    "reviews",
    "seals",
    "tasks",
    "tokens",
]
