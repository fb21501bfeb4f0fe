"""One export as a process: tried until it is written, closed when it cannot be; and the round of what is due."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from orders.vocabulary import ExportStatus
from temporal_app import schedules, starter
from temporal_app.payloads import AbandonExport, ExportInput, ExportResult, ExportRoundResult
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import EXPORT_ROUND, export_workflow_id
from temporal_app.workflows.export import ExportRoundWorkflow, ExportWorkflow


class Desk:
    """Stands in for the activities: the file is written at the given attempt, or never."""

    def __init__(self, *, written_at: int = 1, refusal: str = "", waits: bool = False) -> None:
        self.written_at = written_at
        self.refusal = refusal
        self.waits = waits
        self.attempts = 0
        self.abandoned: list[str] = []
        self.begun = asyncio.Event()
        self.asked = asyncio.Event()

    def activities(self) -> list[Callable[..., Any]]:
        @activity.defn(name="write_export")
        async def write_export(export: ExportInput) -> ExportStatus:
            self.attempts += 1
            self.begun.set()
            if self.refusal:
                raise ApplicationError(self.refusal, type="invalid", non_retryable=True)
            while self.waits:
                activity.heartbeat(1)
                await asyncio.sleep(0.1)
            if self.attempts < self.written_at:
                raise ApplicationError("gone", type="database")
            return ExportStatus.COMPLETED

        @activity.defn(name="abandon_export")
        async def abandon_export(export: AbandonExport) -> ExportStatus:
            self.abandoned.append(export.message)
            return ExportStatus.FAILED

        @activity.defn(name="expire_exports")
        async def expire_exports() -> int:
            return 3

        @activity.defn(name="ask_for_planned_exports")
        async def ask_for_planned_exports() -> int:
            self.asked.set()
            return 2

        return [write_export, abandon_export, expire_exports, ask_for_planned_exports]

    @asynccontextmanager
    async def worker(self, server: WorkflowEnvironment, queue: str) -> AsyncIterator[None]:
        workflows = [ExportWorkflow, ExportRoundWorkflow]
        async with Worker(server.client, task_queue=queue, workflows=workflows, activities=self.activities()):
            yield


async def start(server: WorkflowEnvironment, queue: str) -> WorkflowHandle[Any, ExportResult]:
    export_id = str(uuid.uuid4())
    return await server.client.start_workflow(
        ExportWorkflow.run, ExportInput(export_id=export_id), id=export_workflow_id(export_id), task_queue=queue
    )


async def test_a_file_is_tried_until_the_database_answers(skipping: WorkflowEnvironment) -> None:
    desk, queue = Desk(written_at=40), f"test-{uuid.uuid4()}"
    async with desk.worker(skipping, queue):
        result = await (await start(skipping, queue)).result()
    assert (result.status, desk.attempts, desk.abandoned) == (ExportStatus.COMPLETED, 40, [])


async def test_a_file_that_cannot_be_written_closes_the_export_with_the_cause(skipping: WorkflowEnvironment) -> None:
    desk, queue = Desk(refusal="There is no such export."), f"test-{uuid.uuid4()}"
    async with desk.worker(skipping, queue):
        result = await (await start(skipping, queue)).result()
    assert (result.status, desk.abandoned) == (ExportStatus.FAILED, ["There is no such export."])


async def test_a_process_that_is_cancelled_at_temporal_closes_the_export(dev_server: WorkflowEnvironment) -> None:
    desk, queue = Desk(waits=True), f"test-{uuid.uuid4()}"
    async with desk.worker(dev_server, queue):
        export = await start(dev_server, queue)
        await asyncio.wait_for(desk.begun.wait(), 60)
        await export.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await asyncio.wait_for(export.result(), 60)
    assert isinstance(failure.value.cause, CancelledError)
    assert desk.abandoned == ["Its process was cancelled at Temporal."]


async def test_a_message_that_is_delivered_twice_starts_one_run(dev_server: WorkflowEnvironment) -> None:
    desk, body = Desk(), {"export_id": str(uuid.uuid4())}
    async with desk.worker(dev_server, TaskQueue.BATCHES):
        await starter.run_export(dev_server.client, body)
        await starter.run_export(dev_server.client, body)
        await dev_server.client.get_workflow_handle(export_workflow_id(body["export_id"])).result()
        await starter.run_export(dev_server.client, body)
    assert desk.attempts == 1


async def test_the_schedule_starts_a_round_on_a_queue_that_workers_poll(dev_server: WorkflowEnvironment) -> None:
    desk, client = Desk(), dev_server.client
    await schedules.ensure_schedules(client)
    async with desk.worker(dev_server, TaskQueue.BATCHES):
        await client.get_schedule_handle(EXPORT_ROUND).trigger()
        await asyncio.wait_for(desk.asked.wait(), 60)
        result = await client.execute_workflow(
            ExportRoundWorkflow.run, id=f"round-{uuid.uuid4()}", task_queue=TaskQueue.BATCHES
        )
    assert result == ExportRoundResult(expired=3, asked=2)
