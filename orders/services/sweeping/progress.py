"""Where each part of the sweep stands; read by the health card, which must not say "nothing found" for "not looked"."""

from __future__ import annotations

from typing import Any

from orders import clock
from orders.models import SweepProgress
from orders.vocabulary import SweepPart


def of(part: SweepPart) -> SweepProgress:
    """The part's row; a new one begins at the beginning."""
    row, _ = SweepProgress.objects.get_or_create(part=part)
    return row


def ran(part: SweepPart, *, looked_at: int, skipped: str = "", **places: Any) -> None:
    """Say that the part ran; `skipped` says what it could not look at, `places` where the next one goes on."""
    told = {"ran_at": clock.now(), "looked_at": looked_at, "skipped": skipped[:300], **places}
    SweepProgress.objects.update_or_create(part=part, defaults=told)
