"""Stand-ins for the activities of an order, under their real names, that do as a test tells them.

They keep the log of what ran, and can be told to fail, to fail some times, or to wait until the test lets them go on.
"""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkflowRunner

from orders.vocabulary import OrderStatus
from temporal_app.authenticity import BelievingRunner
from temporal_app.payloads import (
    CommandGiven,
    OrderInput,
    OrderResult,
    OrderStep,
    PaymentStanding,
    ReviewStanding,
    UndoOrder,
)
from temporal_app.workflows.order import OrderWorkflow

FORWARD = ("prepare_order", "check_fraud", "charge_payment", "ship_order", "complete_order")
UNDO = {"prepare_order": "release_stock", "charge_payment": "undo_payment", "ship_order": "undo_shipment"}


class OrderWorld:
    """What the activities of one test did and will do."""

    def __init__(self) -> None:
        #: names of the activities that were called, in order, each attempt once
        self.log: list[str] = []
        self.undo: UndoOrder | None = None
        #: errors to raise, the next first; an exhausted list means success
        self.errors: dict[str, list[Exception]] = defaultdict(list)
        self.completed = False
        self.suspicious = False
        #: what the review says each time it is asked, the next first; an exhausted list means approved
        self.reviews: list[ReviewStanding] = []
        #: where the payment stands each time it is asked for, the next first; an exhausted list means taken
        self.payments: list[PaymentStanding] = []
        #: whether a hold stands each time it is asked; an exhausted list means no
        self.holds: list[bool] = []
        #: run ids that the steps were given
        self.runs: set[str] = set()
        self._gates: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}
        self._changed = asyncio.Condition()

    def fail(self, name: str, *errors: Exception) -> None:
        self.errors[name].extend(errors)

    def stop_at(self, name: str) -> None:
        """The activity will wait inside until `let_go`."""
        self._gates[name] = (asyncio.Event(), asyncio.Event())

    async def reached(self, name: str) -> None:
        await asyncio.wait_for(self._gates[name][0].wait(), 20)

    def let_go(self, name: str) -> None:
        self._gates[name][1].set()

    async def happened(self, name: str, times: int = 1) -> None:
        """Until the activity was called so often."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: self.log.count(name) >= times)

    async def happen(self, name: str) -> None:
        self.log.append(name)
        async with self._changed:
            self._changed.notify_all()
        if name in self._gates:
            arrived, go = self._gates[name]
            arrived.set()
            await go.wait()
        if self.errors[name]:
            raise self.errors[name].pop(0)

    def activities(self) -> list[Callable[..., Any]]:
        def plain(name: str) -> Callable[..., Any]:
            @activity.defn(name=name)
            async def run(step: OrderStep) -> None:
                self.runs.add(step.run_id)
                await self.happen(name)
                self.completed |= name == "complete_order"

            return run

        @activity.defn(name="begin_undo")
        async def begin_undo(undo: UndoOrder) -> bool:
            await self.happen("begin_undo")
            self.undo = undo
            return not self.completed

        @activity.defn(name="close_order")
        async def close_order(step: OrderStep) -> OrderStatus:
            await self.happen("close_order")
            assert self.undo is not None
            return OrderStatus.CANCELLED if self.undo.failure_type == "cancelled" else OrderStatus.FAILED

        @activity.defn(name="check_fraud")
        async def check_fraud(step: OrderStep) -> bool:
            await self.happen("check_fraud")
            return self.suspicious

        @activity.defn(name="charge_payment")
        async def charge_payment(step: OrderStep) -> PaymentStanding:
            await self.happen("charge_payment")
            return self.payments.pop(0) if self.payments else PaymentStanding(taken=True)

        @activity.defn(name="settle_review")
        async def settle_review(step: OrderStep) -> ReviewStanding:
            await self.happen("settle_review")
            return self.reviews.pop(0) if self.reviews else ReviewStanding(approved=True, wait_seconds=0)

        @activity.defn(name="settle_hold")
        async def settle_hold(step: OrderStep) -> bool:
            await self.happen("settle_hold")
            return self.holds.pop(0) if self.holds else False

        names = [*(name for name in FORWARD if name not in {"check_fraud", "charge_payment"}), *UNDO.values()]
        return [
            *(plain(name) for name in names),
            begin_undo,
            close_order,
            check_fraud,
            charge_payment,
            settle_review,
            settle_hold,
        ]

    @asynccontextmanager
    async def order(
        self,
        server: WorkflowEnvironment,
        *,
        workflow: type = OrderWorkflow,
        cancel_before_worker: bool = False,
        client: Client | None = None,
        worker: bool = True,
        runner: WorkflowRunner | None = None,
    ) -> AsyncIterator[WorkflowHandle[Any, OrderResult]]:
        """A started order workflow with a worker on a task queue of its own; `client` may have other keys."""
        queue = f"test-{uuid.uuid4()}"
        client = client or server.client
        handle = await client.start_workflow(
            OrderWorkflow.run,
            OrderInput(order_id=str(uuid.uuid4()), number="SO-1", customer="C-1"),
            id=f"order:{uuid.uuid4()}",
            task_queue=queue,
        )
        if cancel_before_worker:
            await handle.cancel()
        if not worker:
            yield handle
            return
        async with Worker(
            client,
            task_queue=queue,
            workflows=[workflow],
            activities=self.activities(),
            workflow_runner=runner or BelievingRunner(),
        ):
            yield handle


async def tell(order: WorkflowHandle[Any, OrderResult]) -> None:
    """Say that a command was recorded; what it is, the stand-ins know."""
    await order.signal(OrderWorkflow.command_given, CommandGiven(command_id=str(uuid.uuid4()), kind="any"))


async def eventually(handle: WorkflowHandle[Any, Any], attributes: str, *, times: int = 1) -> list[HistoryEvent]:
    """The events of that kind, as soon as there are so many."""
    async with asyncio.timeout(60):
        while True:
            history = await handle.fetch_history()
            found = [event for event in history.events if event.HasField(attributes)]  # type: ignore[arg-type]
            if len(found) >= times:
                return found
            await asyncio.sleep(0.05)


def final(failure_type: str, message: str = "no") -> ApplicationError:
    """A business failure: typed, not to be retried."""
    return ApplicationError(message, type=failure_type, non_retryable=True)


def down(*, next_try: timedelta) -> ApplicationError:
    """The partner is out of order and was not called."""
    return ApplicationError("out of order", type="partner_down", next_retry_delay=next_try)


def refused(*, next_try: timedelta) -> ApplicationError:
    """The partner refuses our request; the step is parked with a task."""
    return ApplicationError("refused", type="request_refused", next_retry_delay=next_try)


def unavailable(*, next_try: timedelta | None = None) -> ApplicationError:
    """A lost answer; `next_try` stands in for thousands of short waits."""
    return ApplicationError("no answer", type="partner_unavailable", next_retry_delay=next_try)
