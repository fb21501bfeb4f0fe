"""One payment of which the gateway has told something: our books are brought to its books.

Each event only wakes the workflow; the activity reads what is true. What cannot be booked yet, because the order is
still under way, is looked at again after a while that grows.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from temporal_app import policies
    from temporal_app.activities import gateway_events as activities
    from temporal_app.payloads import GatewayPaymentInput
    from temporal_app.workflows.proof import until_proven
    from temporal_app.workflows.waits import Wakes, is_long

#: waits between two looks; the last one is repeated
WAITS = (timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))


@workflow.defn
class GatewayPaymentWorkflow:
    @workflow.init
    def __init__(self, payment: GatewayPaymentInput) -> None:
        self.wakes = Wakes()

    @workflow.signal
    def look_again(self, *given: Any) -> None:
        self.wakes.come(given)

    @workflow.run
    async def run(self, payment: GatewayPaymentInput) -> None:
        looks = 0
        while True:
            told = self.wakes.told
            settled = await until_proven(lambda: self.settle(payment), between=lambda: self.continue_when_long(payment))
            if self.wakes.told > told:
                looks = 0
                # Whoever goes on telling must not keep the history from beginning anew.
                self.continue_when_long(payment)
                continue
            if settled:
                return
            self.continue_when_long(payment, as_ever=True)
            await self.wakes.next(told, within=WAITS[min(looks, len(WAITS) - 1)])
            looks = 0 if self.wakes.told > told else looks + 1

    def continue_when_long(self, payment: GatewayPaymentInput, *, as_ever: bool = False) -> None:
        if is_long(self.wakes.told, as_ever=as_ever):
            workflow.continue_as_new(payment)

    async def settle(self, payment: GatewayPaymentInput) -> bool:
        return await workflow.execute_activity(
            activities.settle_gateway_payment, payment, **policies.partner_undo("Compare with the gateway")
        )
