"""The read model of a batch: how far it is, how fast, what failed of what, and how long it will take.

Counted from the items, never from a counter beside them: what the page says is what the rows say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncMinute

from orders import clock
from orders.amounts import counted, duration, money, number
from orders.models import Batch, BatchItem, Command
from orders.vocabulary import OPEN_BATCHES, BatchAction, BatchStatus, Exclusion, ItemFailure, ItemStatus
from orders.wording import FAILURES, Tone

TITLES: dict[BatchAction, str] = {
    BatchAction.START: "Start processing",
    BatchAction.HOLD: "Hold",
    BatchAction.RELEASE: "Release",
    BatchAction.CANCEL: "Cancel",
    BatchAction.PLACE_AGAIN: "Place again",
    BatchAction.REPRICE: "Reprice",
    BatchAction.PLAYBOOK: "Run a playbook",
    BatchAction.RECHECK: "Check again",
    BatchAction.CHECK_SHIPMENT: "Compare with the carrier",
    BatchAction.REFRESH_TRACKING: "Refresh tracking",
}
TONES: dict[BatchStatus, Tone] = {
    BatchStatus.PREPARING: Tone.MOVING,
    BatchStatus.RUNNING: Tone.MOVING,
    BatchStatus.PAUSING: Tone.WAITING,
    BatchStatus.PAUSED: Tone.WAITING,
    BatchStatus.CANCELLING: Tone.WAITING,
    BatchStatus.CANCELLED: Tone.NEUTRAL,
    BatchStatus.COMPLETED: Tone.DONE,
}
EXCLUSIONS: dict[Exclusion, str] = {
    Exclusion.IN_ANOTHER_BATCH: "in another batch that is open",
    Exclusion.CLOSED: "closed",
    Exclusion.SHIPPED: "shipped already",
    Exclusion.BEING_UNDONE: "being undone",
    Exclusion.HIGH_RISK: "in review: a person must decide",
    Exclusion.HELD_ALREADY: "on hold already",
    Exclusion.NOT_HELD: "not on hold",
    Exclusion.HELD_BY_OTHERS: "held by somebody else by now",
    Exclusion.STARTED_ALREADY: "started already",
    Exclusion.ON_HOLD: "on hold",
    Exclusion.CANCELLED_ALREADY: "being cancelled already",
    Exclusion.NOT_SHIPPED: "without a shipment",
    Exclusion.CHARGED: "charged already: its amount stands",
    Exclusion.NOT_FAILED: "not failed",
    Exclusion.PLACED_AGAIN_ALREADY: "placed again already",
    Exclusion.REFUND_OUTSTANDING: "owed money back for",
    Exclusion.DELIVERED: "delivered already",
    Exclusion.BATCH_CANCELLED: "not begun before the batch was cancelled",
}
FAILURE_WORDS: dict[str, str] = {
    ItemFailure.WRONG_STATE: "the order is in another state by now",
    ItemFailure.NOT_PERMITTED: "whoever asked for it may not any more",
    ItemFailure.PLAYBOOK_REFUSED: "the playbook could not be started",
    ItemFailure.PLAYBOOK_FAILED: "the playbook failed",
    ItemFailure.PLAYBOOK_CANCELLED: "the playbook's run was cancelled",
    ItemFailure.PLAYBOOK_PARKED: "a step of the playbook failed: retry it, skip it or cancel the run",
    ItemFailure.DATABASE: "its data break a rule of the database",
    ItemFailure.UNEXPECTED: "an unexpected error",
    "timeout": "no answer in time",
    **{failure.value: words for failure, (words, _) in FAILURES.items()},
}
#: the rate is taken over the items that ended within this
RATE_OVER = timedelta(minutes=1)
CHART_MINUTES = 60
#: batches that need somebody, on the landing page
SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Group:
    """Items that ended in the same way."""

    words: str
    count: int
    #: what one of them says
    example: str = ""


@dataclass(frozen=True, kw_only=True)
class Figures:
    counts: dict[ItemStatus, int]
    #: items that end a minute, over the last one
    per_minute: float
    seconds_left: int | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def to_do(self) -> int:
        """Items that are not left out."""
        return self.total - self.counts[ItemStatus.SKIPPED]

    @property
    def ended(self) -> int:
        return self.counts[ItemStatus.DONE] + self.counts[ItemStatus.FAILED]


def figures(batch: Batch) -> Figures:
    found = dict(batch.items.order_by().values_list("status").annotate(n=Count("pk")))
    counts = {status: found.get(status, 0) for status in ItemStatus}
    per_minute = _rate(batch)
    left = counts[ItemStatus.PENDING] + counts[ItemStatus.RUNNING]
    seconds = round(left / per_minute * 60) if per_minute and left and batch.status == BatchStatus.RUNNING else None
    return Figures(counts=counts, per_minute=round(per_minute, 1), seconds_left=seconds)


def failures(batch: Batch) -> list[Group]:
    """Failed items by reason, the most frequent first."""
    found = _ended(batch).filter(status=ItemStatus.FAILED).values_list("error_type").annotate(n=Count("pk"))
    return [
        Group(
            words=FAILURE_WORDS.get(kind, kind.replace("_", " ")),
            count=count,
            example=batch.items.filter(status=ItemStatus.FAILED, error_type=kind)
            .values_list("error_message", flat=True)
            .order_by("position")[0],
        )
        for kind, count in found.order_by("-n", "error_type")[:50]
    ]


def results(batch: Batch) -> list[Group]:
    """What was done, in its own words."""
    found = _ended(batch).filter(status=ItemStatus.DONE).values_list("outcome").annotate(n=Count("pk"))
    return [Group(words=outcome, count=count) for outcome, count in found.order_by("-n", "outcome")[:50]]


def left_out(batch: Batch) -> list[Group]:
    found = _ended(batch).filter(status=ItemStatus.SKIPPED).values_list("outcome").annotate(n=Count("pk"))
    return [Group(words=EXCLUSIONS[Exclusion(why)], count=count) for why, count in found.order_by("-n", "outcome")]


def chart(batch: Batch) -> dict[str, list[Any]]:
    """Items that ended in each minute: the last hour of the batch."""
    until = (batch.finished_at or clock.now()).replace(second=0, microsecond=0)
    began = (batch.started_at or batch.created_at).replace(second=0, microsecond=0)
    first = max(began, until - timedelta(minutes=CHART_MINUTES - 1))
    minutes = [first + timedelta(minutes=past) for past in range(int((until - first).total_seconds() // 60) + 1)]
    rows = (
        batch.items.filter(finished_at__gte=first, status__in=[ItemStatus.DONE, ItemStatus.FAILED])
        .order_by()
        .annotate(minute=TruncMinute("finished_at"))
        .values_list("minute", "status")
        .annotate(n=Count("pk"))
    )
    found = {(minute, status): count for minute, status, count in rows}
    return {
        "labels": [minute.strftime("%H:%M") for minute in minutes],
        "completed": [found.get((minute, ItemStatus.DONE.value), 0) for minute in minutes],
        "failed": [found.get((minute, ItemStatus.FAILED.value), 0) for minute in minutes],
    }


def standing(batch: Batch, now: Figures) -> str:
    """What happens, in a sentence."""
    running = now.counts[ItemStatus.RUNNING]
    under_way = counted(running, "order") + (" is" if running == 1 else " are")
    match BatchStatus(batch.status):
        case BatchStatus.PREPARING:
            return "The orders are frozen; its process begins in a moment."
        case BatchStatus.RUNNING:
            left = f" About {duration(timedelta(seconds=now.seconds_left))} left." if now.seconds_left else ""
            return f"{number(round(now.per_minute))} a minute.{left}"
        case BatchStatus.PAUSING:
            return f"Nothing new begins; {under_way} still under way." if running else "Nothing new begins."
        case BatchStatus.PAUSED:
            return batch.note or "It stands still until somebody resumes or cancels it."
        case BatchStatus.CANCELLING:
            return f"Nothing new begins; {under_way} still under way." if running else "What has not begun never will."
    spent = duration((batch.finished_at or clock.now()) - (batch.started_at or batch.created_at))
    return batch.note or f"{counted(now.ended, 'order')} in {spent}."


def sums_in_words(sums: dict[str, int]) -> str:
    return ", ".join(money(minor, currency) for currency, minor in sorted(sums.items())) or "nothing"


def needing_somebody() -> QuerySet[Batch]:
    """Batches that paused by themselves: the landing page tells of them."""
    return Batch.objects.filter(status__in=sorted(OPEN_BATCHES)).exclude(note="").order_by("-status_since")[:SHOWN]


def steps_of(batch: Batch) -> list[Command]:
    """Who did what about the batch."""
    return list(Command.objects.filter(batch=batch, order=None).order_by("created_at")[:100])


def _ended(batch: Batch) -> QuerySet[BatchItem]:
    return batch.items.order_by()


def _rate(batch: Batch) -> float:
    now = clock.now()
    since: datetime = max(batch.started_at or now, now - RATE_OVER)
    ended = batch.items.filter(finished_at__gte=since).exclude(status=ItemStatus.SKIPPED).count()
    return ended / max((now - since).total_seconds(), 1.0) * 60
