"""Taking a customer's reference out of the files and rows that feeds left behind.

A stored file is read again for the download of its bad rows, so its lines must stay where they are: only the reference
is replaced, and only in the customer's own rows, because the same digits may be another row's quantity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from orders.errors import WrongState
from orders.models import FeedImport, FeedRow
from orders.services.feeds import keeping
from orders.services.feeds.phases import ENDED

# A row whose cells could not be told apart has no reference, only its raw cells.
THEIRS = """(customer_reference = %(reference)s
    OR EXISTS (SELECT FROM jsonb_array_elements_text(raw) AS cell WHERE strpos(cell, %(reference)s) > 0))"""
# A record may run over several lines of the file; it ends where the next one begins.
ROWS = f"""
    SELECT id, line, next FROM (
        SELECT id, line, customer_reference, raw, lead(line) OVER (ORDER BY line) AS next
        FROM orders_feedrow WHERE feed_id = %(feed)s
    ) AS rows
    WHERE {THEIRS}
"""
FEEDS = f"SELECT DISTINCT feed_id FROM orders_feedrow WHERE {THEIRS}"


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    files: int
    rows: int


def knows(reference: str) -> bool:
    """Whether a row of a feed names the customer, taken or refused."""
    return bool(_feeds(reference))


def forget(reference: str, *, instead: str) -> Forgotten:
    """Replace `reference`. Raises `WrongState` while an import that has rows of the customer is under way."""
    feeds = FeedImport.objects.filter(pk__in=_feeds(reference))
    under_way = [feed.name for feed in feeds if feed.status not in ENDED]
    if under_way:
        raise WrongState(f"An import with rows of this customer is still under way: {', '.join(under_way[:5])}.")
    rows = [_forget_in(feed, reference, instead) for feed in feeds.order_by("pk")]
    return Forgotten(files=len(rows), rows=sum(rows))


def _feeds(reference: str) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(FEEDS, {"reference": reference})
        return [row[0] for row in cursor.fetchall()]


def _forget_in(feed: FeedImport, reference: str, instead: str) -> int:
    """How many rows of the file were the customer's."""
    with connection.cursor() as cursor:
        cursor.execute(ROWS, {"feed": feed.pk, "reference": reference})
        found = cursor.fetchall()
    lines = keeping.read(feed).splitlines(keepends=True)
    token = _token(reference)
    for _, line, following in found:
        for place in range(line - 1, min((following or len(lines) + 1) - 1, len(lines))):
            lines[place] = token.sub(instead.encode(), lines[place])
    keeping.write(feed, b"".join(lines))
    rows = list(FeedRow.objects.filter(pk__in=[row_id for row_id, _, _ in found]))
    for row in rows:
        if row.customer_reference == reference:
            row.customer_reference = instead
        if row.raw is not None:
            row.raw = [token.sub(instead.encode(), cell.encode()).decode() for cell in row.raw]
        row.save(update_fields=["customer_reference", "raw"])
    return len(rows)


def _token(reference: str) -> re.Pattern[bytes]:
    """The reference as a whole cell or word, as either encoding and CSV's quoting write it."""
    written = {
        re.escape(text.encode(encoding, "replace"))
        for encoding in ("utf-8", "cp1252")
        for text in (reference, reference.replace('"', '""'))
    }
    edge = rb"[0-9A-Za-z_\x80-\xff]"
    return re.compile(rb"(?<!%s)(?:%s)(?:\.0+)?(?!%s)" % (edge, b"|".join(sorted(written)), edge))
