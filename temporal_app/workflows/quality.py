"""The daily random sample of shipped orders for quality control.

Chance belongs to the workflow: `workflow.random()` is seeded by the run, so a replay draws the same positions, and an
activity that is tried again stores the same orders. `random.random()` here would draw another sample in every replay.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from temporal_app import policies
    from temporal_app.activities import quality as activities
    from temporal_app.payloads import SampleDay, SampleDrawn, SampleResult


@workflow.defn
class QualitySampleWorkflow:
    @workflow.run
    async def run(self) -> SampleResult:
        day = (workflow.now() - timedelta(days=1)).date().isoformat()
        frame = await workflow.execute_activity(
            activities.count_shipped, SampleDay(day=day), **policies.nightly("Count yesterday's shipped orders")
        )
        positions = tuple(sorted(workflow.random().sample(range(frame.shipped), frame.size)))
        if not positions:
            return SampleResult(day=day, shipped=frame.shipped, positions=())
        drawn = SampleDrawn(day=day, shipped=frame.shipped, positions=positions)
        await workflow.execute_activity(activities.store_sample, drawn, **policies.nightly("Write the sample"))
        return SampleResult(day=day, shipped=frame.shipped, positions=positions)
