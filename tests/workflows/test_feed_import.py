"""What the import of a feed decides: its phases in order, and that every end is told to the database."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from orders.vocabulary import FeedStatus
from temporal_app.payloads import AbandonFeed, FeedInput, FeedResult
from temporal_app.workflows.feed_import import FeedImportWorkflow

PHASES = {
    "validate_feed": FeedStatus.VALIDATING,
    "transform_feed": FeedStatus.TRANSFORMING,
    "store_feed": FeedStatus.COMPLETED,
}


class FeedWorld:
    """Stand-ins for the phases, under their real names."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.abandoned = ""
        #: phase -> what it answers instead
        self.answers: dict[str, FeedStatus] = {}
        #: phase -> errors to raise, the next first
        self.errors: dict[str, list[Exception]] = {}
        #: phase -> what it answers the next times, before `answers` count
        self.queued: dict[str, list[FeedStatus]] = {}
        #: the phase that waits for its cancellation, and the sign that it has begun
        self.stays_in = ""
        self.arrived = asyncio.Event()
        #: set by every phase that begins
        self.moved = asyncio.Event()

    async def happen(self, name: str) -> FeedStatus:
        self.log.append(name)
        self.moved.set()
        if self.stays_in == name:
            self.arrived.set()
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        if self.errors.get(name):
            raise self.errors[name].pop(0)
        if self.queued.get(name):
            return self.queued[name].pop(0)
        return self.answers.get(name, PHASES[name])

    def activities(self) -> list[Callable[..., Any]]:
        def phase(name: str) -> Callable[..., Any]:
            @activity.defn(name=name)
            async def run(feed: FeedInput) -> FeedStatus:
                return await self.happen(name)

            return run

        @activity.defn(name="abandon_feed")
        async def abandon_feed(feed: AbandonFeed) -> FeedStatus:
            self.abandoned = feed.message
            return FeedStatus.FAILED

        return [*(phase(name) for name in PHASES), abandon_feed]

    @asynccontextmanager
    async def started(
        self, environment: WorkflowEnvironment
    ) -> AsyncIterator[WorkflowHandle[FeedImportWorkflow, FeedResult]]:
        queue = f"test-{uuid.uuid4()}"
        worker = Worker(
            environment.client,
            task_queue=queue,
            workflows=[FeedImportWorkflow],
            activities=self.activities(),
            # An activity hears of its cancellation when it heartbeats; by default that is throttled to 16 real seconds.
            max_heartbeat_throttle_interval=timedelta(milliseconds=50),
        )
        async with worker:
            yield await environment.client.start_workflow(
                FeedImportWorkflow.run, FeedInput(feed_id="f"), id=f"feed-import:{uuid.uuid4()}", task_queue=queue
            )


async def test_a_feed_is_validated_then_transformed_then_stored(skipping: WorkflowEnvironment) -> None:
    world = FeedWorld()
    async with world.started(skipping) as handle:
        assert await handle.result() == FeedResult(feed_id="f", status=FeedStatus.COMPLETED)
    assert world.log == list(PHASES)


async def test_a_file_that_cannot_be_read_is_an_answer_and_not_a_failed_workflow(skipping: WorkflowEnvironment) -> None:
    world = FeedWorld()
    world.answers["validate_feed"] = FeedStatus.FAILED
    async with world.started(skipping) as handle:
        assert (await handle.result()).status is FeedStatus.FAILED
    assert world.log == ["validate_feed"]
    assert not world.abandoned


@pytest.mark.parametrize("phase", PHASES)
async def test_a_phase_that_loses_its_database_is_tried_until_it_succeeds(
    skipping: WorkflowEnvironment, phase: str
) -> None:
    world = FeedWorld()
    world.errors[phase] = [ApplicationError("gone", type="database") for _ in range(12)]
    async with world.started(skipping) as handle:
        assert (await handle.result()).status is FeedStatus.COMPLETED
    assert world.log.count(phase) == 13
    assert len(world.log) == 15


