"""From the cells of a record to a row whose every value can be trusted.

Every cell is held against a pattern before it is converted, because Python reads far more than a feed may say:
`int("1_000")`, `Decimal("NaN")`, digits of other scripts. A row says everything that is wrong with it, by column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import TypeVar

from orders.services.feeds.layouts import Layout
from orders.services.feeds.reading import Record
from orders.vocabulary import MAX_LINE_QUANTITY, MAX_UNIT_PRICE, DateFormat, PriceMeaning

WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
PRICE = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,4})?")
COMMA_PRICE = re.compile(r"[+-]?[0-9]{1,15}(,[0-9]{1,4})?")
TIME = r"(?:[ T](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?"
DATES = {
    DateFormat.ISO: r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})",
    DateFormat.DAY_FIRST: r"(?P<day>[0-9]{1,2})/(?P<month>[0-9]{1,2})/(?P<year>[0-9]{4})",
    DateFormat.MONTH_FIRST: r"(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?P<year>[0-9]{4})",
    DateFormat.DOTS: r"(?P<day>[0-9]{1,2})\.(?P<month>[0-9]{1,2})\.(?P<year>[0-9]{4})",
    DateFormat.COMPACT: r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})",
}
MOMENTS = {name: re.compile(date + TIME) for name, date in DATES.items()}
EXAMPLES = {
    DateFormat.ISO: "2010-12-01 08:26:00",
    DateFormat.DAY_FIRST: "31/12/2010 08:26",
    DateFormat.MONTH_FIRST: "12/31/2010 08:26",
    DateFormat.DOTS: "31.12.2010 08:26",
    DateFormat.COMPACT: "20101231",
}
FIRST_YEAR, LAST_YEAR = 1900, 2200
#: of one cell and of one row, in what is kept of a bad row
RAW_CELL, RAW_CELLS = 500, 50
LONGEST = {"reference": 128, "sku": 64, "customer_reference": 64, "country": 80}
REQUIRED = ("reference", "sku")
SMALLEST_PRICE = Decimal("0.0001")

T = TypeVar("T")


@dataclass(kw_only=True, slots=True)
class ReadRow:
    """A record, read; `problems` says what is wrong with it, and then `raw` keeps its cells."""

    line: int
    reference: str = ""
    sku: str = ""
    description: str = ""
    quantity: int | None = None
    unit_price: Decimal | None = None
    invoiced_at: datetime | None = None
    customer_reference: str = ""
    country: str = ""
    #: (column or "", what is wrong with it)
    problems: list[tuple[str, str]] = field(default_factory=list)
    raw: list[str] | None = None

    @property
    def error(self) -> str:
        return " ".join(f"{column} {message}" if column else message for column, message in self.problems)[:300]


def read_row(record: Record, places: Mapping[str, int], layout: Layout) -> ReadRow:
    """The record as a row; never raises for what a cell says."""
    cells = record.cells
    text = {field: cells[place].strip() if place < len(cells) else "" for field, place in places.items()}
    row = ReadRow(line=record.line, reference=text["reference"][: LONGEST["reference"]])
    if record.problem:
        row.problems.append(("", record.problem))
    else:
        _fill(row, text, layout)
    if row.problems:
        row.raw = [cell[:RAW_CELL] for cell in cells[:RAW_CELLS]]
    return row


def _fill(row: ReadRow, text: Mapping[str, str], layout: Layout) -> None:
    """Convert the cells into the row's fields; what does not convert is told and stays empty."""
    columns, problems = layout.columns, row.problems
    row.sku = text["sku"]
    row.description = text.get("description", "")[:200]
    row.customer_reference = _customer(text.get("customer_reference", ""))
    row.country = text.get("country", "") or layout.default_country
    for name in REQUIRED:
        if not text[name]:
            problems.append((columns[name], "is missing."))
    for name, longest in LONGEST.items():
        value = text["reference"] if name == "reference" else getattr(row, name)
        if len(value) > longest:
            problems.append((columns[name], f"is longer than {longest} characters."))
            setattr(row, name, value[:longest] if name in REQUIRED else "")
    if "quantity" in columns:
        row.quantity = _converted(_quantity, "quantity", text, layout, problems)
    else:
        row.quantity = layout.default_quantity
    row.unit_price = _converted(_comma_price if layout.decimal_comma else _price, "unit_price", text, layout, problems)
    moment = partial(_moment, written=layout.date_format)
    row.invoiced_at = _converted(moment, "invoiced_at", text, layout, problems)
    if layout.price_means is PriceMeaning.LINE_TOTAL:
        _divide(row, problems, columns["unit_price"])


def _converted(
    convert: Callable[[str], T], field: str, text: Mapping[str, str], layout: Layout, problems: list[tuple[str, str]]
) -> T | None:
    try:
        return convert(text[field])
    except ValueError as error:
        problems.append((layout.columns[field], f"{error}."))
        return None


def _quantity(text: str) -> int:
    if not WHOLE.fullmatch(text):
        raise ValueError(f"is not a whole number: {_shown(text)}")
    quantity = int(text)
    if abs(quantity) > MAX_LINE_QUANTITY:
        raise ValueError(f"{quantity} is beyond the limit of {MAX_LINE_QUANTITY}")
    return quantity


def _price(text: str) -> Decimal:
    if not PRICE.fullmatch(text):
        raise ValueError(f"is not a number with up to four decimals: {_shown(text)}")
    price = Decimal(text)
    if abs(price) > MAX_UNIT_PRICE:
        raise ValueError(f"{price} is beyond the limit of {MAX_UNIT_PRICE}")
    return price


def _comma_price(text: str) -> Decimal:
    if not COMMA_PRICE.fullmatch(text):
        raise ValueError(f"is not a number with a comma and up to four decimals: {_shown(text)}")
    return _price(text.replace(",", "."))


def _divide(row: ReadRow, problems: list[tuple[str, str]], column: str) -> None:
    """Make a price of one piece of a line's total; a price that we cannot store exactly is refused, not rounded."""
    if not row.quantity or row.unit_price is None:
        return
    total = abs(row.unit_price)
    price = (total / abs(row.quantity)).quantize(SMALLEST_PRICE)
    if price * abs(row.quantity) != total:
        problems.append((column, f"{total} does not divide by {row.quantity} pieces within four decimals."))
        row.unit_price = None
    else:
        row.unit_price = price.copy_sign(row.unit_price) if (row.unit_price < 0) != (row.quantity < 0) else price


@lru_cache(maxsize=10_000)
def _moment(text: str, written: DateFormat) -> datetime:
    """A date with or without time; UTC unless it says otherwise. An ISO date is read whatever the layout says."""
    match = MOMENTS[written].fullmatch(text) or MOMENTS[DateFormat.ISO].fullmatch(text)
    if match is None:
        raise ValueError(f"is not a date like {EXAMPLES[written]}: {_shown(text)}")
    date = f"{match['year']}-{match['month']:0>2}-{match['day']:0>2}"
    try:
        moment = datetime.fromisoformat(f"{date}T{match['time'] or '00:00'}{match['zone'] or ''}")
    except ValueError:
        raise ValueError(f"is not a date: {_shown(text)}") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"is not within the years {FIRST_YEAR} to {LAST_YEAR}: {_shown(text)}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _customer(text: str) -> str:
    """Spreadsheets turn a column of whole numbers with gaps into 17850.0; the customer is 17850."""
    head, point, tail = text.partition(".")
    return head if point and head.isdigit() and not tail.strip("0") else text


def _shown(text: str) -> str:
    return repr(text[:40]) if text else "it is empty"
