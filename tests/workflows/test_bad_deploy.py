"""A worker with a change that was not patched meets an order that is under way."""

import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from orders.vocabulary import OrderStatus
from temporal_app.payloads import OrderInput
from temporal_app.workflows.order import OrderWorkflow
from tests.replay.changed_code import changed_order_workflow
from tests.workflows.order_world import FORWARD, OrderWorld, unavailable
from tests.workflows.test_order import happened

SWAP = (
    "            await self.unless_held(self.charge)\n            await self.unless_held(self.ship)\n",
    "            await self.unless_held(self.ship)\n            await self.unless_held(self.charge)\n",
)


async def test_a_bad_deploy_stops_an_order_where_it_is_and_a_rollback_lets_it_go_on(
    dev_server: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = changed_order_workflow(*SWAP, tmp_path, monkeypatch)
    world, queue = OrderWorld(), str(uuid.uuid4())
    world.fail("charge_payment", unavailable())
    world.stop_at("charge_payment")

    def worker(workflow: type) -> Worker:
        # Without a cache nobody waits for the worker that left.
        return Worker(
            dev_server.client,
            task_queue=queue,
            workflows=[workflow],
            activities=world.activities(),
            max_cached_workflows=0,
        )

    order: WorkflowHandle = await dev_server.client.start_workflow(
        OrderWorkflow.run,
        OrderInput(order_id=queue, number="SO-1", customer="C-1"),
        id=f"order:{queue}",
        task_queue=queue,
        # The second failure in a row is not told to the server, which waits for its end instead.
        task_timeout=timedelta(seconds=3),
    )
    async with worker(OrderWorkflow):
        await world.reached("charge_payment")
        world.let_go("charge_payment")
    async with worker(broken):
        await happened(order, "workflow_task_failed_event_attributes")
        failed = [
            event.workflow_task_failed_event_attributes.cause
            for event in (await order.fetch_history()).events
            if event.HasField("workflow_task_failed_event_attributes")
        ]
        assert set(failed) == {WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR}
        assert "ship_order" not in world.log
    async with worker(OrderWorkflow):
        assert (await order.result()).status is OrderStatus.COMPLETED
    assert list(dict.fromkeys(world.log)) == list(FORWARD)
