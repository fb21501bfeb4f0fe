"""The nightly seal: one activity, tried until it succeeds. A schedule starts it (`temporal_app.schedules`)."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from temporal_app import policies
    from temporal_app.activities import seals as activities
    from temporal_app.payloads import SealResult


@workflow.defn
class SealWorkflow:
    @workflow.run
    async def run(self) -> SealResult:
        return await workflow.execute_activity(activities.seal_history, **policies.nightly("Seal all histories"))