@pytest.mark.parametrize("phase", PHASES)
async def test_a_final_error_is_told_to_the_import_and_the_workflow_completes(
    skipping: WorkflowEnvironment, phase: str
) -> None:
    world = FeedWorld()
    world.errors[phase] = [ApplicationError("You may not do this.", non_retryable=True)]
    async with world.started(skipping) as handle:
        assert (await handle.result()).status is FeedStatus.FAILED
    assert world.abandoned == "You may not do this."
    assert world.log[-1] == phase


@pytest.mark.parametrize("phase", PHASES)
async def test_a_cancelled_import_says_so_and_is_cancelled(skipping: WorkflowEnvironment, phase: str) -> None:
    world = FeedWorld()
    world.stays_in = phase
    async with world.started(skipping) as handle:
        await asyncio.wait_for(world.arrived.wait(), 20)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert world.abandoned == "The import was cancelled."
    assert world.log[-1] == phase


async def waits(handle: WorkflowHandle[FeedImportWorkflow, FeedResult], world: FeedWorld, steps: int) -> None:
    """Until so many phases have run and the process has nothing more to do."""
    while len(world.log) < steps:
        world.moved.clear()
        await asyncio.wait_for(world.moved.wait(), 20)
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING


@pytest.mark.parametrize("phase", PHASES)
async def test_a_paused_import_waits_without_an_end_and_goes_on_when_told(
    skipping: WorkflowEnvironment, phase: str
) -> None:
    world = FeedWorld()
    world.queued[phase] = [FeedStatus.PAUSED] * 1_000
    at = list(PHASES).index(phase) + 1
    async with world.started(skipping) as handle:
        await waits(handle, world, at)
        await skipping.sleep(timedelta(days=3))
        # It looks by itself, and finds that it is paused.
        assert set(world.log) == set(list(PHASES)[:at])
        world.queued[phase].clear()
        await handle.signal(FeedImportWorkflow.look_again)
        assert (await handle.result()).status is FeedStatus.COMPLETED
    assert world.log[-3:] == list(PHASES)


async def test_a_checked_dry_run_waits_for_its_commit_whatever_else_wakes_it(skipping: WorkflowEnvironment) -> None:
    world = FeedWorld()
    world.queued["transform_feed"] = [FeedStatus.CHECKED, FeedStatus.CHECKED]
    async with world.started(skipping) as handle:
        await waits(handle, world, 2)
        # Forged, or told twice: the database has the word.
        await handle.signal(FeedImportWorkflow.look_again)
        await waits(handle, world, 4)
        assert "store_feed" not in world.log
        await handle.signal(FeedImportWorkflow.look_again)
        assert (await handle.result()).status is FeedStatus.COMPLETED
    assert world.log[-1] == "store_feed"


@pytest.mark.parametrize("end", [FeedStatus.DISCARDED, FeedStatus.CANCELLED])
async def test_an_import_that_a_person_ended_is_an_answer_and_no_failure(
    skipping: WorkflowEnvironment, end: FeedStatus
) -> None:
    world = FeedWorld()
    world.queued["transform_feed"] = [FeedStatus.CHECKED]
    world.answers["validate_feed"] = FeedStatus.VALIDATING
    async with world.started(skipping) as handle:
        await waits(handle, world, 2)
        world.answers["validate_feed"] = end
        await handle.signal(FeedImportWorkflow.look_again)
        assert (await handle.result()).status is end
    assert world.log == ["validate_feed", "transform_feed", "validate_feed"]
    assert not world.abandoned


async def test_cancelling_the_process_of_a_paused_import_is_told_to_the_import(skipping: WorkflowEnvironment) -> None:
    world = FeedWorld()
    world.queued["store_feed"] = [FeedStatus.PAUSED]
    async with world.started(skipping) as handle:
        await waits(handle, world, 3)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert world.abandoned == "The import was cancelled."
