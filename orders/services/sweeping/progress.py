"""Where each part of the sweep stands; read by the health card, which must not say "nothing found" for "not looked"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from orders import clock
from orders.models import SweepProgress
from orders.vocabulary import SweepPart


def of(part: SweepPart) -> SweepProgress:
    """The part's row; a new one begins at the beginning."""
    row, _ = SweepProgress.objects.get_or_create(part=part)
    return row


def locked(part: SweepPart) -> SweepProgress:
    """The part's row, which nobody else changes until the transaction ends."""
    return SweepProgress.objects.select_for_update().get(pk=of(part).pk)


def ran(
    part: SweepPart, *, looked_at: int, skipped: str = "", places: Mapping[str, Any] | None = None, **columns: Any
) -> None:
    """Say that the part ran; `skipped` says what it could not look at, `places` and others where the next one goes on.

    Of `places` only what is given changes.
    """
    told = {"ran_at": clock.now(), "looked_at": looked_at, "skipped": skipped[:300], **columns}
    with transaction.atomic():
        row = locked(part)
        for name, value in told.items():
            setattr(row, name, value)
        # Others keep theirs in the same column: whoever wrote back what it had read before would undo their change.
        row.places = {**row.places, **(places or {})}
        row.save(update_fields=[*told, "places"])
