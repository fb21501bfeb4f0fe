"""The landing page's figures: orders by status, orders per minute, and what needs a human.

The page is open on every desk all day and polls itself, so every query here is bounded: counts stop at a cap, lists at
a few rows, and nothing reads the whole table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.cache import caches
from django.db import connection
from django.db.models import Count, QuerySet, Value
from django.db.models.functions import TruncMinute

from orders import clock
from orders.amounts import number
from orders.models import Order
from orders.selectors import concerns, findings
from orders.selectors.health import Health, machinery, outbox_backlog
from orders.vocabulary import (
    OrderStatus,
)
from orders.wording import STATUS_TONES, Tone, status_word

#: counting stops here; the page then says "10,000+"
COUNT_CAP = 10_000
CHART_MINUTES = 60

COUNTS = """
    SELECT wanted.status, (
        SELECT count(*) FROM (SELECT 1 FROM orders_order o WHERE o.status = wanted.status LIMIT %s) AS capped
    )
    FROM unnest(%s::text[]) AS wanted(status)
"""


@dataclass(frozen=True, kw_only=True)
class StatusCount:
    status: OrderStatus
    word: str
    tone: Tone
    count: int
    shown: str
    #: of the fullest status, in tens of percent: the stylesheet knows eleven widths and pages carry no inline style
    share: int


@dataclass(frozen=True, kw_only=True)
class Chart:
    labels: list[str]
    received: list[int]
    completed: list[int]

    @property
    def series(self) -> dict[str, list[str] | list[int]]:
        """What the page's script draws."""
        return {"labels": self.labels, "received": self.received, "completed": self.completed}

    @property
    def words(self) -> str:
        """The chart for those who do not see it."""
        done = number(sum(self.completed))
        return f"In the last {CHART_MINUTES} minutes {number(sum(self.received))} received and {done} completed"


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    counts: list[StatusCount]
    #: of all statuses, as far as they were counted
    all_orders: str
    chart: Chart
    groups: list[concerns.ConcernGroup]
    health: list[Health]
    #: without it "nothing needs a human" would only mean "nothing that you may see"
    sees_orders: bool
    is_first_run: bool


def dashboard(user: AbstractBaseUser | AnonymousUser) -> Dashboard:
    """What `user` may see of it: about ten queries at any size of the tables."""
    backlog = outbox_backlog()
    health = machinery(backlog, findings.sweep_health())
    groups: list[concerns.ConcernGroup] = [concerns.to_approve(user)]
    if user.has_perm("orders.view_incident"):  # type: ignore[union-attr]
        groups.append(concerns.open_incidents())
    counts: list[StatusCount] = []
    chart = Chart(labels=[], received=[], completed=[])
    sees_orders = user.has_perm("orders.view_order")  # type: ignore[union-attr]
    if sees_orders:
        counts, chart = status_counts(), orders_per_minute()
        groups += [concerns.stuck_and_retrying(), concerns.failures()]
    if user.has_perm("orders.view_stafftask"):  # type: ignore[union-attr]
        groups.append(concerns.lost_runs())
    if user.has_perm("orders.view_outboxmessage"):  # type: ignore[union-attr]
        groups.append(concerns.stuck_outbox(backlog))
    if user.has_perm("orders.view_queuestate"):  # type: ignore[union-attr]
        groups.append(concerns.unserved_queues())
    if user.has_perm("orders.view_creditnote"):  # type: ignore[union-attr]
        groups.append(concerns.credit_notes())
    if user.has_perm("orders.view_feedimport"):  # type: ignore[union-attr]
        groups.append(concerns.failed_feeds())
    if user.has_perm("orders.view_batch"):  # type: ignore[union-attr]
        groups.append(concerns.waiting_batches())
    return Dashboard(
        counts=counts,
        all_orders=_sum_words(counts),
        chart=chart,
        groups=[group for group in groups if group.rows],
        health=health,
        sees_orders=sees_orders,
        is_first_run=bool(counts) and not any(status.count for status in counts),
    )


def needs_a_human(user: AbstractBaseUser | AnonymousUser) -> int:
    """Orders that failed lately or do not move, for the sidebar; at most ten seconds old and one query."""
    if not user.has_perm("orders.view_order"):  # type: ignore[union-attr]
        return 0
    return int(caches["process"].get_or_set("orders-that-need-a-human", concerns.count_needing, 10) or 0)


def status_counts() -> list[StatusCount]:
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, [COUNT_CAP + 1, [status.value for status in OrderStatus]])
        found = dict(cursor.fetchall())
    fullest = max([*found.values(), 1])
    return [
        StatusCount(
            status=status,
            word=status_word(status),
            tone=STATUS_TONES[status],
            count=found[status],
            shown=f"{number(COUNT_CAP)}+" if found[status] > COUNT_CAP else number(found[status]),
            share=max(1, round(10 * found[status] / fullest)) if found[status] else 0,
        )
        for status in OrderStatus
    ]


def _sum_words(counts: list[StatusCount]) -> str:
    capped = any(status.count > COUNT_CAP for status in counts)
    return number(sum(min(status.count, COUNT_CAP) for status in counts)) + ("+" if capped else "")


def orders_per_minute() -> Chart:
    """Orders taken in and completed, for each of the last 60 minutes, the running one included."""
    last = clock.now().replace(second=0, microsecond=0)
    minutes = [last - timedelta(minutes=ago) for ago in range(CHART_MINUTES - 1, -1, -1)]
    completed = Order.objects.filter(status=OrderStatus.COMPLETED, closed_at__gte=minutes[0])
    taken_in = Order.objects.filter(created_at__gte=minutes[0])
    rows = _per_minute(taken_in, "created_at").union(_per_minute(completed, "closed_at"), all=True)
    found = {(row["moment"], row["minute"]): row["n"] for row in rows}
    return Chart(
        labels=[minute.strftime("%H:%M") for minute in minutes],
        received=[found.get(("created_at", minute), 0) for minute in minutes],
        completed=[found.get(("closed_at", minute), 0) for minute in minutes],
    )


def _per_minute(orders: QuerySet[Order], moment: str) -> QuerySet[Order, Any]:
    """Rows of (which moment, minute, how many)."""
    told_apart = orders.order_by().annotate(moment=Value(moment), minute=TruncMinute(moment))
    return told_apart.values("moment", "minute").annotate(n=Count("pk"))
