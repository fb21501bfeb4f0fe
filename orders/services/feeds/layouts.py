"""Layouts: what a sender's columns mean, and which words its orders carry.

One layout is code, the others are rows that a lead maps in the admin (`FeedLayout`). Both become the same `Layout`
here, and nothing else in the import knows a column by name or asks where a layout came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orders.errors import InvalidInput
from orders.models import FeedImport, FeedLayout
from orders.vocabulary import Currency, DateFormat, PriceMeaning

#: our field -> whether a layout must map it
FIELDS = {
    "reference": True,
    "sku": True,
    "description": False,
    "quantity": False,
    "invoiced_at": True,
    "unit_price": True,
    "customer_reference": False,
    "country": False,
}


@dataclass(frozen=True, kw_only=True)
class Layout:
    name: str
    #: `Order.source` of what comes from such files; with the invoice number it names an order once and for all
    source: str
    currency: Currency
    #: the gateway's token that pays for these orders
    payment_method: str
    #: our field -> the column's name in the header
    columns: Mapping[str, str]
    #: invoice numbers that begin with this are credit notes; with any other letter, adjustments. Empty: all are orders
    credit_note_prefix: str
    date_format: DateFormat = DateFormat.ISO
    decimal_comma: bool = False
    price_means: PriceMeaning = PriceMeaning.UNIT_PRICE
    #: where the columns do not say it
    default_quantity: int = 1
    default_country: str = ""


ONLINE_RETAIL = Layout(
    name="online-retail",
    source="online-retail",
    currency=Currency.GBP,
    payment_method="pm_card_visa",
    columns={
        "reference": "InvoiceNo",
        "sku": "StockCode",
        "description": "Description",
        "quantity": "Quantity",
        "invoiced_at": "InvoiceDate",
        "unit_price": "UnitPrice",
        "customer_reference": "CustomerID",
        "country": "Country",
    },
    credit_note_prefix="C",
)
BUILT_IN = {layout.name: layout for layout in (ONLINE_RETAIL,)}


def names() -> list[str]:
    """All layouts that a file may be sent with."""
    made = FeedLayout.objects.order_by("name").values_list("name", flat=True).distinct()
    return [*BUILT_IN, *made]


def newest(name: str) -> FeedLayout | None:
    """The version that counts now; None for a layout in code. Raises `InvalidInput` for one that nobody made."""
    if name in BUILT_IN:
        return None
    version = FeedLayout.objects.filter(name=name).order_by("-version").first() if "\0" not in name else None
    if version is None:
        raise InvalidInput("layout", f"There is no layout {name[:40]}; known are {', '.join(names())}.")
    return version


def layout_of(feed: FeedImport) -> Layout:
    """The layout that the import was asked for with, whatever was mapped since."""
    return BUILT_IN[feed.layout] if feed.layout_version is None else as_layout(feed.layout_version)


def as_layout(row: FeedLayout) -> Layout:
    return Layout(
        name=row.name,
        source=row.name,
        currency=Currency(row.currency),
        payment_method=row.payment_method,
        columns=row.columns,
        credit_note_prefix=row.credit_note_prefix,
        date_format=DateFormat(row.date_format),
        decimal_comma=row.decimal_comma,
        price_means=PriceMeaning(row.price_means),
        default_quantity=row.default_quantity,
        default_country=row.default_country,
    )
