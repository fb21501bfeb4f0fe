"""The activities of a playbook's run on a `PlaybookWorld`, under their real names."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from orders.playbooks.definition import OnFailure
from orders.vocabulary import ENDED_PLAYBOOK_RUNS, FailureType, PlaybookEnding
from orders.vocabulary import PlaybookRunStatus as Run
from orders.vocabulary import PlaybookStepStatus as Step
from temporal_app.playbook_payloads import (
    EndPlaybook,
    PlaybookInput,
    PlaybookPlan,
    PlaybookResult,
    PlaybookStep,
    PlaybookStepStanding,
)
from temporal_app.workflow_ids import playbook_run_workflow_id
from temporal_app.workflows.playbook import PlaybookWorkflow
from tests.workflows.playbook_world import CLOSED, PlaybookWorld, final


def activities(world: PlaybookWorld) -> list[Callable[..., Any]]:
    """Each tells the test that it was called, then asks or changes the rows at once."""

    @activity.defn
    async def load_playbook(run: PlaybookInput) -> PlaybookPlan:
        await world.happen("load_playbook", "")
        return world.plan()

    @activity.defn
    async def run_playbook_step(step: PlaybookStep) -> None:
        row = world.claim(step.path)
        if row.status in CLOSED:
            return
        row.status = Step.RUNNING
        await world.happen("run_playbook_step", step.path)
        if world.errors[step.path]:
            raise world.errors[step.path].pop(0)
        if row.status is Step.GIVEN_UP:
            raise final(FailureType.STEP_VOIDED, "It was given up")
        world.effects.append(step.path)
        world.mark(step.path, Step.DONE)
        await world.told()

    @activity.defn
    async def decide_playbook_step(step: PlaybookStep) -> bool:
        row = world.claim(step.path)
        await world.happen("decide_playbook_step", step.path)
        if row.holds is None:
            row.holds = world.holds(row.step.condition, step.path)  # type: ignore[union-attr]
        return row.holds

    @activity.defn
    async def next_playbook_round(step: PlaybookStep) -> bool:
        row = world.claim(step.path)
        await world.happen("next_playbook_round", step.path)
        row.rounds = step.number - 1
        inside = f"{step.path}#{step.number}"
        return step.number <= row.step.most and world.holds(row.step.condition, inside)  # type: ignore[union-attr]

    @activity.defn
    async def settle_playbook_step(step: PlaybookStep) -> PlaybookStepStanding:
        await world.happen("settle_playbook_step", step.path)
        try:
            return await world.settle(step.path)
        finally:
            await world.told()

    @activity.defn
    async def finish_playbook_step(step: PlaybookStep) -> None:
        await world.happen("finish_playbook_step", step.path)
        if world.at(step.path).status not in CLOSED:
            world.mark(step.path, Step.DONE)

    @activity.defn
    async def fail_playbook_step(step: PlaybookStep) -> OnFailure:
        await world.happen("fail_playbook_step", step.path)
        how = world.fail(step.path, step.message)
        await world.told()
        return how

    @activity.defn
    async def decision_on_playbook_step(step: PlaybookStep) -> Step:
        await world.happen("decision_on_playbook_step", step.path)
        return world.rows[step.path].status

    @activity.defn
    async def playbook_stands_still(run: PlaybookInput) -> bool:
        await world.happen("playbook_stands_still", "")
        return world.status is Run.PAUSED

    @activity.defn
    async def begin_playbook_undo(step: PlaybookStep) -> None:
        await world.happen("begin_playbook_undo", "")
        if world.status not in ENDED_PLAYBOOK_RUNS:
            world.close_open(failed=world.status is not Run.UNDOING)
            world.status, world.message = Run.UNDOING, world.message or step.message

    @activity.defn
    async def next_playbook_undo(run: PlaybookInput) -> str | None:
        return world.next_undo()

    @activity.defn
    async def undo_playbook_step(step: PlaybookStep) -> None:
        row = world.rows[step.path]
        if row.status in {Step.UNDONE, Step.SKIPPED}:
            return
        row.status = Step.UNDOING
        await world.happen("undo_playbook_step", step.path)
        if world.undo_errors[step.path]:
            raise world.undo_errors[step.path].pop(0)
        world.undone.append(step.path)
        world.mark(step.path, Step.UNDONE)
        await world.told()

    @activity.defn
    async def fail_playbook_undo(step: PlaybookStep) -> None:
        await world.happen("fail_playbook_undo", step.path)
        world.mark(step.path, Step.FAILED)
        if step.path in world.decisions:
            world.decide(step.path, world.decisions[step.path])
        await world.told()

    @activity.defn
    async def end_playbook(end: EndPlaybook) -> Run:
        await world.happen("end_playbook", "")
        if end.ending is PlaybookEnding.COMPLETED and world.status is Run.UNDOING:
            raise final(FailureType.STEP_VOIDED, "The run is being undone")
        if world.status not in ENDED_PLAYBOOK_RUNS:
            world.close_open(failed=True)
            world.message = world.message or end.message
            world.status = {
                PlaybookEnding.COMPLETED: Run.COMPLETED,
                PlaybookEnding.CANCELLED: Run.CANCELLED,
            }.get(end.ending, Run.FAILED)
        return world.status

    return [
        load_playbook,
        run_playbook_step,
        decide_playbook_step,
        next_playbook_round,
        settle_playbook_step,
        finish_playbook_step,
        fail_playbook_step,
        decision_on_playbook_step,
        playbook_stands_still,
        begin_playbook_undo,
        next_playbook_undo,
        undo_playbook_step,
        fail_playbook_undo,
        end_playbook,
    ]


@asynccontextmanager
async def running(
    world: PlaybookWorld, server: WorkflowEnvironment, *, runner: WorkflowRunner | None = None
) -> AsyncIterator[WorkflowHandle[Any, PlaybookResult]]:
    """The started run, with a worker on a task queue of its own."""
    world.now = server.get_current_time
    queue = f"test-{uuid.uuid4()}"
    async with Worker(
        server.client,
        task_queue=queue,
        workflows=[PlaybookWorkflow],
        activities=activities(world),
        workflow_runner=runner or SandboxedWorkflowRunner(),
    ):
        yield await server.client.start_workflow(
            PlaybookWorkflow.run,
            PlaybookInput(run_id=world.run_id),
            id=playbook_run_workflow_id(world.run_id),
            # A local activity that waits in a test holds back what arrives for most of this time.
            task_timeout=timedelta(seconds=2),
            task_queue=queue,
        )
