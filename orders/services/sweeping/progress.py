"""Where each part of the sweep stands; read by the health card, which must not say "nothing found" for "not looked"."""

from __future__ import annotations

from django.utils import timezone

from orders.models import SweepProgress
from orders.vocabulary import SweepPart


def of(part: SweepPart) -> SweepProgress:
    """The part's row; a new one begins at the beginning."""
    row, _ = SweepProgress.objects.get_or_create(part=part)
    return row


def ran(part: SweepPart, *, looked_at: int, skipped: str = "", **cursors: str) -> None:
    """Say that the part ran; `skipped` says what it could not look at."""
    told = {"ran_at": timezone.now(), "looked_at": looked_at, "skipped": skipped[:300], **cursors}
    SweepProgress.objects.update_or_create(part=part, defaults=told)
