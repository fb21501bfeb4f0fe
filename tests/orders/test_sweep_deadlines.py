"""Orders past the deadline of their status: a task, unless something excuses them."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from orders import history
from orders.actor import system
from orders.models import Finding, Order, OutboxMessage, PartnerHealth, StaffTask
from orders.selectors import concerns
from orders.services import holding, placing, stepping
from orders.services.sweeping import deadlines
from orders.vocabulary import FindingKind, TaskKind
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving

pytestmark = pytest.mark.django_db
SWEEPER = system("sweeper")


def late(order: Order, *, hours: int = 2) -> Order:
    Order.objects.filter(pk=order.pk).update(status_since=timezone.now() - timedelta(hours=hours))
    order.refresh_from_db()
    return order


def late_and_failing() -> Order:
    return late(driving.drive(make_order(), gateway=driving.outage()))


def found() -> set[str]:
    return set(
        Finding.objects.filter(kind=FindingKind.OVERDUE, resolved_at=None).values_list("order__number", flat=True)
    )


def test_an_order_that_charges_for_too_long_is_a_task_with_its_last_error() -> None:
    order = late_and_failing()
    make_prepared_order()
    assert deadlines.sweep(actor=SWEEPER) == 1
    assert deadlines.sweep(actor=SWEEPER) == 0
    assert found() == {order.number}
    task = StaffTask.objects.get()
    assert (task.kind, task.level, task.order) == (TaskKind.OVERDUE, "agent", order)
    assert "Charging for 2 h" in task.says
    assert "answered 503" in task.says


def test_it_is_resolved_with_its_task_when_the_order_goes_on() -> None:
    order = late_and_failing()
    deadlines.sweep(actor=SWEEPER)
    Order.objects.filter(pk=order.pk).update(status_since=timezone.now())
    deadlines.sweep(actor=SWEEPER)
    assert found() == set()
    assert StaffTask.objects.get().status == "done"


def test_what_waits_for_a_partner_that_is_out_of_order_is_excused() -> None:
    late_and_failing()
    row, _ = PartnerHealth.objects.get_or_create(partner="payments")
    PartnerHealth.objects.filter(pk=row.pk).update(state="open", opened_at=timezone.now(), next_try_at=timezone.now())
    assert deadlines.sweep(actor=SWEEPER) == 0


def test_what_a_person_holds_or_paused_is_excused() -> None:
    held, paused = late_and_failing(), late_and_failing()
    holding.hold(held.number, actor=TEST_ACTOR, reason="Wait")
    stepping.pause(paused.number, actor=TEST_ACTOR, reason="Wait")
    assert deadlines.sweep(actor=SWEEPER) == 0


def test_reviews_and_placed_orders_have_no_deadline_here() -> None:
    late(driving.make_order_in_review(), hours=1000)
    late(make_order(), hours=1000)
    assert deadlines.sweep(actor=SWEEPER) == 0


def in_the_bulk_lane() -> Order:
    order = make_order()
    with transaction.atomic():
        placing.start_locked(history.lock_order(order.pk), actor=TEST_ACTOR, reason="Imported", bulk=True)
    return late(order)


def test_orders_that_wait_for_their_turn_are_not_overdue_and_not_in_the_queue_of_those_that_are() -> None:
    waiting, begun = in_the_bulk_lane(), in_the_bulk_lane()
    start = OutboxMessage.objects.filter(aggregate=f"order:{begun.pk}")
    start.update(delivered_at=timezone.now())
    assert deadlines.sweep(actor=SWEEPER) == 0, "the time of the one that was begun starts now"
    assert set(concerns.not_moving(Order.objects.all())) == {begun}
    start.update(delivered_at=timezone.now() - timedelta(minutes=6))
    assert deadlines.sweep(actor=SWEEPER) == 1
    assert found() == {begun.number}
    assert StaffTask.objects.filter(order=waiting).count() == 0


def test_an_outage_of_temporal_is_not_one_overdue_task_for_each_order() -> None:
    orders = [late(make_order(started=True)) for _ in range(3)]
    assert deadlines.sweep(actor=SWEEPER) == 0
    OutboxMessage.objects.update(delivered_at=timezone.now())
    assert deadlines.sweep(actor=SWEEPER) == 0, "they have just been handed over"
    OutboxMessage.objects.update(delivered_at=timezone.now() - timedelta(minutes=6))
    assert deadlines.sweep(actor=SWEEPER) == len(orders)
