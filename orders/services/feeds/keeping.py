"""The stored file of an import: encrypted with a key of its own, read in blocks, and deleted when its days are over.

A file holds whatever its sender wrote about people. When the key is deleted, every copy of it in backups and dead rows
is unreadable. The file's rows go with it; what was made of them, and what was refused and why, stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection, transaction
from django.db.models import BinaryField
from django.db.models.functions import Length, Substr

from orders import clock, keyring
from orders.actor import system
from orders.amounts import counted
from orders.errors import InvalidFeed, WrongState
from orders.models import FeedImport, FeedRow, FileKey
from orders.services.feeds import phases
from orders.services.feeds.steering import tell
from orders.vocabulary import CommandKind, FeedStatus

#: the statuses in which an import waits for a person, and might for ever
WAITING = (FeedStatus.CHECKED, FeedStatus.PAUSED)


def write(feed: FeedImport, content: bytes) -> None:
    """Store the file under a new key; the key of what stood there before is destroyed. In the caller's transaction."""
    old, feed.key = feed.key, FileKey.saved()
    sealed = keyring.encrypt_blocks(feed.key.secret, content, place=_place(feed.pk))
    # Django writes parameters into the statement as text: 50 MB of file became 400 MB of memory (measured).
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(
            "UPDATE orders_feedimport SET content = %b, key_id = %s WHERE id = %s", [sealed, feed.key.pk, feed.pk]
        )
    if old is not None:
        old.delete()


def pieces(feed_id: UUID | str) -> Iterator[bytes]:
    """The file, block by block: 200 MB in one value would be held three times over.

    Raises `InvalidFeed` when it is gone, and `keyring.Unreadable`.
    """
    rows = FeedImport.objects.filter(pk=feed_id)
    feed = rows.select_related("key").annotate(size=Length("content")).get()
    if feed.file_gone_at is not None:
        raise InvalidFeed(gone(feed))
    count = keyring.blocks_in(feed.size)  # type: ignore[attr-defined]
    for number in range(count):
        start = number * keyring.SEALED_BLOCK_BYTES + 1
        block = Substr("content", start, keyring.SEALED_BLOCK_BYTES, output_field=BinaryField())
        stored = bytes(rows.values_list(block, flat=True).get())
        if feed.key is None:  # stored by a version that did not encrypt, and still being read
            yield stored
        else:
            yield keyring.decrypt_block(feed.key.secret, stored, place=_place(feed.pk), number=number, count=count)


def read(feed: FeedImport) -> bytes:
    """The whole file."""
    return b"".join(pieces(feed.pk))


def kept(feed: FeedImport) -> str:
    """Until when the file is kept, or that it is gone; one sentence."""
    if feed.file_gone_at is not None:
        return gone(feed)
    if feed.file_until is not None:
        return f"The file and its rows are kept until {feed.file_until:%d %b %Y, %H:%M} UTC, then deleted."
    return f"The file is kept for {counted(settings.FEED_FILES_KEPT_DAYS, 'day')} after the end of the import."


def gone(feed: FeedImport) -> str:
    return f"The file and its rows were deleted at {feed.file_gone_at:%d %b %Y, %H:%M} UTC; send it again if need be."


def require_file(feed: FeedImport) -> None:
    """Raise `WrongState` when the file is deleted."""
    if feed.file_gone_at is not None:
        raise WrongState(gone(feed))


def expire() -> int:
    """Delete the files whose days are over, with their rows; answers how many.

    An import that has waited as long for a person is cancelled first, and its file goes when its days are over.
    """
    now = clock.now()
    forgotten = FeedImport.objects.filter(
        status__in=WAITING, phase_since__lte=now - timedelta(days=settings.FEED_FILES_KEPT_DAYS)
    )
    for feed_id in list(forgotten.values_list("pk", flat=True)):
        _give_up(feed_id)
    due = FeedImport.objects.filter(file_gone_at=None, file_until__lte=now)
    return sum(_delete(feed_id) for feed_id in list(due.values_list("pk", flat=True)))


def _give_up(feed_id: UUID) -> None:
    reason = f"Nobody decided within {counted(settings.FEED_FILES_KEPT_DAYS, 'day')}."
    try:
        tell(feed_id, CommandKind.IMPORT_CANCEL, actor=system("round"), reason=reason)
    except WrongState:
        return  # somebody decided meanwhile


def _delete(feed_id: UUID) -> bool:
    with transaction.atomic():
        feed = phases.lock(feed_id)
        if feed.file_gone_at is not None:
            return False
        FeedRow.objects.filter(feed=feed).delete()
        key, feed.key = feed.key, None
        feed.content, feed.file_gone_at = b"", clock.now()
        feed.save(update_fields=["content", "key", "file_gone_at"])
        if key is not None:
            key.delete()
    return True


def _place(feed_id: UUID | str) -> str:
    return f"orders_feedimport.content of {feed_id}"
