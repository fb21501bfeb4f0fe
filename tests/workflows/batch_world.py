"""Stand-ins for the rows of a batch: what its activities would read and write, kept in memory, and orders that end.

They do as the services do under their lock: one question at a time, and the answer follows from the rows alone.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkflowRunner

from orders.vocabulary import BatchMode, Verdict
from temporal_app.payloads import BatchInput, BatchItemInput, BatchResult, BatchWindow, OrderInput, OrderResult
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import batch_workflow_id
from temporal_app.workflows.batch import BatchWorkflow

CHUNK = 10
WINDOW = 6
#: seconds that a test waits for something to happen: against hanging, not against slowness
PATIENCE = 120


@workflow.defn(name="OrderWorkflow")
class StandInOrder:
    """Ends when its activity does, and fails when that fails."""

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        await workflow.execute_activity("process_order", order.order_id, start_to_close_timeout=timedelta(minutes=1))
        return OrderResult(number=order.number, status="completed")  # type: ignore[arg-type]


class BatchWorld:
    """One batch of `count` items, and everything that happens to it."""

    def __init__(self, mode: BatchMode, count: int) -> None:
        self.mode = mode
        self.batch_id = str(uuid.uuid4())
        self.ids = {str(uuid.uuid4()): position for position in range(1, count + 1)}
        self.items = dict.fromkeys(self.ids.values(), "pending")
        self.status = "running"
        #: position -> how often its work was done
        self.done: Counter[int] = Counter()
        #: position -> the error that its work ends with
        self.errors: dict[int, Exception] = {}
        self.given_up: dict[int, tuple[str, str]] = {}
        self.most_running = 0
        self.stopped = False
        #: how often the process asked what it may do
        self.asked = 0
        #: while set, work ends at once; cleared, it waits inside
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Condition()

    # --- What people do -----------------------------------------------------------------------------------------------

    def counts(self) -> Counter[str]:
        return Counter(self.items.values())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(condition)

    async def tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    # --- What the activities do ---------------------------------------------------------------------------------------

    def judge(self) -> Verdict:
        if self.status == "cancelling":
            self.items = {at: "skipped" if now == "pending" else now for at, now in self.items.items()}
        counts = self.counts()
        if not counts["running"] and self.status not in {"cancelled", "completed"}:
            if self.status == "cancelling":
                self.status = "cancelled"
            elif not counts["pending"]:
                self.status = "completed"
            elif self.status == "pausing":
                self.status = "paused"
        return {
            "running": Verdict.GO,
            "pausing": Verdict.STOP,
            "cancelling": Verdict.STOP,
            "paused": Verdict.STILL,
        }.get(self.status, Verdict.ENDED)

    def next_pending(self, count: int) -> list[int]:
        return [at for at, now in self.items.items() if now == "pending"][: max(0, count)]

    def finish(self, position: int) -> None:
        self.done[position] += 1
        self.items[position] = "failed" if position in self.errors else "done"

    def activities(self) -> list[Callable[..., Any]]:
        @activity.defn(name="run_chunk")
        async def run_chunk(batch: BatchInput) -> Verdict:
            self.asked += 1
            await self.tell()
            await self.gate.wait()
            if self.judge() is Verdict.GO:
                for position in self.next_pending(CHUNK):
                    self.finish(position)
            await self.tell()
            return self.judge()

        @activity.defn(name="begin_orders")
        async def begin_orders(batch: BatchInput) -> BatchWindow:
            self.asked += 1
            verdict = self.judge()
            if verdict is Verdict.GO:
                for position in self.next_pending(WINDOW - self.counts()["running"]):
                    self.items[position] = "running"
                verdict = self.judge()
            running = [order_id for order_id, position in self.ids.items() if self.items[position] == "running"]
            self.most_running = max(self.most_running, len(running))
            await self.tell()
            orders = [
                OrderInput(order_id=order_id, number=f"SO-{self.ids[order_id]}", customer="guest")
                for order_id in running
            ]
            return BatchWindow(verdict=verdict, orders=orders)

        @activity.defn(name="process_order")
        async def process_order(order_id: str) -> None:
            await self.gate.wait()
            position = self.ids[order_id]
            self.finish(position)
            await self.tell()
            if position in self.errors:
                raise self.errors[position]

        @activity.defn(name="claim_checks")
        async def claim_checks(batch: BatchInput) -> BatchWindow:
            self.asked += 1
            verdict = self.judge()
            if verdict is Verdict.STOP:
                self.items = {at: "pending" if now == "running" else now for at, now in self.items.items()}
                verdict = self.judge()
            if verdict is Verdict.GO:
                for position in self.next_pending(WINDOW - self.counts()["running"]):
                    self.items[position] = "running"
            running = [at for at, now in self.items.items() if now == "running"]
            self.most_running = max(self.most_running, len(running))
            await self.tell()
            return BatchWindow(verdict=verdict, positions=running)

        @activity.defn(name="check_item")
        async def check_item(item: BatchItemInput) -> None:
            await self.gate.wait()
            if self.items[item.position] != "running" or self.status != "running":
                return
            if item.position in self.errors:
                raise self.errors[item.position]
            self.finish(item.position)
            await self.tell()

        @activity.defn(name="fail_item")
        async def fail_item(item: BatchItemInput) -> None:
            self.given_up[item.position] = (item.error_type, item.message)
            self.finish(item.position)
            await self.tell()

        @activity.defn(name="stop_batch")
        async def stop_batch(batch: BatchInput) -> None:
            self.stopped = True
            self.status = "cancelled"
            self.items = {at: "skipped" if now == "pending" else now for at, now in self.items.items()}

        @activity.defn(name="summarise_batch")
        async def summarise_batch(batch: BatchInput) -> dict[str, int]:
            return dict(self.counts())

        return [
            run_chunk,
            begin_orders,
            process_order,
            claim_checks,
            check_item,
            fail_item,
            stop_batch,
            summarise_batch,
        ]

    @asynccontextmanager
    async def batch(
        self, server: WorkflowEnvironment, *, runner: WorkflowRunner | None = None
    ) -> AsyncIterator[WorkflowHandle[Any, BatchResult]]:
        """The started batch, with workers of its own queue and of those that it sends work to."""
        queue = f"test-{uuid.uuid4()}"
        how: dict[str, Any] = {"workflow_runner": runner} if runner else {}
        handle = await server.client.start_workflow(
            BatchWorkflow.run,
            BatchInput(batch_id=self.batch_id, mode=self.mode),
            id=batch_workflow_id(self.batch_id),
            task_queue=queue,
        )
        activities = self.activities()
        workers = [
            Worker(server.client, task_queue=queue, workflows=[BatchWorkflow], activities=activities, **how),
            Worker(server.client, task_queue=TaskQueue.ORDERS, workflows=[StandInOrder], activities=activities),
            Worker(server.client, task_queue=TaskQueue.PARTNERS, activities=activities),
        ]
        async with workers[0], workers[1], workers[2]:
            yield handle
