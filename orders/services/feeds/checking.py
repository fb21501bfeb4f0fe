"""What an import found, row by row and invoice by invoice: what a person reads before committing a dry run.

The same after the commit, so a report that somebody kept can be held against what happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from orders.models import FeedDocument, FeedImport, Order
from orders.services import csv_text
from orders.services.feeds.layouts import layout_of
from orders.services.feeds.reporting import figures
from orders.vocabulary import DocumentKind

#: rows and invoices of a report; the whole is a download
REPORT_ROWS = 100
#: invoices whose orders are looked up together
PAGE = 2_000
#: an invoice whose order is there already and would be linked, not made
EXISTS = "exists"
INVOICE_COLUMNS = ("invoice", "outcome", "reason", "detail", "lines", "total_minor", "order")


def report(feed: FeedImport) -> dict[str, Any]:
    """Totals, the first rows that cannot be read and the first invoices, each with what becomes of it."""
    bad = feed.rows.exclude(error="").order_by("line")
    rows = [
        {"line": row.line, "invoice": row.reference, **problem}
        for row in bad[:REPORT_ROWS]
        for problem in row.problems or [{"column": "", "message": row.error}]
    ]
    invoices = list(islice(outcomes(feed), REPORT_ROWS))
    return {
        "figures": figures(feed),
        "rows": rows[:REPORT_ROWS],
        "bad_rows": bad.count(),
        "invoices": invoices,
        "existing": existing(feed),
    }


def existing(feed: FeedImport) -> int:
    """How many of the file's orders were there before it."""
    source = layout_of(feed).source
    orders = feed.documents.filter(kind=DocumentKind.ORDER, stored_at=None).values("reference")
    return Order.objects.filter(source=source, reference__in=orders).count()


def outcomes(feed: FeedImport) -> Iterator[dict[str, Any]]:
    """Every invoice in the order of the file, with what becomes or became of it."""
    source = layout_of(feed).source
    documents = feed.documents.select_related("order").order_by("position")
    after = -1
    while page := list(documents.filter(position__gt=after)[:PAGE]):
        open_orders = [one.reference for one in page if one.kind == DocumentKind.ORDER and one.order_id is None]
        known = set(Order.objects.filter(source=source, reference__in=open_orders).values_list("reference", flat=True))
        for document in page:
            yield _outcome(document, is_known=document.reference in known)
        after = page[-1].position


def invoices_csv(feed: FeedImport) -> Iterator[str]:
    yield csv_text.line(INVOICE_COLUMNS)
    for outcome in outcomes(feed):
        yield csv_text.line([str(outcome[name]) for name in INVOICE_COLUMNS])


def _outcome(document: FeedDocument, *, is_known: bool) -> dict[str, Any]:
    return {
        "invoice": document.reference,
        "outcome": EXISTS if is_known else document.kind,
        "reason": document.reject_reason,
        "detail": document.reject_detail,
        "lines": document.line_count,
        "total_minor": document.total_minor,
        "order": document.order.number if document.order else "",
    }
