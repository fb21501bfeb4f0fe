"""Rows of a large table in pages, for whoever reads all of them and keeps none.

Not `QuerySet.iterator()`: behind a pooler it has no cursor at the server, and would take all rows into memory at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

T = TypeVar("T")


def pages(rows: QuerySet[Any, T], size: int, *, key: str = "pk") -> Iterator[T]:
    """All rows in the order of `key`, which is unique; of values, it is the first.

    Each page is a statement of its own: a row that is written meanwhile may be seen or not.
    """
    rows = rows.order_by(key)
    found = list(rows[:size])
    while found:
        yield from found
        if len(found) < size:
            return
        last: Any = found[-1]
        after = getattr(last, key) if isinstance(last, Model) else last[0]
        found = list(rows.filter(**{f"{key}__gt": after})[:size])
