"""A long process of configured steps with delays between them: the day-end close.

What people asked for stands in the rows, and every decision is a look at them. A signal only says "look again", so a
pause, a resume and a cancellation in any order, doubled, or lost and told again later end the same way; and a
cancellation is never waiting behind a pause.
"""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import ProcessName, ProcessNext
    from temporal_app import policies
    from temporal_app.activities import processes as activities
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
    from temporal_app.workflows.saga import is_saga_failure, raise_if_cancelled, shielded
    from temporal_app.workflows.steps import database_step
    from temporal_app.workflows.waits import Wakes, is_long

#: set by Temporal on what a schedule starts; a backfill plans for moments of the past
PLANNED_FOR = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@workflow.defn
class ProcessWorkflow:
    @workflow.init
    def __init__(self, process: ProcessInput) -> None:
        self.wakes = Wakes()

    @workflow.signal
    def look_again(self, *given: Any) -> None:
        self.wakes.come(given)

    @workflow.run
    async def run(self, process: ProcessInput) -> ProcessResult:
        try:
            return await self.drive(process)
        except (Exception, asyncio.CancelledError) as error:
            if is_saga_failure(error):
                await shielded(self.stop(process))
            raise

    async def drive(self, process: ProcessInput) -> ProcessResult:
        while True:
            raise_if_cancelled()
            if is_long(self.wakes.told, as_ever=True):
                # Nothing is carried over: the next run looks at the same rows.
                workflow.continue_as_new(process)
            # Counted before the look: what is told during it is a reason to look once more.
            told = self.wakes.told
            standing = await database_step(activities.look_at_process, process, "What comes next")
            if standing.next is ProcessNext.END:
                return ProcessResult(run_id=process.run_id, status=standing.status)
            if standing.next is ProcessNext.STEP:
                await self.work(process, standing)
            else:
                parked = standing.next is ProcessNext.PARK
                await self.wakes.next(told, within=None if parked else timedelta(seconds=standing.wait_seconds))

    async def work(self, process: ProcessInput, standing: ProcessStanding) -> None:
        step = ProcessStepInput(run_id=process.run_id, position=standing.position)
        patience = timedelta(seconds=standing.patience_seconds) if standing.patience_seconds else None
        how = policies.process_step(standing.name, patience=patience)
        try:
            if standing.asks_partner:
                how["task_queue"] = TaskQueue.PARTNERS
                await workflow.execute_activity(activities.ask_partner_for_process, step, **how)
            else:
                await workflow.execute_activity(activities.work_process_step, step, **how)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            await database_step(
                activities.give_up_process_step,
                EndProcess(run_id=process.run_id, position=standing.position, message=root_cause(error)),
                "The step failed",
            )

    async def stop(self, process: ProcessInput) -> None:
        """Somebody cancelled in Temporal, past the rows: they must not say "running" for ever."""
        await database_step(
            activities.stop_process,
            EndProcess(run_id=process.run_id, message="Its workflow was cancelled in Temporal."),
            "Stop the run",
        )


@workflow.defn
class OpenProcessWorkflow:
    """What a schedule starts: it opens the run of its day, which has a process of its own."""

    @workflow.run
    async def run(self, definition: ProcessName) -> OpenedProcess:
        planned = workflow.info().typed_search_attributes.get(PLANNED_FOR) or workflow.now()
        asked = OpenProcess(definition=definition, business_day=planned.date().isoformat())
        return await database_step(activities.open_process, asked, "Open the run")


def root_cause(error: BaseException) -> str:
    """The innermost message: the outer ones only say that an activity failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (getattr(error, "message", "") or str(error))[:500]
