"""Documents become orders and credit notes: once, whatever is killed and however often the file comes."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from orders import history
from orders.models import Command, CreditNote, Customer, FeedImport, Order, OutboxMessage, Product, StockItem
from orders.services import feeds, placing, placing_many
from orders.services.feeds import storing
from orders.vocabulary import Channel, CommandStatus, FeedStatus, OrderStatus, RejectReason, Topic
from tests.factories import make_product
from tests.orders.feed_files import CLI, IMPORTER, SAMPLES, csv_of, imported, quiet, receive, row, run

pytestmark = pytest.mark.django_db

MIXED = (
    row("1", quantity=2),
    row("2", sku="B", customer="", price="0.335"),
    row("C3", quantity=-1, at="2010-12-02 09:00:00"),
    row("4", price="0"),
    row("5", sku="C", country="France", customer="12583.0"),
)


def facts() -> dict:
    """Everything that an import makes, without ids and clocks."""
    lines = ("lines__position", "lines__quantity", "lines__unit_price", "lines__total_minor")
    return {
        "orders": sorted(Order.objects.values_list("reference", "status", "total_minor", "event_count", *lines)),
        "notes": sorted(CreditNote.objects.values_list("number", "total_minor", "order__reference", "lines__quantity")),
        "customers": sorted(
            (customer.reference, customer.country) for customer in Customer.objects.select_related("key")
        ),
        "stock": sorted(StockItem.objects.values_list("product__sku", "received", "on_hand", "reserved")),
        "starts": OutboxMessage.objects.filter(topic=Topic.START_ORDER).count(),
    }


def test_an_invoice_becomes_an_order_with_its_own_prices_customer_and_date() -> None:
    feed = imported(*MIXED, name="day.csv")
    order = Order.objects.get(reference="5")
    assert (order.source, order.status, order.channel) == ("online-retail", OrderStatus.PLACED, Channel.FEED)
    assert (order.customer.reference, order.ship_to_country, order.currency) == ("12583", "France", "GBP")
    assert (order.payment_method, order.placed_at) == ("pm_card_visa", datetime(2010, 12, 1, 8, 26, tzinfo=UTC))
    assert order.events.get().reason == "Import of day.csv, asked for by test"
    assert history.verify_chain(order, order.events.all()) is None
    line = Order.objects.get(reference="2").lines.get()
    assert (line.unit_price, line.total_minor) == (Decimal("0.335"), 34)
    assert Order.objects.get(reference="2").customer is None
    assert (feed.status, feed.created_orders, feed.created_credit_notes) == (FeedStatus.COMPLETED, 3, 1)
    assert feed.documents_stored == feed.documents_found == 5
    assert Command.objects.get(pk=feed.pk).status == CommandStatus.DONE


def test_products_are_made_with_their_first_name_and_price_and_their_stock() -> None:
    imported(
        row("9", sku="A", price="0", description="damaged"),
        row("1", sku="A", price="3.75", description=""),
        row("2", sku="A", price="4.00", description="LANTERN"),
        row("3", sku="A", price="4.00", description="LANTERN, LATER"),
        initial_stock=250,
    )
    product = Product.objects.get()
    assert (product.sku, product.name, product.unit_price) == ("A", "LANTERN", Decimal("3.75"))
    assert (product.stock.received, product.stock.on_hand, product.stock.reserved) == (250, 250, 0)


def test_a_name_is_found_in_a_later_chunk_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "CHUNK_DOCUMENTS", 1)
    imported(row("1", sku="A", description=""), row("2", sku="A", description="LANTERN"))
    assert Product.objects.get().name == "LANTERN"


def test_a_known_product_keeps_its_name_price_and_stock() -> None:
    make_product("84406B", stock=7, unit_price="9.99")
    imported(row("1", price="2.00"), initial_stock=1000)
    product = Product.objects.get()
    assert (product.name, product.unit_price, product.stock.on_hand) == ("Lantern", Decimal("9.99"), 7)
    assert Order.objects.get().total_minor == 200


def test_process_starts_every_order_in_the_transaction_that_makes_it() -> None:
    imported(*MIXED, process=True)
    assert set(Order.objects.values_list("status", flat=True)) == {OrderStatus.QUEUED}
    assert OutboxMessage.objects.filter(topic=Topic.START_ORDER).count() == 3


def test_a_second_import_reports_the_same_file_and_makes_nothing() -> None:
    first = feeds.figures(imported(*MIXED, process=True))
    before = facts()
    second_feed = imported(*MIXED, process=True)
    second = feeds.figures(second_feed)
    assert facts() == before
    assert (second.pop("created_orders"), second.pop("created_credit_notes")) == (0, 0)
    assert (first.pop("created_orders"), first.pop("created_credit_notes")) == (3, 1)
    assert first | {"seconds": 0} == second | {"seconds": 0}


def test_a_later_import_with_process_starts_what_the_first_only_placed() -> None:
    imported(*MIXED)
    placing.start(Order.objects.get(reference="1").number, actor=CLI)
    imported(*MIXED, process=True)
    assert OutboxMessage.objects.filter(topic=Topic.START_ORDER).count() == 3
    assert set(Order.objects.values_list("status", flat=True)) == {OrderStatus.QUEUED}


@pytest.mark.parametrize("killed_at", range(1, 6))
def test_a_store_that_was_killed_in_any_chunk_ends_with_the_same_facts(
    monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    monkeypatch.setattr(storing, "CHUNK_DOCUMENTS", 1)
    feed = receive(csv_of(*MIXED), process=True)
    feeds.validate(feed.id, beat=quiet)
    feeds.transform(feed.id, beat=quiet)
    calls = iter(range(1, 100))
    plain = storing.lines_of

    def killed_inside(*arguments: object) -> object:
        if next(calls) == killed_at:
            raise RuntimeError("killed")
        return plain(*arguments)

    def killed_after(cursor: int) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(storing, "lines_of", killed_inside)
    with pytest.raises(RuntimeError):
        feeds.store(feed.id, actor=IMPORTER, beat=killed_after if killed_at == 5 else quiet)
    assert feeds.store(feed.id, actor=IMPORTER, beat=quiet) == FeedStatus.COMPLETED
    assert feeds.store(feed.id, actor=IMPORTER, beat=quiet) == FeedStatus.COMPLETED
    feed.refresh_from_db()
    assert (feed.created_orders, feed.created_credit_notes, feed.documents_stored) == (3, 1, 5)
    assert len(facts()["orders"]) == 3
    assert facts()["starts"] == 3
    assert len(facts()["notes"]) == 1


def test_an_order_that_another_import_made_meanwhile_is_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = receive(csv_of(row("1")))
    feeds.validate(feed.id, beat=quiet)
    feeds.transform(feed.id, beat=quiet)
    plain = placing_many.place_all

    def place_twice(*arguments: object, **options: object) -> object:
        plain(*arguments, **options)
        return plain(*arguments, **options)

    monkeypatch.setattr(placing_many, "place_all", place_twice)
    feeds.store(feed.id, actor=IMPORTER, beat=quiet)
    feed.refresh_from_db()
    assert feed.created_orders == 0
    assert feed.documents.get().order == Order.objects.get()


def test_a_chunk_dies_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = receive(csv_of(*MIXED), process=True)
    feeds.validate(feed.id, beat=quiet)
    feeds.transform(feed.id, beat=quiet)
    monkeypatch.setattr(storing.credit_notes, "store_all", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        feeds.store(feed.id, actor=IMPORTER, beat=quiet)
    assert not Order.objects.exists()
    assert not Product.objects.exists()
    assert not OutboxMessage.objects.filter(topic=Topic.START_ORDER).exists()


def test_a_chunk_ends_before_too_many_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "CHUNK_LINES", 3)
    rows = [row(invoice) for invoice in ("1", "1", "2", "2", "3", "3", "3", "3", "4")]
    feed = receive(csv_of(*rows))
    feeds.validate(feed.id, beat=quiet)
    feeds.transform(feed.id, beat=quiet)
    chunks: list[int] = []
    feeds.store(feed.id, actor=IMPORTER, beat=chunks.append)
    assert len(chunks) == 4
    assert Order.objects.count() == 4


def test_a_product_that_vanished_meanwhile_rejects_the_invoice() -> None:
    product = Product.objects.create(sku="84406B", unit_price=1)
    feed = receive(csv_of(row("1")), create_products=False)
    feeds.validate(feed.id, beat=quiet)
    feeds.transform(feed.id, beat=quiet)
    product.delete()
    feeds.store(feed.id, actor=IMPORTER, beat=quiet)
    assert feeds.figures(feed)["rejected"] == {RejectReason.UNKNOWN_PRODUCT: 1}


def test_an_abandoned_import_stays_abandoned() -> None:
    feed = receive(csv_of(row("1")))
    feeds.abandon(feed.id, "The import was cancelled.")
    run(feed)
    assert (feed.status, feed.failure_message) == (FeedStatus.FAILED, "The import was cancelled.")
    assert not Order.objects.exists()


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample days are not beside the checkout")
@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2010-12-01", (143, 127, 5_896_079, 3_072, 6, 32_523, {"non_positive_quantity": 1, "zero_total": 9})),
        ("2010-12-22", (22, 17, 619_997, 286, 5, 6_540, {})),
        ("2011-01-18", (51, 41, 9_597_805, 1_428, 8, 7_729_725, {"non_positive_quantity": 2})),
    ],
)
def test_a_real_day_gives_exactly_its_figures(day: str, expected: tuple) -> None:
    keys = ("invoices", "orders", "order_total_minor", "order_lines", "credit_notes", "credit_total_minor", "rejected")
    content = (SAMPLES / f"{day}.csv").read_bytes()
    figures = feeds.figures(run(receive(content, initial_stock=1_000_000)))
    assert tuple(figures[key] for key in keys) == expected
    again = feeds.figures(run(receive(content, create_products=False)))
    assert tuple(again[key] for key in keys) == expected
    assert FeedImport.objects.first().created_orders == 0
    assert Order.objects.count() == expected[1]
    if day == "2011-01-18":
        big = CreditNote.objects.get(number="C541433")
        assert big.order.reference == "541431"
