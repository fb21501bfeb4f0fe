"""A list of calls to one partner, through its circuit breaker: one result a call, and none is dropped.

While the partner is out of order its calls wait in Temporal and the run waits with them; a breaker that lives in the
run would never hear of time passing, and the rest of the list would be refused at once. The list is in the database
and is read in pages, so that the history stays short however long the list is.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import PartnerRunStatus
    from temporal_app import policies
    from temporal_app.activities import partner_calls as activities
    from temporal_app.payloads import (
        EndPartnerRun,
        GiveUpPartnerCall,
        PartnerCallInput,
        PartnerCallPage,
        PartnerRunInput,
        PartnerRunResult,
    )
    from temporal_app.workflows.causes import root_cause
    from temporal_app.workflows.saga import is_saga_failure, shielded
    from temporal_app.workflows.steps import database_step

PAGE = 100
#: calls under way or waiting at once
WINDOW = 20
#: pages until the history begins anew: some six thousand events
PAGES = 10


@workflow.defn
class PartnerCallsWorkflow:
    @workflow.init
    def __init__(self, run: PartnerRunInput) -> None:
        self.window = asyncio.Semaphore(WINDOW)

    @workflow.run
    async def run(self, run: PartnerRunInput) -> PartnerRunResult:
        try:
            await self.make_all(run)
        except (Exception, asyncio.CancelledError) as error:
            if not is_saga_failure(error):
                raise
            note = "" if is_cancelled_exception(error) else root_cause(error).message
            status = await shielded(self.end(run, note))
            if is_cancelled_exception(error) and status is not PartnerRunStatus.COMPLETED:
                raise
        else:
            status = await shielded(self.end(run, ""))
        return PartnerRunResult(run_id=run.run_id, status=status)

    async def make_all(self, run: PartnerRunInput) -> None:
        for _ in range(PAGES):
            call_ids = await database_step(
                activities.list_partner_calls,
                PartnerCallPage(run_id=run.run_id, limit=PAGE),
                "The next calls without a result",
            )
            if not call_ids:
                return
            await asyncio.gather(*(self.make(call_id) for call_id in call_ids))
        workflow.continue_as_new(run)

    async def make(self, call_id: int) -> None:
        async with self.window:
            try:
                await workflow.execute_activity(
                    activities.make_partner_call,
                    PartnerCallInput(call_id=call_id),
                    **policies.partner_question(f"Call {call_id}"),
                )
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                cause = root_cause(error)
                await database_step(
                    activities.give_up_partner_call,
                    GiveUpPartnerCall(call_id=call_id, error_type=cause.type, message=cause.message),
                    "Write the failure down",
                )

    async def end(self, run: PartnerRunInput, note: str) -> PartnerRunStatus:
        return await database_step(
            activities.end_partner_run, EndPartnerRun(run_id=run.run_id, note=note), "Close the run"
        )
