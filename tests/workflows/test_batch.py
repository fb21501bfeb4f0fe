"""Batches: chunks, a window of children and a window of checks; paused, gone on and cancelled at any moment."""

import asyncio
import random
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orders.vocabulary import BatchMode
from temporal_app.payloads import BatchResult, OrderInput
from temporal_app.workflow_ids import order_workflow_id
from temporal_app.workflows import waits
from temporal_app.workflows.batch import BatchWorkflow
from tests.workflows.batch_world import WINDOW, BatchWorld, StandInOrder

MODES = list(BatchMode)


async def steer(world: BatchWorld, handle: WorkflowHandle[Any, BatchResult], status: str) -> None:
    """As a person does: the row first, then the signal."""
    world.status = status
    await handle.signal(BatchWorkflow.look_again)


@pytest.mark.parametrize("mode", MODES)
async def test_every_item_is_done_once_and_the_result_adds_up(dev_server: WorkflowEnvironment, mode: BatchMode) -> None:
    world = BatchWorld(mode, 35)
    async with world.batch(dev_server) as handle:
        result = await handle.result()
    assert result.counts == {"done": 35}
    assert set(world.done.values()) == {1}
    assert world.most_running <= WINDOW


@pytest.mark.parametrize("mode", MODES)
async def test_a_pause_stands_still_and_a_resume_goes_on(dev_server: WorkflowEnvironment, mode: BatchMode) -> None:
    world = BatchWorld(mode, 40)
    async with world.batch(dev_server) as handle:
        await world.until(lambda: sum(world.done.values()) >= 10)
        await steer(world, handle, "pausing")
        await world.until(lambda: world.status in {"paused", "completed"})
        done = sum(world.done.values())
        await steer(world, handle, "paused")  # a signal that changes nothing wakes nobody into working
        assert sum(world.done.values()) == done
        await steer(world, handle, "running")
        result = await handle.result()
    assert result.counts == {"done": 40}
    assert set(world.done.values()) == {1}


@pytest.mark.parametrize("mode", MODES)
async def test_a_paused_batch_can_be_cancelled(dev_server: WorkflowEnvironment, mode: BatchMode) -> None:
    world = BatchWorld(mode, 40)
    world.gate.clear()
    async with world.batch(dev_server) as handle:
        if mode is not BatchMode.CHUNKS:
            await world.until(lambda: world.counts()["running"] == WINDOW)
        await steer(world, handle, "pausing")
        world.gate.set()
        await world.until(lambda: world.status == "paused")
        await steer(world, handle, "cancelling")
        result = await handle.result()
    assert world.status == "cancelled"
    assert sum(result.counts.values()) == 40
    assert result.counts["skipped"] >= 30


async def test_a_child_that_fails_frees_its_slot(dev_server: WorkflowEnvironment) -> None:
    world = BatchWorld(BatchMode.CHILDREN, 20)
    # As many as the window has slots, at its very beginning.
    world.errors = {at: ApplicationError("broken", non_retryable=True) for at in range(1, WINDOW + 1)}
    async with world.batch(dev_server) as handle:
        result = await handle.result()
    assert result.counts == {"failed": WINDOW, "done": 20 - WINDOW}


