"""The nightly seal: tried until it is made, and a schedule that is there however often a worker starts."""

import asyncio
import uuid
from datetime import timedelta

from temporalio import activity
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from temporal_app import schedules
from temporal_app.payloads import SealResult
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import HISTORY_SEAL
from temporal_app.workflows.seal import SealWorkflow


async def test_a_seal_is_tried_until_the_database_answers(skipping: WorkflowEnvironment) -> None:
    attempts = 0

    @activity.defn(name="seal_history")
    async def seal_history() -> SealResult:
        nonlocal attempts
        attempts += 1
        if attempts < 200:
            raise ApplicationError("gone", type="database")
        return SealResult(sequence=7, made=True)

    queue = f"test-{uuid.uuid4()}"
    async with Worker(skipping.client, task_queue=queue, workflows=[SealWorkflow], activities=[seal_history]):
        result = await skipping.client.execute_workflow(SealWorkflow.run, id=f"seal:{uuid.uuid4()}", task_queue=queue)
    assert result == SealResult(sequence=7, made=True)
    assert attempts == 200


async def scheduled(client: Client) -> Schedule:
    return (await client.get_schedule_handle(HISTORY_SEAL).describe()).schedule


async def test_the_schedule_is_made_once_and_mended_without_waking_a_paused_one(
    dev_server: WorkflowEnvironment,
) -> None:
    client = dev_server.client
    stranger = Schedule(
        action=ScheduleActionStartWorkflow("Theirs", id="theirs", task_queue="theirs"),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=9))]),
    )
    await client.create_schedule("theirs", stranger)
    await schedules.ensure_schedules(client)
    calendar = (await scheduled(client)).spec.calendars[0]
    assert ([entry.start for entry in calendar.hour], [entry.start for entry in calendar.minute]) == ([0], [5])

    def change(found: ScheduleUpdateInput) -> ScheduleUpdate:
        found.description.schedule.spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=9))])
        return ScheduleUpdate(found.description.schedule)

    await client.get_schedule_handle(HISTORY_SEAL).update(change)
    await client.get_schedule_handle(HISTORY_SEAL).pause(note="by staff")
    await schedules.ensure_schedules(client)

    mended = await scheduled(client)
    await client.get_schedule_handle(HISTORY_SEAL).unpause()
    assert (mended.spec.intervals, len(mended.spec.calendars)) == ([], 1)
    assert mended.state.paused
    theirs = (await client.get_schedule_handle("theirs").describe()).schedule
    assert theirs.spec.intervals[0].every == timedelta(days=9)


async def test_the_schedule_starts_the_seal_on_a_queue_that_workers_poll(dev_server: WorkflowEnvironment) -> None:
    sealed = asyncio.Event()

    @activity.defn(name="seal_history")
    async def seal_history() -> SealResult:
        sealed.set()
        return SealResult(sequence=1, made=True)

    client = dev_server.client
    await schedules.ensure_schedules(client)
    worker = Worker(client, task_queue=TaskQueue.BATCHES, workflows=[SealWorkflow], activities=[seal_history])
    async with worker:
        await client.get_schedule_handle(HISTORY_SEAL).trigger()
        await asyncio.wait_for(sealed.wait(), 60)
