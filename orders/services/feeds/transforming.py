"""Phase two, transform: rows become documents, one for each invoice number, by the exact rules of the layout.

An invoice's rows need not stand together in the file, so PostgreSQL sums the staged rows up in the order of their
invoice numbers, some thousands of rows a statement. That order is also the cursor: the highest number that has a
document is where a new attempt goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Max

from orders import clock
from orders.models import FeedDocument, FeedImport, FeedRow
from orders.services.feeds import phases
from orders.services.feeds.layouts import Layout, layout_of
from orders.services.feeds.phases import Beat
from orders.vocabulary import MAX_ORDER_LINES, MAX_ORDER_TOTAL_MINOR, DocumentKind, FeedStatus, RejectReason

#: rows of one statement, and what is left of the last invoice
PAGE = 10_000
#: a document's position is its first line in the file, moved behind all documents of the kinds stored earlier
KIND_RANK = {DocumentKind.ORDER: 0, DocumentKind.CREDIT_NOTE: 1 << 40, DocumentKind.REJECTED: 1 << 41}
MAX_NOTE_NUMBER = 64

# Each line is rounded half up to the minor unit before the sum, as `placing.line_total_minor` does.
INVOICES = """
    SELECT reference, min(line), count(*),
        coalesce(sum(round(abs(quantity) * unit_price * 100)) FILTER (WHERE error = ''), 0)::bigint,
        min(line) FILTER (WHERE error <> '' OR quantity IS NULL OR unit_price IS NULL),
        min(line) FILTER (WHERE quantity <= 0),
        min(line) FILTER (WHERE unit_price < 0)
    FROM orders_feedrow
    WHERE feed_id = %(feed)s AND {within}
    GROUP BY reference ORDER BY reference
"""
UNKNOWN = """
    SELECT row.reference, array_agg(DISTINCT row.sku)
    FROM orders_feedrow AS row LEFT JOIN orders_product AS product USING (sku)
    WHERE row.feed_id = %(feed)s AND row.reference = ANY(%(references)s) AND product.id IS NULL
    GROUP BY row.reference
"""


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """The sum of an invoice's rows, as far as the rules ask."""

    reference: str
    first_line: int
    lines: int
    total_minor: int
    #: what breaks a rule -> the first place where it does
    invalid: str = ""
    non_positive: str = ""
    negative_price: str = ""


def transform(feed_id: UUID | str, *, beat: Beat) -> FeedStatus:
    feed = phases.begin(feed_id, FeedStatus.TRANSFORMING)
    if feed.status != FeedStatus.TRANSFORMING:
        return FeedStatus(feed.status)
    try:
        done_to = feed.documents.aggregate(reference=Max("reference"))["reference"]
        is_last = False
        while not is_last:
            end = _page_end(feed, done_to)
            is_last = end is None
            found = _save(feed, _invoices(feed, done_to, end))
            done_to = end
            beat(found)
        return _checked(feed) if feed.dry_run else FeedStatus.TRANSFORMING
    except phases.Stopped as stopped:
        return stopped.status


def judge(invoice: Invoice, layout: Layout) -> tuple[DocumentKind, RejectReason | None, str]:
    """What the invoice is. The order of the rules is part of them."""
    reject = DocumentKind.REJECTED
    if invoice.invalid:
        return reject, RejectReason.INVALID_ROW, invoice.invalid
    prefix = layout.credit_note_prefix
    is_credit_note = bool(prefix) and invoice.reference.startswith(prefix)
    if is_credit_note and len(invoice.reference) > MAX_NOTE_NUMBER:
        return reject, RejectReason.INVALID_ROW, f"A credit note's number has at most {MAX_NOTE_NUMBER} characters."
    if not is_credit_note:
        if prefix and invoice.reference[:1].isalpha():
            return reject, RejectReason.ADJUSTMENT_DOCUMENT, f"{invoice.reference} is an adjustment, not an order."
        if invoice.non_positive:
            return reject, RejectReason.NON_POSITIVE_QUANTITY, invoice.non_positive
    if invoice.negative_price:
        return reject, RejectReason.NEGATIVE_PRICE, invoice.negative_price
    if not is_credit_note:
        if invoice.total_minor == 0:
            return reject, RejectReason.ZERO_TOTAL, "The lines add up to 0."
        if invoice.total_minor > MAX_ORDER_TOTAL_MINOR:
            detail = f"The total is {invoice.total_minor} minor units; the limit is {MAX_ORDER_TOTAL_MINOR}."
            return reject, RejectReason.TOTAL_TOO_LARGE, detail
    if invoice.lines > MAX_ORDER_LINES:
        return reject, RejectReason.TOO_MANY_LINES, f"{invoice.lines} lines; the limit is {MAX_ORDER_LINES}."
    return (DocumentKind.CREDIT_NOTE if is_credit_note else DocumentKind.ORDER), None, ""


