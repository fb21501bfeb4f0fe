"""A credit note finds the order that it corrects, or says that there is none."""

import pytest

from orders.models import CreditNote
from orders.services import feeds
from tests.orders.feed_files import imported, row

pytestmark = pytest.mark.django_db

LATER = "2010-12-05 10:00:00"


def matched(number: str) -> str | None:
    note = CreditNote.objects.get(number=number)
    return note.order.reference if note.order else None


def test_a_note_belongs_to_the_latest_earlier_order_that_covers_it() -> None:
    imported(
        row("1", quantity=5, at="2010-12-01 08:00:00"),
        row("2", quantity=5, at="2010-12-02 08:00:00"),
        row("3", quantity=1, at="2010-12-03 08:00:00"),
        row("4", quantity=9, at="2010-12-06 08:00:00"),
        row("C9", quantity=-4, at=LATER),
    )
    assert matched("C9") == "2"


def test_every_line_of_the_note_must_be_covered_by_one_order() -> None:
    imported(
        row("1", sku="A", quantity=5),
        row("2", sku="B", quantity=5),
        row("C8", sku="A", quantity=-1, at=LATER),
        row("C9", sku="A", quantity=-1, at=LATER),
        row("C9", sku="B", quantity=-1, at=LATER),
    )
    assert (matched("C8"), matched("C9")) == ("1", None)


def test_lines_of_the_same_product_are_added_up() -> None:
    imported(
        row("1", quantity=2), row("1", quantity=2), row("C9", quantity=-2, at=LATER), row("C9", quantity=-2, at=LATER)
    )
    assert matched("C9") == "1"


def test_pieces_that_an_earlier_note_took_are_not_credited_again() -> None:
    imported(
        row("1", quantity=5),
        row("C7", quantity=-3, at=LATER),
        row("C8", quantity=-3, at=LATER),
        row("C9", quantity=-2, at=LATER),
    )
    assert (matched("C7"), matched("C8"), matched("C9")) == ("1", None, "1")


def test_a_note_that_the_latest_order_no_longer_covers_goes_to_the_one_before() -> None:
    imported(
        row("1", quantity=5, at="2010-12-01 08:00:00"),
        row("2", quantity=5, at="2010-12-02 08:00:00"),
        row("C8", quantity=-4, at=LATER),
        row("C9", quantity=-4, at=LATER),
    )
    assert (matched("C8"), matched("C9")) == ("2", "1")


@pytest.mark.parametrize(
    "note",
    [
        pytest.param(row("C9", quantity=-1, at=LATER, customer=""), id="a guest"),
        pytest.param(row("C9", quantity=-1, at=LATER, customer="99999.0"), id="another customer"),
        pytest.param(row("C9", quantity=-1, at="2010-12-01 08:26:00"), id="the same minute"),
        pytest.param(row("C9", quantity=-6, at=LATER), id="too many"),
    ],
)
def test_a_note_without_a_covering_order_is_listed_as_unmatched(note: str) -> None:
    feed = imported(row("1", quantity=5), note)
    assert matched("C9") is None
    assert feeds.figures(feed)["unmatched_credit_notes"] == 1


def test_a_note_may_come_in_a_later_file() -> None:
    imported(row("1", quantity=5))
    imported(row("C9", quantity=-5, at=LATER), create_products=False)
    assert matched("C9") == "1"


def test_a_note_is_stored_with_its_lines_in_positive_pieces() -> None:
    imported(row("1", quantity=5), row("C9", quantity=-2, price="0.335", at=LATER))
    note = CreditNote.objects.get()
    line = note.lines.get()
    assert (line.quantity, line.total_minor, note.total_minor) == (2, 67, 67)
    assert (note.source, note.customer.reference, note.currency) == ("online-retail", "17850", "GBP")
