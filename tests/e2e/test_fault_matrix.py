"""Faults of docs/fault-matrix.md that need the real servers; one set of them for the whole module."""

import asyncio
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus

from orders.models import Finding, Order, OrderEvent, OutboxMessage, PartnerHealth
from orders.partners import breaker
from orders.vocabulary import BreakerState, EventType, FailureType, OrderStatus, PartnerCode
from temporal_app.payloads import OrderInput
from temporal_app.relay import BATCH
from temporal_app.task_queues import TaskQueue
from tests.e2e import engine as engines
from tests.e2e.engine import Engine, eventually
from tests.e2e.gate import Gate
from tests.e2e.test_order_flow import all_closed, sound, status_of
from tests.factories import make_order, make_product
from tests.simulator.talk import Http

# The servers' start counts for the first test.
pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def shared_engine(django_db_setup: None, django_db_blocker: Any) -> Iterator[Engine]:
    with django_db_blocker.unblock():
        gate = Gate((connection.settings_dict["HOST"], int(connection.settings_dict["PORT"])))
        with engines.running(gate=gate) as running:
            yield running
        gate.shut()


@pytest.fixture
def engine(shared_engine: Engine, transactional_db: None) -> Iterator[Engine]:
    assert shared_engine.worker is not None
    if shared_engine.worker.poll() is not None:
        shared_engine.start_worker()
    yield shared_engine
    shared_engine.tidy_up()


def no_carrier(engine: Engine) -> None:
    engine.faults({"partner": "carrier", "operation": "shipments.book", "mode": "unavailable"})


def charged_and_waiting_for_the_carrier(engine: Engine) -> Order:
    no_carrier(engine)
    order = make_order(started=True)
    eventually(lambda: order.events.filter(type="order.step_retrying").exists(), what="the first failed booking")
    return order


def call(engine: Engine, ask: Callable[[Client], Any]) -> Any:
    async def asking() -> Any:
        return await ask(await engine.client())

    return asyncio.run(asking())


def run_and_status(engine: Engine, order: Order) -> tuple[str, WorkflowExecutionStatus | None]:
    """Of the newest run."""

    async def ask(client: Client) -> tuple[str, WorkflowExecutionStatus | None]:
        found = await client.get_workflow_handle(f"order:{order.id}").describe()
        return found.run_id, found.status

    found: tuple[str, WorkflowExecutionStatus | None] = call(engine, ask)
    return found


def ends_in_another_run(engine: Engine, order: Order, before: str) -> None:
    ended = {WorkflowExecutionStatus.COMPLETED, WorkflowExecutionStatus.CANCELED}

    def is_over() -> bool:
        run, status = run_and_status(engine, order)
        return run != before and status in ended

    eventually(is_over, what="the end of the other run")


def threads_of(engine: Engine) -> int:
    assert engine.worker is not None
    return len(list(Path(f"/proc/{engine.worker.pid}/task").iterdir()))


# --- the infrastructure -----------------------------------------------------------------------------------------------
def test_a_temporal_that_hangs_costs_bounded_waits_and_no_pile_of_threads(engine: Engine) -> None:
    make_order(started=True)
    eventually(all_closed, what="the end of the first order")
    before = threads_of(engine)
    assert engine.temporal.process is not None
    engine.temporal.process.send_signal(signal.SIGSTOP)
    try:
        product = make_product(stock=1000)
        waiting = [make_order(product=product, started=True) for _ in range(BATCH)]
        asked_twice = OutboxMessage.objects.filter(delivered_at=None, attempts__gte=2).exclude(last_error="")
        eventually(asked_twice.exists, what="the relay's second try")
        assert threads_of(engine) - before < BATCH, "a thread for each message that waits"
    finally:
        engine.temporal.process.send_signal(signal.SIGCONT)
    eventually(all_closed, what="the end of all orders")
    assert {status_of(order) for order in waiting} == {OrderStatus.COMPLETED}
    sound(engine)


def test_a_database_that_is_away_uses_up_no_attempts(engine: Engine) -> None:
    assert engine.gate is not None
    engine.faults({"partner": "payments", "mode": "latency", "seconds": 1.0})
    order = make_order(started=True)
    eventually(lambda: order.events.filter(type=EventType.STOCK_RESERVED).exists(), what="the reservation")
    failures = engine.log().count("The database failed an activity")
    engine.gate.shut()
    try:
        eventually(
            lambda: engine.log().count("The database failed an activity") >= failures + 3, what="the third failed try"
        )
        assert not all_closed()
    finally:
        engine.gate.open()
    eventually(all_closed, what="the end of the order")
    assert status_of(order) == OrderStatus.COMPLETED
    assert order.events.filter(type=EventType.PAYMENT_CAPTURED).count() == 1
    sound(engine)


def test_cut_database_connections_heal_by_themselves(engine: Engine) -> None:
    make_order(started=True)
    eventually(all_closed, what="the end of the first order")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone()[0] > 0
    order = make_order(started=True)
    eventually(all_closed, what="the end of the second order")
    assert status_of(order) == OrderStatus.COMPLETED


# --- the operator -----------------------------------------------------------------------------------------------------
def reset_to_the_start(engine: Engine, order: Order) -> str:
    """As an operator would with `temporal workflow reset`; answers the run before."""

    async def ask(client: Client) -> str:
        handle = client.get_workflow_handle(f"order:{order.id}")
        run_id = (await handle.describe()).run_id
        history = await handle.fetch_history()
        first = next(e.event_id for e in history.events if e.HasField("workflow_task_completed_event_attributes"))
        await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=run_id),
                workflow_task_finish_event_id=first,
                request_id=str(uuid.uuid4()),
                reason="a test",
            )
        )
        return run_id

    before: str = call(engine, ask)
    return before


