"""Credit notes of a feed: stored once, and matched to the order that they correct.

A note belongs to the customer's latest earlier order whose pieces cover every line of it, less what earlier notes have
taken from that order already. Counting what was taken is the point: two notes over the same pieces of one order would
pay the customer twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Sum

from orders.models import CreditNote, CreditNoteLine, Customer, OrderLine
from orders.models.customer import Personal
from orders.services import customers
from orders.services.copying import copy_rows
from orders.services.feeds.layouts import Layout
from orders.services.feeds.lines import InvoiceLine
from orders.services.placing import line_total_minor

LINE_FIELDS = ("credit_note", "position", "sku", "description", "quantity", "unit_price", "total_minor")


def store_all(documents: Mapping[str, list[InvoiceLine]], layout: Layout) -> tuple[dict[str, CreditNote], set[str]]:
    """The credit note of each number, and the numbers that were made now. Runs in the caller's transaction."""
    found = {note.number: note for note in CreditNote.objects.filter(source=layout.source, number__in=list(documents))}
    fresh = {number: rows for number, rows in documents.items() if number not in found}
    buyers = _locked_customers(fresh.values())
    # Asked for again under the locks: another import of the same file may have stored some meanwhile.
    found |= {note.number: note for note in CreditNote.objects.filter(source=layout.source, number__in=list(fresh))}
    fresh = {number: rows for number, rows in fresh.items() if number not in found}
    books = _Books(buyers.values(), {row.sku for rows in fresh.values() for row in rows})
    lines: dict[str, list[tuple[Any, ...]]] = {}
    notes = []
    for number, rows in fresh.items():
        first, customer = rows[0], buyers.get(rows[0].customer_reference)
        lines[number] = [_line(position, row) for position, row in enumerate(rows, start=1)]
        notes.append(
            CreditNote(
                source=layout.source,
                number=number,
                customer=customer,
                order_id=books.take(customer, first.invoiced_at, rows) if customer else None,
                currency=layout.currency,
                total_minor=sum(line[-1] for line in lines[number]),
                issued_at=first.invoiced_at,
            )
        )
    CreditNote.objects.bulk_create(notes)
    copy_rows(CreditNoteLine, LINE_FIELDS, ((note.pk, *line) for note in notes for line in lines[note.number]))
    return found | {note.number: note for note in notes}, set(fresh)


def _locked_customers(documents: Iterable[list[InvoiceLine]]) -> dict[str, Customer]:
    """Customers by their reference; locked, so that two notes of one customer are matched one after the other."""
    first_rows = {rows[0].customer_reference: rows[0] for rows in documents if rows[0].customer_reference}
    wanted = Customer.objects.select_for_update(no_key=True)
    # By id, in one order everywhere: two imports never wait for each other's customers.
    buyers = {customer.reference: customer for customer in wanted.filter(reference__in=first_rows).order_by("pk")}
    for reference in sorted(first_rows.keys() - buyers.keys()):
        buyers[reference] = wanted.get(pk=_unknown(first_rows[reference]).pk)
    return buyers


def _unknown(row: InvoiceLine) -> Customer:
    # A note over an order of a customer who was erased since belongs to what is left of that customer.
    erased = customers.erased(row.customer_reference)
    return erased or customers.known(row.customer_reference, Personal(country=row.country))


def _line(position: int, row: InvoiceLine) -> tuple[Any, ...]:
    quantity = abs(row.quantity)
    total = line_total_minor(quantity, row.unit_price)
    return (position, row.sku, row.description, quantity, row.unit_price, total)


class _Books:
    """What the customers of a chunk have ordered of some products, less what credit notes have taken back."""

    def __init__(self, buyers: Iterable[Customer], skus: set[str]) -> None:
        self.left: dict[UUID, Counter[str]] = defaultdict(Counter)
        #: customer -> order -> when it was placed
        self.placed: dict[int, dict[UUID, datetime]] = defaultdict(dict)
        ids = [customer.pk for customer in buyers]
        ordered = (
            OrderLine.objects.filter(order__customer__in=ids, product__sku__in=skus)
            .order_by()
            .values_list("order__customer_id", "order_id", "order__placed_at", "product__sku")
            .annotate(Sum("quantity"))
        )
        for customer_id, order_id, placed_at, sku, quantity in ordered:
            self.placed[customer_id][order_id] = placed_at
            self.left[order_id][sku] += quantity
        taken = (
            CreditNoteLine.objects.filter(credit_note__order__customer__in=ids, sku__in=skus)
            .order_by()
            .values_list("credit_note__order_id", "sku")
            .annotate(Sum("quantity"))
        )
        for order_id, sku, quantity in taken:
            self.left[order_id][sku] -= quantity

    def take(self, customer: Customer, issued_at: datetime, rows: Iterable[InvoiceLine]) -> UUID | None:
        """The customer's latest earlier order that covers the rows, which it has less of from now on."""
        wanted: Counter[str] = Counter()
        for row in rows:
            wanted[row.sku] += abs(row.quantity)
        placed = self.placed[customer.pk]
        covering = [
            order_id
            for order_id, placed_at in placed.items()
            if placed_at < issued_at
            and any(sku in self.left[order_id] for sku in wanted)
            and all(self.left[order_id][sku] >= quantity for sku, quantity in wanted.items() if quantity)
        ]
        # The id decides between two orders of the same minute, so that the answer does not depend on the query's order.
        best = max(covering, key=lambda order_id: (placed[order_id], order_id), default=None)
        if best is not None:
            self.left[best].subtract(wanted)
        return best
