"""Faults of docs/fault-matrix.md that need the real servers; one set of them for the whole module."""

import asyncio
import signal
import socket
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import connection
from django.db.models import F
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus

from orders.amounts import duration
from orders.models import Finding, Order, OrderEvent, OutboxMessage, PartnerHealth
from orders.partners import breaker
from orders.selectors import findings
from orders.selectors.health import machinery, outbox_backlog
from orders.vocabulary import BreakerState, EventType, FailureType, OrderStatus, PartnerCode
from temporal_app.payloads import OrderInput
from temporal_app.relay import AT_ONCE
from temporal_app.task_queues import TaskQueue
from tests.clock import database_time, times_of_all_rows
from tests.e2e.engine import Engine, eventually
from tests.e2e.test_order_flow import all_closed, sound, status_of
from tests.factories import make_order, make_product
from tests.orders.api_calls import make_token, make_user, new_key, order_body
from tests.simulator.talk import Http

# The servers' start counts for the first test.
pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def engine(gated_engine: Engine) -> Engine:
    return gated_engine


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
        waiting = [make_order(product=product, started=True) for _ in range(AT_ONCE)]
        asked_twice = OutboxMessage.objects.filter(delivered_at=None, attempts__gte=2).exclude(last_error="")
        eventually(asked_twice.exists, what="the relay's second try")
        assert threads_of(engine) - before < AT_ONCE, "a thread for each message that waits"
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
def health_lines() -> dict[str, tuple[str, str]]:
    return {one.name: (one.word, one.detail) for one in machinery(outbox_backlog(), findings.sweep_health())}


def assert_wrong(line: tuple[str, str], process: str, minutes: int) -> None:
    """The line names the process, by about how much its clock is off, and which way."""
    word, detail = line
    assert (word, detail.startswith(f"{process}@{socket.gethostname()}: ")) == ("Wrong", True)
    # A clock is turned some moments after it was read.
    told = [duration(timedelta(minutes=abs(minutes), seconds=late)) for late in (0, -30)]
    assert any(f"clock {by} {'ahead' if minutes > 0 else 'behind'}." in detail for by in told), detail


@pytest.mark.parametrize("minutes", [10, -10, 61, -61])
def test_a_worker_whose_clock_is_off_decides_and_writes_the_same(engine: Engine, minutes: int) -> None:
    engine.stop_worker()
    engine.start_worker(minutes_ahead=minutes)
    good = make_order(started=True)
    declined = make_order(payment_method="pm_card_chargeDeclined", started=True)
    eventually(all_closed, what="the end of both orders")
    assert (status_of(good), status_of(declined)) == (OrderStatus.COMPLETED, OrderStatus.FAILED)
    eventually(lambda: "Clocks" in health_lines(), what="the worker's beat")
    assert_wrong(health_lines()["Clocks"], f"worker {engine.worker.pid}", minutes)  # type: ignore[union-attr]
    wrong = {name: at for name, at in times_of_all_rows() if at > database_time()}
    assert not wrong, "written into the future"
    events = OrderEvent.objects.filter(order__in=[good, declined])
    assert not events.filter(at__lt=F("order__placed_at")).exists()
    assert not Order.objects.filter(closed_at__lt=F("placed_at")).exists()
    engine.stop_worker()
    sound(engine)


def test_a_dead_worker_is_missed_within_a_minute_however_wrong_its_clock_was(engine: Engine) -> None:
    engine.stop_worker()
    engine.start_worker(minutes_ahead=61)
    eventually(lambda: health_lines()["Worker"][0] == "Running", what="the worker's beat")
    engine.kill_worker()
    eventually(lambda: health_lines()["Worker"][0] == "Missing", seconds=60, what="the alarm")
    # Judged by what was seen of the queues, which may be a look younger.
    eventually(lambda: health_lines()["Queues"][0] == "No worker", seconds=60, what="the same of the queues")


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_web_process_whose_clock_is_off_writes_and_judges_by_the_databases_time(engine: Engine, minutes: int) -> None:
    web = engine.start_web(minutes_ahead=minutes)
    user = make_user("view_order", "place_order", "start_order", "hold_order", "view_queuestate")
    headers = {"Authorization": f"Token {make_token(user, 'full')}"}

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        key = {"Idempotency-Key": new_key()}
        answer = requests.post(f"{web}{path}", json=body, headers={**headers, **key}, timeout=30)
        assert answer.ok, answer.text
        return dict(answer.json())

    order = Order.objects.get(number=post("/api/orders/", order_body())["number"])
    waiting = post("/api/orders/", order_body(process=False))["number"]
    soon = database_time() + timedelta(minutes=5)
    post(f"/api/orders/{waiting}/hold/", {"reason": "Wait", "until": soon.isoformat()})
    eventually(lambda: status_of(order) == OrderStatus.COMPLETED, what="the end of the order")
    order.refresh_from_db()
    assert order.closed_at is not None
    assert order.placed_at < order.closed_at < database_time()
    health = requests.get(f"{web}/api/health/", headers=headers, timeout=30).json()
    assert health["ok"] is False
    said = {part["name"]: (part["word"], part["detail"]) for part in health["parts"]}["Clocks"]
    assert_wrong(said, f"web {engine.web.pid}", minutes)  # type: ignore[union-attr]


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
