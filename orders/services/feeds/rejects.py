"""The rows that were not taken, as CSV for the spreadsheet of whoever must mend them.

The cells are read from the stored file again, so they are the sender's own, not what we made of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from orders.errors import InvalidFeed
from orders.models import FeedImport
from orders.services import csv_text
from orders.services.feeds import keeping
from orders.services.feeds.layouts import layout_of
from orders.services.feeds.parsing import read_row
from orders.services.feeds.reading import ADDED_COLUMNS, open_table
from orders.vocabulary import DocumentKind


def bad_rows_csv(feed: FeedImport) -> Iterator[str]:
    """Pieces of a CSV text: line, reason and the original cells of every row of a rejected invoice.

    Raises `WrongState` when the file is deleted.
    """
    keeping.require_file(feed)
    return _bad_rows(feed)


def _bad_rows(feed: FeedImport) -> Iterator[str]:
    layout = layout_of(feed)
    rejected = {
        reference: f"{reason}: {detail}" if detail else reason
        for reference, reason, detail in feed.documents.filter(kind=DocumentKind.REJECTED).values_list(
            "reference", "reject_reason", "reject_detail"
        )
    }
    try:
        table = open_table(feed.pk, layout)
    except InvalidFeed as error:
        yield csv_text.line(ADDED_COLUMNS)
        yield csv_text.line(["1", str(error)])
        return
    yield csv_text.line([*ADDED_COLUMNS, *table.header[table.added :]])
    for record in table.records:
        row = read_row(record, table.places, layout)
        if row.reference in rejected:
            yield csv_text.line([str(record.line), row.error or rejected[row.reference], *record.cells[table.added :]])
