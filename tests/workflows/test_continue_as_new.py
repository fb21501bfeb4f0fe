"""An order of any length: it begins new histories where it waits, and nobody can tell from what it does.

Outside of the sandbox, which would read the module anew and with it the real limits.
"""

import asyncio
import contextlib
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orders.vocabulary import FailureType, OrderStatus, RunState
from temporal_app.activities import engine
from temporal_app.authenticity import BelievingRunner
from temporal_app.payloads import PaymentStanding, ReviewStanding
from temporal_app.search_attributes import ORDER_STATUS
from temporal_app.workflow_ids import order_workflow_id
from temporal_app.workflows import waits
from temporal_app.workflows.order import FRAUD_CHECK, OrderWorkflow
from tests.stranger import Stranger, plain
from tests.workflows.order_world import FORWARD, OrderWorld, final, tell

#: events of the shortest order that waits once
SHORT = 35
UNDONE = ["undo_shipment", "undo_payment", "release_stock", "close_order"]
SIGNALS = 10_000
AT_ONCE = 200


@pytest.fixture
def world() -> OrderWorld:
    return OrderWorld()


@pytest.fixture
def short_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "EVENTS", SHORT)


async def runs(server: WorkflowEnvironment, handle: WorkflowHandle[Any, Any]) -> list[WorkflowExecutionStatus | None]:
    """How each run of the order ended, the newest first, as soon as the server lists one that is not continued."""
    async with asyncio.timeout(20):
        while True:
            listed = [one.status async for one in server.client.list_workflows(f"WorkflowId = '{handle.id}'")]
            if any(one is not WorkflowExecutionStatus.CONTINUED_AS_NEW for one in listed):
                return listed
            await asyncio.sleep(0.05)


async def wake(world: OrderWorld, order: WorkflowHandle[Any, Any], step: str, times: int) -> None:
    """Tell the order, one look after the other."""
    for _ in range(times):
        looked = world.log.count(step)
        await tell(order)
        await world.happened(step, times=looked + 1)


@pytest.mark.usefixtures("short_histories")
@pytest.mark.parametrize("wait", ["hold", "payment", "review"])
async def test_an_order_that_waits_for_long_goes_on_in_a_new_run_as_if_it_were_one(
    dev_server: WorkflowEnvironment, world: OrderWorld, wait: str
) -> None:
    step = {"hold": "settle_hold", "payment": "charge_payment", "review": "settle_review"}[wait]
    for_ever = 1_000
    if wait == "hold":
        world.fail("ship_order", *[final(FailureType.ON_HOLD)] * for_ever)
        world.holds = [True] * for_ever
    elif wait == "payment":
        world.payments = [PaymentStanding(taken=False, wait_seconds=3_600)] * for_ever
    else:
        world.suspicious = True
        world.reviews = [ReviewStanding(approved=False, wait_seconds=3_600)] * for_ever
    async with world.order(dev_server, runner=UnsandboxedWorkflowRunner()) as order:
        await world.happened(step)
        await wake(world, order, step, 25)
        for waiting in (world.holds, world.payments, world.reviews, world.errors["ship_order"]):
            waiting.clear()  # type: ignore[attr-defined]
        await tell(order)
        result = await order.result()
        newest = dev_server.client.get_workflow_handle(order.id)
        shown = (await newest.describe()).typed_search_attributes.get(ORDER_STATUS)
        ended = await runs(dev_server, order)
    assert result.status is OrderStatus.COMPLETED
    assert len(ended) >= 3
    assert set(ended) == {WorkflowExecutionStatus.CONTINUED_AS_NEW, WorkflowExecutionStatus.COMPLETED}
    assert shown == OrderStatus.COMPLETED
    assert world.log[-1] == "complete_order"
    assert world.runs == {order.first_execution_run_id}, "the first run stays the order's process"


