"""Files that are no CSV: workbooks and JSON lines, taken by their content and under limits that are named."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from openpyxl import Workbook

from orders.errors import InvalidInput
from orders.models import FeedImport, Order
from orders.services import feeds
from orders.vocabulary import FeedFormat
from tests.orders.feed_files import HEADER, csv_of, receive, row, run

pytestmark = pytest.mark.django_db
COLUMNS = HEADER.split(",")
VALUES: list[Any] = ["536365", "84406B", "CAFÉ", 6, datetime(2010, 12, 1, 8, 26), 2.55, 17850.0, "United Kingdom"]


def workbook(*rows: list[Any], change: Callable[[Workbook], None] = lambda book: None) -> bytes:
    book = Workbook()
    for cells in (COLUMNS, *rows):
        book.active.append(cells)
    change(book)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def json_lines(*rows: dict[str, Any] | str) -> bytes:
    return "\n".join(one if isinstance(one, str) else json.dumps(one) for one in rows).encode()


def with_part(content: bytes, name: str, part: bytes) -> bytes:
    target = io.BytesIO(content)
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, part)
    return target.getvalue()


SOUND = {
    **dict(zip(COLUMNS, VALUES, strict=True)),
    "InvoiceDate": "2010-12-01 08:26:00",
}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(workbook(VALUES), FeedFormat.XLSX, id="workbook"),
        pytest.param(json_lines(SOUND), FeedFormat.JSON_LINES, id="JSON lines"),
        pytest.param(b"\xef\xbb\xbf\n" + json_lines(SOUND), FeedFormat.JSON_LINES, id="JSON lines with BOM"),
    ],
)
def test_the_same_invoice_becomes_the_same_order_in_every_format(content: bytes, kind: FeedFormat) -> None:
    feed = run(receive(content, name="day.csv"))
    order = Order.objects.get()
    assert (feed.format, feed.size_bytes) == (kind, len(content))
    assert (order.reference, order.total_minor, order.customer.reference) == ("536365", 1530, "17850")
    assert order.placed_at.isoformat() == "2010-12-01T08:26:00+00:00"
    assert order.lines.get().description == "CAFÉ"


def test_a_row_keeps_the_line_that_it_has_in_the_workbook() -> None:
    bad = [*VALUES[:3], "six\npieces", *VALUES[4:]]
    feed = run(receive(workbook(VALUES, [], bad)))
    wrong = feed.rows.exclude(error="").get()
    assert (wrong.line, wrong.error) == (4, "Quantity is not a whole number: 'six pieces'.")


def test_numbers_of_json_stay_as_they_are_written() -> None:
    run(receive(json_lines('{"' + '":1,"'.join(COLUMNS[:-1]) + '":1,"Country":"X"}')))
    feed = run(receive(json_lines(json.dumps(SOUND).replace("2.55", "0.1000"))))
    assert str(feed.rows.get().unit_price) == "0.1000"


def test_a_formula_counts_as_its_stored_result_and_is_never_run() -> None:
    formula = [*VALUES[:3], "=1+1", *VALUES[4:]]
    # This workbook was never calculated, so its formula has no result.
    assert "Quantity is not a whole number: it is empty." in run(receive(workbook(formula))).rows.get().error
    text = csv_of(row("1", description="=HYPERLINK(1)"))
    assert run(receive(text)).rows.get().description == "=HYPERLINK(1)"


TWO_SHEETS = workbook(VALUES, change=lambda book: book.create_sheet("two"))
BOMB = with_part(workbook(VALUES), "bomb", b"0" * 210_000_000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            workbook(VALUES, change=lambda book: book.create_sheet("two")), "2 sheets; exactly one", id="sheets"
        ),
        pytest.param(with_part(workbook(VALUES), "xl/vbaProject.bin", b"x"), "has macros", id="macros"),
        pytest.param(
            with_part(workbook(VALUES), "bomb", b"0" * 210_000_000), "unpacks to .* limit is 200000000", id="bomb"
        ),
        pytest.param(with_part(b"", "day.csv", b"x"), "zip archive and no Excel workbook", id="zip"),
        pytest.param(with_part(b"", "xl/workbook.xml", b"<x"), "xl/workbook.xml is not well-formed XML", id="broken"),
        pytest.param(b"\x1f\x8b\x08rest", "gzip", id="gzip"),
        pytest.param(b"\xd0\xcf\x11\xe0rest", "an old Excel workbook", id="xls"),
        pytest.param(b"[{}]", "JSON array", id="array"),
        pytest.param(HEADER.encode() + b"\n\x81\xff\n", "neither UTF-8 nor Windows-1252", id="encoding"),
        pytest.param(json_lines(SOUND, "{"), "Line 2 is not JSON", id="half a line"),
        pytest.param(json_lines(SOUND, "[1]"), "Line 2 is not an object", id="no object"),
        pytest.param(json_lines(SOUND, SOUND | {"Note": 1}), "Line 2 has Note, which the first line lacks", id="more"),
        pytest.param(json_lines(SOUND | {"Country": []}), "Line 1: Country is not a text", id="nested"),
        pytest.param(json_lines('{"a":1,"a":2}'), "names a column twice", id="double key"),
        pytest.param(json_lines(SOUND | {"Country": "\0"}), "cannot be stored", id="NUL"),
        pytest.param(json_lines(SOUND | {"Country": "\ud800"}), "cannot be stored", id="surrogate"),
        pytest.param(json_lines('{"a":' + "[" * 100_000), "Line 1 is not JSON", id="deep"),
        pytest.param(json_lines({str(n): 1 for n in range(51)}), "Line 1 has 51 columns; the limit is 50", id="wide"),
        pytest.param(json_lines({"a": "x" * 600_000}), "more than 500000 bytes", id="long line"),
    ],
)
def test_what_cannot_be_taken_is_refused_at_the_door(content: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        receive(content)
    assert caught.value.field == "file"
    assert not FeedImport.objects.exists()


@pytest.mark.parametrize("content", [workbook(*[VALUES] * 4), json_lines(*[SOUND] * 4)], ids=["xlsx", "json"])
def test_too_many_rows_are_refused_with_the_limit(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="more than 3 rows"):
        receive(content, max_rows=3)
    assert receive(content, max_rows=4).rows_expected == 4


def test_rows_of_a_workbook_that_are_refused_are_mended_as_csv() -> None:
    feed = run(receive(workbook([*VALUES[:3], "many", *VALUES[4:]])))
    text = "".join(feeds.bad_rows_csv(feed))
    assert text.splitlines()[0] == f"line,reason,{HEADER}"
    mended = run(receive(text.replace("many", "6").encode(), follows=feed.pk))
    assert mended.created_orders == 1
