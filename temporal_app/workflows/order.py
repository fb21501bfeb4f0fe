"""One order, from queued to shipped, or undone.

Version 2 asks for fraud before money moves, and waits for a person where an order is suspicious. Orders that began
under version 1 end under it: the patch is asked for first, so their recorded beginning answers for all that follows.

Signals only wake the workflow. Whether an order is held and what a reviewer decided stands in the database, where the
next activity reads it: a lost, doubled or forged signal changes nothing.

The workflow only decides what comes next; every fact is written by an activity. It never fails for a business reason:
an order that is declined or out of stock ends as a completed workflow whose result says so, after everything that had
happened was undone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import FailureType, OrderStatus
    from temporal_app import policies
    from temporal_app.activities import orders as activities
    from temporal_app.payloads import CommandGiven, OrderInput, OrderResult, OrderStep, UndoOrder
    from temporal_app.search_attributes import ORDER_STATUS
    from temporal_app.workflows.saga import Saga, is_saga_failure, raise_if_cancelled, shielded

T = TypeVar("T")

FRAUD_CHECK = "fraud-check-and-review"


@workflow.defn
class OrderWorkflow:
    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self.order = order
        self.screened = workflow.patched(FRAUD_CHECK)
        self.step = OrderStep(
            order_id=order.order_id, run_id=workflow.info().first_execution_run_id, screened=self.screened
        )
        self.saga = Saga()
        #: how many commands we were told of; a change wakes whoever waits for one
        self.commands = 0

    @workflow.signal
    def command_given(self, given: CommandGiven) -> None:
        self.commands += 1

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        try:
            await self.unless_held(self.prepare)
            if self.screened:
                await self.screen()
            await self.unless_held(self.charge)
            await self.unless_held(self.ship)
            await self.unless_held(self.complete)
        except (Exception, asyncio.CancelledError) as error:
            if not is_saga_failure(error):
                raise
            failure = failure_of(error)
            if failure is FailureType.NOT_THE_PROCESS:
                return self.result(OrderStatus.FAILED, failure)
            result = await shielded(self.undo(failure, message_of(error, failure)))
            # A step may find the cancellation in the database before Temporal's own request arrives; without that
            # request the run may not end as cancelled.
            if result.status is OrderStatus.CANCELLED and workflow.cancellation_reason() is not None:
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

    async def screen(self) -> None:
        if await self.unless_held(self.check_fraud):
            self.show(OrderStatus.IN_REVIEW)
            await self.review()

    async def check_fraud(self) -> bool:
        self.show(OrderStatus.CHECKING)
        suspicious = await workflow.execute_activity(
            activities.check_fraud, self.step, **policies.partner("Check for fraud")
        )
        raise_if_cancelled()
        return suspicious

    async def review(self) -> None:
        """Until a person approves; a rejection is raised by the activity as a failure of the order."""
        while True:
            told = self.commands
            standing = await workflow.execute_local_activity(
                activities.settle_review, self.step, **policies.database("Look at the review")
            )
            raise_if_cancelled()
            if standing.approved:
                return
            await self.next_command(told, within=timedelta(seconds=standing.wait_seconds))

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

    async def unless_held(self, step: Callable[[], Awaitable[T]]) -> T:
        """Run the step; one that finds the order on hold is run again when a person has released it.

        So is one whose hours are over while its partner is out of order: an outage of a day is waited for, in the
        activity's own pauses; it fails no order.
        """
        while True:
            try:
                return await step()
            except (ActivityError, ApplicationError) as error:
                if ended_with(error, FailureType.PARTNER_DOWN):
                    raise_if_cancelled()
                    continue
                if not ended_with(error, FailureType.ON_HOLD):
                    raise
            await self.wait_for_release()

    async def wait_for_release(self) -> None:
        while True:
            told = self.commands
            held = await workflow.execute_local_activity(
                activities.settle_hold, self.step, **policies.database("Stand still")
            )
            raise_if_cancelled()
            if not held:
                return
            self.show(OrderStatus.ON_HOLD)
            await self.next_command(told)

    async def next_command(self, told: int, *, within: timedelta | None = None) -> None:
        """Wait until a command comes that was not known at `told`, or the time is over."""
        try:
            await workflow.wait_condition(lambda: self.commands > told, timeout=within)
        except TimeoutError:
            return

    def show(self, status: OrderStatus) -> None:
        workflow.upsert_search_attributes([ORDER_STATUS.value_set(status)])

    def result(self, status: OrderStatus, failure: FailureType | None = None) -> OrderResult:
        return OrderResult(number=self.order.number, status=status, failure_type=failure)


def root_cause(error: BaseException) -> BaseException:
    """The innermost error: an ActivityError itself says no more than "Activity task failed".

    A local activity that is not retried raises its own error, without one around it.
    """
    while isinstance(error, ActivityError) and error.cause is not None:
        error = error.cause
    return error


def ended_with(error: BaseException, failure: FailureType) -> bool:
    """Whether a step stood still for a reason that is no failure of the order."""
    cause = root_cause(error)
    return isinstance(cause, ApplicationError) and cause.type == failure


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
    cause = root_cause(error)
    says = str(getattr(cause, "message", "") or cause)
    # Of a timeout Temporal says only that time was over; its cause is what the last attempt said.
    deepest: BaseException = cause
    while isinstance(deepest, FailureError) and deepest.cause is not None:
        deepest = deepest.cause
    if deepest is not cause:
        says = f"{says}; the last attempt: {getattr(deepest, 'message', '') or deepest}"
    return says[:500]
