"""Somebody who reaches Temporal's port and holds none of our keys moves no money and no goods.

On the real servers. What is asked afterwards are our rows and the partners' own books, never what the stranger was
answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client

from backoffice.devstack.temporal import NAMESPACE
from orders.models import Command, Order, ReviewCase, Step, StockItem, SystemEvent
from orders.services import holding, invariants, reviewing
from orders.vocabulary import EventType, OrderStatus, StepName
from temporal_app.codec import messages_within
from temporal_app.policies import UNREADABLE
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import order_workflow_id
from tests.e2e.engine import Engine, eventually
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.simulator.talk import Http
from tests.stranger import ENVELOPE, Stranger, plain

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
MONEY_AND_GOODS = ("charged_minor", "refunded_minor", "shipments_booked", "shipments_cancelled")


async def stranger_at(engine: Engine) -> Stranger:
    """With the SDK's own converter: no codec, no keys."""
    return Stranger(await Client.connect(engine.temporal.address, namespace=NAMESPACE))


def acting(engine: Engine, act: Callable[[Stranger], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with asyncio.timeout(60):
            return await act(await stranger_at(engine))

    return asyncio.run(run())


def books(engine: Engine, order: Order) -> dict[str, Any]:
    with Http(engine.simulator.url) as partners:
        told = partners.books(str(order.pk))
    return {name: told[name] for name in MONEY_AND_GOODS}


def rows(order: Order) -> dict[str, Any]:
    """What we say of an order, down to its history."""
    order.refresh_from_db()
    item = StockItem.objects.get(product=order.lines.get().product)
    return {
        "status": order.status,
        "history": list(order.events.order_by("sequence").values_list("type", flat=True)),
        "commands": Command.objects.filter(order=order).count(),
        "stock": (item.on_hand, item.reserved, item.shipped),
    }


def is_closed(order: Order) -> bool:
    order.refresh_from_db()
    return order.closed_at is not None


def nothing_moved_unasked(engine: Engine, order: Order) -> None:
    """It was paid and shipped, or neither."""
    told = books(engine, order)
    kept = told["charged_minor"] - told["refunded_minor"]
    done = order.status == OrderStatus.COMPLETED
    assert (kept, told["shipments_booked"]) == ((order.total_minor, 1) if done else (0, 0))
    assert list(invariants.check_database()) == []
    assert list(invariants.check_books()) == []


@contextmanager
def unchanged(engine: Engine, order: Order) -> Iterator[None]:
    before = (rows(order), books(engine, order))
    yield
    assert (rows(order), books(engine, order)) == before


def completed_order(engine: Engine) -> Order:
    order = make_order(started=True)
    eventually(lambda: is_closed(order), what="the end of the order")
    assert order.status == OrderStatus.COMPLETED
    return order


def order_in_review(engine: Engine) -> Order:
    order = make_order(product=make_product(unit_price="6000.00"), quantity=1, started=True)
    eventually(lambda: ReviewCase.objects.filter(order=order).exists(), what="the review")
    return order


def held_before(step: StepName, engine: Engine, *, count: int = 1) -> list[Order]:
    """Orders that stand still, on hold, when the step would be next."""
    partner, operation = {
        StepName.CHARGE: ("payments", "payment_intents.confirm"),
        StepName.SHIP: ("carrier", "shipments.book"),
    }[step]
    engine.faults({"partner": partner, "operation": operation, "mode": "error_before"})
    orders = [make_order(started=True) for _ in range(count)]
    failing = Step.objects.filter(order__in=orders, name=step, status="open").exclude(last_error="")
    eventually(lambda: failing.count() == count, what=f"{count} times a failing {step}")
    for order in orders:
        holding.hold(order.number, actor=TEST_ACTOR, reason="Call the customer")
    on_hold = Order.objects.filter(pk__in=[order.pk for order in orders], status=OrderStatus.ON_HOLD)
    eventually(lambda: on_hold.count() == count, what="the hold")
    engine.faults()
    return orders


# --- activities asked for by a workflow of the stranger's -------------------------------------------------------------
EFFECTS = ("charge_payment", "undo_payment", "ship_order", "undo_shipment", "complete_order", "release_stock")


async def asked_for(stranger: Stranger, workflow_id: str, *asked: tuple[str, Payload]) -> dict[str, str]:
    """Ask our workers for activities, from an own workflow of that id; what became of each, once all were tried."""
    await stranger.start("OrderWorkflow", workflow_id, workflow_id)
    await stranger.ask_for(workflow_id, TaskQueue.ORDERS, *asked)
    return await stranger.tried(workflow_id)


@pytest.mark.parametrize("make", [completed_order, order_in_review])
def test_effects_that_are_asked_for_with_plain_arguments_do_not_happen(
    running_engine: Engine, make: Callable[[Engine], Order]
) -> None:
    order = make(running_engine)
    step = plain(f'{{"order_id": "{order.pk}", "run_id": "{order.process_run_id}", "screened": true}}'.encode())

    with unchanged(running_engine, order):
        tried = acting(running_engine, lambda one: asked_for(one, "evil", *((name, step) for name in EFFECTS)))
    assert list(tried.values()) == ["failed"] * len(EFFECTS)


def test_what_was_written_for_one_activity_or_one_order_serves_no_other(running_engine: Engine) -> None:
    first, second = completed_order(running_engine), completed_order(running_engine)
    ids = [order_workflow_id(str(order.pk)) for order in (first, second)]

    async def ask_for_undo(stranger: Stranger) -> dict[str, str]:
        events = [event for one in ids for event in await stranger.events(one)]
        copied = [payload for event in events for payload in messages_within(event, Payload)]
        encrypted = [payload for payload in copied if "key-id" in payload.metadata]
        assert len(encrypted) > 10
        # Under the very id of the first, whose own run has ended.
        return await asked_for(stranger, ids[0], *(("undo_payment", payload) for payload in encrypted))

    with unchanged(running_engine, first), unchanged(running_engine, second):
        tried = acting(running_engine, ask_for_undo)
    assert set(tried.values()) == {"failed"}


def test_an_ended_orders_own_arguments_do_nothing_twice(running_engine: Engine) -> None:
    """They are authentic: the codec lets them pass, and the fences do not."""
    declined = make_order(payment_method="pm_card_chargeDeclined", started=True)
    eventually(lambda: is_closed(declined), what="the end of the declined order")
    assert declined.status == OrderStatus.FAILED

    async def ask_again(stranger: Stranger, workflow_id: str) -> dict[str, str]:
        asked = [one.activity_task_scheduled_event_attributes for one in await stranger.events(workflow_id)]
        again = [(one.activity_type.name, one.input.payloads[0]) for one in asked if one.activity_id]
        assert tuple(name for name, _ in again)[:2] == ("check_fraud", "charge_payment")
        return await asked_for(stranger, workflow_id, *again)

    for order in (completed_order(running_engine), declined):
        before = books(running_engine, order), order.status
        assert acting(running_engine, partial(ask_again, workflow_id=order_workflow_id(str(order.pk))))
        order.refresh_from_db()
        assert (books(running_engine, order), order.status) == before
        nothing_moved_unasked(running_engine, order)


def test_an_ended_order_that_is_started_again_stays_as_it_was(running_engine: Engine) -> None:
    """With its own start, on our queue: our worker runs it, and finds that it is not the order's process."""
    order = completed_order(running_engine)
    workflow_id = order_workflow_id(str(order.pk))

    async def start_again(stranger: Stranger) -> str:
        await stranger.start("OrderWorkflow", TaskQueue.ORDERS, workflow_id, *await own_start(stranger, workflow_id))
        return await stranger.happened(workflow_id, "workflow_execution_completed", "workflow_task_failed")

    with unchanged(running_engine, order):
        assert acting(running_engine, start_again) == "workflow_execution_completed"


async def own_start(stranger: Stranger, workflow_id: str) -> list[Payload]:
    [begun, *_] = await stranger.events(workflow_id)
    return list(begun.workflow_execution_started_event_attributes.input.payloads)


def test_a_forged_start_for_an_order_that_nobody_started_does_nothing(running_engine: Engine) -> None:
    order = make_order()
    start = plain(f'{{"order_id": "{order.pk}", "number": "{order.number}", "customer": "guest"}}'.encode())
    workflow_id = order_workflow_id(str(order.pk))

    async def begin(stranger: Stranger) -> None:
        await stranger.start("OrderWorkflow", TaskQueue.ORDERS, workflow_id, start)
        await stranger.happened(workflow_id, "workflow_task_failed")

    with unchanged(running_engine, order):
        acting(running_engine, begin)


# --- signals and cancellations ----------------------------------------------------------------------------------------
def test_forged_signals_change_nothing_and_stop_nothing(running_engine: Engine) -> None:
    order = order_in_review(running_engine)
    workflow_id = order_workflow_id(str(order.pk))
    command = plain(b'{"command_id": "1", "kind": "approve"}')

    async def signal(stranger: Stranger) -> None:
        own = await own_start(stranger, workflow_id)
        for payloads in ([command], [], [Payload()], own, [command, command]):
            await stranger.signal(workflow_id, "command_given", *payloads)
        await stranger.settled(workflow_id)

    with unchanged(running_engine, order):
        acting(running_engine, signal)
    told = SystemEvent.objects.filter(order=order, error_type=UNREADABLE)
    # One without arguments, and its own start, only make it look.
    eventually(lambda: told.values_list("activity", "times").first() == ("signal", 3), what="the system event")
    reviewing.approve(order.number, actor=TEST_ACTOR, reason="Known wholesaler")
    eventually(lambda: is_closed(order), what="the end of the order")
    assert order.status == OrderStatus.COMPLETED


def test_a_cancellation_that_no_command_asked_for_gives_no_money_back(running_engine: Engine) -> None:
    [order] = held_before(StepName.SHIP, running_engine)
    workflow_id = order_workflow_id(str(order.pk))

    async def cancel(stranger: Stranger) -> None:
        await stranger.cancel(workflow_id)

    def is_told() -> bool:
        return order.events.filter(type=EventType.ENGINE_CANCEL_IGNORED).exists()

    before = books(running_engine, order)
    acting(running_engine, cancel)
    eventually(is_told, what="the line about a cancellation that nobody asked for")
    assert books(running_engine, order) == before
    holding.release(order.number, actor=TEST_ACTOR, reason="The customer is fine")
    eventually(lambda: is_closed(order), what="the end of the order")
    assert order.status == OrderStatus.COMPLETED


# --- a worker of the stranger's ---------------------------------------------------------------------------------------
DECLINED = Failure(message="Your card was declined")
DECLINED.application_failure_info.type = "payment_declined"
DECLINED.application_failure_info.non_retryable = True
Answer = Callable[[Stranger, Any], Awaitable[None]]
ANSWERS: dict[str, Answer] = {
    "a plain result": lambda stranger, task: stranger.answer(task, plain(b"null")),
    "nothing": lambda stranger, task: stranger.answer(task),
    "an envelope": lambda stranger, task: stranger.answer(task, ENVELOPE),
    "its own arguments": lambda stranger, task: stranger.answer(task, *task.input.payloads),
    "a failure": lambda stranger, task: stranger.fail(task, DECLINED),
}


def answered(engine: Engine, orders: dict[str, tuple[Order, Answer]]) -> None:
    """Release the orders, and have the stranger answer the next activity of each before a worker of ours does it.

    By workflow id: the order, and its answer.
    """
    engine.let_the_worker_go()
    engine.start_worker("--queue", TaskQueue.ORDERS, "--queue", TaskQueue.BATCHES, activities=False)
    for order, _ in orders.values():
        holding.release(order.number, actor=TEST_ACTOR, reason="The customer is fine")

    left = dict(orders)

    async def take_from(queue: TaskQueue, stranger: Stranger) -> None:
        while left:
            task = await stranger.activity(queue)
            # An order that asks again is not answered again.
            _, answer = left.pop(task.workflow_execution.workflow_id, (None, None))
            if answer is not None:
                assert task.activity_type.name in {"charge_payment", "ship_order"}
                await answer(stranger, task)

    async def take_them(stranger: Stranger) -> None:
        lanes = (TaskQueue.PAYMENTS, TaskQueue.CARRIER)
        taking = [asyncio.create_task(take_from(lane, stranger)) for lane in lanes]
        done, waiting = await asyncio.wait(taking, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        for task in done:
            task.result()
        for workflow_id in orders:
            await stranger.settled(workflow_id)

    acting(engine, take_them)
    engine.let_the_worker_go()
    engine.start_worker()
    eventually(lambda: all(is_closed(order) for order, _ in orders.values()), what="the end of the orders")


def with_answers(orders: list[Order]) -> dict[str, tuple[Order, Answer]]:
    ids = [order_workflow_id(str(order.pk)) for order in orders]
    return dict(zip(ids, zip(orders, [*ANSWERS.values()] * 2, strict=False), strict=True))


def test_orders_whose_charge_or_booking_a_stranger_answers_are_paid_and_shipped_all_the_same(
    running_engine: Engine,
) -> None:
    orders = held_before(StepName.SHIP, running_engine, count=len(ANSWERS))
    orders += held_before(StepName.CHARGE, running_engine, count=len(ANSWERS))
    answered(running_engine, with_answers(orders))
    for order in orders:
        assert order.status == OrderStatus.COMPLETED
        nothing_moved_unasked(running_engine, order)
