"""Where an import stands, for everyone who asks: the command that waits, pages and the API.

Read from the import's documents, never from counters kept beside them: figures that staff compare with the sender's
books must not depend on which attempt or which import made an order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncMinute

from orders import clock, outbox
from orders.models import FeedDocument, FeedImport, OutboxMessage, ServiceBeat
from orders.selectors.health import SILENT_AFTER
from orders.services.feeds.phases import ENDED
from orders.vocabulary import MOVING_STATUSES, DocumentKind, FeedStatus, OrderStatus

CHART_NAMES = ["Invoices stored", "Orders closed"]
CHART_MINUTES = 240


@dataclass(frozen=True, kw_only=True)
class Progress:
    status: FeedStatus
    failure_message: str
    #: of the file, as its lines were counted
    rows_expected: int = 0
    rows_read: int
    #: when the present phase began, and how many rows or invoices it has done since
    phase_since: datetime | None = None
    done_since: int = 0
    documents_found: int
    #: documents that need no more work, the rejected ones included
    documents_stored: int
    #: present status of the import's orders -> how many
    orders: dict[str, int] = field(default_factory=dict)

    @property
    def is_ended(self) -> bool:
        return self.status in ENDED

    @property
    def waits_for_a_person(self) -> bool:
        return self.status in {FeedStatus.CHECKED, FeedStatus.PAUSED}

    @property
    def done_and_total(self) -> tuple[int, int]:
        """Of the present phase: rows while the file is read, invoices while they are stored; (0, 0) if unknown."""
        if self.status in {FeedStatus.RECEIVED, FeedStatus.VALIDATING}:
            return self.rows_read, max(self.rows_expected, self.rows_read)
        if self.status == FeedStatus.TRANSFORMING:
            return 0, 0
        return self.documents_stored, self.documents_found

    def pace(self, now: datetime) -> tuple[float, float | None]:
        """Rows or invoices a second since the phase began, and the seconds that are left at that rate."""
        done, total = self.done_and_total
        if self.is_ended or self.waits_for_a_person or self.phase_since is None or not self.done_since:
            return 0.0, None
        rate = self.done_since / max((now - self.phase_since).total_seconds(), 0.001)
        return rate, (total - done) / rate

    @property
    def moving_orders(self) -> int:
        """Orders that will change without anybody's decision."""
        return sum(count for status, count in self.orders.items() if status in MOVING_STATUSES)


def progress(feed_id: UUID | str) -> Progress:
    """Where the import and its orders stand now."""
    feed = FeedImport.objects.get(pk=feed_id)
    return Progress(
        status=FeedStatus(feed.status),
        failure_message=feed.failure_message,
        rows_expected=feed.rows_expected,
        rows_read=feed.rows_read,
        phase_since=feed.phase_since,
        done_since=_done_since(feed),
        documents_found=feed.documents_found,
        documents_stored=feed.documents_stored,
        orders=_order_statuses(feed),
    )


def _done_since(feed: FeedImport) -> int:
    """Without what an earlier phase has done: rejected invoices need no storing and would make the rate a lie."""
    if feed.status != FeedStatus.STORING or feed.phase_since is None:
        return feed.rows_read if feed.status == FeedStatus.VALIDATING else 0
    return feed.documents.filter(stored_at__gte=feed.phase_since).count()


