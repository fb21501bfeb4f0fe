"""From the cells of a record to a row whose every value can be trusted.

Every cell is held against a pattern before it is converted, because Python reads far more than a feed may say:
`int("1_000")`, `Decimal("NaN")`, digits of other scripts. A row says everything that is wrong with it, by column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from orders.models import FeedRow
from orders.services.feeds.layouts import Layout
from orders.services.feeds.reading import Record
from orders.vocabulary import MAX_LINE_QUANTITY, MAX_UNIT_PRICE

WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
PRICE = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,4})?")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?)?")
FIRST_YEAR, LAST_YEAR = 1900, 2200
#: of one cell and of one row, in what is kept of a bad row
RAW_CELL, RAW_CELLS = 500, 50


def read_row(record: Record, places: Mapping[str, int], layout: Layout) -> FeedRow:
    """The record as a row that is not saved yet; `error` names every column that does not parse."""
    cells = record.cells
    text = {field: cells[place].strip() if place < len(cells) else "" for field, place in places.items()}
    row = FeedRow(line=record.line, reference=text["reference"][:128])
    problems = [record.problem] if record.problem else _fill(row, text, layout.columns)
    if problems:
        row.error = " ".join(problems)[:300]
        row.raw = [cell[:RAW_CELL] for cell in cells[:RAW_CELLS]]
    return row


def _fill(row: FeedRow, text: Mapping[str, str], columns: Mapping[str, str]) -> list[str]:
    """Convert the cells into the row's fields; what does not convert is told and stays empty."""
    problems = []
    for field, longest in (("reference", 128), ("sku", 64)):
        if not text[field]:
            problems.append(f"{columns[field]} is missing.")
        elif len(text[field]) > longest:
            problems.append(f"{columns[field]} is longer than {longest} characters.")
    row.sku = text["sku"][:64]
    row.description = text["description"][:200]
    row.customer_reference = _customer(text["customer_reference"])
    row.country = text["country"]
    for field, longest in (("customer_reference", 64), ("country", 80)):
        if len(getattr(row, field)) > longest:
            problems.append(f"{columns[field]} is longer than {longest} characters.")
            setattr(row, field, "")
    for field, convert in (("quantity", _quantity), ("unit_price", _price), ("invoiced_at", _moment)):
        try:
            setattr(row, field, convert(text[field]))
        except ValueError as error:
            problems.append(f"{columns[field]} {error}.")
    return problems


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


def _moment(text: str) -> datetime:
    """A date with or without time; UTC unless it says otherwise."""
    if not MOMENT.fullmatch(text):
        raise ValueError(f"is not a date like 2010-12-01 08:26:00: {_shown(text)}")
    try:
        moment = datetime.fromisoformat(text)
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
