"""The undo of an order whose own process ended from outside: terminated, or lost with the engine's data.

It knows nothing of what had happened, so it undoes every step; each undo is safe when nothing happened, and may run any
number of times.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import FailureType, OrderStatus
    from temporal_app import policies
    from temporal_app.activities import orders as activities
    from temporal_app.activities import recoveries
    from temporal_app.payloads import OrderResult, OrderStep, RecoveryInput
    from temporal_app.search_attributes import ORDER_STATUS
    from temporal_app.workflows.proof import until_proven
    from temporal_app.workflows.steps import database_step
    from temporal_app.workflows.waits import is_long


@workflow.defn
class RecoveryWorkflow:
    @workflow.run
    async def run(self, order: RecoveryInput) -> OrderResult:
        step = OrderStep(order_id=order.order_id, run_id=workflow.info().first_execution_run_id)
        begun = await database_step(recoveries.adopt_recovery, step, "Adopt the order and begin the undo")
        if not begun:
            return OrderResult(number=order.number, status=OrderStatus.COMPLETED)
        workflow.upsert_search_attributes([ORDER_STATUS.value_set(OrderStatus.UNDOING)])
        status = await until_proven(lambda: self.undo_and_close(step), between=lambda: self.continue_when_long(order))
        workflow.upsert_search_attributes([ORDER_STATUS.value_set(status)])
        return OrderResult(number=order.number, status=status, failure_type=FailureType.PROCESS_ENDED)

    def continue_when_long(self, order: RecoveryInput) -> None:
        """The next run adopts the order once more: it is the same process, and every undo may run again."""
        if is_long():
            workflow.continue_as_new(order)

    async def undo_and_close(self, step: OrderStep) -> OrderStatus:
        await workflow.execute_activity(activities.undo_shipment, step, **policies.partner_undo("Cancel the shipment"))
        await workflow.execute_activity(
            activities.undo_payment, step, **policies.partner_undo("Cancel or refund the payment")
        )
        await database_step(activities.release_stock, step, "Release the stock")
        return await database_step(activities.close_order, step, "Close the order")
