"""One batch, in the way that its action asks for: chunks, a process for each order, or checks in parallel.

The rows are the authority. Before every piece of work an activity asks, under the lock of the batch's row, what may be
done; a signal only wakes whoever waits. So nothing of a batch is kept here: a run that is continued as new, or a worker
that dies, finds what is left in the rows, and the history of a run stays bounded at any number of orders.
"""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError, is_cancelled_exception
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import BatchMode, Verdict
    from temporal_app import policies
    from temporal_app.activities import batches as activities
    from temporal_app.payloads import BatchInput, BatchItemInput, BatchResult, BatchWindow, OrderInput
    from temporal_app.search_attributes import of_order
    from temporal_app.task_queues import TaskQueue
    from temporal_app.workflow_ids import order_workflow_id
    from temporal_app.workflows.feed_import import message_of
    from temporal_app.workflows.order import OrderWorkflow
    from temporal_app.workflows.saga import is_saga_failure, raise_if_cancelled, shielded
    from temporal_app.workflows.steps import database_step
    from temporal_app.workflows.waits import Wakes, is_long

#: ended children, or checks, after which the window is filled again
REFILL_AFTER = 5
#: and at the latest after this, in seconds: an order that waits for a person tells nobody, nor does a child of the run
#: before. Each look that finds nothing new is followed by a longer one.
LOOK_EVERY = 2.0
LONGEST_LOOK = 120.0
LOOKS_LESS_OFTEN = "batch-looks-less-often"
#: checks that run are given so long to end before a run is continued as new
LAST_CHECKS = 5.0


