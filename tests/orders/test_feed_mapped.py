"""Only the columns that a layout maps are stored, so that nobody's street waits in a table that no page shows."""

import csv
import io
import json

import pytest
from openpyxl import Workbook

from orders.models import FeedImport, FeedRow, Order
from orders.services import feeds
from orders.services.feeds import keeping
from orders.vocabulary import FeedStatus
from tests.orders.feed_files import HEADER, receive, row, run

pytestmark = pytest.mark.django_db
NAME, STREET = "Zanzibar Canary", "1 Canary Street"
WIDE = f"Name,{HEADER},Street"


def wide(text: str, *, street: str = STREET) -> str:
    return f"{NAME},{text},{street}"


def stored(feed: FeedImport) -> str:
    """Everything that the database keeps of the file."""
    rows = [
        json.dumps([one.reference, one.description, one.error, one.problems, one.raw, one.customer_reference])
        for one in FeedRow.objects.filter(feed=feed)
    ]
    feed = FeedImport.objects.get(pk=feed.pk)
    return "\n".join([keeping.read(feed).decode(), feed.failure_message, *rows])


def sent(*rows: str, header: str = WIDE) -> FeedImport:
    return run(receive("\n".join([header, *rows, ""]).encode()))


def test_what_is_not_mapped_is_not_stored_and_the_rest_is_imported() -> None:
    feed = sent(wide(row("1")), wide(row("2", quantity="many")), wide(row("2")))
    assert (feed.status, feed.created_orders) == (FeedStatus.COMPLETED, 1)
    assert "Canary" not in stored(feed)
    assert Order.objects.get().reference == "1"
    header, *rows = csv.reader(io.StringIO("".join(feeds.bad_rows_csv(feed)), newline=""))
    assert header == ["line", "reason", *HEADER.split(",")]
    assert [(cells[0], cells[2]) for cells in rows] == [("3", "2"), ("4", "2")]
    assert rows[0][2:] == row("2", quantity="many").split(",")


@pytest.mark.parametrize("separator", [",", ";"])
def test_every_row_keeps_its_line_whatever_breaks_off_or_runs_over(separator: str) -> None:
    lines = [
        wide(row("1")),
        "",
        wide(row("2"), street='"1 Canary\r\nStreet"'),
        wide(row("3", description='"two\nlines"', quantity="many")),
        f"{NAME},4,too,few",
        f'{NAME},5,"left open {STREET},1',
        wide(row("6", quantity="many")),
        wide(row("7", quantity="none")),
    ]
    feed = run(receive("\n".join([WIDE, *lines]).replace(",", separator).encode()))
    assert "Canary" not in stored(feed)
    assert feed.created_orders == 2
    bad = FeedRow.objects.filter(feed=feed).exclude(error="").order_by("line").values_list("line", "reference")
    assert list(bad) == [(6, "3"), (8, "4"), (9, "5"), (10, "6"), (11, "7")]


def test_an_invoice_with_a_row_that_cannot_be_told_apart_is_refused_as_a_whole() -> None:
    feed = sent(wide(row("1")), f"{NAME},1,too,few")
    assert feed.created_orders == 0


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (WIDE.replace("UnitPrice", "Price"), "lacks UnitPrice"),
        (wide(row("1")), "lacks InvoiceNo"),
        ("", "no header"),
        (",".join([WIDE, *(f"c{n}" for n in range(50))]), "60 columns; the limit is 50"),
    ],
)
def test_of_a_file_that_no_layout_reads_no_row_is_stored(header: str, message: str) -> None:
    feed = sent(wide(row("1")), header=header)
    assert feed.status == FeedStatus.FAILED
    assert message in feed.failure_message
    assert "Canary" not in stored(feed)


def test_workbooks_and_json_lines_lose_them_too() -> None:
    book = Workbook()
    cells = dict(zip(WIDE.split(","), wide(row("1")).split(","), strict=True))
    book.active.append(list(cells))
    book.active.append(list(cells.values()))
    target = io.BytesIO()
    book.save(target)
    for content in (target.getvalue(), json.dumps(cells).encode()):
        feed = run(receive(content))
        assert feed.status == FeedStatus.COMPLETED
        assert "Canary" not in stored(feed)


def test_mended_rows_are_taken_with_the_columns_that_we_put_in_front() -> None:
    first = sent(wide(row("1", quantity="many")))
    text = "".join(feeds.bad_rows_csv(first)).replace("many", "2")
    mended = text.replace("Country", "Country,Street", 1).rstrip() + f",{STREET}\r\n"
    second = run(receive(mended.encode(), follows=first.pk))
    assert (second.created_orders, "Canary" in stored(second)) == (1, False)
