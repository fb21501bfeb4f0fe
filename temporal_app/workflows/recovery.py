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


@workflow.defn
class RecoveryWorkflow:
    @workflow.run
    async def run(self, order: RecoveryInput) -> OrderResult:
        step = OrderStep(order_id=order.order_id, run_id=workflow.info().first_execution_run_id)
        begun = await workflow.execute_local_activity(
            recoveries.adopt_recovery, step, **policies.database("Adopt the order and begin the undo")
        )
        if not begun:
            return OrderResult(number=order.number, status=OrderStatus.COMPLETED)
        workflow.upsert_search_attributes([ORDER_STATUS.value_set(OrderStatus.UNDOING)])
        await workflow.execute_activity(activities.undo_shipment, step, **policies.partner_undo("Cancel the shipment"))
        await workflow.execute_activity(
            activities.undo_payment, step, **policies.partner_undo("Cancel or refund the payment")
        )
        await workflow.execute_local_activity(activities.release_stock, step, **policies.database("Release the stock"))
        status = await workflow.execute_local_activity(
            activities.close_order, step, **policies.database("Close the order")
        )
        workflow.upsert_search_attributes([ORDER_STATUS.value_set(status)])
        return OrderResult(number=order.number, status=status, failure_type=FailureType.PROCESS_ENDED)
