"""The phases of an import, and its end: an import only ever moves forward.

Without that, an attempt that was believed dead and wakes up late would turn a finished import back into a running one.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from orders.models import Command, FeedImport
from orders.vocabulary import CommandStatus, FeedStatus

#: called with the phase's cursor where the phase may be stopped; may raise
Beat = Callable[[int], None]

PHASES = (FeedStatus.RECEIVED, FeedStatus.VALIDATING, FeedStatus.TRANSFORMING, FeedStatus.STORING)
ENDED = frozenset({FeedStatus.COMPLETED, FeedStatus.FAILED})


def begin(feed_id: UUID | str, phase: FeedStatus) -> FeedImport:
    """Enter a phase and answer the import as it is now: its status is the phase, or a later one that was reached."""
    FeedImport.objects.filter(pk=feed_id, status__in=PHASES[: PHASES.index(phase)]).update(status=phase)
    return FeedImport.objects.select_related("requested_by").get(pk=feed_id)


def complete(feed_id: UUID | str) -> FeedStatus:
    return _end(feed_id, FeedStatus.COMPLETED, "")


def abandon(feed_id: UUID | str, message: str) -> FeedStatus:
    """End the import as failed; `message` is for people. What was stored before stays."""
    return _end(feed_id, FeedStatus.FAILED, message[:500])


def _end(feed_id: UUID | str, status: FeedStatus, message: str) -> FeedStatus:
    with transaction.atomic():
        now = timezone.now()
        ended = FeedImport.objects.filter(pk=feed_id, status__in=PHASES).update(
            status=status, failure_message=message, finished_at=now
        )
        if ended:
            Command.objects.filter(pk=feed_id).update(
                status=CommandStatus.DONE, outcome=message or "The file was imported.", finished_at=now
            )
    return FeedStatus(FeedImport.objects.values_list("status", flat=True).get(pk=feed_id))
