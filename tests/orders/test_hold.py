"""Holding and releasing an order: it binds at once, it is told once, and it goes back to where it stopped."""

import pytest
from django.db import transaction

from orders import history
from orders.actor import person
from orders.errors import CancelAsked, NotPermitted, OnHold, WrongState
from orders.models import Command, Order, OutboxMessage
from orders.services import cancelling, holding, payments, placing, process, shipping, stock
from orders.vocabulary import Channel, CommandKind, CommandStatus, EventType, FailureType, OrderStatus, Topic
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving
from tests.orders.connections import PATIENCE, connections, wait_for_a_blocked_connection
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db


def hold(order: Order) -> Command:
    return holding.hold(order.number, actor=TEST_ACTOR, reason="The address looks odd")


def release(order: Order) -> Command:
    return holding.release(order.number, actor=TEST_ACTOR, reason="The customer confirmed it")


def status(order: Order) -> str:
    return str(Order.objects.values_list("status", flat=True).get(pk=order.pk))


def test_an_order_nobody_started_stands_still_at_once_and_goes_back_when_released() -> None:
    order = make_order()
    hold(order)
    assert status(order) == OrderStatus.ON_HOLD
    with pytest.raises(WrongState, match="is on_hold"):
        placing.start(order.number, actor=TEST_ACTOR)
    release(order)
    assert status(order) == OrderStatus.PLACED
    assert not OutboxMessage.objects.exists(), "Temporal knows nothing of this order yet."
    placing.start(order.number, actor=TEST_ACTOR)


@pytest.mark.parametrize(
    "step",
    [
        lambda order_id: process.validate(order_id, actor=TEST_ACTOR),
        lambda order_id: stock.reserve(order_id, actor=TEST_ACTOR),
        lambda order_id: payments.charge(order_id, actor=TEST_ACTOR),
        lambda order_id: shipping.ship(order_id, actor=TEST_ACTOR),
        lambda order_id: process.complete(order_id, actor=TEST_ACTOR),
    ],
    ids=["validate", "reserve", "charge", "ship", "complete"],
)
def test_no_step_begins_while_the_order_is_held(step) -> None:  # type: ignore[no-untyped-def]
    order = make_order()
    driving.adopt(order)
    hold(order)
    before = status(order)
    with pytest.raises(OnHold):
        step(str(order.pk))
    assert status(order) == before
    assert not order.steps.filter(status="done").exists()


def test_a_hold_in_the_middle_shows_when_the_process_stands_still_and_ends_where_it_began() -> None:
    order = make_prepared_order()
    hold(order)
    assert status(order) == OrderStatus.CHARGING, "A step may be under way; only the process knows when it ended."
    assert holding.settle(order.pk, actor=TEST_ACTOR) is True
    assert status(order) == OrderStatus.ON_HOLD
    release(order)
    assert status(order) == OrderStatus.CHARGING
    assert holding.settle(order.pk, actor=TEST_ACTOR) is False
    topics = list(OutboxMessage.objects.order_by("id").values_list("topic", flat=True))
    assert topics == [Topic.START_ORDER, Topic.TELL_ORDER, Topic.TELL_ORDER]


def test_the_history_says_who_held_and_who_released_and_why() -> None:
    order = make_prepared_order()
    hold(order)
    holding.settle(order.pk, actor=TEST_ACTOR)
    release(order)
    told = list(order.events.order_by("sequence").values_list("type", "reason"))[-3:]
    assert told == [
        (EventType.HOLD_ASKED, "The address looks odd"),
        (EventType.HELD, "Held by test: The address looks odd"),
        (EventType.RELEASED, "The customer confirmed it"),
    ]
    held = order.commands.get(kind=CommandKind.HOLD)
    assert (held.status, held.outcome) == (CommandStatus.DONE, "Released by test: The customer confirmed it")


def test_the_second_person_is_told_who_holds_it_and_since_when() -> None:
    order = make_prepared_order()
    first = hold(order)
    with pytest.raises(WrongState, match=rf"is on hold already, by test at {first.created_at:%Y-%m-%d %H:%M:%S}"):
        hold(order)
    assert order.commands.filter(kind=CommandKind.HOLD).count() == 1


def test_an_order_nobody_holds_cannot_be_released() -> None:
    order = make_prepared_order()
    with pytest.raises(WrongState, match="nobody holds it"):
        release(order)
    assert not order.commands.filter(kind=CommandKind.RELEASE).exists()


def test_a_process_that_asks_again_while_the_order_is_held_changes_nothing() -> None:
    order = make_prepared_order()
    hold(order)
    assert [holding.settle(order.pk, actor=TEST_ACTOR) for _ in range(2)] == [True, True]
    assert order.events.filter(type=EventType.HELD).count() == 1
    release(order)
    assert status(order) == OrderStatus.CHARGING


@pytest.mark.django_db(transaction=True)
def test_a_process_that_stands_still_waits_for_whoever_releases_the_order() -> None:
    order = make_prepared_order()
    hold(order)
    with connections(1) as others:
        with transaction.atomic():
            history.lock_order(order.pk)
            settling = others.begin(holding.settle, order.pk, actor=TEST_ACTOR)
            wait_for_a_blocked_connection()
            release(order)
        assert settling.result(PATIENCE) is False
    assert status(order) == OrderStatus.CHARGING
    assert not order.events.filter(type=EventType.HELD).exists()


def test_an_order_that_is_being_undone_cannot_be_held() -> None:
    order = make_prepared_order()
    driving.undo(order, FailureType.PAYMENT_DECLINED, "The card was declined", to_the_end=False)
    with pytest.raises(WrongState, match="is undoing"):
        hold(order)
    assert not order.commands.filter(kind=CommandKind.HOLD).exists()


def test_a_closed_order_cannot_be_held() -> None:
    order = driving.drive(make_order())
    with pytest.raises(WrongState, match="is completed"):
        hold(order)


def test_an_order_that_is_being_cancelled_cannot_be_held() -> None:
    order = make_prepared_order()
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Recalled")
    with pytest.raises(WrongState, match="is being cancelled already"):
        hold(order)


def test_a_held_order_can_be_cancelled_and_the_cancellation_counts() -> None:
    order = make_prepared_order()
    hold(order)
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Recalled")
    with pytest.raises(CancelAsked):
        payments.charge(str(order.pk), actor=TEST_ACTOR)


def test_nobody_holds_or_releases_without_the_permission() -> None:
    order = make_prepared_order()
    viewer = person(make_user("orders.view_order"), Channel.API)
    with pytest.raises(NotPermitted):
        holding.hold(order.number, actor=viewer, reason="No")
    hold(order)
    with pytest.raises(NotPermitted):
        holding.release(order.number, actor=viewer, reason="No")
    assert Command.objects.exclude(kind=CommandKind.START).count() == 1
