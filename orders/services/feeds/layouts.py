"""Layouts: what a sender's columns mean, and which words its orders carry.

A second sender is a second entry here; nothing else in the import knows a column by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orders.vocabulary import Currency


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
    #: invoice numbers that begin with this are credit notes; with any other letter, adjustments
    credit_note_prefix: str


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
LAYOUTS = {layout.name: layout for layout in (ONLINE_RETAIL,)}
