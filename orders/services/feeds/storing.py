"""Phase three, store: documents become orders and credit notes, a chunk in one transaction.

A chunk's orders, their starts, the links to them and the counters are committed together, so a crash loses a chunk
whole or not at all. An order that is there already is linked and not made: that is what makes a second import of the
same file harmless.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import connection

from orders import clock
from orders.actor import Actor
from orders.errors import InvalidInput
from orders.models import FeedDocument, FeedImport, FeedRow, Order, Product, StockItem
from orders.services import placing, placing_many
from orders.services.feeds import credit_notes, phases
from orders.services.feeds.layouts import Layout, layout_of
from orders.services.feeds.lines import InvoiceLine, lines_of
from orders.services.feeds.phases import Beat
from orders.vocabulary import DocumentKind, FeedStatus, OrderStatus, RejectReason

#: of one transaction: documents, and lines unless one document alone has more
CHUNK_DOCUMENTS = 200
CHUNK_LINES = 4_000
TO_STORE = (DocumentKind.ORDER, DocumentKind.CREDIT_NOTE)
STORED = """
    UPDATE orders_feeddocument AS document
    SET stored_at = %(at)s, order_id = done.order_id, credit_note_id = done.note_id
    FROM unnest(%(documents)s::bigint[], %(orders)s::uuid[], %(notes)s::bigint[]) AS done (id, order_id, note_id)
    WHERE document.id = done.id
"""


def store(feed_id: UUID | str, *, actor: Actor, beat: Beat) -> FeedStatus:
    """Store what is not stored yet, chunk by chunk, and complete the import."""
    feed = phases.begin(feed_id, FeedStatus.STORING)
    if feed.status != FeedStatus.STORING:
        return FeedStatus(feed.status)
    try:
        while True:
            with phases.chunk(feed_id, FeedStatus.STORING) as now:
                last = _store_chunk(feed, now, actor)
            if last is None:
                return phases.complete(feed_id)
            beat(last)
    except phases.Stopped as stopped:
        return stopped.status


def _store_chunk(feed: FeedImport, now: FeedImport, actor: Actor) -> int | None:
    """Store the next documents; the position of the last one, or None when there was none."""
    documents = _next_documents(feed)
    if not documents:
        return None
    layout = layout_of(feed)
    rows = lines_of(feed, [document.reference for document in documents])
    orders = [document for document in documents if document.kind == DocumentKind.ORDER]
    if feed.create_products:
        _create_products(feed, [row for document in orders for row in rows[document.reference]], layout)
    now.created_orders += _store_orders(feed, orders, rows, actor)
    notes = [document for document in documents if document.kind == DocumentKind.CREDIT_NOTE]
    if notes:
        stored, made = credit_notes.store_all({note.reference: rows[note.reference] for note in notes}, layout)
        for document in notes:
            document.credit_note = stored[document.reference]
        now.created_credit_notes += len(made)
    with connection.cursor() as cursor:
        cursor.execute(
            STORED,
            {
                "at": clock.now(),
                "documents": [document.pk for document in documents],
                "orders": [document.order_id for document in documents],
                "notes": [document.credit_note_id for document in documents],
            },
        )
    now.documents_stored += len(documents)
    now.save(update_fields=["documents_stored", "created_orders", "created_credit_notes"])
    return documents[-1].position


def _next_documents(feed: FeedImport) -> list[FeedDocument]:
    waiting = list(
        FeedDocument.objects.filter(feed=feed, kind__in=TO_STORE, stored_at=None).order_by("position")[:CHUNK_DOCUMENTS]
    )
    lines = 0
    for count, document in enumerate(waiting):
        lines += document.line_count
        if count and lines > CHUNK_LINES:
            return waiting[:count]
    return waiting


def _store_orders(
    feed: FeedImport, documents: list[FeedDocument], rows: dict[str, list[InvoiceLine]], actor: Actor
) -> int:
    """Link each document to its order, made now if need be, and start it if asked; how many were made."""
    layout, reason = layout_of(feed), _reason(feed)
    known = _orders_of(layout, documents)
    new = [document for document in documents if document.reference not in known]
    answers = placing_many.place_all(
        [_new_order(document, rows[document.reference], layout) for document in new],
        actor=actor,
        reason=reason,
        start=feed.process,
    )
    made = 0
    for document, answer in zip(new, answers, strict=True):
        if isinstance(answer, InvalidInput):
            _refuse(document, answer)
        elif answer is not None:
            document.order = answer
            made += 1
    # What another import of the same file has committed since we looked is linked, too.
    known |= _orders_of(layout, [document for document, answer in zip(new, answers, strict=True) if answer is None])
    for document in documents:
        if document.reference in known:
            document.order = known[document.reference]
            if feed.process:
                _start(document.order, actor, reason=reason)
    return made


def _orders_of(layout: Layout, documents: list[FeedDocument]) -> dict[str, Order]:
    references = [document.reference for document in documents]
    if not references:
        return {}
    return {order.reference: order for order in Order.objects.filter(source=layout.source, reference__in=references)}


def _refuse(document: FeedDocument, refusal: InvalidInput) -> None:
    unknown = refusal.field.endswith(".sku")
    document.kind = DocumentKind.REJECTED
    document.reject_reason = RejectReason.UNKNOWN_PRODUCT if unknown else RejectReason.INVALID_ROW
    document.reject_detail = str(refusal)[:500]
    document.save(update_fields=["kind", "reject_reason", "reject_detail"])


def _start(known: Order, actor: Actor, *, reason: str) -> None:
    if known.status != OrderStatus.PLACED:
        return
    order = Order.objects.select_for_update(no_key=True).get(pk=known.pk)
    if order.status == OrderStatus.PLACED:
        placing.start_locked(order, actor=actor, reason=reason, bulk=True)


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
