"""The rows of sound invoices, as orders and credit notes need them.

A staged row may lack its quantity, price or date, because it is kept with its error. The rows of an invoice that passed
the rules have all three; here that is made certain once, instead of being assumed at every use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from orders.models import FeedImport, FeedRow

FIELDS = (
    "line",
    "sku",
    "description",
    "quantity",
    "unit_price",
    "invoiced_at",
    "customer_reference",
    "country",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class InvoiceLine:
    #: line of the file
    line: int
    sku: str
    description: str
    #: negative in a credit note
    quantity: int
    unit_price: Decimal
    invoiced_at: datetime
    #: empty for a guest
    customer_reference: str
    country: str


def lines_of(feed: FeedImport, references: Iterable[str]) -> dict[str, list[InvoiceLine]]:
    """Invoice number -> its lines in the order of the file."""
    found: dict[str, list[InvoiceLine]] = defaultdict(list)
    rows = FeedRow.objects.filter(
        feed=feed, reference__in=references, quantity__isnull=False, unit_price__isnull=False, invoiced_at__isnull=False
    )
    for reference, *values in rows.order_by("line").values_list("reference", *FIELDS):
        found[reference].append(InvoiceLine(**dict(zip(FIELDS, values, strict=True))))
    return found
