"""What a run of partner calls decides: a bounded window, pages, a new history, and a result for every call."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, is_cancelled_exception
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from orders.vocabulary import PartnerRunStatus
from temporal_app import starter
from temporal_app.payloads import (
    EndPartnerRun,
    GiveUpPartnerCall,
    PartnerCallInput,
    PartnerCallPage,
    PartnerRunInput,
    PartnerRunResult,
)
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import partner_run_workflow_id
from temporal_app.workflows.partner_calls import PAGE, PAGES, WINDOW, PartnerCallsWorkflow

#: what an attempt at a call does: nothing (it is done), or raise
Weather = Callable[[int, int], None]


class World:
    """Stands in for the database and the partner: the calls, and what became of each."""

    def __init__(self, calls: int, weather: Weather = lambda call_id, attempt: None) -> None:
        self.pending = list(range(1, calls + 1))
        self.done: list[int] = []
        self.failed: dict[int, tuple[str, str]] = {}
        self.attempts: Counter[int] = Counter()
        self.ends: list[str] = []
        self.pages: list[int] = []
        self.at_once = 0
        #: a whole window is under way
        self.full = asyncio.Event()
        self.weather = weather
        self.asked = asyncio.Event()
        self.hold: asyncio.Event | None = None

    @asynccontextmanager
    async def worker(self, server: WorkflowEnvironment, queue: str) -> AsyncIterator[None]:
        @activity.defn(name="list_partner_calls")
        async def list_partner_calls(page: PartnerCallPage) -> list[int]:
            self.pages.append(len(self.pending))
            return self.pending[: page.limit]

        @activity.defn(name="make_partner_call")
        async def make_partner_call(call: PartnerCallInput) -> None:
            self.attempts[call.call_id] += 1
            self.at_once += 1
            self.asked.set()
            if self.at_once == WINDOW:
                self.full.set()
            try:
                if self.hold:
                    await self.hold.wait()
                await asyncio.sleep(0)
                self.weather(call.call_id, self.attempts[call.call_id])
                self.pending.remove(call.call_id)
                self.done.append(call.call_id)
            finally:
                self.at_once -= 1

        @activity.defn(name="give_up_partner_call")
        async def give_up_partner_call(failure: GiveUpPartnerCall) -> None:
            self.pending.remove(failure.call_id)
            self.failed[failure.call_id] = (failure.error_type, failure.message)

        @activity.defn(name="end_partner_run")
        async def end_partner_run(run: EndPartnerRun) -> PartnerRunStatus:
            self.ends.append(run.note)
            return PartnerRunStatus.CANCELLED if self.pending else PartnerRunStatus.COMPLETED

        activities = [list_partner_calls, make_partner_call, give_up_partner_call, end_partner_run]
        async with Worker(server.client, task_queue=queue, workflows=[PartnerCallsWorkflow], activities=activities):
            yield


async def start(server: WorkflowEnvironment, queue: str) -> WorkflowHandle[Any, PartnerRunResult]:
    run_id = str(uuid.uuid4())
    return await server.client.start_workflow(
        PartnerCallsWorkflow.run, PartnerRunInput(run_id=run_id), id=partner_run_workflow_id(run_id), task_queue=queue
    )


async def run(server: WorkflowEnvironment, world: World) -> PartnerRunResult:
    queue = f"test-{uuid.uuid4()}"
    async with world.worker(server, queue):
        return await (await start(server, queue)).result()


def down(error_type: str = "partner_down", **delay: float) -> ApplicationError:
    return ApplicationError("The carrier was not called.", type=error_type, next_retry_delay=timedelta(**delay))


async def test_every_call_gets_its_result_within_a_window(skipping: WorkflowEnvironment) -> None:
    world = World(PAGE + 7)
    result = await run(skipping, world)
    assert result.status is PartnerRunStatus.COMPLETED
    assert sorted(world.done) == list(range(1, PAGE + 8))
    assert world.pages == [PAGE + 7, 7, 0]


async def test_no_more_calls_than_the_window_are_under_way(dev_server: WorkflowEnvironment) -> None:
    world, queue = World(WINDOW * 3), f"test-{uuid.uuid4()}"
    world.hold = asyncio.Event()
    async with world.worker(dev_server, queue):
        handle = await start(dev_server, queue)
        async with asyncio.timeout(60):
            await world.full.wait()
        under_way = (await handle.describe()).raw_description.pending_activities
        assert len(under_way) == WINDOW
        world.hold.set()
        assert (await handle.result()).status is PartnerRunStatus.COMPLETED
    assert len(world.done) == WINDOW * 3


async def test_a_partner_that_is_out_of_order_for_two_days_drops_no_call(skipping: WorkflowEnvironment) -> None:
    """The guide's fault: an open breaker dropped the rest of the list in no time."""

    def weather(call_id: int, attempt: int) -> None:
        if call_id > 5 and attempt <= 4:
            raise down(hours=12)

    world = World(40, weather)
    assert (await run(skipping, world)).status is PartnerRunStatus.COMPLETED
    assert sorted(world.done) == list(range(1, 41))
    assert (world.failed, world.attempts[40]) == ({}, 5)


