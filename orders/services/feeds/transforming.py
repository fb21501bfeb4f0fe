"""Phase two, transform: rows become documents, one for each invoice number, by the exact rules of the layout.

An invoice's rows need not stand together in the file, so the staged rows are read in the order of their invoice
numbers. That order is also the cursor: the highest number that has a document is where a new attempt goes on. An
invoice is summed up row by row and never held whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from orders.models import FeedDocument, FeedImport, FeedRow, Product
from orders.services.feeds import phases
from orders.services.feeds.layouts import LAYOUTS, Layout
from orders.services.feeds.phases import Beat
from orders.services.placing import line_total_minor
from orders.vocabulary import MAX_ORDER_LINES, MAX_ORDER_TOTAL_MINOR, DocumentKind, FeedStatus, RejectReason

PAGE = 5_000
#: above every line number: "all rows of this invoice have been seen"
LAST_LINE = 1 << 62
#: a document's position is its first line in the file, moved behind all documents of the kinds stored earlier
KIND_RANK = {DocumentKind.ORDER: 0, DocumentKind.CREDIT_NOTE: 1 << 40, DocumentKind.REJECTED: 1 << 41}

Row = tuple[str, int, str, int | None, Decimal | None, str]


@dataclass(kw_only=True)
class Invoice:
    """The sum of an invoice's rows, as far as the rules ask."""

    reference: str
    first_line: int = LAST_LINE
    lines: int = 0
    total_minor: int = 0
    #: what breaks a rule -> the first place where it does
    invalid: str = ""
    non_positive: str = ""
    negative_price: str = ""
    skus: set[str] = field(default_factory=set)

    def add(self, row: Row) -> None:
        _, line, sku, quantity, price, error = row
        self.lines += 1
        self.first_line = min(self.first_line, line)
        if error or quantity is None or price is None:
            self.invalid = self.invalid or f"Line {line}: {error}"
            return
        if quantity <= 0:
            self.non_positive = self.non_positive or f"Line {line}: quantity {quantity}."
        if price < 0:
            self.negative_price = self.negative_price or f"Line {line}: price {price}."
        self.total_minor += line_total_minor(abs(quantity), price)
        if len(self.skus) < MAX_ORDER_LINES:
            self.skus.add(sku)


def transform(feed_id: UUID | str, *, beat: Beat) -> FeedStatus:
    feed = phases.begin(feed_id, FeedStatus.TRANSFORMING)
    if feed.status != FeedStatus.TRANSFORMING:
        return FeedStatus(feed.status)
    done_to = feed.documents.aggregate(reference=Max("reference"))["reference"]
    cursor = ("", 0) if done_to is None else (done_to, LAST_LINE)
    unfinished: Invoice | None = None
    for page in _pages(feed, cursor):
        finished: list[Invoice] = []
        for row in page:
            if unfinished is None or unfinished.reference != row[0]:
                if unfinished is not None:
                    finished.append(unfinished)
                unfinished = Invoice(reference=row[0])
            unfinished.add(row)
        _save(feed, finished)
        beat(feed.documents_found)
    if unfinished is not None:
        _save(feed, [unfinished])
    return FeedStatus.TRANSFORMING


def judge(invoice: Invoice, layout: Layout) -> tuple[DocumentKind, RejectReason | None, str]:
    """What the invoice is. The order of the rules is part of them."""
    reject = DocumentKind.REJECTED
    if invoice.invalid:
        return reject, RejectReason.INVALID_ROW, invoice.invalid
    is_credit_note = invoice.reference.startswith(layout.credit_note_prefix)
    if not is_credit_note:
        if invoice.reference[:1].isalpha():
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


def _pages(feed: FeedImport, cursor: tuple[str, int]) -> Iterator[list[Row]]:
    """The rows after the cursor, by invoice and line; a page is one short query, whatever the size of the file."""
    while True:
        reference, line = cursor
        page = list(
            FeedRow.objects.filter(feed=feed, reference__gte=reference)
            .filter(Q(reference__gt=reference) | Q(line__gt=line))
            .order_by("reference", "line")
            .values_list("reference", "line", "sku", "quantity", "unit_price", "error")[:PAGE]
        )
        if not page:
            return
        yield page
        cursor = page[-1][:2]


def _save(feed: FeedImport, invoices: list[Invoice]) -> None:
    layout = LAYOUTS[feed.layout]
    documents = [_document(feed, invoice, layout) for invoice in invoices]
    if not feed.create_products:
        _reject_unknown_products(documents, invoices)
    with transaction.atomic():
        # An attempt that was believed dead may still be writing the same documents.
        FeedDocument.objects.bulk_create(documents, ignore_conflicts=True)
        feed.documents_found = feed.documents.count()
        feed.documents_stored = feed.documents.exclude(stored_at=None).count()
        FeedImport.objects.filter(pk=feed.pk, status=FeedStatus.TRANSFORMING).update(
            documents_found=feed.documents_found, documents_stored=feed.documents_stored
        )


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


def _reject_unknown_products(documents: list[FeedDocument], invoices: list[Invoice]) -> None:
    wanted = [
        (document, invoice.skus)
        for document, invoice in zip(documents, invoices, strict=True)
        if document.kind == DocumentKind.ORDER
    ]
    skus = {sku for _, needed in wanted for sku in needed}
    known = set(Product.objects.filter(sku__in=skus).values_list("sku", flat=True))
    for document, needed in wanted:
        if unknown := sorted(needed - known):
            document.position += KIND_RANK[DocumentKind.REJECTED]
            _reject(document, RejectReason.UNKNOWN_PRODUCT, f"There is no product {', '.join(unknown[:10])}.")


def _reject(document: FeedDocument, reason: RejectReason, detail: str) -> None:
    document.kind = DocumentKind.REJECTED
    document.reject_reason = reason
    document.reject_detail = detail[:500]
    # Nothing is left to do for it.
    document.stored_at = timezone.now()