@pytest.mark.parametrize(
    ("payment_method", "ends_as"),
    [("pm_card_visa", OrderStatus.COMPLETED), ("pm_card_chargeDeclined", OrderStatus.FAILED)],
)
def test_a_closed_order_that_an_operator_resets_stays_as_it_ended(
    engine: Engine, payment_method: str, ends_as: OrderStatus
) -> None:
    order = make_order(payment_method=payment_method, started=True)
    eventually(all_closed, what="the end of the order")
    captured = order.events.filter(type=EventType.PAYMENT_CAPTURED).count()
    before = reset_to_the_start(engine, order)
    ends_in_another_run(engine, order, before)
    assert status_of(order) == ends_as
    assert order.events.filter(type=EventType.PAYMENT_CAPTURED).count() == captured
    sound(engine)


def test_a_charged_order_that_an_operator_resets_is_not_charged_again(engine: Engine) -> None:
    order = charged_and_waiting_for_the_carrier(engine)
    before = reset_to_the_start(engine, order)
    engine.faults()
    ends_in_another_run(engine, order, before)
    assert status_of(order) == OrderStatus.COMPLETED
    assert order.events.filter(type=EventType.PAYMENT_CAPTURED).count() == 1
    sound(engine)


def test_a_process_that_an_operator_terminated_is_named_by_verify_invariants(engine: Engine) -> None:
    order = charged_and_waiting_for_the_carrier(engine)
    call(engine, lambda client: client.get_workflow_handle(f"order:{order.id}").terminate())

    def complaints() -> list[str]:
        _, report = engine.verify_invariants()
        return [found["detail"] for found in report["violations"] if found["subject"] == order.number]

    eventually(lambda: "the workflow is terminated" in complaints(), what="the complaint")


def test_a_process_that_an_operator_terminated_is_found_and_undone_within_a_minute(engine: Engine) -> None:
    order = charged_and_waiting_for_the_carrier(engine)
    engine.faults()
    call(engine, lambda client: client.get_workflow_handle(f"order:{order.id}").terminate())
    eventually(all_closed, seconds=60, what="the end of the terminated order")
    order.refresh_from_db()
    assert (order.status, order.failure_type) == (OrderStatus.FAILED, FailureType.PROCESS_ENDED)
    assert order.payment.refunded_minor == order.payment.captured_minor == order.total_minor
    eventually(lambda: not Finding.objects.filter(resolved_at=None).exists(), what="the end of the finding")
    assert order.events.filter(type=EventType.RECOVERY_BEGUN).count() == 1
    sound(engine)


def test_an_order_that_temporal_has_forgotten_is_not_processed_again(engine: Engine) -> None:
    """After the retention Temporal accepts the same start; under another id it does so at once."""
    order = make_order(started=True)
    eventually(all_closed, what="the end of the order")
    history = OrderEvent.objects.filter(order=order).count()

    async def start_again(client: Client) -> Any:
        again = OrderInput(order_id=str(order.id), number=order.number, customer="guest")
        return await client.execute_workflow(
            "OrderWorkflow", again, id=f"order:{order.id}:again", task_queue=TaskQueue.ORDERS
        )

    result = call(engine, start_again)
    assert result["failure_type"] == FailureType.NOT_THE_PROCESS
    assert (status_of(order), OrderEvent.objects.filter(order=order).count()) == (OrderStatus.COMPLETED, history)
    sound(engine)


# --- the clock --------------------------------------------------------------------------------------------------------
def test_a_worker_whose_clock_is_an_hour_off_decides_the_same(engine: Engine) -> None:
    for hours in (1, -1):
        engine.stop_worker()
        engine.start_worker(hours_ahead=hours)
        good = make_order(started=True)
        declined = make_order(payment_method="pm_card_chargeDeclined", started=True)
        eventually(all_closed, what="the end of both orders")
        assert (status_of(good), status_of(declined)) == (OrderStatus.COMPLETED, OrderStatus.FAILED)
        off = good.events.get(type=EventType.COMPLETED).at - good.events.get(type=EventType.PLACED).at
        assert round(off.total_seconds() / 3600) == hours, "the worker's clock was not off"
    engine.stop_worker()
    sound(engine)


# --- the partners -----------------------------------------------------------------------------------------------------
def test_orders_wait_for_a_carrier_that_is_down_and_ship_once_each_when_it_is_back(engine: Engine) -> None:
    engine.faults({"partner": "carrier", "mode": "unavailable"})
    product = make_product(stock=1000)
    orders = [make_order(product=product, started=True) for _ in range(8)]

    def is_open() -> bool:
        known = PartnerHealth.objects.filter(partner="carrier").exclude(state=BreakerState.CLOSED)
        return known.exists() and breaker.parked(PartnerCode.CARRIER).count() == len(orders)

    eventually(is_open, what="the open breaker and every order behind it")
    # Another try than the one that opened it fails as well.
    eventually(lambda: PartnerHealth.objects.get(partner="carrier").failed_tries >= 2, what="a try that fails")
    assert {status_of(order) for order in orders} == {OrderStatus.SHIPPING}
    engine.faults()
    eventually(all_closed, what="the end of all orders")
    assert {status_of(order) for order in orders} == {OrderStatus.COMPLETED}
    assert PartnerHealth.objects.get(partner="carrier").state == BreakerState.CLOSED
    for order in orders:
        with Http(engine.simulator.url) as partners:
            assert partners.books(str(order.id))["shipments_booked"] == 1
    sound(engine)
