"""Which orders a batch or an export is about, as somebody asked for them.

Pages and calls build it from the list's own filter; without one shape for it, a batch and an export of the same list
could mean different orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from orders.amounts import counted
from orders.models import Order

COUNTED = {"ticked": "ticked", "numbers": "named"}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Orders, and in which words they were asked for."""

    orders: QuerySet[Order]
    #: kept with the batch or export: the filter (`words` as the list stated it), or how many were ticked or named
    asked: Mapping[str, Any]

    @property
    def words(self) -> str:
        return in_words(self.asked)


def in_words(asked: Mapping[str, Any]) -> str:
    """How the orders were chosen, from what a batch or an export keeps of it."""
    for kind, words in COUNTED.items():
        if kind in asked:
            return f"{counted(asked[kind], 'order')} {words}"
    if "undo_of" in asked:
        return "The orders that the undone batch changed"
    return str(asked["words"]) if "words" in asked else filter_words(asked.get("filter") or asked.get("list") or {})


def filter_words(filters: Mapping[str, Any]) -> str:
    """Filters by name and value, as the API and export plans have them."""
    said = [
        f"{name.replace('_', ' ')}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in filters.items()
    ]
    return "; ".join(said) or "All orders"
