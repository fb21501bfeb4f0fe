"""One refund: sent until the gateway answers, and parked when it says no.

A refused refund waits here for a person, who tries it again or settles it by hand. The signal only wakes the workflow;
what was decided stands in the database, where the activity reads it.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import RefundStatus
    from temporal_app import policies
    from temporal_app.activities import refunds as activities
    from temporal_app.payloads import RefundInput, RefundResult


@workflow.defn
class RefundWorkflow:
    @workflow.init
    def __init__(self, refund: RefundInput) -> None:
        self.told = 0

    @workflow.signal
    def look_again(self) -> None:
        self.told += 1

    @workflow.run
    async def run(self, refund: RefundInput) -> RefundResult:
        while True:
            told = self.told
            status = await workflow.execute_activity(
                activities.send_refund, refund, **policies.partner_undo("Refund at the gateway")
            )
            if status is not RefundStatus.REFUSED:
                return RefundResult(refund_id=refund.refund_id, status=status)
            await workflow.wait_condition(lambda told=told: self.told > told)  # type: ignore[misc]
