"""Credit notes of a feed: stored once, and matched to the order that they correct.

A note belongs to the customer's latest earlier order whose pieces cover every line of it, less what earlier notes have
taken from that order already. Counting what was taken is the point: two notes over the same pieces of one order would
pay the customer twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Sum

from orders.models import CreditNote, CreditNoteLine, Customer, OrderLine
from orders.models.customer import Personal
from orders.services import customers
from orders.services.feeds.layouts import Layout
from orders.services.feeds.lines import InvoiceLine
from orders.services.placing import line_total_minor


def store(reference: str, rows: list[InvoiceLine], layout: Layout) -> tuple[CreditNote, bool]:
    """The credit note of that number, and whether it was made now. Runs in the caller's transaction."""
    first = rows[0]
    customer = _locked_customer(first)
    existing = CreditNote.objects.filter(source=layout.source, number=reference).first()
    if existing is not None:
        return existing, False
    lines = [_line(position, row) for position, row in enumerate(rows, start=1)]
    note = CreditNote.objects.create(
        source=layout.source,
        number=reference,
        customer=customer,
        order_id=_covering_order(customer, first.invoiced_at, lines) if customer else None,
        currency=layout.currency,
        total_minor=sum(line.total_minor for line in lines),
        issued_at=first.invoiced_at,
    )
    for line in lines:
        line.credit_note = note
    CreditNoteLine.objects.bulk_create(lines, batch_size=500)
    return note, True


def _locked_customer(row: InvoiceLine) -> Customer | None:
    """The note's customer; locked, so that two notes of one customer are matched one after the other."""
    if not row.customer_reference:
        return None
    wanted = Customer.objects.select_for_update(no_key=True)
    if customer := wanted.filter(reference=row.customer_reference).first():
        return customer
    # A note over an order of a customer who was erased since belongs to what is left of that customer.
    if erased := customers.erased(row.customer_reference):
        return wanted.get(pk=erased.pk)
    made = customers.known(row.customer_reference, Personal(country=row.country))
    return wanted.get(pk=made.pk)


def _line(position: int, row: InvoiceLine) -> CreditNoteLine:
    quantity = abs(row.quantity)
    return CreditNoteLine(
        position=position,
        sku=row.sku,
        description=row.description,
        quantity=quantity,
        unit_price=row.unit_price,
        total_minor=line_total_minor(quantity, row.unit_price),
    )


def _covering_order(customer: Customer, issued_at: datetime, lines: Iterable[CreditNoteLine]) -> UUID | None:
    wanted: Counter[str] = Counter()
    for line in lines:
        wanted[line.sku] += line.quantity
    left: dict[UUID, Counter[str]] = defaultdict(Counter)
    placed: dict[UUID, datetime] = {}
    ordered = (
        OrderLine.objects.filter(order__customer=customer, order__placed_at__lt=issued_at, product__sku__in=wanted)
        .order_by()
        .values_list("order_id", "order__placed_at", "product__sku")
        .annotate(Sum("quantity"))
    )
    for order_id, placed_at, sku, quantity in ordered:
        placed[order_id] = placed_at
        left[order_id][sku] += quantity
    taken = (
        CreditNoteLine.objects.filter(credit_note__order__customer=customer, sku__in=wanted)
        .order_by()
        .values_list("credit_note__order_id", "sku")
        .annotate(Sum("quantity"))
    )
    for order_id, sku, quantity in taken:
        left[order_id][sku] -= quantity
    covering = [
        order_id
        for order_id in placed
        if all(left[order_id][sku] >= quantity for sku, quantity in wanted.items() if quantity)
    ]
    # The id decides between two orders of the same minute, so that the answer does not depend on the query's order.
    return max(covering, key=lambda order_id: (placed[order_id], order_id), default=None)
