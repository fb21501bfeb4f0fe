"""The recovery run of an order whose process ended from outside: it undoes whatever had happened and charges nobody."""

from collections.abc import Callable

import pytest
from django.db import transaction

from orders import history
from orders.actor import system
from orders.errors import OnHold, StepVoided
from orders.models import Order, Recovery, StockItem
from orders.services import (
    cancelling,
    fraud,
    holding,
    payments,
    process,
    recovering,
    shipping,
    stock,
)
from orders.services.invariants import check_database
from orders.vocabulary import FailureType, OrderStatus
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving

pytestmark = pytest.mark.django_db
ENGINE = system("order recovery", workflow_id="order-recovery:1", run_id="recovery-run")


def queued() -> Order:
    return make_order(started=True)


def charged() -> Order:
    order = make_prepared_order()
    payments.charge(str(order.pk), actor=ENGINE)
    return order


def shipped() -> Order:
    order = charged()
    shipping.ship(str(order.pk), actor=ENGINE)
    return order


def undoing() -> Order:
    order = charged()
    process.begin_undo(
        str(order.pk), failure_type=FailureType.CARRIER_REJECTED, message="No such country", actor=ENGINE
    )
    return order


STANDS = (queued, make_prepared_order, charged, shipped, undoing, driving.make_order_in_review)


def recover(order: Order, *, run_id: str = "recovery-run", finishes: bool = False) -> Order:
    """As `RecoveryWorkflow` does."""
    order_id = str(order.pk)
    with transaction.atomic():
        begun = history.lock_order(order.pk)
        recovering.begin(begun, why="It was terminated.", actor=TEST_ACTOR, finishes=finishes)
    if recovering.adopt(order_id, run_id=run_id, actor=ENGINE):
        shipping.undo_ship(order_id, actor=ENGINE)
        payments.undo_charge(order_id, actor=ENGINE)
        stock.release(order_id, actor=ENGINE)
        process.close(order_id, actor=ENGINE)
    order.refresh_from_db()
    return order


@pytest.mark.parametrize("stand", STANDS, ids=lambda stand: stand.__name__)
def test_an_order_is_undone_from_wherever_it_stood(stand: Callable[[], Order]) -> None:
    with driving.partners():
        order = recover(stand())
    assert order.status == OrderStatus.FAILED
    item = StockItem.objects.get(product=order.lines.get().product)
    assert (item.reserved, item.shipped, item.on_hand) == (0, 0, item.received)
    assert [found for found in check_database() if found.invariant != "outbox"] == []


def test_why_it_failed_is_said_and_an_undo_keeps_its_own_reason() -> None:
    with driving.partners():
        ended, declined = recover(charged()), recover(undoing())
    assert (ended.failure_type, ended.failure_message) == (FailureType.PROCESS_ENDED, "It was terminated.")
    assert declined.failure_type == FailureType.CARRIER_REJECTED


def test_an_order_whose_cancellation_was_accepted_ends_as_cancelled() -> None:
    with driving.partners():
        order = charged()
        cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Changed her mind")
        order = recover(order)
    assert (order.status, order.failure_type) == (OrderStatus.CANCELLED, FailureType.CANCELLED)


def test_steps_of_the_ended_run_that_wake_up_later_change_nothing() -> None:
    with driving.partners():
        order = recover(charged())
        for step in (payments.charge, shipping.ship, process.complete, fraud.check, process.validate):
            try:
                step(str(order.pk), actor=ENGINE)
            except StepVoided:
                continue
        order.refresh_from_db()
    assert order.status == OrderStatus.FAILED
    assert not order.shipments.exclude(status="cancelled").exists()


def test_a_completed_order_is_left_as_it_is() -> None:
    order = driving.drive(make_order())
    assert recover(order).status == OrderStatus.COMPLETED


def test_a_second_recovery_run_goes_on_where_the_first_was_ended() -> None:
    with driving.partners():
        order = charged()
        with transaction.atomic():
            recovering.begin(history.lock_order(order.pk), why="It was terminated.", actor=TEST_ACTOR)
        recovering.adopt(str(order.pk), run_id="first", actor=ENGINE)
        payments.undo_charge(str(order.pk), actor=ENGINE)
        order = recover(order, run_id="second")
    assert order.status == OrderStatus.FAILED
    assert Recovery.objects.get().run_id == "second"
    assert order.payment.refunded_minor == order.payment.captured_minor == order.total_minor


def test_an_order_that_nobody_had_taken_up_is_barred_from_its_late_run() -> None:
    with driving.partners():
        order = recover(queued())
    assert order.process_run_id == "recovery-run"
    with pytest.raises(Exception, match="process"):
        process.adopt(str(order.pk), run_id="late")


def test_nobody_asked_for_it_nothing_is_adopted() -> None:
    with pytest.raises(Recovery.DoesNotExist):
        recovering.adopt(str(make_prepared_order().pk), run_id="r", actor=ENGINE)


def test_a_review_is_closed_with_the_order() -> None:
    with driving.partners():
        order = recover(driving.make_order_in_review())
    assert order.review.status == "closed"


# --- a lead had it finished -------------------------------------------------------------------------------------------
def test_an_order_that_was_shipped_can_be_finished_instead() -> None:
    with driving.partners():
        order = recover(shipped(), finishes=True)
        assert order.status == OrderStatus.COMPLETED
        assert recover(order, run_id="second", finishes=True).status == OrderStatus.COMPLETED
    assert order.payment.refunded_minor == 0
    assert order.shipments.exclude(status="cancelled").count() == 1
    assert order.events.filter(type="order.completed").count() == 1
    assert [found for found in check_database() if found.invariant != "outbox"] == []


def test_a_cancellation_that_was_accepted_binds_whoever_had_it_finished() -> None:
    with driving.partners():
        order = shipped()
        cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Changed her mind")
        order = recover(order, finishes=True)
    assert (order.status, order.failure_type) == (OrderStatus.CANCELLED, FailureType.CANCELLED)
    assert order.payment.refunded_minor == order.total_minor


def test_an_order_on_hold_is_finished_after_its_release() -> None:
    with driving.partners():
        order = shipped()
        holding.hold(order.number, actor=TEST_ACTOR, reason="Wait")
        for _ in range(2):
            with pytest.raises(OnHold):
                recover(order, finishes=True)
        order.refresh_from_db()
        assert order.status == OrderStatus.ON_HOLD
        holding.release(order.number, actor=TEST_ACTOR, reason="Go on")
        assert recover(order, finishes=True).status == OrderStatus.COMPLETED


def test_a_recovery_of_an_order_that_a_restored_database_does_not_have_ends() -> None:
    assert not recovering.adopt("00000000-0000-4000-8000-000000000000", run_id="run", actor=TEST_ACTOR)
