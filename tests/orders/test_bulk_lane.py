"""The bulk lane: thousands of starts that nobody waits for, beside everything that somebody does wait for."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders import history, outbox
from orders.models import Order, OutboxMessage, PartnerHealth
from orders.services import batches, cancelling, commands, holding, placing
from orders.services.batches.working import Where
from orders.vocabulary import BatchAction, CommandKind, OrderStatus, Topic
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving
from tests.orders.outbox_rows import A, B, claimed, let_time_pass, publish, publish_bulk

pytestmark = pytest.mark.django_db


def test_a_message_that_somebody_waits_for_overtakes_thousands_that_nobody_does() -> None:
    bulk = [publish_bulk(f"order:{number}") for number in range(5)]
    urgent = [publish(A), publish(B)]
    assert sorted(claimed(2)) == urgent
    assert sorted(claimed(4)) == bulk[:4]


def test_bulk_starts_leave_only_while_few_orders_are_under_way(settings: Settings) -> None:
    settings.BULK_ORDERS_UNDER_WAY = 3
    busy = make_order(started=True)
    Order.objects.filter(pk=busy.pk).update(status=OrderStatus.CHARGING)
    OutboxMessage.objects.all().delete()
    starts = []
    for _ in range(4):
        order = make_order()
        Order.objects.filter(pk=order.pk).update(status=OrderStatus.QUEUED)
        starts.append(publish_bulk(f"order:{order.pk}", order_id=str(order.pk)))
    urgent = publish(A)
    first = claimed()
    assert first == [urgent, *starts[:2]]
    for number in first:
        outbox.mark_delivered(number)
    # Temporal has been told of them, and no worker has begun.
    assert claimed() == []
    Order.objects.filter(status=OrderStatus.CHARGING).update(status=OrderStatus.COMPLETED, closed_at=timezone.now())
    assert claimed() == starts[2:3]
    # They are not counted for ever, should no worker take them.
    OutboxMessage.objects.exclude(delivered_at=None).update(delivered_at=timezone.now() - timedelta(minutes=2))
    assert claimed() == starts[3:]


def stand_still(order: Order, status: OrderStatus) -> Order:
    Order.objects.filter(pk=order.pk).update(status=status, status_since=timezone.now() - 2 * outbox.STANDS_STILL)
    return order


def test_orders_that_stand_still_give_their_place_in_the_bulk_lane_back(settings: Settings) -> None:
    settings.BULK_ORDERS_UNDER_WAY = 2
    # One carrier that takes no booking back, and one customer who confirms no payment.
    stuck = [stand_still(make_prepared_order(), status) for status in (OrderStatus.UNDOING, OrderStatus.CHARGING)]
    OutboxMessage.objects.all().delete()
    starts = [publish_bulk(f"order:{number}") for number in range(3)]
    assert claimed() == starts[:2]
    Order.objects.filter(pk=stuck[0].pk).update(status_since=timezone.now())
    assert claimed() == starts[2:], "it moves again, and takes one place of two"


def test_orders_behind_a_partner_that_is_out_of_order_keep_their_places(settings: Settings) -> None:
    settings.BULK_ORDERS_UNDER_WAY = 1
    stand_still(driving.drive(make_order(), gateway=driving.outage()), OrderStatus.CHARGING)
    OutboxMessage.objects.all().delete()
    start = publish_bulk(A)
    health, _ = PartnerHealth.objects.get_or_create(partner="payments")
    PartnerHealth.objects.filter(pk=health.pk).update(
        state="open", opened_at=timezone.now(), next_try_at=timezone.now()
    )
    assert claimed() == [], "what would be started next waited for the same partner"
    PartnerHealth.objects.filter(pk=health.pk).update(state="closed", opened_at=None, next_try_at=None)
    assert claimed() == [start]


def by_cancelling(order: Order) -> None:
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="The customer called")


def by_holding(order: Order) -> None:
    holding.hold(order.number, actor=TEST_ACTOR, reason="The customer called")


def by_a_batch(order: Order) -> None:
    selection = batches.Selection(orders=Order.objects.filter(pk=order.pk), asked={})
    batch = batches.create(selection, BatchAction.CANCEL, actor=TEST_ACTOR, reason="Recalled")
    batches.run_chunk(batch.pk, where=Where())
    OutboxMessage.objects.filter(topic=Topic.RUN_BATCH).delete()


def by_a_recorded_command(order: Order) -> None:
    with transaction.atomic():
        commands.record(CommandKind.CANCEL, order, actor=TEST_ACTOR, reason="Recalled", tell=Topic.CANCEL_ORDER)


@pytest.mark.parametrize("road", [by_cancelling, by_holding, by_a_batch, by_a_recorded_command])
def test_whatever_is_told_of_an_order_takes_its_bulk_start_along(
    road: Callable[[Order], None], settings: Settings
) -> None:
    settings.BULK_ORDERS_UNDER_WAY = 0
    order, other = make_order(), make_order()
    for one in (order, other):
        with transaction.atomic():
            placing.start_locked(history.lock_order(one.pk), actor=TEST_ACTOR, reason="Imported", bulk=True)
    road(order)
    let_time_pass(60)
    (start,) = outbox.claim(20)
    assert (start.topic, start.aggregate) == (Topic.START_ORDER, f"order:{order.pk}")
    outbox.mark_delivered(start.id)
    (told,) = outbox.claim(20)
    assert told.aggregate == start.aggregate


def test_a_command_on_an_order_takes_its_bulk_start_along() -> None:
    others = [publish_bulk(f"order:{number}") for number in range(3)]
    start = publish_bulk(A)
    command = publish(A)
    assert claimed(1) == [start]
    outbox.mark_delivered(start)
    assert claimed(1) == [command]
    assert claimed() == others


@pytest.mark.django_db
def test_bulk_messages_fill_up_a_claim_and_do_not_make_it_larger() -> None:
    bulk = [publish_bulk(f"order:{number}") for number in range(5)]
    urgent = [publish(A), publish(B)]
    assert sorted(claimed(4)) == sorted([*urgent, *bulk[:2]])


@pytest.mark.django_db
def test_an_order_that_has_begun_takes_one_place_and_not_a_second_one_for_its_start(settings: Settings) -> None:
    settings.BULK_ORDERS_UNDER_WAY = 3
    starts = []
    for _ in range(3):
        order = make_order()
        starts.append(publish_bulk(f"order:{order.pk}", order_id=str(order.pk)))
        if len(starts) < 3:
            outbox.mark_delivered(starts[-1])
            Order.objects.filter(pk=order.pk).update(status=OrderStatus.CHARGING)
    assert claimed() == starts[2:]


@pytest.mark.django_db
def test_nothing_about_an_order_overtakes_its_bulk_start(settings: Settings) -> None:
    settings.BULK_ORDERS_UNDER_WAY = 0
    publish_bulk(A)
    command = OutboxMessage(topic=Topic.CANCEL_ORDER, aggregate=A, body={})
    outbox.publish_all([command])
    let_time_pass(60)
    assert command.pk not in claimed()
