"""What staff do about a failing step, on the real servers: another card, a parcel booked by hand, a hold that ends."""

from datetime import timedelta

import pytest
from django.utils import timezone

from orders.models import Order, Shipment, Step
from orders.services import holding, invariants, payment_methods, skipping
from orders.vocabulary import EventType, OrderStatus, StepName
from tests.e2e.engine import Engine, eventually
from tests.factories import TEST_ACTOR, make_order
from tests.simulator.talk import Http

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def is_failing(order: Order, step: StepName) -> bool:
    return Step.objects.filter(order=order, name=step, status="open").exclude(last_error="").exists()


def is_completed(order: Order) -> bool:
    order.refresh_from_db()
    return order.status == OrderStatus.COMPLETED


def test_another_payment_method_and_a_parcel_booked_by_hand_bring_an_order_to_its_end(running_engine: Engine) -> None:
    running_engine.faults(
        {"partner": "payments", "operation": "payment_intents.confirm", "mode": "error_before"},
        {"partner": "carrier", "operation": "shipments.book", "mode": "error_after"},
    )
    order = make_order(payment_method="pm_card_visa", started=True)
    eventually(lambda: is_failing(order, StepName.CHARGE), what="a charge that fails")
    payment_methods.change(
        order.number, payment_method="pm_card_mastercard", actor=TEST_ACTOR, reason="The bank of the first one is down"
    )
    running_engine.faults({"partner": "carrier", "operation": "shipments.book", "mode": "error_before"})
    eventually(lambda: is_failing(order, StepName.SHIP), what="a booking that fails")
    skipping.skip(order.number, actor=TEST_ACTOR, reason="Strike", carrier="Night Bike", tracking_number="NB-7")
    eventually(lambda: is_completed(order), what="the end of the order")
    assert Shipment.objects.get(order=order).by_hand
    with Http(running_engine.simulator.url) as partners:
        books = partners.books(str(order.pk))
    assert (books["captures"], books["intents"], books["uncancelled_intents"]) == (1, 2, 1)
    assert books["shipments_booked"] == 0
    assert list(invariants.check_database()) == []
    assert list(invariants.check_books()) == []


def test_a_hold_that_ended_while_no_worker_ran_is_released_when_one_comes_back(running_engine: Engine) -> None:
    running_engine.faults({"partner": "payments", "operation": "payment_intents.confirm", "mode": "error_before"})
    order = make_order(started=True)
    eventually(lambda: is_failing(order, StepName.CHARGE), what="a charge that fails")
    until = timezone.now() + timedelta(seconds=2)
    holding.hold(order.number, actor=TEST_ACTOR, reason="Call the customer", until=until)
    running_engine.kill_worker()
    running_engine.faults()
    eventually(lambda: timezone.now() > until, what="the hour of the hold")
    assert not order.events.filter(type=EventType.RELEASED).exists()
    running_engine.start_worker()
    eventually(lambda: is_completed(order), what="the end of the order")
    assert order.events.get(type=EventType.RELEASED).actor == "clock"
