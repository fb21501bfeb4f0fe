"""One order, from queued to shipped, or undone.

Version 2 asks for fraud before money moves, and waits for a person where an order is suspicious. Orders that began
under version 1 end under it: the patch is asked for first, so their recorded beginning answers for all that follows.

Signals only wake the workflow. Whether an order is held and what a reviewer decided stands in the database, where the
next activity reads it: a lost, doubled or forged signal changes nothing. The same holds for a cancellation and for the
result of a step: what the database does not bear out is ignored, and the steps are gone through again. Those that are
done change nothing.

A run that grows long continues as new where it waits, and the next one goes through the steps again in the same way. It
is told the version, which undos were registered, and what is being undone; its first run stays the order's process.

The workflow only decides what comes next; every fact is written by an activity. It never fails for a business reason:
an order that is declined or out of stock ends as a completed workflow whose result says so, after everything that had
happened was undone.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import FailureType, OrderStatus
    from temporal_app import policies
    from temporal_app.activities import orders as activities
    from temporal_app.payloads import OrderInput, OrderResult, OrderStep, UndoOrder
    from temporal_app.search_attributes import ORDER_STATUS
    from temporal_app.workflows.proof import is_unproven, root_cause, until_proven
    from temporal_app.workflows.saga import Saga, is_saga_failure, shielded
    from temporal_app.workflows.steps import database_step
    from temporal_app.workflows.waits import Wakes, is_long

T = TypeVar("T")

FRAUD_CHECK = "fraud-check-and-review"
EVERY_UNDO = "undo-of-every-step"


@workflow.defn
class OrderWorkflow:
    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self.order = order
        # A run that continues an order of version 1 would find the patch in its own code.
        self.screened = workflow.patched(FRAUD_CHECK) if order.screened is None else order.screened
        self.step = OrderStep(
            order_id=order.order_id, run_id=workflow.info().first_execution_run_id, screened=self.screened
        )
        #: as their steps begin
        self.every_undo = [self.release_stock, self.undo_payment, self.undo_shipment]
        self.saga = Saga(self.every_undo[: order.undos])
        #: commands that we were told of
        self.wakes = Wakes("command_id", "kind")
        #: somebody cancelled the process at Temporal, and nobody the order
        self.cancellation_ignored = False

    @workflow.signal
    def command_given(self, *given: Any) -> None:
        self.wakes.come(given)

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        try:
            if order.undoing is not None:
                return await shielded(self.finish_undo(order.undoing))
            return await until_proven(self.process, between=self.continue_when_long)
        except (ActivityError, ApplicationError) as error:
            # An undo of an order without a row, as after a restored backup: there is nothing to undo.
            if not ended_with(error, FailureType.NOT_THE_PROCESS):
                raise
            return self.result(OrderStatus.FAILED, FailureType.NOT_THE_PROCESS)

    async def process(self) -> OrderResult:
        """From wherever the order stands to its end, or to a step that the database does not bear out."""
        try:
            await self.unless_held(self.prepare)
            if self.screened:
                await self.screen()
            await self.unless_held(self.charge)
            await self.unless_held(self.ship)
            await self.unless_held(self.complete)
        except (Exception, asyncio.CancelledError) as error:
            if not is_saga_failure(error) or is_unproven(error):
                raise
            failure = failure_of(error, cancelled=self.is_cancelled())
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
        await database_step(activities.prepare_order, self.step, "Validate and reserve stock")
        self.raise_if_cancelled()

    async def screen(self) -> None:
        if await self.unless_held(self.check_fraud):
            self.show(OrderStatus.IN_REVIEW)
            await self.review()

    async def check_fraud(self) -> bool:
        self.show(OrderStatus.CHECKING)
        suspicious = await workflow.execute_activity(
            activities.check_fraud, self.step, **policies.partner("Check for fraud")
        )
        self.raise_if_cancelled()
        return suspicious

    async def review(self) -> None:
        """Until a person approves; a rejection is raised by the activity as a failure of the order."""
        while True:
            self.continue_when_long()
            told = self.wakes.told
            standing = await database_step(activities.settle_review, self.step, "Look at the review")
            self.raise_if_cancelled()
            if standing.approved:
                return
            await self.wakes.next(told, within=timedelta(seconds=standing.wait_seconds))

    async def charge(self) -> None:
        self.saga.add(self.undo_payment)
        self.show(OrderStatus.CHARGING)
        while True:
            self.continue_when_long()
            told = self.wakes.told
            payment = await workflow.execute_activity(
                activities.charge_payment, self.step, **policies.partner("Charge at the gateway")
            )
            self.raise_if_cancelled()
            if payment is None or payment.taken:
                return
            self.show(OrderStatus.AWAITING_PAYMENT)
            await self.wakes.next(told, within=timedelta(seconds=payment.wait_seconds))

    async def ship(self) -> None:
        self.saga.add(self.undo_shipment)
        self.show(OrderStatus.SHIPPING)
        await workflow.execute_activity(activities.ship_order, self.step, **policies.partner("Book the shipment"))
        self.raise_if_cancelled()

    async def complete(self) -> None:
        # A cancellation that arrives from here on is too late: `begin_undo` would answer that the order is complete.
        await database_step(activities.complete_order, self.step, "Book the sale and close")
        self.show(OrderStatus.COMPLETED)

    async def undo(self, failure: FailureType, message: str) -> OrderResult:
        try:
            begun = await database_step(
                activities.begin_undo,
                UndoOrder(order_id=self.order.order_id, failure_type=failure, message=message),
                "Begin the undo",
            )
        except (ActivityError, ApplicationError) as error:
            # Cancelled at Temporal, and by nobody who may: Temporal's request stands for ever, so it is set aside.
            self.cancellation_ignored |= ended_with(error, FailureType.STEP_MISSING)
            raise
        if not begun:
            return self.result(OrderStatus.COMPLETED)
        return await self.finish_undo(failure)

    async def finish_undo(self, failure: FailureType) -> OrderResult:
        self.show(OrderStatus.UNDOING)
        # Until the database has every undo as done, whatever the engine was told of them.
        status = await until_proven(self.undo_and_close, between=lambda: self.undo_everything(failure))
        self.show(status)
        return self.result(status, failure)

    def undo_everything(self, failure: FailureType) -> None:
        """Another run may have claimed a step that this one never began; its undo is what the database misses."""
        if workflow.patched(EVERY_UNDO):
            for undo in self.every_undo:
                self.saga.add(undo)
        self.continue_when_long(undoing=failure)

    async def undo_and_close(self) -> OrderStatus:
        await self.saga.undo_all()
        return await database_step(activities.close_order, self.step, "Close the order")

    async def undo_shipment(self) -> None:
        await workflow.execute_activity(
            activities.undo_shipment, self.step, **policies.partner_undo("Cancel the shipment")
        )

    async def undo_payment(self) -> None:
        await workflow.execute_activity(
            activities.undo_payment, self.step, **policies.partner_undo("Cancel or refund the payment")
        )

    async def release_stock(self) -> None:
        await database_step(activities.release_stock, self.step, "Release the stock")

    async def unless_held(self, step: Callable[[], Awaitable[T]]) -> T:
        """Run the step; one that finds the order on hold is run again when a person has released it.

        So is one whose hours are over while its partner is out of order, or refuses our request until that is mended:
        an outage of a day is waited for, in the activity's own pauses; it fails no order.
        """
        while True:
            try:
                return await step()
            except (ActivityError, ApplicationError) as error:
                if ended_with(error, FailureType.PARTNER_DOWN, FailureType.REQUEST_REFUSED):
                    self.raise_if_cancelled()
                    self.continue_when_long()
                    continue
                if not ended_with(error, FailureType.ON_HOLD):
                    raise
            await self.wait_for_release()

    async def wait_for_release(self) -> None:
        while True:
            self.continue_when_long()
            told = self.wakes.told
            held = await database_step(activities.settle_hold, self.step, "Stand still")
            self.raise_if_cancelled()
            if not held:
                return
            self.show(OrderStatus.ON_HOLD)
            await self.wakes.next(told)

    def continue_when_long(self, *, undoing: FailureType | None = None) -> None:
        """Begin a new history where nothing is under way.

        The next run hears nothing of a cancellation that Temporal has told this one; it stands in the database, but a
        run that was cancelled ends as cancelled. An undo that has begun needs no request any more.
        """
        if (undoing is not None or not self.is_cancelled()) and is_long(self.wakes.told):
            workflow.continue_as_new(
                dataclasses.replace(self.order, screened=self.screened, undos=len(self.saga), undoing=undoing)
            )

    def is_cancelled(self) -> bool:
        return workflow.cancellation_reason() is not None and not self.cancellation_ignored

    def raise_if_cancelled(self) -> None:
        """Raise the cancellation that a step swallowed by succeeding, unless it was one that nobody had asked for."""
        if self.is_cancelled():
            raise asyncio.CancelledError

    def show(self, status: OrderStatus) -> None:
        workflow.upsert_search_attributes([ORDER_STATUS.value_set(status)])

    def result(self, status: OrderStatus, failure: FailureType | None = None) -> OrderResult:
        return OrderResult(number=self.order.number, status=status, failure_type=failure)


def ended_with(error: BaseException, *failures: FailureType) -> bool:
    """Whether a step stood still for such a reason, which is no failure of the order."""
    cause = root_cause(error)
    return isinstance(cause, ApplicationError) and cause.type in set(failures)


def failure_of(error: BaseException, *, cancelled: bool) -> FailureType:
    """The failure type that the order will carry; `cancelled` says that a cancellation was asked of Temporal."""
    cause = root_cause(error)
    final = isinstance(cause, ApplicationError) and cause.non_retryable
    # An attempt that fails or times out after the cancellation is not retried any more and ends with its own error; the
    # order was ended by the cancellation all the same. A final no of a partner stays the reason.
    if is_cancelled_exception(error) or (cancelled and not final):
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
