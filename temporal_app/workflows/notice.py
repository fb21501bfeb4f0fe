"""One notice to a customer: tried for an hour, then given up and left to a person.

A process of its own, so that a mail server that is away holds up no order and fails none.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from temporal_app import policies
    from temporal_app.activities import notices as activities
    from temporal_app.payloads import NoticeInput, NoticeResult
    from temporal_app.workflows.steps import database_step


@workflow.defn
class NoticeWorkflow:
    @workflow.run
    async def run(self, notice: NoticeInput) -> NoticeResult:
        try:
            status = await workflow.execute_activity(
                activities.send_notice, notice, **policies.mail("Mail to the customer")
            )
        except ActivityError:
            status = await database_step(activities.give_up_notice, notice, "Give the notice up")
        return NoticeResult(notice_id=notice.notice_id, status=status)
