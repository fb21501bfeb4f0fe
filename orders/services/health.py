"""Beats of our processes: written by them, read by the landing page."""

from datetime import datetime, timedelta

from django.utils import timezone

from orders.models import ServiceBeat


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
