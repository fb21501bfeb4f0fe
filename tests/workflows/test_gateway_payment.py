"""One payment of which the gateway tells: woken by each event, and looked at again while something is under way."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from temporal_app import starter
from temporal_app.payloads import GatewayPaymentInput
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import gateway_payment_workflow_id
from temporal_app.workflows.gateway_payment import GatewayPaymentWorkflow


class Books:
    """Stands in for the activity: answers in order; the last answer stays."""

    def __init__(self, *settled: bool) -> None:
        self.settled = list(settled)
        self.looks = 0
        self.pause: asyncio.Event | None = None
        self._changed = asyncio.Condition()

    async def was_looked_at(self, times: int) -> None:
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self.looks >= times)

    @asynccontextmanager
    async def worker(self, server: WorkflowEnvironment, queue: str) -> AsyncIterator[None]:
        @activity.defn(name="settle_gateway_payment")
        async def settle_gateway_payment(payment: GatewayPaymentInput) -> bool:
            async with self._changed:
                self.looks += 1
                self._changed.notify_all()
            if self.pause is not None:
                await self.pause.wait()
            return self.settled.pop(0) if len(self.settled) > 1 else self.settled[0]

        async with Worker(
            server.client, task_queue=queue, workflows=[GatewayPaymentWorkflow], activities=[settle_gateway_payment]
        ):
            yield


async def test_what_is_under_way_is_looked_at_again_in_growing_waits(skipping: WorkflowEnvironment) -> None:
    books, queue, payment = Books(*[False] * 7, True), f"test-{uuid.uuid4()}", f"pi_{uuid.uuid4().hex}"
    async with books.worker(skipping, queue):
        handle = await skipping.client.start_workflow(
            GatewayPaymentWorkflow.run,
            GatewayPaymentInput(payment=payment),
            id=gateway_payment_workflow_id(payment),
            task_queue=queue,
        )
        await handle.result()
    waits = [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        for event in (await handle.fetch_history()).events
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED
    ]
    assert books.looks == 8
    assert waits[0] <= timedelta(seconds=15)
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(hours=1)


async def test_an_event_that_comes_during_a_look_leads_to_another_one(dev_server: WorkflowEnvironment) -> None:
    books, body = Books(True), {"payment": f"pi_{uuid.uuid4().hex}"}
    books.pause = asyncio.Event()
    async with books.worker(dev_server, TaskQueue.ORDERS):
        await starter.settle_gateway_payment(dev_server.client, body)
        await books.was_looked_at(1)
        await starter.settle_gateway_payment(dev_server.client, body)
        books.pause.set()
        await dev_server.client.get_workflow_handle(gateway_payment_workflow_id(body["payment"])).result()
    assert books.looks == 2


async def test_an_event_after_the_end_begins_anew(dev_server: WorkflowEnvironment) -> None:
    books, body = Books(True), {"payment": f"pi_{uuid.uuid4().hex}"}
    handle = dev_server.client.get_workflow_handle(gateway_payment_workflow_id(body["payment"]))
    async with books.worker(dev_server, TaskQueue.ORDERS):
        for _ in range(2):
            await starter.settle_gateway_payment(dev_server.client, body)
            await handle.result()
    assert books.looks == 2
