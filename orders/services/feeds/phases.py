"""The phases of an import, its stops and its end.

An import only moves forward, and every chunk of a phase holds the import's row: a pause or a cancellation waits for at
most one chunk and then nothing more is written, and an attempt that was believed dead and wakes up late finds that the
phase is over. Without the lock, "paused" would be a wish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from orders import clock
from orders.models import Command, FeedImport
from orders.vocabulary import CommandStatus, FeedStatus

#: called with the phase's cursor where the phase may be stopped; may raise
Beat = Callable[[int], None]

PHASES = (FeedStatus.RECEIVED, FeedStatus.VALIDATING, FeedStatus.TRANSFORMING, FeedStatus.STORING)
ENDED = frozenset({FeedStatus.COMPLETED, FeedStatus.FAILED, FeedStatus.CANCELLED, FeedStatus.DISCARDED})


class Stopped(Exception):
    """The import is no longer in the phase: somebody paused or ended it, or another attempt went on."""

    def __init__(self, status: FeedStatus) -> None:
        super().__init__(status)
        self.status = status


def begin(feed_id: UUID | str, phase: FeedStatus) -> FeedImport:
    """Enter a phase and answer the import as it is now: its status is the phase, or what it has reached instead."""
    FeedImport.objects.filter(pk=feed_id, status__in=PHASES[: PHASES.index(phase)]).update(
        status=phase, phase_since=clock.now()
    )
    return FeedImport.objects.select_related("requested_by", "layout_version").get(pk=feed_id)


@contextmanager
def chunk(feed_id: UUID | str, phase: FeedStatus) -> Iterator[FeedImport]:
    """The transaction of one chunk, with the import's row locked. Raises `Stopped` when the phase is over."""
    with transaction.atomic():
        feed = lock(feed_id)
        if feed.status != phase:
            raise Stopped(FeedStatus(feed.status))
        yield feed


def lock(feed_id: UUID | str) -> FeedImport:
    # NO KEY: rows that point to the import may be written meanwhile.
    return FeedImport.objects.select_for_update(no_key=True).get(pk=feed_id)


def complete(feed_id: UUID | str) -> FeedStatus:
    return _end(feed_id, FeedStatus.COMPLETED, "")


def abandon(feed_id: UUID | str, message: str) -> FeedStatus:
    """End the import as failed; `message` is for people. What was stored before stays."""
    return _end(feed_id, FeedStatus.FAILED, message[:500])


def _end(feed_id: UUID | str, status: FeedStatus, message: str) -> FeedStatus:
    with transaction.atomic():
        feed = lock(feed_id)
        # A paused import can fail (its process was terminated), but completes only when nobody has paused it.
        if feed.status in PHASES or (feed.status not in ENDED and status is FeedStatus.FAILED):
            close(feed, status, outcome=message or "The file was imported.", message=message)
    return FeedStatus(feed.status)


def close(feed: FeedImport, status: FeedStatus, *, outcome: str, message: str = "") -> None:
    """Write the end of an import whose row the caller holds."""
    now = clock.now()
    feed.status, feed.resume_status = status, ""
    feed.failure_message, feed.finished_at = message, now
    feed.file_until = now + timedelta(days=settings.FEED_FILES_KEPT_DAYS)
    feed.save(update_fields=["status", "resume_status", "failure_message", "finished_at", "file_until"])
    Command.objects.filter(pk=feed.pk).update(status=CommandStatus.DONE, outcome=outcome, finished_at=now)