async def test_a_bug_is_the_result_of_its_call_with_the_root_cause_and_not_the_end_of_the_run(
    skipping: WorkflowEnvironment,
) -> None:
    def weather(call_id: int, attempt: int) -> None:
        if call_id % 10 == 5:
            raise ApplicationError("An unexpected error: KeyError", type="unexpected")

    world = World(40, weather)
    assert (await run(skipping, world)).status is PartnerRunStatus.COMPLETED
    assert len(world.done) == 36
    assert world.failed == dict.fromkeys((5, 15, 25, 35), ("unexpected", "An unexpected error: KeyError"))
    assert world.attempts[5] == 1


async def test_a_database_that_is_away_is_no_result(skipping: WorkflowEnvironment) -> None:
    def weather(call_id: int, attempt: int) -> None:
        if attempt <= 30:
            raise ApplicationError("The database did not answer", type="database")

    world = World(2, weather)
    assert (await run(skipping, world)).status is PartnerRunStatus.COMPLETED
    assert (sorted(world.done), world.failed) == ([1, 2], {})


async def test_a_long_list_begins_a_new_history_and_loses_nothing(
    skipping: WorkflowEnvironment,
) -> None:
    assert PAGE * PAGES * 6 < 10_000, "the events of one run would come near to Temporal's warning"
    world, queue = World(PAGE * PAGES + 3), f"test-{uuid.uuid4()}"
    async with world.worker(skipping, queue):
        handle = await start(skipping, queue)
        assert (await handle.result()).status is PartnerRunStatus.COMPLETED
    assert len(world.done) == PAGE * PAGES + 3
    assert handle.first_execution_run_id
    first = skipping.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    assert (await first.describe()).status is WorkflowExecutionStatus.CONTINUED_AS_NEW
    assert world.ends == [""]


async def test_a_cancelled_run_starts_no_further_call_and_closes_its_row(dev_server: WorkflowEnvironment) -> None:
    world, queue = World(60), f"test-{uuid.uuid4()}"
    world.hold = asyncio.Event()
    async with world.worker(dev_server, queue):
        handle = await start(dev_server, queue)
        async with asyncio.timeout(60):
            await world.asked.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
        world.hold.set()
    assert is_cancelled_exception(ended.value.cause)
    assert world.ends == [""]
    assert len(world.attempts) <= WINDOW


async def test_a_start_that_is_delivered_twice_is_one_run_and_a_late_cancel_is_harmless(
    dev_server: WorkflowEnvironment,
) -> None:
    world, body = World(1), {"run_id": str(uuid.uuid4()), "partner": "carrier"}
    async with world.worker(dev_server, TaskQueue.PARTNERS):
        await starter.start_partner_run(dev_server.client, body)
        await starter.start_partner_run(dev_server.client, body)
        handle = dev_server.client.get_workflow_handle(partner_run_workflow_id(body["run_id"]))
        await handle.result()
        await starter.start_partner_run(dev_server.client, body)
        with pytest.raises(starter.NotThere):
            await starter.cancel_partner_run(dev_server.client, body)
    assert (world.done, world.ends) == ([1], [""])
    assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
