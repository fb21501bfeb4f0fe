"""Which orders a batch or an export is about, as somebody asked for them.

Pages and calls build it from the list's own filter; without one shape for it, a batch and an export of the same list
could mean different orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from orders.models import Order


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Orders, and in which words they were asked for."""

    orders: QuerySet[Order]
    #: kept with the batch or export: the filter, or how many were ticked or named
    asked: Mapping[str, Any]
