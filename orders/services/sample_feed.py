"""A year of invoices of our own making, in the shape of the built-in layout and as messy as a real one.

Limits, memory and speed are promises about size, and nobody may ship somebody else's year of sales. The figures that
an import must report are told by how the file was made, without any code of the import.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TextIO

from orders.vocabulary import RejectReason

HEADER = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
#: of a real year: 541,909 rows in 25,900 invoices of some 4,000 products and 4,400 customers
YEAR_ROWS, YEAR_INVOICES = 541_909, 25_900
PRODUCTS, CUSTOMERS = 4_000, 4_400
FIRST_DAY = datetime(2010, 12, 1, 8, 26)
#: of a hundred invoices
CREDIT_NOTES, WRITE_OFFS, FREE_SAMPLES, GUESTS = 15, 5, 1, 14
ADJUSTMENTS = 3
#: the invoice with a line of 74,215 pieces
BIG_ORDER = 5_066
MOST_LINES = 1_200
NON_STOCK = ("POST", "DOT", "M", "BANK CHARGES", "gift_0001_20")
COUNTRIES = ("United Kingdom",) * 18 + ("France", "Germany", "EIRE", "Netherlands")
COLOURS = ("RED", "PINK", "IVORY", "WHITE METAL", "VINTAGE", "JUMBO", "SET OF 6", "WOODEN")
THINGS = (
    "LANTERN",
    "T-LIGHT HOLDER",
    "BUNTING",
    "CAKE STAND",
    "ALARM CLOCK",
    "LUNCH BAG",
    "DOORMAT",
    "TEA TOWELS, BOXED",
)


@dataclass(kw_only=True)
class Expected:
    """What an import of the file must report, with products made as needed."""

    rows: int = 0
    invoices: int = 0
    orders: int = 0
    order_total_minor: int = 0
    order_lines: int = 0
    credit_notes: int = 0
    credit_total_minor: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    def reject(self, reason: RejectReason) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1


def write(file: TextIO, *, rows: int, seed: int) -> Expected:
    """Write a file of that many rows; the same seed makes the same file."""
    expected = Expected()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER)
    draw = random.Random(seed)
    for number, lines in enumerate(_sizes(draw, rows)):
        writer.writerows(_invoice(draw, number, lines, expected))
    return expected


def _sizes(draw: random.Random, rows: int) -> Iterator[int]:
    """How many rows each invoice has: mostly a dozen, a few over a thousand, and `rows` together."""
    invoices = max(1, rows * YEAR_INVOICES // YEAR_ROWS)
    left = rows
    for following in range(invoices - 1, -1, -1):
        mean = left / (following + 1)
        wanted = MOST_LINES if following % 6_000 == 3_000 else int(draw.lognormvariate(0, 1) * mean * 0.62)
        drawn = max(1, min(wanted, MOST_LINES, left - following))
        size = drawn if following else left
        left -= size
        yield size


def _invoice(draw: random.Random, number: int, size: int, expected: Expected) -> list[list[str]]:
    moment = (FIRST_DAY + timedelta(minutes=20 * number)).strftime("%Y-%m-%d %H:%M:%S")
    customer = "" if draw.randrange(100) < GUESTS else f"{12_346 + draw.randrange(CUSTOMERS)}.0"
    country = draw.choice(COUNTRIES)
    place, reference = draw.randrange(100), str(536_365 + number)
    lines = [_line(draw) for _ in range(size)]
    if number in (BIG_ORDER, BIG_ORDER + 1):
        # A slip of the keyboard, and its credit note twenty minutes later.
        place, customer = (99 if number == BIG_ORDER else 0), "12346.0"
        lines[0] = ("23166", "CERAMIC STORAGE JAR", 74_215, Decimal("1.04"))
        lines[1:] = [("POST", "POSTAGE AND OTHERS", 1, Decimal(1))] * (size - 1)
    total = sum(_minor(quantity, price) for _, _, quantity, price in lines)
    expected.rows += size
    expected.invoices += 1
    if number % 8_000 == 7_999 and number // 8_000 < ADJUSTMENTS:
        reference = f"A{reference}"
        expected.reject(RejectReason.ADJUSTMENT_DOCUMENT)
    elif place < CREDIT_NOTES:
        reference = f"C{reference}"
        lines = [(sku, name, -quantity, price) for sku, name, quantity, price in lines]
        expected.credit_notes += 1
        expected.credit_total_minor += total
    elif place < CREDIT_NOTES + WRITE_OFFS:
        sku, _, quantity, _ = lines[0]
        lines[0] = (sku, "damaged", -quantity, Decimal(0))
        expected.reject(RejectReason.NON_POSITIVE_QUANTITY)
    elif place < CREDIT_NOTES + WRITE_OFFS + FREE_SAMPLES:
        lines = [(sku, "", quantity, Decimal(0)) for sku, _, quantity, _ in lines]
        expected.reject(RejectReason.ZERO_TOTAL)
    else:
        expected.orders += 1
        expected.order_lines += size
        expected.order_total_minor += total
    return [[reference, sku, name, str(n), moment, str(price), customer, country] for sku, name, n, price in lines]


def _line(draw: random.Random) -> tuple[str, str, int, Decimal]:
    if draw.randrange(200) == 0:
        return draw.choice(NON_STOCK), "POSTAGE AND OTHERS", 1, Decimal(draw.randrange(100, 20_000)) / 100
    # A few products are in every second invoice, most are rare.
    product = int(PRODUCTS * draw.random() ** 2)
    name = f"{COLOURS[product % len(COLOURS)]} {THINGS[product // len(COLOURS) % len(THINGS)]} {product}"
    thousandths = 290 + product * 7 % 9_500 if product % 40 == 0 else (290 + product * 70 % 9_500) // 10 * 10
    quantity = draw.choice((1, 1, 2, 3, 4, 6, 6, 12, 24, 48))
    return f"{20_000 + product}{'A' if product % 5 == 0 else ''}", name, quantity, Decimal(thousandths) / 1_000


def _minor(quantity: int, price: Decimal) -> int:
    return int((abs(quantity) * price * 100).quantize(Decimal(1), ROUND_HALF_UP))