def figures(feed: FeedImport) -> dict[str, Any]:
    """What the file holds, counted from its documents, and how its orders stand now.

    The file's figures do not depend on who made the orders: a second import of the same file reports the same ones.
    """
    feed.refresh_from_db()
    kinds = {
        row["kind"]: row
        for row in feed.documents.order_by()
        .values("kind")
        .annotate(count=Count("id"), total=Sum("total_minor"), lines=Sum("line_count"))
    }
    nothing = {"count": 0, "total": 0, "lines": 0}
    orders, notes = kinds.get(DocumentKind.ORDER, nothing), kinds.get(DocumentKind.CREDIT_NOTE, nothing)
    rejected = feed.documents.filter(kind=DocumentKind.REJECTED).order_by("reject_reason")
    statuses = _order_statuses(feed)
    return {
        "invoices": sum(row["count"] for row in kinds.values()),
        "orders": orders["count"],
        "order_total_minor": orders["total"],
        "order_lines": orders["lines"],
        "credit_notes": notes["count"],
        "credit_total_minor": notes["total"],
        "rejected": dict(rejected.values_list("reject_reason").annotate(Count("id"))),
        "completed": statuses.get(OrderStatus.COMPLETED, 0),
        "in_review": statuses.get(OrderStatus.IN_REVIEW, 0),
        "failed": statuses.get(OrderStatus.FAILED, 0),
        "cancelled": statuses.get(OrderStatus.CANCELLED, 0),
        "created_orders": feed.created_orders,
        "created_credit_notes": feed.created_credit_notes,
        "unmatched_credit_notes": feed.documents.filter(credit_note__isnull=False, credit_note__order=None).count(),
        "seconds": _seconds(feed),
    }


def per_minute(feed: FeedImport) -> dict[str, list[Any]]:
    """Invoices that were stored and orders that were closed, minute by minute: what the import's page draws."""
    documents = feed.documents.order_by()
    stored = _counts(documents.filter(stored_at__isnull=False), "stored_at")
    closed = _counts(documents.filter(order__closed_at__gte=feed.created_at), "order__closed_at")
    minutes = sorted({*stored, *closed})
    if not minutes:
        return {"names": CHART_NAMES, "labels": [], "received": [], "completed": []}
    # The last hours of a long run; minutes in which nothing happened belong to the picture.
    first = max(minutes[0], minutes[-1] - timedelta(minutes=CHART_MINUTES - 1))
    span = [first + timedelta(minutes=passed) for passed in range(int((minutes[-1] - first).total_seconds()) // 60 + 1)]
    return {
        "names": CHART_NAMES,
        "labels": [minute.strftime("%H:%M") for minute in span],
        "received": [stored.get(minute, 0) for minute in span],
        "completed": [closed.get(minute, 0) for minute in span],
    }


def _counts(documents: QuerySet[FeedDocument], moment: str) -> dict[datetime, int]:
    rows = documents.annotate(minute=TruncMinute(moment)).values_list("minute").annotate(Count("id"))
    return dict(rows)


def why_quiet(feed_id: UUID | str) -> str:
    """One sentence on why an import may stand still; what the machinery last said of itself."""
    workers = ServiceBeat.objects.filter(service="worker").aggregate(at=Max("at"), temporal=Max("temporal_ok_at"))
    silence = clock.now() - SILENT_AFTER
    if workers["at"] is None or workers["at"] < silence:
        return "No worker runs. Start one: ./dev up, or manage.py run_worker."
    if workers["temporal"] is None or workers["temporal"] < silence:
        return "A worker runs, but Temporal does not answer it."
    waiting = OutboxMessage.objects.filter(outbox.PENDING, due_at__lte=clock.now()).aggregate(
        count=Count("id"), mine=Count("id", filter=Q(aggregate=f"feed:{feed_id}"))
    )
    if waiting["mine"]:
        return "The worker has not taken the import from the outbox yet."
    if waiting["count"]:
        return f"{waiting['count']} messages wait in the outbox for Temporal."
    statuses = Counter(_order_statuses(FeedImport(pk=feed_id)))
    moving = ", ".join(f"{statuses[status]} {status}" for status in sorted(MOVING_STATUSES) if statuses[status])
    return f"The worker and Temporal answer; orders under way: {moving or 'none'}. Look at the Temporal UI."


def _order_statuses(feed: FeedImport) -> dict[str, int]:
    documents = FeedDocument.objects.filter(feed_id=feed.pk, order__isnull=False).order_by()
    return dict(documents.values_list("order__status").annotate(Count("id")))


def _seconds(feed: FeedImport) -> float:
    """From the file's arrival to the end of the import and, when it starts its orders, of the last order it moved."""
    if feed.finished_at is None:
        end = clock.now()
    elif not feed.process:
        end = feed.finished_at
    else:
        last = feed.documents.aggregate(at=Max("order__closed_at"))["at"]
        end = max(feed.finished_at, last or feed.finished_at)
    return round((end - feed.created_at).total_seconds(), 3)
