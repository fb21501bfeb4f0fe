"""A step in the database that goes on failing holds no slot, makes no history, and waits for as long as it takes."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from orders.vocabulary import FailureType, OrderStatus
from temporal_app.payloads import OrderInput, OrderStep, ReviewStanding
from temporal_app.workflows.order import OrderWorkflow
from tests.workflows.order_world import OrderWorld, eventually, final

#: tries inside the workflow task
LOCAL = 3
SLOTS = 4


@pytest.fixture
def world() -> OrderWorld:
    return OrderWorld()


def broken(*, next_try: timedelta | None = None) -> ApplicationError:
    """A trigger that raises, as the activity tells it; `next_try` stands in for hundreds of short waits."""
    return ApplicationError("The database did not answer", type="database", next_retry_delay=next_try)


@pytest.mark.parametrize(
    "step",
    [
        "prepare_order",
        "settle_review",
        "settle_hold",
        "complete_order",
        "begin_undo",
        "release_stock",
        "close_order",
    ],
)
async def test_a_step_that_fails_for_thirty_days_is_done_after_them(
    skipping: WorkflowEnvironment, world: OrderWorld, step: str
) -> None:
    world.suspicious = step == "settle_review"
    world.reviews = [ReviewStanding(approved=True, wait_seconds=0)]
    if step == "settle_hold":
        world.fail("ship_order", final(FailureType.ON_HOLD))
    undone = step in {"begin_undo", "release_stock", "close_order"}
    if undone:
        world.fail("ship_order", final(FailureType.CARRIER_REJECTED))
    world.fail(step, *[broken()] * LOCAL, *[broken(next_try=timedelta(days=1))] * 30)
    began = await skipping.get_current_time()
    async with world.order(skipping) as order:
        result = await order.result()
        history = await order.fetch_history()
    assert result.status is (OrderStatus.FAILED if undone else OrderStatus.COMPLETED)
    assert world.log.count(step) == LOCAL + 31
    assert await skipping.get_current_time() - began >= timedelta(days=30)
    assert len(history.events) < 80


async def test_orders_whose_steps_fail_leave_the_slots_to_those_that_are_healthy(
    dev_server: WorkflowEnvironment,
) -> None:
    world, queue = OrderWorld(), f"test-{uuid.uuid4()}"
    failing: set[str] = set()
    mended = asyncio.Event()

    @activity.defn(name="prepare_order")
    async def prepare_order(step: OrderStep) -> None:
        if step.order_id.startswith("bad") and not mended.is_set():
            failing.add(step.order_id)
            raise broken()

    others = [one for one in world.activities() if one.__temporal_activity_definition.name != "prepare_order"]  # type: ignore[attr-defined]

    async def start(name: str):  # type: ignore[no-untyped-def]
        return await dev_server.client.start_workflow(
            OrderWorkflow.run,
            OrderInput(order_id=name, number="SO-1", customer="C-1"),
            id=f"order:{name}-{queue}",
            task_queue=queue,
        )

    async with Worker(
        dev_server.client,
        task_queue=queue,
        workflows=[OrderWorkflow],
        activities=[prepare_order, *others],
        max_concurrent_workflow_tasks=SLOTS,
    ):
        bad = [await start(f"bad-{number}") for number in range(3 * SLOTS)]
        # Slots that are held stay held until `mended`: this is against hanging, not against slowness.
        async with asyncio.timeout(120):
            assert (await (await start("good")).result()).status is OrderStatus.COMPLETED
            for one in bad:
                await eventually(one, "activity_task_scheduled_event_attributes")
            mended.set()
            for one in bad:
                assert (await one.result()).status is OrderStatus.COMPLETED
    assert len(failing) == len(bad)


async def test_an_order_whose_step_waits_outside_of_the_task_can_be_cancelled(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("complete_order", *[broken()] * LOCAL, *[broken(next_try=timedelta(hours=10))] * 2)
    async with world.order(dev_server) as order:
        await world.happened("complete_order", times=LOCAL + 1)
        await order.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await order.result()
    assert isinstance(failed.value.cause, CancelledError)
    assert world.log.count("complete_order") == LOCAL + 1
    assert world.log[-5:] == ["begin_undo", "undo_shipment", "undo_payment", "release_stock", "close_order"]


async def test_a_final_no_outside_of_the_task_is_as_final_as_inside(
    skipping: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("prepare_order", *[broken()] * LOCAL, final(FailureType.OUT_OF_STOCK, "None left"))
    async with world.order(skipping) as order:
        result = await order.result()
    assert (result.status, result.failure_type) == (OrderStatus.FAILED, FailureType.OUT_OF_STOCK)
    assert world.log == [*["prepare_order"] * (LOCAL + 1), "begin_undo", "release_stock", "close_order"]


async def test_an_attempt_that_was_under_way_at_the_cancellation_is_the_last_one(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    """As in every version: a history in which it ended so must replay."""
    queue = f"test-{uuid.uuid4()}"
    world.stop_at("prepare_order")
    world.fail("prepare_order", broken())
    async with Worker(dev_server.client, task_queue=queue, workflows=[OrderWorkflow], activities=world.activities()):
        order = await dev_server.client.start_workflow(
            OrderWorkflow.run,
            OrderInput(order_id=queue, number="SO-1", customer="C-1"),
            id=f"order:{queue}",
            task_queue=queue,
            # The engine hears of a cancellation when the task of a local activity is renewed.
            task_timeout=timedelta(seconds=2),
        )
        await world.reached("prepare_order")
        await order.cancel()
        cancelled = await eventually(order, "workflow_execution_cancel_requested_event_attributes")
        renewed = 0
        while renewed <= cancelled[0].event_id:
            tasks = await eventually(order, "workflow_task_started_event_attributes", times=2)
            renewed = tasks[-1].event_id
        world.let_go("prepare_order")
        with pytest.raises(WorkflowFailureError):
            await order.result()
    assert world.log == ["prepare_order", "begin_undo", "release_stock", "close_order"]
