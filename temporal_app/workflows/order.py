"""One order, from queued to shipped, or undone.

The workflow only decides what comes next; every fact is written by an activity. It never fails for a business reason:
an order that is declined or out of stock ends as a completed workflow whose result says so, after everything that had
happened was undone.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import FailureType, OrderStatus
    from temporal_app import policies
    from temporal_app.activities import orders as activities
    from temporal_app.payloads import OrderInput, OrderResult, OrderStep, UndoOrder
    from temporal_app.search_attributes import ORDER_STATUS
    from temporal_app.workflows.saga import Saga, is_saga_failure, raise_if_cancelled, shielded


@workflow.defn
class OrderWorkflow:
    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self.order = order
        self.step = OrderStep(order_id=order.order_id, run_id=workflow.info().first_execution_run_id)
        self.saga = Saga()

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        try:
            await self.prepare()
            await self.charge()
            await self.ship()
            await self.complete()
        except (Exception, asyncio.CancelledError) as error:
            if not is_saga_failure(error):
                raise
            failure = failure_of(error)
            if failure is FailureType.NOT_THE_PROCESS:
                return self.result(OrderStatus.FAILED, failure)
            result = await shielded(self.undo(failure, message_of(error, failure)))
            if result.status is OrderStatus.CANCELLED:
                raise asyncio.CancelledError from error
            return result
        return self.result(OrderStatus.COMPLETED)

    async def prepare(self) -> None:
        self.saga.add(self.release_stock)
        self.show(OrderStatus.RESERVING)
        await workflow.execute_local_activity(
            activities.prepare_order, self.step, **policies.database("Validate and reserve stock")
        )
        raise_if_cancelled()

    async def charge(self) -> None:
        self.saga.add(self.undo_payment)
        self.show(OrderStatus.CHARGING)
        await workflow.execute_activity(
            activities.charge_payment, self.step, **policies.partner("Charge at the gateway")
        )
        raise_if_cancelled()

    async def ship(self) -> None:
        self.saga.add(self.undo_shipment)
        self.show(OrderStatus.SHIPPING)
        await workflow.execute_activity(activities.ship_order, self.step, **policies.partner("Book the shipment"))
        raise_if_cancelled()

    async def complete(self) -> None:
        # A cancellation that arrives from here on is too late: `begin_undo` would answer that the order is complete.
        await workflow.execute_local_activity(
            activities.complete_order, self.step, **policies.database("Book the sale and close")
        )
        self.show(OrderStatus.COMPLETED)

    async def undo(self, failure: FailureType, message: str) -> OrderResult:
        begun = await workflow.execute_local_activity(
            activities.begin_undo,
            UndoOrder(order_id=self.order.order_id, failure_type=failure, message=message),
            **policies.database("Begin the undo"),
        )
        if not begun:
            return self.result(OrderStatus.COMPLETED)
        self.show(OrderStatus.UNDOING)
        await self.saga.undo_all()
        status = await workflow.execute_local_activity(
            activities.close_order, self.step, **policies.database("Close the order")
        )
        self.show(status)
        return self.result(status, failure)

    async def undo_shipment(self) -> None:
        await workflow.execute_activity(
            activities.undo_shipment, self.step, **policies.partner_undo("Cancel the shipment")
        )

    async def undo_payment(self) -> None:
        await workflow.execute_activity(
            activities.undo_payment, self.step, **policies.partner_undo("Cancel or refund the payment")
        )

    async def release_stock(self) -> None:
        await workflow.execute_local_activity(
            activities.release_stock, self.step, **policies.database("Release the stock")
        )

    def show(self, status: OrderStatus) -> None:
        workflow.upsert_search_attributes([ORDER_STATUS.value_set(status)])

    def result(self, status: OrderStatus, failure: FailureType | None = None) -> OrderResult:
        return OrderResult(number=self.order.number, status=status, failure_type=failure)


def root_cause(error: BaseException) -> BaseException:
    """The innermost error: an ActivityError itself says no more than "Activity task failed"."""
    while isinstance(error, ActivityError) and error.cause is not None:
        error = error.cause
    return error


def failure_of(error: BaseException) -> FailureType:
    """The failure type that the order will carry."""
    cause = root_cause(error)
    final = isinstance(cause, ApplicationError) and cause.non_retryable
    # An attempt that fails or times out after the cancellation is not retried any more and ends with its own error; the
    # order was ended by the cancellation all the same. A final no of a partner stays the reason.
    if is_cancelled_exception(error) or (workflow.cancellation_reason() is not None and not final):
        return FailureType.CANCELLED
    if isinstance(cause, ApplicationError) and cause.type in set(FailureType):
        return FailureType(cause.type)
    # What is left are timeouts: the step may have happened, and its undo will ask the partner.
    return FailureType.OUTCOME_UNKNOWN


def message_of(error: BaseException, failure: FailureType) -> str:
    """The sentence that the order will carry."""
    if failure is FailureType.CANCELLED:
        return "The order was cancelled"
    return str(getattr(root_cause(error), "message", "") or root_cause(error))[:500]