def _page_end(feed: FeedImport, after: str | None) -> str | None:
    """The invoice that the page after `after` ends with; None when it is the last page."""
    rows = FeedRow.objects.filter(feed=feed)
    if after is not None:
        rows = rows.filter(reference__gt=after)
    ends = rows.order_by("reference", "line").values_list("reference", flat=True)[PAGE - 1 : PAGE]
    return next(iter(ends), None)


def _invoices(feed: FeedImport, after: str | None, end: str | None) -> list[Invoice]:
    within = ["true"] + ["reference > %(after)s"] * (after is not None) + ["reference <= %(end)s"] * (end is not None)
    with connection.cursor() as cursor:
        cursor.execute(INVOICES.format(within=" AND ".join(within)), {"feed": feed.pk, "after": after, "end": end})
        found = cursor.fetchall()
    says = _said_of(feed, {line for row in found for line in row[4:] if line is not None})
    return [
        Invoice(
            reference=reference,
            first_line=first_line,
            lines=lines,
            total_minor=total,
            invalid=says[invalid][0] if invalid else "",
            non_positive=says[non_positive][1] if non_positive else "",
            negative_price=says[negative][2] if negative else "",
        )
        for reference, first_line, lines, total, invalid, non_positive, negative in found
    ]


def _said_of(feed: FeedImport, lines: set[int]) -> dict[int, tuple[str, str, str]]:
    """Line -> how it is told that its row is unreadable, its quantity or its price breaks a rule."""
    rows = FeedRow.objects.filter(feed=feed, line__in=lines).values_list("line", "error", "quantity", "unit_price")
    return {
        line: (
            f"Line {line}: {error}",
            f"Line {line}: quantity {quantity}.",
            f"Line {line}: price {price}.",
        )
        for line, error, quantity, price in rows
    }


def _save(feed: FeedImport, invoices: list[Invoice]) -> int:
    """Store the page's documents; answers how many the import has now."""
    layout = layout_of(feed)
    documents = [_document(feed, invoice, layout) for invoice in invoices]
    if not feed.create_products:
        _reject_unknown_products(feed, documents)
    with phases.chunk(feed.pk, FeedStatus.TRANSFORMING) as now:
        # Another attempt may have saved this page before this one got the lock.
        known = set(
            FeedDocument.objects.filter(
                feed=feed, reference__in=[document.reference for document in documents]
            ).values_list("reference", flat=True)
        )
        fresh = [document for document in documents if document.reference not in known]
        FeedDocument.objects.bulk_create(fresh, batch_size=1_000)
        now.documents_found += len(fresh)
        now.documents_stored += sum(document.stored_at is not None for document in fresh)
        now.save(update_fields=["documents_found", "documents_stored"])
    return now.documents_found


def _checked(feed: FeedImport) -> FeedStatus:
    """The end of a dry run: everything is known, nothing is stored, and a person has the word."""
    with phases.chunk(feed.pk, FeedStatus.TRANSFORMING) as now:
        now.status, now.phase_since = FeedStatus.CHECKED, clock.now()
        now.save(update_fields=["status", "phase_since"])
    return FeedStatus.CHECKED


def _document(feed: FeedImport, invoice: Invoice, layout: Layout) -> FeedDocument:
    kind, reason, detail = judge(invoice, layout)
    document = FeedDocument(
        feed=feed,
        reference=invoice.reference,
        position=KIND_RANK[kind] + invoice.first_line,
        kind=kind,
        total_minor=invoice.total_minor,
        line_count=invoice.lines,
    )
    if reason is not None:
        _reject(document, reason, detail)
    return document


def _reject_unknown_products(feed: FeedImport, documents: Iterable[FeedDocument]) -> None:
    orders = {document.reference: document for document in documents if document.kind == DocumentKind.ORDER}
    with connection.cursor() as cursor:
        cursor.execute(UNKNOWN, {"feed": feed.pk, "references": list(orders)})
        for reference, unknown in cursor.fetchall():
            document = orders[reference]
            document.position += KIND_RANK[DocumentKind.REJECTED]
            _reject(document, RejectReason.UNKNOWN_PRODUCT, f"There is no product {', '.join(unknown[:10])}.")


def _reject(document: FeedDocument, reason: RejectReason, detail: str) -> None:
    document.kind = DocumentKind.REJECTED
    document.reject_reason = reason
    document.reject_detail = detail[:500]
    # Nothing is left to do for it.
    document.stored_at = clock.now()