@workflow.defn
class BatchWorkflow:
    @workflow.init
    def __init__(self, batch: BatchInput) -> None:
        self.batch = batch
        self.wakes = Wakes()
        #: looks in a row that found nothing new
        self.idle = 0
        #: orders whose process this run has started
        self.started: set[str] = set()
        #: how many of them ended since the window was last filled
        self.ended = 0
        #: position -> its check, as long as it runs
        self.checks: dict[int, asyncio.Task[None]] = {}
        #: tasks that nobody awaits are collected as garbage
        self.watching: set[asyncio.Task[None]] = set()

    @workflow.signal
    def look_again(self, *given: Any) -> None:
        self.wakes.come(given)

    @workflow.run
    async def run(self, batch: BatchInput) -> BatchResult:
        work = {
            BatchMode.CHUNKS: self.chunks,
            BatchMode.CHILDREN: self.children,
            BatchMode.PARALLEL: self.parallel,
        }[batch.mode]
        try:
            while True:
                told = self.wakes.told
                verdict = await work(told)
                raise_if_cancelled()
                if verdict is Verdict.ENDED and self.wakes.told == told:
                    return BatchResult(batch_id=batch.batch_id, counts=await self.summarise())
                if verdict is Verdict.STILL:
                    await self.wakes.next(told)
                await self.continue_as_new_when_long()
        except (Exception, asyncio.CancelledError) as error:
            if not is_cancelled_exception(error):
                raise
            await shielded(self.stop())
            raise

    async def chunks(self, told: int) -> Verdict:
        return await workflow.execute_activity(
            activities.run_chunk, self.batch, **policies.chunk("Do the next orders in one transaction")
        )

    async def children(self, told: int) -> Verdict:
        self.ended = 0
        window = await self.ask(activities.begin_orders, "Settle and begin orders")
        for order in window.orders:
            if order.order_id not in self.started:
                self.idle = 0
                await self.start(order)
        if window.verdict in {Verdict.GO, Verdict.STOP}:
            await self.something_happens(told, REFILL_AFTER)
        return window.verdict

    async def start(self, order: OrderInput) -> None:
        """An order that runs already, or has ended, is told by its row; it fails nothing here."""
        self.started.add(order.order_id)
        try:
            child = await workflow.start_child_workflow(
                OrderWorkflow.run,
                order,
                id=order_workflow_id(order.order_id),
                task_queue=TaskQueue.ORDERS,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                # Whatever becomes of the batch, an order goes its own way to its end.
                parent_close_policy=ParentClosePolicy.ABANDON,
                cancellation_type=ChildWorkflowCancellationType.ABANDON,
                search_attributes=of_order(order.number, order.customer),
                static_summary=f"Order {order.number}",
            )
        except WorkflowAlreadyStartedError:
            return
        watch = asyncio.create_task(self.watch(child))
        self.watching.add(watch)
        watch.add_done_callback(self.watching.discard)

    async def watch(self, child: ChildWorkflowHandle[Any, Any]) -> None:
        """Notice that an order's process ended, in whatever way; what it came to is read from its row."""
        try:
            await child
        except (Exception, asyncio.CancelledError) as error:
            if not is_saga_failure(error):
                raise
        self.ended += 1

    async def parallel(self, told: int) -> Verdict:
        self.ended = 0
        window = await self.ask(activities.claim_checks, "Claim the next items")
        if window.verdict is not Verdict.GO:
            # Their items were put back: whatever they still find changes nothing.
            await self.leave_checks()
            return window.verdict
        for position in window.positions:
            if position not in self.checks:
                self.idle = 0
                self.checks[position] = asyncio.create_task(self.check(position))
        await self.something_happens(told, min(REFILL_AFTER, len(self.checks)))
        return window.verdict

    async def check(self, position: int) -> None:
        item = BatchItemInput(batch_id=self.batch.batch_id, position=position)
        policy = policies.partner_check(f"Check item {position}")
        policy["task_queue"] = TaskQueue.PARTNERS
        try:
            try:
                await workflow.execute_activity(activities.check_item, item, **policy)
            except Exception as error:
                if is_cancelled_exception(error) or not workflow.is_failure_exception(error):
                    raise
                await self.give_up(position, error)
        finally:
            self.checks.pop(position, None)
            self.ended += 1

    async def give_up(self, position: int, error: BaseException) -> None:
        """The item's result is what the innermost error says; the error itself never travels on."""
        cause = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        # What is no error of ours is a timeout: the check may have run, and changed nothing.
        kind = cause.type if isinstance(cause, ApplicationError) else "timeout"
        await database_step(
            activities.fail_item,
            BatchItemInput(
                batch_id=self.batch.batch_id,
                position=position,
                error_type=kind or "unexpected",
                message=message_of(error) or "The check did not end in time.",
            ),
            "Write down what the check failed of",
        )

    async def leave_checks(self) -> None:
        running = list(self.checks.values())
        for check in running:
            check.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def something_happens(self, told: int, ends: int) -> None:
        """Until we are told, so many have ended, or it is time to look; after a look in vain one end is enough."""
        enough = min(ends, 1) if self.idle else ends
        pause = min(LOOK_EVERY * 2**self.idle, LONGEST_LOOK)
        try:
            await workflow.wait_condition(lambda: self.wakes.told > told or self.ended >= enough, timeout=pause)
            self.idle = 0
        except TimeoutError:
            if workflow.patched(LOOKS_LESS_OFTEN):
                self.idle = min(self.idle + 1, 10)

    async def ask(self, question: Any, summary: str) -> BatchWindow:
        window: BatchWindow = await database_step(question, self.batch, summary)
        return window

    async def summarise(self) -> dict[str, int]:
        return await database_step(activities.summarise_batch, self.batch, "Add up what became of the items")

    async def stop(self) -> None:
        await self.leave_checks()
        await database_step(activities.stop_batch, self.batch, "Close the batch as cancelled")

    async def continue_as_new_when_long(self) -> None:
        if not is_long(self.wakes.told, as_ever=True):
            return
        if self.checks:
            await workflow.wait(list(self.checks.values()), timeout=LAST_CHECKS)
            await self.leave_checks()
        workflow.continue_as_new(self.batch)
