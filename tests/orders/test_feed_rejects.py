"""The download of what was not taken: the sender's own cells, and nothing that a spreadsheet would run."""

import csv
import io

import pytest

from orders.services import feeds
from tests.orders.feed_files import HEADER, csv_of, imported, receive, row, run

pytestmark = pytest.mark.django_db


def table(feed: object) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(feeds.bad_rows_csv(feed)), newline="")))


def test_all_rows_of_a_rejected_invoice_are_given_back_with_the_reason() -> None:
    feed = imported(row("1"), row("2", quantity="many"), row("3"), row("2", description="FINE"), row("4", price="0"))
    header, *rows = table(feed)
    assert header == ["line", "reason", *HEADER.split(",")]
    assert [cells[0] for cells in rows] == ["3", "5", "6"]
    assert rows[0][1] == "Quantity is not a whole number: 'many'."
    assert rows[1][1].startswith("invalid_row: Line 3")
    assert rows[1][2:] == row("2", description="FINE").split(",")
    assert rows[2][1].startswith("zero_total")


def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe_and_a_number_does_not() -> None:
    evil = ['=HYPERLINK("x")', "+cmd", "-cmd", "@SUM(A1)", "\tcmd"]
    for number, cell in enumerate(evil):
        quoted = '"' + cell.replace('"', '""') + '"'
        feed = imported(row(f"7{number}", description=quoted, quantity=-5))
        assert table(feed)[1][4:6] == [f"'{cell}", "-5"]


def test_a_row_that_cannot_be_read_comes_back_as_well() -> None:
    feed = imported("2,only", row("1"))
    assert table(feed)[1] == ["2", "The row has 2 columns, the header has 8.", "2", "only"]


def test_an_import_without_rejects_gives_the_header_only() -> None:
    assert len(table(imported(row("1")))) == 1


def test_a_file_that_could_not_be_read_says_so() -> None:
    feed = run(receive(csv_of(row("1")).replace(b"UnitPrice", b"Price")))
    assert table(feed) == [["line", "reason"], ["1", feed.failure_message]]
