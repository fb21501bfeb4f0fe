"""Orders on the real servers: Temporal's dev server, PostgreSQL, the simulator and a worker process."""

import pytest
from django.db import connection
from temporalio.client import WorkflowExecutionStatus

from orders.models import Order, OrderEvent, OutboxMessage, PartnerHealth, ServiceBeat, StockItem
from orders.services import cancelling, invariants
from orders.vocabulary import OrderStatus
from tests.e2e.engine import Engine, eventually
from tests.factories import TEST_ACTOR, make_order, make_product

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def status_of(order: Order) -> str:
    return Order.objects.values_list("status", flat=True).get(pk=order.pk)


def all_closed() -> bool:
    return not Order.objects.filter(closed_at=None).exists()


def sound(engine: Engine) -> None:
    assert list(invariants.check_database()) == []
    assert list(invariants.check_books()) == []


def test_orders_run_to_every_end_and_the_books_agree(running_engine: Engine) -> None:
    product = make_product(stock=100)
    completed = make_order(product=product, started=True)
    declined = make_order(product=product, payment_method="pm_card_chargeDeclined", started=True)
    short = make_order(product=product, quantity=1000, started=True)
    unserved = make_order(product=product, country="AQ", started=True)
    eventually(all_closed, what="the end of all orders")
    assert status_of(completed) == OrderStatus.COMPLETED
    for order, failure in ((declined, "payment_declined"), (short, "out_of_stock"), (unserved, "carrier_rejected")):
        order.refresh_from_db()
        assert (order.status, order.failure_type) == (OrderStatus.FAILED, failure)
    stock = StockItem.objects.get(product=product)
    assert (stock.on_hand, stock.reserved, stock.shipped) == (98, 0, 2)
    eventually(lambda: not OutboxMessage.objects.filter(delivered_at=None).exists(), what="the empty outbox")
    eventually(lambda: ServiceBeat.objects.filter(temporal_ok_at__isnull=False).count() == 1, what="the worker's beat")
    assert PartnerHealth.objects.get(partner="payments").last_ok_at is not None
    sound(running_engine)


def test_a_killed_worker_loses_nothing(running_engine: Engine) -> None:
    product = make_product(stock=1000)
    orders = [make_order(product=product, started=True) for _ in range(12)]
    eventually(lambda: OrderEvent.objects.filter(type="order.payment_captured").exists(), what="the first charge")
    running_engine.kill_worker()
    assert not all_closed()
    running_engine.start_worker()
    eventually(all_closed, what="the end of all orders")
    assert {status_of(order) for order in orders} == {OrderStatus.COMPLETED}
    sound(running_engine)


def test_a_killed_temporal_loses_nothing(running_engine: Engine) -> None:
    product = make_product(stock=1000)
    before = [make_order(product=product, started=True) for _ in range(5)]
    eventually(lambda: OrderEvent.objects.filter(type="order.stock_reserved").exists(), what="the first step")
    running_engine.temporal.kill()
    meanwhile = [make_order(product=product, started=True) for _ in range(3)]
    assert {status_of(order) for order in meanwhile} == {OrderStatus.QUEUED}
    eventually(lambda: OutboxMessage.objects.exclude(last_error="").exists(), what="the relay's complaint")
    running_engine.temporal.start()
    eventually(all_closed, what="the end of all orders")
    assert {status_of(order) for order in before + meanwhile} == {OrderStatus.COMPLETED}
    sound(running_engine)


def test_an_answer_lost_after_the_charge_is_resolved_by_look_up(running_engine: Engine) -> None:
    running_engine.faults(
        {"partner": "payments", "operation": "payment_intents.confirm", "mode": "drop_after", "times": 1}
    )
    order = make_order(started=True)
    eventually(all_closed, what="the end of the order")
    captured = OrderEvent.objects.get(order=order, type="order.payment_captured")
    assert captured.data["resolved_by_lookup"] is True
    assert OrderEvent.objects.filter(order=order, type="order.step_retrying").count() == 1
    sound(running_engine)


def test_a_start_that_is_delivered_twice_makes_one_run(running_engine: Engine) -> None:
    order = make_order(started=True)
    eventually(all_closed, what="the end of the order")
    message = OutboxMessage.objects.get()
    OutboxMessage.objects.update(delivered_at=None, available_at=message.created_at)
    eventually(lambda: outbox_delivered(), what="the second delivery")
    assert OrderEvent.objects.filter(order=order, type="order.completed").count() == 1
    sound(running_engine)


def outbox_delivered() -> bool:
    return not OutboxMessage.objects.filter(delivered_at=None).exists()


def test_a_cancelled_order_gives_money_and_stock_back(running_engine: Engine) -> None:
    running_engine.faults({"partner": "carrier", "operation": "shipments.book", "mode": "unavailable"})
    order = make_order(started=True)
    eventually(lambda: OrderEvent.objects.filter(type="order.step_retrying").exists(), what="the first failed booking")
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="The customer called")
    running_engine.faults()
    eventually(all_closed, what="the end of the order")
    order.refresh_from_db()
    assert (order.status, order.payment.refunded_minor) == (OrderStatus.CANCELLED, order.total_minor)
    # The row is closed by the last step of the process, whose own end comes a moment later.
    ended = WorkflowExecutionStatus.CANCELED
    eventually(lambda: running_engine.workflow_status(f"order:{order.id}") is ended, what="the end of its process")
    sound(running_engine)


def test_verify_invariants_exits_zero_when_all_holds_and_one_with_the_orders_number_when_not(
    new_engine: Engine,
) -> None:
    order = make_order(started=True)
    eventually(all_closed, what="the end of the order")
    sound, report = new_engine.verify_invariants()
    assert (sound, report["violations"], report["unchecked"]) == (0, [], {})
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE orders_orderevent SET reason = 'tampered' WHERE sequence = 3")
        cursor.execute("SET session_replication_role = DEFAULT")
    broken, report = new_engine.verify_invariants()
    assert broken == 1
    assert [(found["invariant"], found["subject"]) for found in report["violations"]] == [("history", order.number)]


def test_the_worker_stops_on_the_first_signal_with_exit_code_zero(running_engine: Engine) -> None:
    make_order(started=True)
    assert running_engine.stop_worker() == 0
    assert not ServiceBeat.objects.exists()
