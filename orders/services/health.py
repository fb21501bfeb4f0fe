"""Beats of our processes: written by them, read by the landing page."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from orders.models import QueueState, ServiceBeat


def beat(identity: str, service: str, temporal_ok: datetime | None, detail: str) -> None:
    """Say that the process lives; `temporal_ok` is when it last reached Temporal, None leaves the old time."""
    fields = {"service": service, "at": timezone.now(), "detail": detail[:300]}
    if temporal_ok is not None:
        fields["temporal_ok_at"] = temporal_ok
    ServiceBeat.objects.update_or_create(identity=identity, defaults=fields)
    # Beats of processes that were killed would pile up, one row for each.
    ServiceBeat.objects.filter(at__lt=timezone.now() - timedelta(days=1)).delete()


def gone(identity: str) -> None:
    """The process ended on purpose."""
    ServiceBeat.objects.filter(pk=identity).delete()


def serve(polled: Iterable[str], known: Iterable[str]) -> None:
    """A living worker polls these queues, and knows those: what nobody polls is an alarm (`selectors/health.py`)."""
    now, served = timezone.now(), set(polled)
    QueueState.objects.bulk_create(
        [QueueState(name=name, known_since=now) for name in sorted(known)], ignore_conflicts=True
    )
    QueueState.objects.filter(name__in=served).update(served_at=now)


def asked_lately(within: timedelta) -> bool:
    """Whether another worker asked Temporal about the queues so lately that nobody need ask again."""
    return QueueState.objects.filter(asked_at__gt=timezone.now() - within).exists()


def note_backlog(name: str, *, pollers: int, backlog: int, oldest_seconds: float) -> None:
    """What Temporal says of a queue."""
    QueueState.objects.filter(pk=name).update(
        pollers=pollers, backlog=backlog, oldest_seconds=oldest_seconds, asked_at=timezone.now()
    )
