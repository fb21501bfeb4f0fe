"""One sweep: what is overdue, which processes are gone or wedged, whether the books agree.

A schedule starts it again every half minute (`temporal_app.schedules`), so no part is tried for long: one that fails is
left out, and its own row says when it ran last. Temporal is asked between two looks at the database, by an activity
that uses the worker's connection and touches no row.
"""

from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from temporal_app import policies
    from temporal_app.activities import engine
    from temporal_app.activities import sweeps as activities
    from temporal_app.payloads import SweepResult


@workflow.defn
class SweepWorkflow:
    @workflow.run
    async def run(self) -> SweepResult:
        new, failed = 0, []
        for name, part in (("processes", self.processes), ("deadlines", self.deadlines), ("books", self.books)):
            found = await self.unless_it_fails(part)
            if found is None:
                failed.append(name)
            else:
                new += found
        return SweepResult(new=new, failed=tuple(failed))

    async def unless_it_fails(self, part: Callable[[], Awaitable[int]]) -> int | None:
        try:
            return await part()
        except ActivityError as error:
            workflow.logger.warning("A part of the sweep was left out: %s", error.cause)
            return None

    async def processes(self) -> int:
        asked = await workflow.execute_activity(
            activities.processes_to_ask_about, **policies.sweep("Which processes to ask about")
        )
        seen = await workflow.execute_activity(
            engine.look_at_processes, asked, **policies.sweep("Ask Temporal about them")
        )
        return await workflow.execute_activity(
            activities.settle_processes, seen, **policies.sweep("Compare with the orders")
        )

    async def deadlines(self) -> int:
        return await workflow.execute_activity(activities.sweep_deadlines, **policies.sweep("Find overdue orders"))

    async def books(self) -> int:
        return await workflow.execute_activity(activities.sweep_books, **policies.sweep("Compare with the gateway"))
