"""What starts playbooks by itself: an event of an order, or the time. Each is one activity, tried until it succeeds."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from temporal_app import policies
    from temporal_app.activities import playbooks as activities
    from temporal_app.playbook_payloads import OrderEventHappened
    from temporal_app.workflows.steps import database_step


@workflow.defn
class PlaybookEventWorkflow:
    @workflow.run
    async def run(self, happened: OrderEventHappened) -> int:
        return await database_step(activities.fire_playbook_triggers, happened, "Start playbooks")


@workflow.defn
class PlaybookScheduleWorkflow:
    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity(activities.start_due_playbooks, **policies.nightly("Start playbooks"))