@pytest.mark.usefixtures("short_histories")
async def test_an_order_that_is_cancelled_in_a_later_run_undoes_what_an_earlier_one_has_begun(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("ship_order", *[final(FailureType.ON_HOLD)] * 1_000)
    world.holds = [True] * 1_000
    async with world.order(dev_server, runner=UnsandboxedWorkflowRunner()) as order:
        await world.happened("settle_hold")
        await wake(world, order, "settle_hold", 15)
        # At the first step of the run that goes through them again.
        world.stop_at("prepare_order")
        told = asyncio.create_task(wake(world, order, "settle_hold", 15))
        await world.reached("prepare_order")
        await dev_server.client.get_workflow_handle(order.id).cancel()
        world.let_go("prepare_order")
        told.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await order.result()
    assert isinstance(failed.value.cause, CancelledError)
    assert world.log[-5:] == ["begin_undo", *UNDONE]


@pytest.mark.usefixtures("short_histories")
async def test_an_undo_that_is_not_proved_goes_on_in_a_new_run(
    skipping: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("ship_order", final(FailureType.CARRIER_REJECTED))
    world.fail("close_order", *[final(FailureType.STEP_MISSING)] * 12)
    async with world.order(skipping, runner=UnsandboxedWorkflowRunner()) as order:
        result = await order.result()
        newest = await skipping.client.get_workflow_handle(order.id).describe()
    assert (result.status, result.failure_type) == (OrderStatus.FAILED, FailureType.CARRIER_REJECTED)
    assert newest.run_id != order.first_execution_run_id
    assert world.log.count("begin_undo") == 1, "the next run goes on where the undo stood"
    assert world.log.count("prepare_order") == 1
    assert world.log[-4:] == UNDONE
    assert world.log.count("undo_payment") == 13


@pytest.mark.usefixtures("short_histories")
async def test_steps_that_are_not_proved_are_gone_through_again_in_a_new_run(
    skipping: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("ship_order", *[final(FailureType.STEP_MISSING)] * 6)
    async with world.order(skipping, runner=UnsandboxedWorkflowRunner()) as order:
        assert (await order.result()).status is OrderStatus.COMPLETED
        newest = await skipping.client.get_workflow_handle(order.id).describe()
    assert newest.run_id != order.first_execution_run_id
    assert world.log[-5:] == list(FORWARD)
    assert (world.log.count("ship_order"), world.log.count("complete_order")) == (7, 1)


@pytest.mark.usefixtures("short_histories")
async def test_an_order_that_began_under_version_one_stays_one_in_its_next_runs(
    dev_server: WorkflowEnvironment, world: OrderWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = workflow.patched

    def of_its_time(name: str) -> bool:
        info = workflow.info()
        began_before = name == FRAUD_CHECK and info.run_id == info.first_execution_run_id
        return not began_before and asks(name)

    monkeypatch.setattr(workflow, "patched", of_its_time)
    world.fail("charge_payment", *[final(FailureType.ON_HOLD)] * 1_000)
    world.holds = [True] * 1_000
    async with world.order(dev_server, runner=UnsandboxedWorkflowRunner()) as order:
        await world.happened("settle_hold")
        await wake(world, order, "settle_hold", 15)
        world.holds.clear()
        world.errors["charge_payment"].clear()
        await tell(order)
        await order.result()
        assert len(await runs(dev_server, order)) >= 2
    assert "check_fraud" not in world.log


@pytest.mark.usefixtures("short_histories")
async def test_a_cancellation_of_temporals_that_nobody_gave_is_ignored_by_the_next_run_too(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("ship_order", *[final(FailureType.ON_HOLD)] * 1_000)
    world.holds = [True] * 1_000
    world.fail("begin_undo", final(FailureType.STEP_MISSING))
    async with world.order(dev_server, runner=UnsandboxedWorkflowRunner()) as order:
        await world.happened("settle_hold")
        await order.cancel()
        await world.happened("begin_undo")
        looked = world.log.count("settle_hold")
        await world.happened("settle_hold", times=looked + 1)
        await wake(world, order, "settle_hold", 20)
        world.holds.clear()
        world.errors["ship_order"].clear()
        await tell(order)
        assert (await order.result()).status is OrderStatus.COMPLETED
        assert len(await runs(dev_server, order)) >= 2
    assert world.log.count("begin_undo") == 1


@pytest.mark.usefixtures("short_histories")
async def test_a_run_that_continued_is_no_reset(dev_server: WorkflowEnvironment, world: OrderWorld) -> None:
    world.fail("ship_order", *[final(FailureType.ON_HOLD)] * 1_000)
    world.holds = [True] * 1_000
    async with world.order(dev_server, runner=UnsandboxedWorkflowRunner()) as order:
        await world.happened("settle_hold")
        await wake(world, order, "settle_hold", 15)
        newest = await dev_server.client.get_workflow_handle(order.id).describe()
        assert newest.run_id != order.first_execution_run_id
        seen = await engine._look(dev_server.client, order.id)
        await dev_server.client.get_workflow_handle(order.id).terminate()
    assert not isinstance(seen, str)
    assert seen.state is RunState.RUNNING
    assert order_workflow_id(seen.order_id) == order.id


@pytest.mark.timeout(300)
async def test_ten_thousand_signals_change_nothing_and_a_cancellation_after_them_is_obeyed(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    """The server takes so many of one run, malformed ones too. While they come no run can end: some may be refused."""
    world.fail("ship_order", *[final(FailureType.ON_HOLD)] * SIGNALS)
    world.holds = [True] * 2 * SIGNALS
    stranger = Stranger(dev_server.client)
    gate = asyncio.Semaphore(AT_ONCE)
    taken = 0

    async def send(number: int, order: WorkflowHandle[Any, Any]) -> None:
        nonlocal taken
        async with gate:
            with contextlib.suppress(RPCError):
                if number % 100:
                    await tell(order)
                else:
                    await stranger.signal(order.id, "command_given", *[plain(b"junk")] * (number // 100 % 3))
                taken += 1

    async with world.order(dev_server) as started:
        order = dev_server.client.get_workflow_handle_for(OrderWorkflow.run, started.id)
        await world.happened("settle_hold")
        await asyncio.gather(*(send(number, order) for number in range(SIGNALS)))
        assert taken >= SIGNALS * 0.9
        await one_more(order)
        await order.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await order.result()
        listed = await runs(dev_server, order)
    assert isinstance(failed.value.cause, CancelledError)
    assert world.log[-5:] == ["begin_undo", *UNDONE]
    assert "complete_order" not in world.log
    assert len(listed) >= 2


@pytest.mark.timeout(300)
async def test_ten_thousand_signals_while_the_workers_were_away_do_no_harm_either(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("ship_order", *[final(FailureType.ON_HOLD)] * SIGNALS)
    world.holds = [True] * 2 * SIGNALS
    gate = asyncio.Semaphore(AT_ONCE)

    async def send(order: WorkflowHandle[Any, Any]) -> None:
        async with gate:
            await tell(order)

    async with world.order(dev_server, worker=False) as started:
        order = dev_server.client.get_workflow_handle_for(OrderWorkflow.run, started.id)
        await asyncio.gather(*(send(order) for _ in range(SIGNALS)))
        with pytest.raises(RPCError, match="limit for signal events"):
            await tell(order)
        queue = (await order.describe()).task_queue
        async with Worker(
            dev_server.client,
            task_queue=queue,
            workflows=[OrderWorkflow],
            activities=world.activities(),
            workflow_runner=BelievingRunner(),
        ):
            await world.happened("settle_hold")
            await one_more(order)
            await order.cancel()
            with pytest.raises(WorkflowFailureError):
                await order.result()
    assert world.log[-5:] == ["begin_undo", *UNDONE]


async def one_more(order: WorkflowHandle[Any, Any]) -> None:
    """Until a signal is taken again: the run that had too many has continued as new."""
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(RPCError):
                return await tell(order)
            await asyncio.sleep(0.1)
