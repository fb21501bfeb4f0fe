"""Asking for the processing of an order: one command, one message to Temporal, ever."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction

from orders.actor import person
from orders.errors import NotPermitted, WrongState
from orders.models import Command, Order, OutboxMessage
from orders.services import placing
from orders.services.roles import ensure_roles
from orders.vocabulary import Channel, CommandKind, CommandStatus, EventType, OrderStatus, Topic
from tests.factories import TEST_ACTOR, make_order
from tests.orders.connections import PATIENCE, connections
from tests.orders.driving import drive

pytestmark = pytest.mark.django_db


def start(order: Order) -> Command:
    return placing.start(order.number, actor=TEST_ACTOR)


def test_start_queues_the_order_and_records_who_asked_and_why() -> None:
    order = make_order()

    command = placing.start(order.number, actor=TEST_ACTOR, reason="The customer called")

    order.refresh_from_db()
    assert order.status == OrderStatus.QUEUED
    assert (command.kind, command.status, command.order) == (CommandKind.START, CommandStatus.ACCEPTED, order)
    assert (command.actor, command.channel, command.reason) == ("test", Channel.CLI, "The customer called")
    event = order.events.get(type=EventType.START_REQUESTED)
    assert (event.reason, event.data) == ("The customer called", {"command": str(command.id)})


def test_start_leaves_one_message_for_temporal_with_ids_and_no_name() -> None:
    order = make_order()

    command = start(order)

    message = OutboxMessage.objects.get()
    assert order.customer is not None
    assert (message.topic, message.aggregate) == (Topic.START_ORDER, f"order:{order.id}")
    assert message.body == {
        "command_id": str(command.id),
        "order_id": str(order.id),
        "number": order.number,
        "customer": f"customer-{order.customer_id}",
    }
    assert order.customer.name not in str(message.body)


def test_order_of_a_guest_is_started_as_a_guests() -> None:
    start(make_order(guest=True))

    assert OutboxMessage.objects.get().body["customer"] == "guest"


def test_second_start_is_refused_and_says_who_was_first() -> None:
    order = make_order()
    start(order)

    with pytest.raises(WrongState, match=rf"Order {order.number} was already started by test at 2.* UTC; it is queued"):
        start(order)

    assert (Command.objects.count(), OutboxMessage.objects.count(), order.events.count()) == (1, 1, 2)


def test_start_of_a_closed_order_is_refused_and_says_how_it_ended() -> None:
    order = drive(make_order())
    before = order.events.count()

    with pytest.raises(WrongState, match=rf"{order.number} was already started by test at 2.* UTC; it is completed"):
        start(order)

    assert (Command.objects.count(), order.events.count()) == (1, before)


def test_order_that_is_unknown_cannot_be_started() -> None:
    with pytest.raises(Order.DoesNotExist):
        placing.start("SO-0", actor=TEST_ACTOR)


def test_start_that_is_rolled_back_leaves_no_message() -> None:
    order = make_order()

    with transaction.atomic():
        start(order)
        transaction.set_rollback(True)

    order.refresh_from_db()
    assert order.status == OrderStatus.PLACED
    assert not OutboxMessage.objects.exists()
    assert not Command.objects.exists()


def test_placing_and_starting_in_one_transaction_is_all_or_nothing() -> None:
    with transaction.atomic():
        placing.start_locked(make_order(), actor=TEST_ACTOR, reason="Fed in")
        transaction.set_rollback(True)

    assert not Order.objects.exists()
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("agent", True), ("lead", True)])
def test_role_decides_who_may_start_whatever_the_door(role: str, may: bool) -> None:
    ensure_roles()
    order = make_order()
    user = get_user_model().objects.create_user("ada")
    user.groups.add(Group.objects.get(name=role))

    if may:
        command = placing.start(order.number, actor=person(user, Channel.ADMIN))
        assert command.requested_by == user
    else:
        with pytest.raises(NotPermitted):
            placing.start(order.number, actor=person(user, Channel.ADMIN))
        with pytest.raises(NotPermitted):
            placing.start_locked(order, actor=person(user, Channel.ADMIN), reason="a side door")
        assert not OutboxMessage.objects.exists()
        assert not Command.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_double_click_starts_the_order_once() -> None:
    order = make_order()

    with connections(6) as others:
        clicks = [others.begin(start, order) for _ in range(6)]
        errors = [click.exception(PATIENCE) for click in clicks]

    assert sorted(type(error).__name__ for error in errors) == ["NoneType"] + ["WrongState"] * 5
    assert (Command.objects.count(), OutboxMessage.objects.count()) == (1, 1)
