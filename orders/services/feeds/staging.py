"""Phase one, validate: every row of the file becomes a `FeedRow`, read or with what is wrong with it.

A row's place in the file is its identity, so an attempt that comes after a crash reads the file again from the start,
skips what is staged, and cannot stage a row twice.
"""

from __future__ import annotations

from itertools import islice
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from orders.actor import person
from orders.errors import InvalidFeed, NotPermitted
from orders.models import FeedImport, FeedRow
from orders.services.feeds import phases
from orders.services.feeds.layouts import LAYOUTS
from orders.services.feeds.parsing import read_row
from orders.services.feeds.phases import Beat
from orders.services.feeds.reading import open_table
from orders.vocabulary import Channel, FeedStatus

CHUNK = 2_000


def validate(feed_id: UUID | str, *, beat: Beat) -> FeedStatus:
    """Stage the rows. A file that cannot be read ends the import as failed; that is an answer, not an error."""
    feed = phases.begin(feed_id, FeedStatus.VALIDATING)
    if feed.status != FeedStatus.VALIDATING:
        return FeedStatus(feed.status)
    try:
        _check_requester(feed)
        _stage(feed, beat)
    except (InvalidFeed, NotPermitted) as error:
        return phases.abandon(feed_id, str(error))
    return FeedStatus.VALIDATING


def _check_requester(feed: FeedImport) -> None:
    """The permission is asked for again: minutes or a day may have passed since the file was sent."""
    if feed.requested_by is not None:
        person(feed.requested_by, Channel.FEED).require("orders.import_feed")


def _stage(feed: FeedImport, beat: Beat) -> None:
    layout = LAYOUTS[feed.layout]
    table = open_table(feed.pk, layout)
    staged_to = FeedRow.objects.filter(feed=feed).aggregate(line=Max("line"))["line"] or 0
    seen = 0
    while records := list(islice(table.records, CHUNK)):
        seen += len(records)
        fresh = [read_row(record, table.places, layout) for record in records if record.line > staged_to]
        for row in fresh:
            row.feed_id = feed.pk
        with transaction.atomic():
            # An attempt that was believed dead may still be writing the same rows.
            FeedRow.objects.bulk_create(fresh, ignore_conflicts=True)
            FeedImport.objects.filter(pk=feed.pk, rows_read__lt=seen).update(rows_read=seen)
        beat(records[-1].line)
    if not seen:
        raise InvalidFeed("The file has a header and no rows.")
