"""What Temporal must say about our orders: one run for each, none failed, none left running for a closed order.

A run that was ended from outside is excused once its order was recovered, which is recorded in the database.
"""

from collections import Counter

from asgiref.sync import sync_to_async
from temporalio.client import WorkflowExecutionStatus

from orders.services.invariants import Violation, numbers_and_statuses, recovered_orders
from orders.vocabulary import TERMINAL_STATUSES
from temporal_app.client import connect

#: an order's workflow ends with a result or as cancelled; everything else ran no undo
BAD = {
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
}


async def check_engine() -> list[Violation]:
    """Compare Temporal's list of executions with the orders. Raises RuntimeError when Temporal does not answer."""
    client = await connect()
    runs: Counter[str] = Counter()
    bad: dict[str, str] = {}
    running: set[str] = set()
    async for execution in client.list_workflows("WorkflowType = 'OrderWorkflow'", page_size=1000):
        order_id = execution.id.removeprefix("order:")
        runs[order_id] += 1
        if execution.status in BAD:
            bad[order_id] = execution.status.name.lower()
        if execution.status is WorkflowExecutionStatus.RUNNING:
            running.add(order_id)
    names = await sync_to_async(numbers_and_statuses)(runs)
    recovered = await sync_to_async(recovered_orders)()
    return [
        *(_violation(names, order, f"{count} runs") for order, count in runs.items() if count > 1),
        *(_violation(names, order, f"the workflow is {word}") for order, word in bad.items() if order not in recovered),
        *(
            _violation(names, order, "the order is closed, its workflow still runs")
            for order in running
            if order in names and names[order][1] in TERMINAL_STATUSES
        ),
    ]


def _violation(names: dict[str, tuple[str, str]], order_id: str, detail: str) -> Violation:
    return Violation(invariant="one run", subject=names.get(order_id, (order_id, ""))[0], detail=detail)
