"""One refund: sent until the gateway answers, followed while it is on its way, and parked when it is refused.

A refused refund waits here for a person, who tries it again or settles it by hand. The signal only wakes the workflow;
what was decided stands in the database, where the activity reads it. One that is on its way is looked at after a while
that grows, and at once when an event of the gateway tells of it.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import RefundStatus
    from temporal_app import policies
    from temporal_app.activities import refunds as activities
    from temporal_app.payloads import RefundInput, RefundResult
    from temporal_app.workflows.proof import until_proven
    from temporal_app.workflows.waits import Wakes, is_long

LOOKS_ONCE_MORE = "refund-looks-once-more"
#: waits between two looks at a refund that is on its way; the last one is repeated. A look takes eleven events.
WAITS = (timedelta(seconds=30), timedelta(hours=1))
#: the gateway has it, and has not ended it
ON_ITS_WAY = (RefundStatus.SENT, RefundStatus.PENDING)


@workflow.defn
class RefundWorkflow:
    @workflow.init
    def __init__(self, refund: RefundInput) -> None:
        self.wakes = Wakes()

    @workflow.signal
    def look_again(self, *given: Any) -> None:
        self.wakes.come(given)

    @workflow.run
    async def run(self, refund: RefundInput) -> RefundResult:
        looks = 0
        while True:
            told = self.wakes.told
            status = await until_proven(lambda: self.send(refund), between=lambda: self.continue_when_long(refund))
            # No history of before holds one of these answers, so what follows from them alters none.
            if status in ON_ITS_WAY:
                await self.wakes.next(told, within=WAITS[min(looks, len(WAITS) - 1)])
                looks += 1
                self.continue_when_long(refund, as_ever=True)
                continue
            if status is not RefundStatus.REFUSED:
                # Told while it was sent, of a new try perhaps: a process that ended now would never look at that.
                if self.wakes.told > told and workflow.patched(LOOKS_ONCE_MORE):
                    continue
                return RefundResult(refund_id=refund.refund_id, status=status)
            await self.wakes.next(told)
            self.continue_when_long(refund)

    async def send(self, refund: RefundInput) -> RefundStatus:
        return await workflow.execute_activity(
            activities.send_refund, refund, **policies.partner_undo("Refund at the gateway")
        )

    def continue_when_long(self, refund: RefundInput, *, as_ever: bool = False) -> None:
        if is_long(self.wakes.told, as_ever=as_ever):
            workflow.continue_as_new(refund)