async def test_an_order_that_runs_already_is_no_error_and_is_followed_by_its_row(
    dev_server: WorkflowEnvironment,
) -> None:
    world = BatchWorld(BatchMode.CHILDREN, 5)
    first = next(iter(world.ids))
    async with Worker(
        dev_server.client, task_queue="elsewhere", workflows=[StandInOrder], activities=world.activities()
    ):
        await dev_server.client.execute_workflow(
            StandInOrder.run,
            OrderInput(order_id=first, number="SO-1", customer="guest"),
            id=order_workflow_id(first),
            task_queue="elsewhere",
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
        world.items[1], world.done[1] = "running", 0
        async with world.batch(dev_server) as handle:
            await world.until(lambda: world.counts()["done"] == 4)
            world.finish(1)
            result = await handle.result()
    assert result.counts == {"done": 5}
    assert set(world.done.values()) == {1}


async def test_orders_outlive_a_batch_that_is_terminated(dev_server: WorkflowEnvironment) -> None:
    world = BatchWorld(BatchMode.CHILDREN, 4)
    world.gate.clear()
    async with world.batch(dev_server) as handle:
        await world.until(lambda: world.counts()["running"] == 4)
        children = [dev_server.client.get_workflow_handle(order_workflow_id(order_id)) for order_id in world.ids]
        await asyncio.gather(*(started(child) for child in children))
        await handle.terminate("by an operator")
        world.gate.set()
        for child in children:
            await child.result()
    assert world.counts() == {"done": 4}


async def started(child: WorkflowHandle[Any, Any]) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await child.describe()
            except Exception:
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_check_that_is_given_up_is_told_by_its_innermost_error(skipping: WorkflowEnvironment) -> None:
    world = BatchWorld(BatchMode.PARALLEL, 8)
    world.errors = {
        2: ApplicationError("There is no such parcel", type="carrier_rejected", non_retryable=True),
        3: ApplicationError("The carrier answered 503", type="partner_unavailable"),
    }
    async with world.batch(skipping) as handle:
        result = await handle.result()
    assert result.counts == {"done": 6, "failed": 2}
    assert world.given_up[2] == ("carrier_rejected", "There is no such parcel")
    assert world.given_up[3] == ("partner_unavailable", "The carrier answered 503")


@pytest.mark.parametrize("mode", MODES)
async def test_a_process_that_is_cancelled_at_temporal_closes_its_batch(
    dev_server: WorkflowEnvironment, mode: BatchMode
) -> None:
    world = BatchWorld(mode, 30)
    world.gate.clear()
    async with world.batch(dev_server) as handle:
        await world.until(lambda: bool(world.asked))
        await handle.cancel()
        world.gate.set()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert world.stopped


@pytest.mark.parametrize("mode", MODES)
async def test_every_run_is_short_however_many_orders_there_are(
    dev_server: WorkflowEnvironment, mode: BatchMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Outside of the sandbox, which would read the module anew and with it the real limit.
    monkeypatch.setattr(waits, "EVENTS", 100)
    world = BatchWorld(mode, 60 if mode is not BatchMode.CHUNKS else 300)
    async with world.batch(dev_server, runner=UnsandboxedWorkflowRunner()) as handle:
        result = await handle.result()
    assert result.counts == {"done": len(world.items)}
    assert set(world.done.values()) == {1}
    lengths = []
    async for run in dev_server.client.list_workflows(f"WorkflowId = '{handle.id}'"):
        history = await dev_server.client.get_workflow_handle(handle.id, run_id=run.run_id).fetch_history()
        lengths.append(len(history.events))
    assert len(lengths) > 1
    assert max(lengths) < 200


async def test_the_payloads_hold_ids_and_no_more_than_a_window_of_them(dev_server: WorkflowEnvironment) -> None:
    world = BatchWorld(BatchMode.CHUNKS, 2_000)
    async with world.batch(dev_server) as handle:
        await handle.result()
        history = await handle.fetch_history()
    scheduled = [event for event in history.events if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]
    assert len(scheduled) >= 200
    assert max(event.ByteSize() for event in history.events) < 1_500


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", MODES)
async def test_paused_resumed_and_cancelled_at_random_moments_nothing_is_lost_or_done_twice(
    dev_server: WorkflowEnvironment, mode: BatchMode, seed: int
) -> None:
    draw = random.Random(seed)
    world = BatchWorld(mode, 60)
    async with world.batch(dev_server) as handle:
        for _ in range(draw.randint(1, 4)):
            goal = draw.randint(0, 55)
            await world.until(lambda goal=goal: sum(world.done.values()) >= goal or world.status != "running")  # type: ignore[misc]
            if world.status == "running":
                await steer(world, handle, "pausing")
                if draw.random() < 0.5:
                    await world.until(lambda: world.status != "pausing")
            if world.status in {"pausing", "paused"}:
                await steer(world, handle, draw.choice(["running", "running", "cancelling"]))
        if world.status in {"pausing", "paused"}:
            await steer(world, handle, "running")
        result = await handle.result()
    assert sum(result.counts.values()) == 60
    assert set(world.done.values()) <= {1}
    assert result.counts.get("done", 0) == sum(world.done.values())
    assert (world.status == "completed") == (result.counts.get("done") == 60)
