"""The download of what was not taken: the sender's own cells, and nothing that a spreadsheet would run."""

import csv
import io

import pytest

from orders.errors import InvalidInput
from orders.models import Order
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


def test_mended_rows_sent_again_make_only_what_was_missing_and_both_imports_know_of_each_other() -> None:
    first = imported(row("1"), row("2", quantity="many"), row("3", description="=SUM(1)", price="free"))
    text = "".join(feeds.bad_rows_csv(first)).replace("many", "2").replace("free", "1.00")
    second = run(receive(text.encode(), follows=first.pk))
    assert (second.created_orders, second.follows) == (2, first)
    assert list(first.follow_ups.all()) == [second]
    assert sorted(Order.objects.values_list("reference", flat=True)) == ["1", "2", "3"]
    # The apostrophe that kept a spreadsheet from running it is ours and goes again.
    assert Order.objects.get(reference="3").lines.get().description == "=SUM(1)"


def test_rows_that_are_still_bad_can_be_downloaded_and_mended_a_second_time() -> None:
    first = imported(row("1", quantity="many"))
    second = run(receive("".join(feeds.bad_rows_csv(first)).replace("many", "more").encode(), follows=first.pk))
    text = "".join(feeds.bad_rows_csv(second))
    assert text.splitlines()[0].count("reason") == 1
    assert run(receive(text.replace("more", "1").encode(), follows=second.pk)).created_orders == 1


@pytest.mark.parametrize("follows", ["not-an-id", "00000000-0000-0000-0000-000000000000"])
def test_a_follow_up_of_nothing_is_refused(follows: str) -> None:
    with pytest.raises(InvalidInput, match="There is no import of that id"):
        receive(csv_of(row("1")), follows=follows)


def test_a_follow_up_of_an_import_under_way_is_refused() -> None:
    with pytest.raises(InvalidInput, match="has not ended"):
        receive(csv_of(row("1")), follows=receive(csv_of(row("1"))).pk)
