"""A process of configured steps: what it does is what the rows say, whatever it is told and in whatever order.

The activities stand in for the services: `Rows` follows the same rules in memory (the real ones have the same property
test against the database, `tests/orders/test_process_commands_at_random.py`).
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from orders.vocabulary import ProcessNext, ProcessStatus
from temporal_app import starter
from temporal_app.payloads import (
    EndProcess,
    OpenedProcess,
    OpenProcess,
    ProcessInput,
    ProcessResult,
    ProcessStanding,
    ProcessStepInput,
)
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import process_workflow_id
from temporal_app.workflows.process import OpenProcessWorkflow, ProcessWorkflow

Status = ProcessStatus


class Rows:
    """The rows of one run, and the activities that look at them and change them."""

    def __init__(self, steps: int, *, delay: float = 3600.0, partner_step: int = 0) -> None:
        self.run_id = str(uuid.uuid4())
        self.status = Status.RUNNING
        self.delay = delay
        self.partner_step = partner_step
        #: position -> pending, running, done, failed, skipped
        self.steps = dict.fromkeys(range(1, steps + 1), "pending")
        self.waited = {1}
        self.worked: list[int] = []
        self.given_up: list[str] = []
        self.fails: dict[int, Exception] = {}
        self.at_work = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    @property
    def working(self) -> bool:
        return "running" in self.steps.values()

    # What people do.

    def pause(self) -> None:
        if self.status is Status.RUNNING:
            self.status = Status.PAUSING if self.working else Status.PAUSED

    def resume(self) -> None:
        if self.status in {Status.PAUSING, Status.PAUSED}:
            self.status = Status.RUNNING

    def cancel(self) -> None:
        if self.status in {Status.RUNNING, Status.PAUSING, Status.PAUSED}:
            if self.working:
                self.status = Status.CANCELLING
            else:
                self.close(Status.CANCELLED)

    def close(self, status: ProcessStatus) -> None:
        self.status = status
        self.steps = {at: "skipped" if word in {"pending", "running"} else word for at, word in self.steps.items()}

    # What the engine does.

    def look(self) -> ProcessStanding:
        if self.status in {Status.COMPLETED, Status.CANCELLED, Status.FAILED}:
            return ProcessStanding(next=ProcessNext.END, status=self.status)
        at = next(at for at, word in self.steps.items() if word in {"pending", "running"})
        if self.status is Status.PAUSED:
            return ProcessStanding(next=ProcessNext.PARK, status=self.status)
        if at not in self.waited and self.steps[at] == "pending":
            self.waited.add(at)
            return ProcessStanding(next=ProcessNext.WAIT, status=self.status, position=at, wait_seconds=self.delay)
        return ProcessStanding(
            next=ProcessNext.STEP,
            status=self.status,
            position=at,
            name=f"step {at}",
            asks_partner=at == self.partner_step,
            patience_seconds=3600.0,
        )

    def end(self, at: int, word: str) -> None:
        self.steps[at] = word
        if self.status is Status.CANCELLING:
            self.close(Status.CANCELLED)
        elif all(word not in {"pending", "running"} for word in self.steps.values()):
            self.status = Status.COMPLETED
        elif self.status is Status.PAUSING:
            self.status = Status.PAUSED

    async def work(self, at: int) -> None:
        if self.steps[at] != "running":
            if self.status is not Status.RUNNING or self.steps[at] != "pending":
                return
            self.steps[at] = "running"
        self.at_work.set()
        while not self.go_on.is_set():
            activity.heartbeat(at)
            await asyncio.sleep(0.02)
        if at in self.fails:
            raise self.fails[at]
        self.worked.append(at)
        self.end(at, "done")

    @asynccontextmanager
    async def worker(self, server: WorkflowEnvironment, queue: str) -> AsyncIterator[None]:
        @activity.defn(name="look_at_process")
        async def look_at_process(process: ProcessInput) -> ProcessStanding:
            return self.look()

        @activity.defn(name="work_process_step")
        async def work_process_step(step: ProcessStepInput) -> None:
            assert step.position != self.partner_step
            await self.work(step.position)

        @activity.defn(name="ask_partner_for_process")
        async def ask_partner_for_process(step: ProcessStepInput) -> None:
            assert step.position == self.partner_step
            await self.work(step.position)

        @activity.defn(name="give_up_process_step")
        async def give_up_process_step(end: EndProcess) -> None:
            self.given_up.append(end.message)
            self.end(end.position, "failed")

        @activity.defn(name="stop_process")
        async def stop_process(end: EndProcess) -> None:
            self.close(Status.CANCELLED)

        own = Worker(
            server.client,
            task_queue=queue,
            workflows=[ProcessWorkflow],
            activities=[look_at_process, work_process_step, give_up_process_step, stop_process],
        )
        asking = Worker(server.client, task_queue=TaskQueue.PARTNERS, activities=[ask_partner_for_process])
        async with own, asking:
            yield

    async def start(self, server: WorkflowEnvironment, queue: str) -> WorkflowHandle[Any, ProcessResult]:
        return await server.client.start_workflow(
            ProcessWorkflow.run,
            ProcessInput(run_id=self.run_id),
            id=process_workflow_id(self.run_id),
            task_queue=queue,
        )

    async def tell(self, handle: WorkflowHandle[Any, Any]) -> None:
        """What the relay does after a command; a process that has ended needs no message."""
        try:
            await handle.signal(ProcessWorkflow.look_again)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise


def new_queue() -> str:
    return f"test-{uuid.uuid4()}"


async def test_steps_run_in_order_with_their_delays_between_them_each_on_its_queue(
    skipping: WorkflowEnvironment,
) -> None:
    rows, queue = Rows(4, delay=3_600.0, partner_step=2), new_queue()
    began = await skipping.get_current_time()
    async with rows.worker(skipping, queue):
        result = await (await rows.start(skipping, queue)).result()
    assert (result.status, rows.worked) == (Status.COMPLETED, [1, 2, 3, 4])
    assert await skipping.get_current_time() - began >= timedelta(hours=3)


async def test_a_step_that_fails_for_as_long_as_it_may_is_given_up_with_its_root_cause(
    skipping: WorkflowEnvironment,
) -> None:
    rows, queue = Rows(3), new_queue()
    rows.fails[2] = ApplicationError("The gateway gave no report.", type="partner_unavailable")
    async with rows.worker(skipping, queue):
        result = await (await rows.start(skipping, queue)).result()
    assert (result.status, rows.worked, rows.given_up) == (Status.COMPLETED, [1, 3], ["The gateway gave no report."])


async def test_a_paused_process_that_is_cancelled_ends_although_nobody_resumes_it(
    dev_server: WorkflowEnvironment,
) -> None:
    rows, queue = Rows(2, delay=0.0), new_queue()
    rows.pause()
    async with rows.worker(dev_server, queue):
        handle = await rows.start(dev_server, queue)
        await rows.tell(handle)
        rows.cancel()
        await rows.tell(handle)
        result = await handle.result()
    assert (result.status, rows.worked) == (Status.CANCELLED, [])


async def test_a_pause_and_its_resume_during_a_step_lose_nothing(dev_server: WorkflowEnvironment) -> None:
    rows, queue = Rows(2, delay=0.0), new_queue()
    rows.go_on.clear()
    async with rows.worker(dev_server, queue):
        handle = await rows.start(dev_server, queue)
        await asyncio.wait_for(rows.at_work.wait(), 30)
        rows.pause()
        assert rows.status is Status.PAUSING
        await rows.tell(handle)
        rows.resume()
        await rows.tell(handle)
        rows.go_on.set()
        result = await handle.result()
    assert (result.status, rows.worked) == (Status.COMPLETED, [1, 2])


async def test_a_cancellation_in_temporal_ends_the_rows_too(dev_server: WorkflowEnvironment) -> None:
    rows, queue = Rows(2, delay=3600.0), new_queue()
    rows.pause()
    async with rows.worker(dev_server, queue):
        handle = await rows.start(dev_server, queue)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert (rows.status, set(rows.steps.values())) == (Status.CANCELLED, {"skipped"})


async def test_a_message_that_is_delivered_twice_starts_one_run_and_wakes_it(dev_server: WorkflowEnvironment) -> None:
    rows = Rows(1, delay=0.0)
    rows.pause()
    body = {"run_id": rows.run_id}
    async with rows.worker(dev_server, TaskQueue.BATCHES):
        await starter.tell_process(dev_server.client, body)
        rows.resume()
        await starter.tell_process(dev_server.client, body)
        handle = dev_server.client.get_workflow_handle(process_workflow_id(rows.run_id), result_type=ProcessResult)
        assert (await handle.result()).status is Status.COMPLETED
        await starter.tell_process(dev_server.client, body)
    assert rows.worked == [1]


COMMANDS = st.lists(
    st.tuples(st.sampled_from(["pause", "resume", "cancel"]), st.integers(0, 9000)), min_size=1, max_size=6
)


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(commands=COMMANDS, failing=st.sets(st.integers(1, 4), max_size=2), doubled=st.booleans())
async def test_commands_at_random_moments_do_nothing_twice_and_lose_nothing(
    skipping: WorkflowEnvironment, commands: list[tuple[str, int]], failing: set[int], doubled: bool
) -> None:
    rows, queue = Rows(4, partner_step=2), new_queue()
    rows.fails = dict.fromkeys(failing, ApplicationError("no", type="x", non_retryable=True))
    async with rows.worker(skipping, queue):
        handle = await rows.start(skipping, queue)
        for command, seconds in commands:
            await skipping.sleep(timedelta(seconds=seconds))
            getattr(rows, command)()
            for _ in range(2 if doubled else 1):
                await rows.tell(handle)
        # Whatever was asked for, somebody lets it go on in the end; without it a paused run would rightly wait.
        rows.resume()
        await rows.tell(handle)
        result = await handle.result()
    assert result.status is rows.status
    assert result.status in {Status.COMPLETED, Status.CANCELLED}
    assert sorted(set(rows.worked)) == rows.worked, "a step was done twice, or out of order"
    ended = [word for word in rows.steps.values() if word in {"done", "failed", "skipped"}]
    assert len(ended) == 4
    assert rows.worked == [at for at, word in rows.steps.items() if word == "done"]
    assert len(rows.given_up) == sum(1 for word in rows.steps.values() if word == "failed")
    if result.status is Status.COMPLETED:
        assert "skipped" not in rows.steps.values()


async def test_a_schedule_opens_the_run_of_the_day_it_was_planned_for(dev_server: WorkflowEnvironment) -> None:
    asked: list[OpenProcess] = []

    @activity.defn(name="open_process")
    async def open_process(wanted: OpenProcess) -> OpenedProcess:
        asked.append(wanted)
        return OpenedProcess(run_id="", says="somebody was faster")

    queue = new_queue()
    async with Worker(dev_server.client, task_queue=queue, workflows=[OpenProcessWorkflow], activities=[open_process]):
        opened = await dev_server.client.execute_workflow(
            OpenProcessWorkflow.run, "day_end_close", id=f"open:{random.random()}", task_queue=queue
        )
    assert opened.says == "somebody was faster"
    assert (asked[0].definition, len(asked[0].business_day)) == ("day_end_close", 10)
