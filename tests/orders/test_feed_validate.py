"""Reading a feed's rows: encodings, separators, headers, and every way in which a row can be wrong."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from orders.actor import person
from orders.models import Command, FeedImport, FeedRow
from orders.services import feeds
from orders.services.feeds import reading, staging
from orders.vocabulary import Channel, CommandStatus, FeedStatus
from tests.orders.feed_files import HEADER, csv_of, quiet, receive, row

pytestmark = pytest.mark.django_db


def validated(content: bytes) -> FeedImport:
    feed = receive(content)
    feeds.validate(feed.id, beat=quiet)
    feed.refresh_from_db()
    return feed


def only_row(line: str) -> FeedRow:
    return validated(csv_of(line)).rows.get()


def test_a_sound_row_is_read_into_its_fields() -> None:
    read = only_row(row("536365", quantity=6, price="2.5501", customer="17850.0"))
    assert (read.line, read.reference, read.sku, read.quantity) == (2, "536365", "84406B", 6)
    assert str(read.unit_price) == "2.5501"
    assert read.customer_reference == "17850"
    assert read.invoiced_at.isoformat() == "2010-12-01T08:26:00+00:00"
    assert (read.error, read.raw) == ("", None)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(csv_of(row("536365", description="CAFÉ")).decode().encode("utf-8-sig"), id="BOM"),
        pytest.param(csv_of(row("536365", description="CAFÉ")).decode().encode("cp1252"), id="cp1252"),
        pytest.param(csv_of(row("536365", description="CAFÉ")).replace(b",", b";"), id="semicolon"),
        pytest.param(csv_of(row("536365", description="CAFÉ")).replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(csv_of(row("536365", description='"CAFÉ"')).rstrip(), id="quoted, no last line end"),
        pytest.param(csv_of("", row("536365", description="CAFÉ"), ",,,,,,,"), id="blank rows"),
        pytest.param(csv_of(row("536365", description="CAFÉ")).replace(b"InvoiceNo", b" invoiceno "), id="header case"),
    ],
)
def test_the_same_row_is_read_however_the_file_is_written(content: bytes) -> None:
    read = validated(content).rows.get()
    assert (read.reference, read.description, read.error) == ("536365", "CAFÉ", "")


def test_a_character_is_not_torn_between_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SLICE_BYTES", 7)
    assert only_row(row("536365", description="éèêë" * 20)).description == "éèêë" * 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n", "no header"),
        (HEADER.encode() + b"\n", "no rows"),
        (HEADER.replace("UnitPrice,", "").replace("Country", "Land").encode() + b"\n1\n", "lacks UnitPrice, Country"),
        (f"{HEADER},Quantity\n1\n".encode(), "column twice: Quantity"),
        (",".join(f"c{n}" for n in range(51)).encode() + b"\n1\n", "51 columns; the limit is 50"),
    ],
)
def test_a_file_that_cannot_be_read_ends_as_failed_and_says_why(content: bytes, message: str) -> None:
    feed = validated(content)
    assert feed.status == FeedStatus.FAILED
    assert message in feed.failure_message
    assert feed.finished_at is not None
    assert Command.objects.get(pk=feed.pk).status == CommandStatus.DONE


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (row("536365", quantity="many"), "Quantity is not a whole number: 'many'."),
        (row("536365", quantity="1_000"), "Quantity is not a whole number"),
        (row("536365", quantity="2.5"), "Quantity is not a whole number"),
        (row("536365", quantity=""), "Quantity is not a whole number: it is empty."),
        (row("536365", quantity=1_000_001), "Quantity 1000001 is beyond the limit of 1000000."),
        (row("536365", price="2.55555"), "UnitPrice is not a number with up to four decimals"),
        (row("536365", price="NaN"), "UnitPrice is not a number"),
        (row("536365", price="1e3"), "UnitPrice is not a number"),
        (row("536365", price="1000001"), "UnitPrice 1000001 is beyond the limit"),
        (row("536365", at="yesterday"), "InvoiceDate is not a date like"),
        (row("536365", at="2010-02-30 08:00:00"), "InvoiceDate is not a date"),
        (row("536365", at="0001-01-01 00:00:00"), "InvoiceDate is not within the years"),
        (row(""), "InvoiceNo is missing."),
        (row("536365", sku=""), "StockCode is missing."),
        (row("536365", sku="S" * 65), "StockCode is longer than 64 characters."),
        (row("536365", country="L" * 81), "Country is longer than 80 characters."),
        (row("536365") + ",more", "The row has 9 columns, the header has 8."),
        ("536365,84406B", "The row has 2 columns, the header has 8."),
        (row("536365", description="x" * 10_001), "Column 3 has 10001 bytes; the limit is 10000."),
        (row("536365", description="x" * 140_000), "The row cannot be read"),
        (row("536365") + "," * 60, "The row has 68 columns; the limit is 50."),
    ],
)
def test_a_row_that_does_not_parse_says_which_column_and_keeps_its_cells(line: str, error: str) -> None:
    read = only_row(line)
    assert error in read.error
    assert read.raw
    assert read.reference == line.split(",")[0]


def test_a_row_names_everything_that_is_wrong_with_it() -> None:
    error = only_row(row("536365", quantity="many", price="free")).error
    assert "Quantity" in error
    assert "UnitPrice" in error


@pytest.mark.parametrize("rows_after", [3, 80])
def test_a_quote_left_open_spoils_its_own_row_only(rows_after: int) -> None:
    good = [row(f"6{number}") for number in range(rows_after)]
    feed = validated(csv_of(row("536365", description='"OPEN'), *good))
    assert list(feed.rows.exclude(error="").values_list("line", "reference")) == [(2, "536365")]
    assert feed.rows.filter(error="").count() == rows_after


def test_a_line_break_within_quotes_is_part_of_its_cell() -> None:
    feed = validated(csv_of(row("1", description='"TWO\nLINES"'), row("2")))
    assert list(feed.rows.order_by("line").values_list("line", "error")) == [(2, ""), (4, "")]


def test_a_phase_that_was_killed_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "CHUNK", 2)
    feed = receive(csv_of(*(row(f"5{number}") for number in range(7))))

    def killed_at_the_second_chunk(cursor: int) -> None:
        if cursor > 3:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        feeds.validate(feed.id, beat=killed_at_the_second_chunk)
    assert feed.rows.count() == 4
    feeds.validate(feed.id, beat=quiet)
    feed.refresh_from_db()
    assert (feed.rows_read, feed.rows.count()) == (7, 7)


def test_an_attempt_that_wakes_up_late_changes_nothing() -> None:
    feed = receive(csv_of(row("536365")))
    feeds.validate(feed.id, beat=quiet)
    feeds.transform(feed.id, beat=quiet)
    assert feeds.validate(feed.id, beat=quiet) == FeedStatus.TRANSFORMING
    assert feed.rows.count() == 1


def test_a_permission_that_was_taken_away_meanwhile_ends_the_import() -> None:
    user = get_user_model().objects.create_user("ada")
    user.user_permissions.set(Permission.objects.filter(codename="import_feed"))
    feed = receive(csv_of(row("536365")), actor=person(user, Channel.ADMIN), create_products=False)
    user.user_permissions.clear()
    assert feeds.validate(feed.id, beat=quiet) == FeedStatus.FAILED
    feed.refresh_from_db()
    assert "ada does not have the permission" in feed.failure_message
