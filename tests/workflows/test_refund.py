"""One refund: sent until the gateway answers, parked when it refuses, and never given up."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from orders.vocabulary import RefundStatus
from temporal_app import starter
from temporal_app.payloads import RefundInput, RefundResult
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import refund_workflow_id
from temporal_app.workflows.refund import RefundWorkflow


class Gateway:
    """Stands in for the activity: answers in order; the last answer stays."""

    def __init__(self, *answers: RefundStatus | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._changed = asyncio.Condition()

    async def was_asked(self, times: int) -> None:
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self.asked >= times)

    @asynccontextmanager
    async def worker(self, server: WorkflowEnvironment, queue: str) -> AsyncIterator[None]:
        @activity.defn(name="send_refund")
        async def send_refund(refund: RefundInput) -> RefundStatus:
            async with self._changed:
                self.asked += 1
                self._changed.notify_all()
            await self.may_answer.wait()
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        async with Worker(server.client, task_queue=queue, workflows=[RefundWorkflow], activities=[send_refund]):
            yield


async def start(server: WorkflowEnvironment, queue: str) -> WorkflowHandle[Any, RefundResult]:
    refund_id = str(uuid.uuid4())
    return await server.client.start_workflow(
        RefundWorkflow.run, RefundInput(refund_id=refund_id), id=refund_workflow_id(refund_id), task_queue=queue
    )


async def test_a_gateway_that_is_away_for_two_days_is_asked_until_it_answers(skipping: WorkflowEnvironment) -> None:
    away = ApplicationError("no answer", type="partner_unavailable", next_retry_delay=timedelta(hours=12))
    gateway, queue = Gateway(away, away, away, away, RefundStatus.DONE), f"test-{uuid.uuid4()}"
    async with gateway.worker(skipping, queue):
        result = await (await start(skipping, queue)).result()
    assert (result.status, gateway.asked) == (RefundStatus.DONE, 5)


async def test_a_refused_refund_waits_for_a_person_and_asks_nothing_meanwhile(dev_server: WorkflowEnvironment) -> None:
    gateway, queue = Gateway(RefundStatus.REFUSED, RefundStatus.REFUSED, RefundStatus.SETTLED), f"test-{uuid.uuid4()}"
    async with gateway.worker(dev_server, queue):
        refund = await start(dev_server, queue)
        await gateway.was_asked(1)
        await refund.signal(RefundWorkflow.look_again)
        await gateway.was_asked(2)
        await refund.signal(RefundWorkflow.look_again)
        result = await refund.result()
    assert (result.status, gateway.asked) == (RefundStatus.SETTLED, 3)


async def test_a_message_that_is_delivered_twice_starts_one_run_and_wakes_a_parked_one(
    dev_server: WorkflowEnvironment,
) -> None:
    gateway = Gateway(RefundStatus.REFUSED, RefundStatus.DONE)
    body = {"refund_id": str(uuid.uuid4())}
    refund = dev_server.client.get_workflow_handle(refund_workflow_id(body["refund_id"]))
    async with gateway.worker(dev_server, TaskQueue.ORDERS):
        await starter.send_refund(dev_server.client, body)
        await gateway.was_asked(1)
        await starter.send_refund(dev_server.client, body)
        await refund.result()
    assert gateway.asked == 2
    runs = [one async for one in dev_server.client.list_workflows(f"WorkflowId = '{refund.id}'")]
    assert len(runs) <= 1


async def test_a_refund_that_came_back_after_its_process_had_ended_is_sent_by_a_new_one(
    dev_server: WorkflowEnvironment,
) -> None:
    gateway, body = Gateway(RefundStatus.DONE), {"refund_id": str(uuid.uuid4())}
    refund = dev_server.client.get_workflow_handle(refund_workflow_id(body["refund_id"]))
    async with gateway.worker(dev_server, TaskQueue.ORDERS):
        for _ in range(2):
            await starter.send_refund(dev_server.client, body)
            await refund.result()
    assert gateway.asked == 2


async def test_a_new_try_that_is_told_of_while_the_process_ends_is_not_lost(dev_server: WorkflowEnvironment) -> None:
    gateway, queue = Gateway(RefundStatus.DONE), f"test-{uuid.uuid4()}"
    gateway.may_answer.clear()
    async with gateway.worker(dev_server, queue):
        refund = await start(dev_server, queue)
        await gateway.was_asked(1)
        await refund.signal(RefundWorkflow.look_again)
        gateway.may_answer.set()
        assert (await refund.result()).status is RefundStatus.DONE
    assert gateway.asked == 2


async def test_a_refund_on_its_way_for_days_is_looked_at_at_a_rate_that_a_history_can_hold(
    skipping: WorkflowEnvironment,
) -> None:
    gateway, queue = Gateway(*[RefundStatus.PENDING] * 60, RefundStatus.DONE), f"test-{uuid.uuid4()}"
    async with gateway.worker(skipping, queue):
        refund = await start(skipping, queue)
        assert (await refund.result()).status is RefundStatus.DONE
    events = (await refund.fetch_history()).events
    began = events[0].event_time.ToDatetime()
    hours = Counter((event.event_time.ToDatetime() - began) // timedelta(hours=1) for event in events)
    assert gateway.asked == 61
    assert max(hours.values()) <= 30, hours


async def test_an_event_of_the_gateway_wakes_a_refund_that_is_on_its_way(dev_server: WorkflowEnvironment) -> None:
    gateway, queue = Gateway(RefundStatus.PENDING, RefundStatus.DONE), f"test-{uuid.uuid4()}"
    async with gateway.worker(dev_server, queue):
        refund = await start(dev_server, queue)
        await gateway.was_asked(1)
        async with asyncio.timeout(10):
            await refund.signal(RefundWorkflow.look_again)
            assert (await refund.result()).status is RefundStatus.DONE
