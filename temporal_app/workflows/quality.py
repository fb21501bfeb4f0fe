"""The daily random sample of shipped orders for quality control.

Chance belongs to the workflow: `workflow.random()` is seeded by the run, so a replay draws the same positions, and an
activity that is tried again stores the same orders. `random.random()` here would draw another sample in every replay.
"""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from temporal_app import policies
    from temporal_app.activities import quality as activities
    from temporal_app.payloads import SampleDay, SampleDrawn, SampleResult

#: set by Temporal on what a schedule starts
PLANNED_FOR = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@workflow.defn
class QualitySampleWorkflow:
    @workflow.run
    async def run(self) -> SampleResult:
        day = (self.planned() - timedelta(days=1)).date().isoformat()
        frame = await workflow.execute_activity(
            activities.count_shipped, SampleDay(day=day), **policies.nightly("Count yesterday's shipped orders")
        )
        positions = tuple(sorted(workflow.random().sample(range(frame.shipped), frame.size)))
        if not positions:
            return SampleResult(day=day, shipped=frame.shipped, positions=())
        drawn = SampleDrawn(day=day, shipped=frame.shipped, positions=positions)
        await workflow.execute_activity(activities.store_sample, drawn, **policies.nightly("Write the sample"))
        return SampleResult(day=day, shipped=frame.shipped, positions=positions)

    def planned(self) -> datetime:
        """When the schedule meant it to run: workers that were away over midnight must not lose a day."""
        if not workflow.patched("day-of-the-schedule"):
            return workflow.now()
        return workflow.info().typed_search_attributes.get(PLANNED_FOR) or workflow.now()
