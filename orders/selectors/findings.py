"""What the sweep found, for pages and sentences; and whether it looks at all."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, OuterRef, QuerySet, Subquery, Value

from orders import clock
from orders.amounts import counted, duration
from orders.facts import Standstill
from orders.models import Finding, Order, SweepProgress
from orders.selectors.health import Health
from orders.vocabulary import STANDSTILLS, FindingKind
from orders.wording import Tone

#: a sweep that has not run for this long is missing; it comes every half minute
LATE_AFTER = timedelta(minutes=3)


def open_findings() -> QuerySet[Finding]:
    return Finding.objects.filter(resolved_at=None).select_related("order")


def with_standstill(orders: QuerySet[Order]) -> QuerySet[Order]:
    """Each order with what `standstill_of` needs."""
    found = Finding.objects.filter(order=OuterRef("pk"), kind__in=STANDSTILLS, resolved_at=None).order_by(
        "first_seen_at"
    )
    return orders.annotate(
        stands_still=Subquery(found.values("kind")[:1]),
        stands_still_since=Subquery(found.values("first_seen_at")[:1]),
        stands_still_says=Subquery(found.values("says")[:1]),
    )


def standstill_of(order: Order) -> Standstill | None:
    """Why the engine cannot go on with the order."""
    kind = getattr(order, "stands_still", None)
    if kind is None:
        return None
    return Standstill(
        kind=FindingKind(kind),
        since=order.stands_still_since,  # type: ignore[attr-defined]
        says=order.stands_still_says,  # type: ignore[attr-defined]
    )


def sweep_health() -> Health:
    """The sweep's line of the health card: one query."""
    standing = Finding.objects.filter(resolved_at=None).order_by().annotate(all=Value(1)).values("all")
    counted_now = Subquery(standing.annotate(n=Count("pk")).values("n"))
    rows = list(SweepProgress.objects.annotate(open_findings=counted_now).order_by("ran_at"))
    if not rows:
        return Health(name="Sweep", tone=Tone.WAITING, word="Not yet", detail="No sweep has looked for trouble yet")
    ago = clock.now() - rows[0].ran_at
    if ago > LATE_AFTER:
        return Health(
            name="Sweep",
            tone=Tone.TROUBLE,
            word="Late",
            detail=f"The last whole sweep was {duration(ago)} ago: nobody looks for trouble",
        )
    open_now = rows[0].open_findings or 0
    told = f"Looked {duration(ago)} ago, {counted(open_now, 'open finding')}"
    left_out = [row.skipped for row in rows if row.skipped]
    if left_out:
        return Health(name="Sweep", tone=Tone.WAITING, word="In part", detail=f"{told}. {left_out[0]}")
    tone, word = (Tone.WAITING, "Found") if open_now else (Tone.DONE, "Nothing found")
    return Health(name="Sweep", tone=tone, word=word, detail=told)
