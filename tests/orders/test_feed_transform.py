"""What an invoice is: the rules of the layout, each alone and in their order."""

import pytest

from orders.models import FeedDocument, Product
from orders.services import feeds
from orders.services.feeds import transforming
from orders.vocabulary import DocumentKind, FeedStatus, RejectReason
from tests.orders.feed_files import csv_of, quiet, receive, row

pytestmark = pytest.mark.django_db


def documents(*rows: str, **options: object) -> dict[str, FeedDocument]:
    feed = receive(csv_of(*rows), **options)
    feeds.validate(feed.id, beat=quiet)
    feeds.transform(feed.id, beat=quiet)
    return {document.reference: document for document in feed.documents.all()}


def only(*rows: str, **options: object) -> FeedDocument:
    (document,) = documents(*rows, **options).values()
    return document


def test_rows_of_one_invoice_are_one_order_wherever_they_stand() -> None:
    found = documents(row("1", quantity=2), row("2"), row("1", sku="B", quantity=3, price="1.00"))
    assert (found["1"].kind, found["1"].total_minor, found["1"].line_count) == (DocumentKind.ORDER, 800, 2)
    assert found["2"].line_count == 1


def test_each_line_is_rounded_half_up_before_the_sum() -> None:
    # 0.125 -> 0.13 twice; the sum rounded once would be 0.25, and half-even would give 0.24
    assert only(row("1", price="0.125"), row("1", price="0.125")).total_minor == 26


def test_a_credit_note_is_worth_its_absolute_quantities() -> None:
    note = only(row("C1", quantity=-3, price="0.335"), row("C1", quantity=-1, price="2.00"))
    assert (note.kind, note.total_minor, note.line_count) == (DocumentKind.CREDIT_NOTE, 301, 2)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        pytest.param([row("1"), row("1", quantity="x")], RejectReason.INVALID_ROW, id="one bad row spoils its invoice"),
        pytest.param([row("C1", quantity="x")], RejectReason.INVALID_ROW, id="also of a credit note"),
        pytest.param([row("A1", quantity="x")], RejectReason.INVALID_ROW, id="before: adjustment"),
        pytest.param([row("A1", quantity=-1, price="-5")], RejectReason.ADJUSTMENT_DOCUMENT, id="before: quantity"),
        pytest.param([row("c1", quantity=-1)], RejectReason.ADJUSTMENT_DOCUMENT, id="a small c is another letter"),
        pytest.param([row("1"), row("1", quantity=0)], RejectReason.NON_POSITIVE_QUANTITY, id="any quantity"),
        pytest.param([row("1", quantity=-1, price="-1")], RejectReason.NON_POSITIVE_QUANTITY, id="before: price"),
        pytest.param([row("1"), row("1", price="-0.01")], RejectReason.NEGATIVE_PRICE, id="any price"),
        pytest.param([row("1", price="0")], RejectReason.ZERO_TOTAL, id="zero total"),
        pytest.param([row("1", price="0.001")], RejectReason.ZERO_TOTAL, id="a total that rounds to zero"),
        pytest.param([row("C1", quantity=-1, price="-1")], RejectReason.NEGATIVE_PRICE, id="a note of negative worth"),
        pytest.param([row("1", quantity=1_000_000)], RejectReason.TOTAL_TOO_LARGE, id="more than the gateway takes"),
        pytest.param([row("1")] * 2_001, RejectReason.TOO_MANY_LINES, id="more lines than an order has"),
        pytest.param([row(""), row("")], RejectReason.INVALID_ROW, id="no invoice number"),
    ],
)
def test_an_invoice_is_rejected_for_the_first_rule_that_it_breaks(rows: list[str], reason: RejectReason) -> None:
    rejected = only(*rows)
    assert (rejected.kind, rejected.reject_reason) == (DocumentKind.REJECTED, reason)
    assert rejected.reject_detail


def test_a_rejection_names_the_line() -> None:
    assert only(row("1"), row("1", quantity=-4)).reject_detail == "Line 3: quantity -4."


def test_a_free_line_beside_a_paid_one_is_an_order() -> None:
    assert only(row("1"), row("1", price="0")).kind == DocumentKind.ORDER


def test_an_unknown_product_rejects_the_invoice_unless_products_are_made() -> None:
    Product.objects.create(sku="KNOWN", unit_price=1)
    rows = [row("1", sku="KNOWN"), row("2", sku="KNOWN"), row("2", sku="NEW"), row("3", sku="NEW", price="0")]
    found = documents(*rows, create_products=False)
    assert found["1"].kind == DocumentKind.ORDER
    assert (found["2"].reject_reason, found["2"].reject_detail) == (
        RejectReason.UNKNOWN_PRODUCT,
        "There is no product NEW.",
    )
    assert found["3"].reject_reason == RejectReason.ZERO_TOTAL
    assert documents(*rows)["2"].kind == DocumentKind.ORDER


def test_orders_come_before_credit_notes_and_each_in_the_order_of_the_file() -> None:
    found = documents(row("C9", quantity=-1), row("3"), row("A1"), row("1"), row("C1", quantity=-1), row("2"))
    by_position = sorted(found.values(), key=lambda document: document.position)
    assert [document.reference for document in by_position] == ["3", "1", "2", "C9", "C1", "A1"]


@pytest.mark.parametrize("page", [1, 2, 3, 5])
def test_an_invoice_may_be_cut_by_a_page_and_by_a_crash(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(transforming, "PAGE", page)
    rows = [row(str(number % 4), quantity=number + 1) for number in range(11)]
    whole = documents(*rows)
    feed = receive(csv_of(*rows))
    feeds.validate(feed.id, beat=quiet)

    def killed(cursor: int) -> None:
        raise RuntimeError("killed")

    for _ in range(3):
        with pytest.raises(RuntimeError):
            feeds.transform(feed.id, beat=killed)
    assert feeds.transform(feed.id, beat=quiet) == FeedStatus.TRANSFORMING
    again = {document.reference: document for document in feed.documents.all()}
    assert {key: (value.total_minor, value.line_count) for key, value in again.items()} == {
        key: (value.total_minor, value.line_count) for key, value in whole.items()
    }
    assert sum(document.line_count for document in again.values()) == 11
    feed.refresh_from_db()
    assert feed.documents_found == 4
