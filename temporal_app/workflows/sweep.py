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
    from temporal_app.activities import engine, runs
    from temporal_app.activities import sweeps as activities
    from temporal_app.sweep_payloads import SweepResult


@workflow.defn
class SweepWorkflow:
    @workflow.run
    async def run(self) -> SweepResult:
        new, failed, parts = 0, [], ["processes", "deadlines", "books"]
        every_run = workflow.patched("sweep-every-run")
        if every_run:
            # First: it finds a restored database, by which nothing may be repaired.
            parts.insert(0, "runs")
        for name in parts:
            # Without the answer of the first nobody knows whether the second may repair.
            held = name == "processes" and "runs" in failed
            found = None if held else await self.unless_it_fails(getattr(self, name))
            if found is None:
                failed.append(name)
            else:
                new += found
        if workflow.patched("sweep-gateway-events") and await self.unless_it_fails(self.events) is None:
            failed.append("events")
        return SweepResult(new=new, failed=tuple(failed), settled=every_run and "runs" not in failed)

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

    async def runs(self) -> int:
        asked = await workflow.execute_activity(runs.runs_to_ask_about, **policies.sweep("Which runs to ask about"))
        seen = await workflow.execute_activity(runs.look_at_runs, asked, **policies.sweep("Ask Temporal about them"))
        return await workflow.execute_activity(runs.settle_runs, seen, **policies.sweep("Compare with the rows"))

    async def deadlines(self) -> int:
        return await workflow.execute_activity(
            activities.sweep_deadlines, **policies.sweep("Find overdue orders", seconds=60)
        )

    async def books(self) -> int:
        return await workflow.execute_activity(
            activities.sweep_books, **policies.sweep("Compare with the gateway", seconds=60)
        )

    async def events(self) -> int:
        await workflow.execute_activity(
            activities.sweep_events, **policies.sweep("Read what the gateway told", seconds=60)
        )
        return 0
