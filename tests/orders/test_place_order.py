"""Taking an order in: whole or not at all, once, and with every refusal naming its field and limit."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from orders import vocabulary
from orders.actor import person
from orders.errors import AlreadyExists, InvalidInput, NotPermitted
from orders.models import Command, Customer, Order, OrderEvent, OutboxMessage, StockItem
from orders.services import placing
from orders.services.roles import ensure_roles
from orders.vocabulary import ActorKind, Channel, EventType, OrderStatus
from tests.factories import TEST_ACTOR, make_product
from tests.orders.connections import PATIENCE, connections

pytestmark = pytest.mark.django_db


def new_order(*lines: placing.NewLine, **changes: Any) -> placing.NewOrder:
    order = placing.NewOrder(
        currency="GBP", payment_method="pm_card_visa", ship_to_country="United Kingdom", lines=lines
    )
    return replace(order, **changes)


def place(new: placing.NewOrder) -> Order:
    return placing.place(new, actor=TEST_ACTOR)


def lamps(quantity: int = 1, price: str | None = None) -> placing.NewLine:
    return placing.NewLine(sku="LAMP", quantity=quantity, unit_price=Decimal(price) if price else None)


@pytest.fixture(autouse=True)
def catalogue(db: None) -> None:
    make_product("LAMP", unit_price="2.55")
    make_product("ROPE", unit_price="0.855")


def test_placed_order_has_its_lines_and_total_and_waits_for_somebody_to_start_it() -> None:
    order = place(new_order(lamps(4), placing.NewLine(sku="ROPE", quantity=10, description="Hemp")))

    order.refresh_from_db()
    assert (order.status, order.total_minor, order.line_count) == (OrderStatus.PLACED, 1020 + 855, 2)
    assert list(order.lines.values_list("position", "description", "quantity", "total_minor")) == [
        (1, "Lantern", 4, 1020),
        (2, "Hemp", 10, 855),
    ]
    assert not OutboxMessage.objects.exists()
    assert not Command.objects.exists()


def test_placing_promises_no_stock() -> None:
    place(new_order(lamps(100_000)))

    assert set(StockItem.objects.values_list("reserved", flat=True)) == {0}


def test_first_event_says_who_placed_the_order_and_through_which_door() -> None:
    order = place(new_order(lamps(2)))

    event = OrderEvent.objects.get(order=order)
    assert (event.sequence, event.type, event.previous_hash) == (1, EventType.PLACED, "")
    assert (event.actor, event.actor_kind, event.channel) == ("test", ActorKind.SYSTEM, Channel.CLI)
    assert (event.status_before, event.status_after) == ("", OrderStatus.PLACED)
    assert event.data == {"lines": 1, "total_minor": 510, "currency": "GBP"}


@pytest.mark.parametrize(
    ("quantity", "price", "total"),
    [(1, "0.005", 1), (1, "0.0049", 0), (3, "0.125", 38), (7, "0.145", 102), (1, "2.675", 268), (1000, "0.0001", 10)],
)
def test_line_total_is_rounded_half_up_once_for_the_whole_line(quantity: int, price: str, total: int) -> None:
    assert placing.line_total_minor(quantity, Decimal(price)) == total


def test_total_of_the_order_is_the_sum_of_its_rounded_lines() -> None:
    order = place(new_order(lamps(1, "0.005"), lamps(1, "0.005")))

    assert order.total_minor == 2


def test_price_of_the_line_wins_over_the_catalogue() -> None:
    assert place(new_order(lamps(1, "9.99"))).total_minor == 999


def test_first_order_of_a_customer_makes_her_and_later_ones_do_not_rewrite_her() -> None:
    first = placing.NewCustomer(reference="C-1", name="Ada", email="ada@example.com", country="GB")
    place(new_order(lamps(), customer=first))

    order = place(new_order(lamps(), customer=replace(first, name="Somebody Else")))

    assert order.customer == Customer.objects.get()
    assert Customer.objects.get().name == "Ada"


def test_guest_has_no_customer() -> None:
    assert place(new_order(lamps())).customer is None


def test_every_order_gets_a_number_of_its_own() -> None:
    numbers = [place(new_order(lamps())).number for _ in range(3)]

    assert len(set(numbers)) == 3
    assert all(number.startswith("SO-") for number in numbers)


def test_reference_of_a_source_makes_one_order() -> None:
    place(new_order(lamps(), source="shop", reference="A-1"))

    with pytest.raises(AlreadyExists, match="An order A-1 from shop exists already") as refusal:
        place(new_order(lamps(), source="shop", reference="A-1"))

    assert refusal.value.field == "reference"
    assert Order.objects.count() == 1


def test_same_reference_from_another_source_is_another_order() -> None:
    place(new_order(lamps(), source="shop", reference="A-1"))
    place(new_order(lamps(), source="market", reference="A-1"))

    assert Order.objects.count() == 2


def test_orders_without_a_reference_do_not_get_in_each_others_way() -> None:
    place(new_order(lamps()))
    place(new_order(lamps()))

    assert Order.objects.count() == 2


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"currency": "XXX"}, "currency", "XXX is not one of GBP, EUR, USD"),
        ({"payment_method": ""}, "payment_method", "needed"),
        ({"lines": ()}, "lines", "1 to 2000"),
        ({"lines": (lamps(),) * 2001}, "lines", "2001 lines; an order has 1 to 2000"),
        ({"lines": (lamps(), placing.NewLine(sku="NONE", quantity=1))}, "lines.1.sku", "There is no product NONE"),
        ({"lines": (lamps(0),)}, "lines.0.quantity", "0 is not within 1 to 1000000"),
        ({"lines": (lamps(-1),)}, "lines.0.quantity", "-1 is not within 1 to 1000000"),
        ({"lines": (lamps(), lamps(1_000_001))}, "lines.1.quantity", "1000001 is not within"),
        ({"lines": (lamps(1, "-0.01"),)}, "lines.0.unit_price", "-0.01 is not within 0 to 1000000"),
        ({"lines": (lamps(1, "1000000.01"),)}, "lines.0.unit_price", "is not within 0 to 1000000"),
        ({"lines": (lamps(1, "0.12345"),)}, "lines.0.unit_price", "at most 4 decimals"),
        ({"lines": (lamps(1, "NaN"),)}, "lines.0.unit_price", "at most 4 decimals"),
        ({"lines": (lamps(1, "0.001"),)}, "lines", "total is 0 minor units; it must be 1 to 99999999"),
        ({"lines": (lamps(1, "1000000"),)}, "lines", "total is 100000000 minor units"),
        ({"currency": "EUR"}, "lines.0.sku", "LAMP is priced in GBP, not EUR"),
    ],
)
def test_bad_input_names_field_and_limit_and_stores_nothing(changes: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refusal:
        place(replace(new_order(lamps()), **changes))

    assert refusal.value.field == field
    assert not Order.objects.exists()
    assert not OrderEvent.objects.exists()


def test_largest_order_that_the_gateway_takes_is_taken() -> None:
    order = place(new_order(lamps(1, "999999.99")))

    assert order.total_minor == vocabulary.MAX_ORDER_TOTAL_MINOR


def test_line_with_its_own_price_may_be_in_another_currency_than_the_catalogue() -> None:
    assert place(new_order(lamps(1, "5"), currency="EUR")).currency == "EUR"


def test_person_without_the_permission_is_refused_and_nothing_is_stored() -> None:
    nobody = get_user_model().objects.create_user("nobody")

    with pytest.raises(NotPermitted, match=r"nobody does not have the permission orders\.place_order"):
        placing.place(new_order(lamps()), actor=person(nobody, Channel.API))

    assert not Order.objects.exists()


def test_agent_may_place_an_order_and_the_history_names_her() -> None:
    ensure_roles()
    agent = get_user_model().objects.create_user("agatha")
    agent.groups.add(Group.objects.get(name="agent"))

    order = placing.place(new_order(lamps()), actor=person(agent, Channel.ADMIN))

    event = order.events.get()
    assert (event.actor, event.actor_kind, event.channel) == ("agatha", ActorKind.PERSON, Channel.ADMIN)
    assert order.channel == Channel.ADMIN


@pytest.mark.django_db(transaction=True)
def test_same_reference_sent_many_times_at_once_makes_one_order() -> None:
    new = new_order(lamps(), source="shop", reference="A-1", customer=placing.NewCustomer(reference="C-1", name="Ada"))

    with connections(6) as others:
        placed = [others.begin(place, new) for _ in range(6)]
        errors = [future.exception(PATIENCE) for future in placed]

    assert sorted(type(error).__name__ for error in errors) == ["AlreadyExists"] * 5 + ["NoneType"]
    assert Order.objects.count() == Customer.objects.count() == OrderEvent.objects.count() == 1
