"""Phase three, store: documents become orders and credit notes, a chunk in one transaction.

A chunk's orders, their starts, the links to them and the counters are committed together, so a crash loses a chunk
whole or not at all. An order that is there already is linked and not made: that is what makes a second import of the
same file harmless.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from orders.actor import Actor
from orders.errors import AlreadyExists, InvalidInput
from orders.models import FeedDocument, FeedImport, FeedRow, Order, Product, StockItem
from orders.services import placing
from orders.services.feeds import credit_notes, phases
from orders.services.feeds.layouts import LAYOUTS, Layout
from orders.services.feeds.lines import InvoiceLine, lines_of
from orders.services.feeds.phases import Beat
from orders.vocabulary import DocumentKind, FeedStatus, OrderStatus, RejectReason

#: of one transaction: documents, and lines unless one document alone has more
CHUNK_DOCUMENTS = 50
CHUNK_LINES = 1_000
TO_STORE = (DocumentKind.ORDER, DocumentKind.CREDIT_NOTE)


def store(feed_id: UUID | str, *, actor: Actor, beat: Beat) -> FeedStatus:
    """Store what is not stored yet, chunk by chunk, and complete the import."""
    feed = phases.begin(feed_id, FeedStatus.STORING)
    if feed.status != FeedStatus.STORING:
        return FeedStatus(feed.status)
    waiting = FeedDocument.objects.filter(feed=feed, kind__in=TO_STORE, stored_at=None)
    while True:
        with transaction.atomic():
            last = _store_chunk(feed, actor)
        if last is not None:
            beat(last)
        # A chunk is empty, too, when another attempt held the rows; only an empty table is the end.
        elif not waiting.exists():
            return phases.complete(feed_id)


def _store_chunk(feed: FeedImport, actor: Actor) -> int | None:
    """Store the next documents; the position of the last one, or None when there was none."""
    documents = _next_documents(feed)
    if not documents:
        return None
    layout = LAYOUTS[feed.layout]
    rows = lines_of(feed, [document.reference for document in documents])
    orders = [document for document in documents if document.kind == DocumentKind.ORDER]
    if feed.create_products:
        _create_products(feed, [row for document in orders for row in rows[document.reference]], layout)
    existing = Order.objects.filter(source=layout.source, reference__in=[document.reference for document in orders])
    known = {order.reference: order for order in existing}
    made_orders = made_notes = 0
    for document in documents:
        if document.kind == DocumentKind.ORDER:
            made_orders += _store_order(feed, document, rows[document.reference], known, actor)
        else:
            document.credit_note, made = credit_notes.store(document.reference, rows[document.reference], layout)
            made_notes += made
        document.stored_at = timezone.now()
    FeedDocument.objects.bulk_update(
        documents, ["order", "credit_note", "kind", "reject_reason", "reject_detail", "stored_at"]
    )
    FeedImport.objects.filter(pk=feed.pk).update(
        documents_stored=F("documents_stored") + len(documents),
        created_orders=F("created_orders") + made_orders,
        created_credit_notes=F("created_credit_notes") + made_notes,
    )
    return documents[-1].position


def _next_documents(feed: FeedImport) -> list[FeedDocument]:
    # Locked, so that an attempt that was believed dead and this one do not store the same documents.
    waiting = list(
        FeedDocument.objects.select_for_update()
        .filter(feed=feed, kind__in=TO_STORE, stored_at=None)
        .order_by("position")[:CHUNK_DOCUMENTS]
    )
    lines = 0
    for count, document in enumerate(waiting):
        lines += document.line_count
        if count and lines > CHUNK_LINES:
            return waiting[:count]
    return waiting


def _store_order(
    feed: FeedImport, document: FeedDocument, rows: list[InvoiceLine], known: dict[str, Order], actor: Actor
) -> bool:
    """Link the document to its order, made now if need be, and start it if asked; whether it was made."""
    order = known.get(document.reference)
    made = order is None
    if order is None:
        try:
            order = placing.place(_new_order(document, rows, LAYOUTS[feed.layout]), actor=actor, reason=_reason(feed))
        except AlreadyExists:
            # Another import of the same file committed it since we looked.
            order, made = Order.objects.get(source=LAYOUTS[feed.layout].source, reference=document.reference), False
        except InvalidInput as error:
            unknown = error.field.endswith(".sku")
            document.kind = DocumentKind.REJECTED
            document.reject_reason = RejectReason.UNKNOWN_PRODUCT if unknown else RejectReason.INVALID_ROW
            document.reject_detail = str(error)[:500]
            return False
    document.order = order
    if feed.process:
        _start(order, actor, reason=_reason(feed), is_new=made)
    return made


def _start(order: Order, actor: Actor, *, reason: str, is_new: bool) -> None:
    if not is_new:
        order = Order.objects.select_for_update().get(pk=order.pk)
    if order.status == OrderStatus.PLACED:
        placing.start_locked(order, actor=actor, reason=reason)


def _reason(feed: FeedImport) -> str:
    return f"Import of {feed.name}, asked for by {feed.actor}"


def _new_order(document: FeedDocument, rows: list[InvoiceLine], layout: Layout) -> placing.NewOrder:
    first = rows[0]
    customer = None
    if first.customer_reference:
        customer = placing.NewCustomer(reference=first.customer_reference, country=first.country)
    return placing.NewOrder(
        currency=layout.currency,
        payment_method=layout.payment_method,
        ship_to_country=first.country,
        lines=tuple(
            placing.NewLine(sku=row.sku, quantity=row.quantity, unit_price=row.unit_price, description=row.description)
            for row in rows
        ),
        customer=customer,
        source=layout.source,
        reference=document.reference,
        placed_at=first.invoiced_at,
    )


def _create_products(feed: FeedImport, rows: list[InvoiceLine], layout: Layout) -> None:
    """Make the products that the rows name and the catalogue lacks, with their stock."""
    wanted = {row.sku for row in rows}
    unknown = wanted - set(Product.objects.filter(sku__in=wanted).values_list("sku", flat=True))
    if not unknown:
        return
    first_rows: dict[str, InvoiceLine] = {}
    names: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row.line):
        if row.sku in unknown:
            first_rows.setdefault(row.sku, row)
            if row.description:
                names.setdefault(row.sku, row.description)
    if nameless := unknown - names.keys():
        names |= _later_names(feed, nameless)
    Product.objects.bulk_create(
        (
            Product(sku=sku, name=names.get(sku, ""), unit_price=row.unit_price, currency=layout.currency)
            for sku, row in first_rows.items()
        ),
        ignore_conflicts=True,
    )
    StockItem.objects.bulk_create(
        (
            StockItem(product_id=product_id, received=feed.initial_stock, on_hand=feed.initial_stock)
            for product_id in Product.objects.filter(sku__in=unknown).values_list("pk", flat=True)
        ),
        ignore_conflicts=True,
    )


def _later_names(feed: FeedImport, skus: Iterable[str]) -> dict[str, str]:
    """The first description that any later order of the file has for each of these."""
    later = FeedDocument.objects.filter(feed=feed, kind=DocumentKind.ORDER, stored_at=None).values("reference")
    named = FeedRow.objects.filter(feed=feed, sku__in=skus, reference__in=later).exclude(description="")
    return dict(named.order_by("sku", "line").distinct("sku").values_list("sku", "description"))
