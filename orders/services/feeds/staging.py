"""Phase one, validate: every row of the file becomes a `FeedRow`, read or with what is wrong with it.

A row's place in the file is its identity, so an attempt that comes after a crash reads the file again from the start,
skips what is staged, and cannot stage a row twice.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import Max

from orders.actor import person
from orders.errors import InvalidFeed, NotPermitted
from orders.models import FeedImport, FeedRow
from orders.services.copying import copy_rows
from orders.services.feeds import phases
from orders.services.feeds.layouts import layout_of
from orders.services.feeds.parsing import ReadRow, read_row
from orders.services.feeds.phases import Beat
from orders.services.feeds.reading import open_table
from orders.vocabulary import Channel, FeedStatus

CHUNK = 5_000
COPIED = (
    "feed",
    "line",
    "reference",
    "sku",
    "description",
    "quantity",
    "unit_price",
    "invoiced_at",
    "customer_reference",
    "country",
    "error",
    "problems",
    "raw",
)


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
    except phases.Stopped as stopped:
        return stopped.status
    return FeedStatus.VALIDATING


def _check_requester(feed: FeedImport) -> None:
    """The permission is asked for again: minutes or a day may have passed since the file was sent."""
    if feed.requested_by is not None:
        person(feed.requested_by, Channel.FEED).require("orders.import_feed")


def _stage(feed: FeedImport, beat: Beat) -> None:
    layout = layout_of(feed)
    table = open_table(feed.pk, layout)
    seen, staged_to = 0, _staged_to(feed)
    while records := list(islice(table.records, CHUNK)):
        seen += len(records)
        last = records[-1].line
        if last > staged_to:
            rows = [read_row(record, table.places, layout) for record in records]
            with phases.chunk(feed.pk, FeedStatus.VALIDATING) as now:
                # Asked for under the lock: another attempt may have come as far as this.
                staged_to = _staged_to(feed)
                copy_rows(FeedRow, COPIED, (_values(feed, row) for row in rows if row.line > staged_to))
                now.rows_read = max(seen, now.rows_read)
                now.save(update_fields=["rows_read"])
        beat(last)
    if not seen:
        raise InvalidFeed("The file has a header and no rows.")


def _staged_to(feed: FeedImport) -> int:
    return FeedRow.objects.filter(feed=feed).aggregate(line=Max("line"))["line"] or 0


def _values(feed: FeedImport, row: ReadRow) -> tuple[Any, ...]:
    problems = [{"column": column, "message": message} for column, message in row.problems]
    return (
        feed.pk,
        row.line,
        row.reference,
        row.sku,
        row.description,
        row.quantity,
        row.unit_price,
        row.invoiced_at,
        row.customer_reference,
        row.country,
        row.error,
        json.dumps(problems) if problems else None,
        json.dumps(row.raw) if row.raw else None,
    )
