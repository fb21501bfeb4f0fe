"""Which orders a batch is about, and what it would leave out, counted by the database in one statement.

What staff see is what they get: the count and the sums of the preview come back with the click, and a selection that
has drifted meanwhile is shown again instead of being acted on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Case, CharField, Count, QuerySet, Sum, Value, When

from orders.actor import Actor
from orders.errors import InvalidInput
from orders.models import Batch, Order
from orders.services.batches.actions import ACTIONS, left_out
from orders.services.selection import Selection
from orders.vocabulary import MAX_BATCH_ORDERS, BatchAction, Exclusion

SAMPLE = 10


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a person saw before the click: orders that would be acted on, and what they add up to."""

    count: int
    #: currency -> minor units
    sums: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Preview:
    seen: Seen
    #: why -> how many
    excluded: Mapping[Exclusion, int]
    #: the first of those that would be acted on
    sample: list[Order]

    @property
    def selected(self) -> int:
        return self.seen.count + sum(self.excluded.values())


def preview(selection: Selection, action: BatchAction, *, actor: Actor, undo_of: Batch | None = None) -> Preview:
    """What the batch would do, without making it. Raises `NotPermitted`, or `InvalidInput` when it is too large."""
    require(action, actor)
    rows = judged(selection.orders, action, undo_of)
    grouped = rows.values("left_out", "currency").annotate(n=Count("pk"), sum=Sum("total_minor")).order_by()
    seen, excluded = added_up(grouped)
    if seen.count + sum(excluded.values()) > MAX_BATCH_ORDERS:
        raise too_many(seen.count + sum(excluded.values()))
    sample = rows.filter(left_out="").select_related("customer__key").order_by("created_at", "id")[:SAMPLE]
    return Preview(seen=seen, excluded=excluded, sample=list(sample))


def require(action: BatchAction, actor: Actor) -> None:
    """A batch needs its own permission and that of what it does. Raises `NotPermitted`."""
    rule = ACTIONS[action]
    actor.require("orders.run_batch")
    actor.require(rule.permission)


def judged(orders: QuerySet[Order], action: BatchAction, undo_of: Batch | None = None) -> QuerySet[Any, Any]:
    """The orders with `left_out`: why, or empty."""
    whens = [When(condition, then=Value(why.value)) for why, condition in left_out(action, undo_of)]
    reason = Case(*whens, default=Value(""), output_field=CharField())
    return orders.order_by().annotate(left_out=reason)


def added_up(groups: Any) -> tuple[Seen, dict[Exclusion, int]]:
    """Rows of (left_out, currency, n, sum) as what is acted on and what is not."""
    count = 0
    sums: dict[str, int] = {}
    excluded: dict[Exclusion, int] = defaultdict(int)
    for row in groups:
        if row["left_out"]:
            excluded[Exclusion(row["left_out"])] += row["n"]
        else:
            count += row["n"]
            sums[row["currency"]] = int(row["sum"])
    return Seen(count=count, sums=sums), dict(sorted(excluded.items(), key=lambda entry: -entry[1]))


def too_many(count: int) -> InvalidInput:
    return InvalidInput("filter", f"{count} orders are selected; one batch takes {MAX_BATCH_ORDERS} at most.")
