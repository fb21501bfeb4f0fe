"""Layouts that a lead maps: the same import reads them, and an import keeps the version that it was sent with."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from orders.actor import person
from orders.errors import InvalidInput, NotPermitted
from orders.models import CreditNote, FeedLayout, Order
from orders.services import feeds
from orders.services.feeds import mapping
from orders.vocabulary import Channel, FeedStatus
from tests.factories import TEST_ACTOR
from tests.orders.attempts_feeds import LAYOUT
from tests.orders.feed_files import imported, quiet, receive, row, run
from tests.orders.staff import make_user, signed_in

pytestmark = pytest.mark.django_db
COLUMNS = {"reference": "Nr", "sku": "Item", "quantity": "Pieces", "invoiced_at": "Date", "unit_price": "Price"}
RULES = {
    "date_format": "dd.mm.yyyy",
    "decimal_comma": True,
    "currency": "EUR",
    "payment_method": "pm_card_visa",
    "credit_note_prefix": "G",
    "default_country": "Germany",
}
FILE = "Nr;Item;Pieces;Date;Price;Anything\n{}\n"


def make(name: str = "wholesale", *, columns: dict[str, str] = COLUMNS, **rules: Any) -> FeedLayout:
    return mapping.make_layout(name, columns=columns, actor=TEST_ACTOR, reason="A new sender", **{**RULES, **rules})


def send(*lines: str, header: str = "", **options: Any) -> Any:
    content = (f"{header}\n{{}}\n" if header else FILE).format("\n".join(lines)).encode()
    return run(receive(content, layout="wholesale", **options))


def test_a_mapped_file_becomes_orders_of_its_own_source_currency_and_country() -> None:
    make()
    feed = send("7;A;2;31.12.2010 08:26;1,25;x", "G8;A;-1;01.01.2011;1,25;x")
    order, note = Order.objects.get(), CreditNote.objects.get()
    assert (order.source, order.reference, order.currency, order.total_minor) == ("wholesale", "7", "EUR", 250)
    assert (order.ship_to_country, order.placed_at.isoformat()) == ("Germany", "2010-12-31T08:26:00+00:00")
    assert (note.source, note.number, note.currency) == ("wholesale", "G8", "EUR")
    assert (feed.status, feed.layout_version.name) == (FeedStatus.COMPLETED, "wholesale")


@pytest.mark.parametrize(
    ("written", "date", "message"),
    [
        ("dd/mm/yyyy", "31/12/2010", ""),
        ("mm/dd/yyyy", "12/31/2010 8:26", "is not a date like 12/31/2010 08:26"),
        ("mm/dd/yyyy", "31/12/2010", "is not a date: '31/12/2010'"),
        ("dd.mm.yyyy", "31.12.10", "is not a date like 31.12.2010 08:26"),
        ("yyyymmdd", "20101231", ""),
        ("yyyymmdd", "2010-12-31", ""),
        ("yyyy-mm-dd", "31.12.2010", "is not a date like 2010-12-01 08:26:00"),
    ],
)
def test_a_date_is_read_as_the_layout_says_and_never_guessed(written: str, date: str, message: str) -> None:
    make(date_format=written)
    read = send(f"7;A;1;{date};1,25;x").rows.get()
    assert message in read.error
    assert bool(message) == bool(read.error)
    assert message or read.invoiced_at.date().isoformat() == "2010-12-31"


@pytest.mark.parametrize("price", ["1.25", "1.250,00", "1,23456"])
def test_a_price_with_a_comma_is_not_guessed_either(price: str) -> None:
    make()
    assert "Price is not a number with a comma" in send(f"7;A;1;31.12.2010;{price};x").rows.get().error


def test_a_line_total_is_divided_exactly_or_refused() -> None:
    make(price_means="line_total")
    feed = send("7;A;4;31.12.2010;5,00;x", "8;A;3;31.12.2010;5,00;x", "G9;A;-2;31.12.2010;-3,00;x")
    assert Order.objects.get().lines.get().unit_price == Decimal("1.25")
    assert CreditNote.objects.get().total_minor == 300
    assert "does not divide by 3 pieces within four decimals" in feed.rows.get(reference="8").error


def test_a_column_that_is_not_there_has_its_constant() -> None:
    columns = {field: column for field, column in COLUMNS.items() if field != "quantity"}
    make(columns=columns, default_quantity=6)
    send('7,A,31.12.2010,"1,25"', header="Nr,Item,Date,Price")
    assert Order.objects.get().lines.get().quantity == 6


def test_an_import_under_way_keeps_the_version_that_it_was_sent_with() -> None:
    make()
    feed = receive(FILE.format("7;A;2;31.12.2010;1,25;x").encode(), layout="wholesale")
    feeds.validate(feed.pk, beat=quiet)
    make(columns={**COLUMNS, "reference": "Number"}, currency="USD")
    run(feed)
    assert Order.objects.get().currency == "EUR"
    assert "The header lacks Number" in send("8;A;1;31.12.2010;1,25;x").failure_message


def test_two_senders_may_use_the_same_invoice_number() -> None:
    make()
    imported(row("7"))
    send("7;84406B;1;31.12.2010;1,25;x")
    assert sorted(Order.objects.values_list("source", "reference")) == [("online-retail", "7"), ("wholesale", "7")]


@pytest.mark.parametrize(
    ("name", "columns", "rules", "field"),
    [
        ("online-retail", {}, {}, "name"),
        ("wholesale", {"sku": ""}, {}, "sku"),
        ("wholesale", {"sku": "nr"}, {}, "sku"),
        ("wholesale", {"sku": "Reason"}, {}, "sku"),
        ("wholesale", {"sku": "a\nb"}, {}, "sku"),
        ("wholesale", {"colour": "Colour"}, {}, "columns"),
        ("wholesale", {}, {"default_country": ""}, "default_country"),
    ],
)
def test_a_mapping_that_no_file_could_meet_is_refused_by_its_field(
    name: str, columns: dict[str, str], rules: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        make(name, columns={**COLUMNS, **columns}, **rules)
    assert caught.value.field == field
    assert not FeedLayout.objects.exists()


def test_a_source_whose_orders_came_through_another_door_is_no_layout() -> None:
    imported(row("7"))
    Order.objects.update(source="wholesale")
    with pytest.raises(InvalidInput, match="another door"):
        make()


def test_who_lacks_the_permission_maps_nothing() -> None:
    actor = person(make_user("orders.import_feed", name="ida"), Channel.ADMIN)
    with pytest.raises(NotPermitted):
        mapping.make_layout("wholesale", columns=COLUMNS, actor=actor, reason="x", **RULES)


@pytest.mark.parametrize("change", ["UPDATE orders_feedlayout SET name = 'x'", "DELETE FROM orders_feedlayout"])
def test_a_version_can_neither_be_changed_nor_deleted(change: str) -> None:
    make()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)


def test_the_form_writes_a_version_and_names_the_column_that_is_wrong() -> None:
    client = signed_in("orders.add_feedlayout", "orders.view_feedlayout")
    page = client.get("/admin/orders/feedlayout/add/")
    assert "Column of: Invoice number" in page.content.decode()
    answer = client.post("/admin/orders/feedlayout/add/", {**LAYOUT, "column_sku": "NR"})
    assert "The column NR is mapped to reference already." in answer.content.decode()
    assert client.post("/admin/orders/feedlayout/add/", LAYOUT).status_code == 302
    layout = FeedLayout.objects.get()
    assert layout.columns == {"reference": "Nr", "sku": "Item", "invoiced_at": "Date", "unit_price": "Price"}
    assert (layout.made_by, layout.decimal_comma, layout.currency) == ("olivia", True, "EUR")
    assert client.get(f"/admin/orders/feedlayout/{layout.pk}/change/").status_code == 200
    assert "wholesale" in client.get("/admin/orders/feedlayout/").content.decode()
