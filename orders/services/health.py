"""Beats of our processes: written by them, read by the landing page."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from orders import clock
from orders.models import QueueState, ServiceBeat


def beat(
    identity: str,
    service: str,
    reached_temporal: bool,
    detail: str,
    *,
    taken: int = 0,
    failed: int = 0,
    stopped: str = "",
) -> None:
    """Say that the process lives, how far its own clock is off, and whether it reached Temporal just now.

    `taken` are the activities that it took in the last minute, `failed` those of them that failed because of us;
    `stopped` is why it takes no more.
    """
    clock.ask()
    ahead = clock.ahead()
    fields: dict[str, Any] = {
        "service": service,
        "at": Now(),
        "detail": detail[:300],
        "taken": taken,
        "failed": failed,
        "stopped": stopped[:300],
        "clock_ahead_seconds": None if ahead is None else ahead.total_seconds(),
    }
    if reached_temporal:
        fields["temporal_ok_at"] = Now()
    ServiceBeat.objects.update_or_create(identity=identity, defaults=fields)
    # Beats of processes that were killed would pile up, one row for each.
    ServiceBeat.objects.filter(at__lt=Now() - timedelta(days=1)).delete()


def gone(identity: str) -> None:
    """The process ended on purpose."""
    ServiceBeat.objects.filter(pk=identity).delete()


def serve(polled: Iterable[str], known: Iterable[str]) -> None:
    """A living worker polls these queues, and knows those: what nobody polls is an alarm (`selectors/health.py`)."""
    now, served = clock.now(), set(polled)
    QueueState.objects.bulk_create(
        [QueueState(name=name, known_since=now) for name in sorted(known)], ignore_conflicts=True
    )
    QueueState.objects.filter(name__in=served).update(served_at=now)


def asked_lately(within: timedelta) -> bool:
    """Whether another worker asked Temporal about the queues so lately that nobody need ask again."""
    return QueueState.objects.filter(asked_at__gt=clock.now() - within).exists()


def note_backlog(name: str, *, pollers: int, backlog: int, oldest_seconds: float) -> None:
    """What Temporal says of a queue."""
    QueueState.objects.filter(pk=name).update(
        pollers=pollers, backlog=backlog, oldest_seconds=oldest_seconds, asked_at=clock.now()
    )
