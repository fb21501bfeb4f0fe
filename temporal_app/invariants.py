"""What Temporal must say about our orders and runs: each has its one process, none failed, none was left running.

An order's run that was ended from outside is excused once the order was recovered, which is recorded in the database.
Temporal is asked between two looks at the database, because a run may rightly end in between.
"""

from collections import Counter
from collections.abc import Callable

from asgiref.sync import sync_to_async
from temporalio.client import Client, WorkflowExecutionStatus

from orders.services.invariants import Violation, numbers_and_statuses, recovered_orders
from orders.services.runs_invariants import KINDS, over_since, unfinished_since
from orders.vocabulary import TERMINAL_STATUSES
from temporal_app import workflow_ids
from temporal_app.client import connect

#: an order's workflow ends with a result or as cancelled; everything else ran no undo
BAD = {
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
}
#: kind of a run (`orders.services.runs_invariants`) -> the id of its workflow
PROCESS_OF: dict[str, Callable[[str], str]] = {
    "batch": workflow_ids.batch_workflow_id,
    "partner run": workflow_ids.partner_run_workflow_id,
    "process": workflow_ids.process_workflow_id,
    "export": workflow_ids.export_workflow_id,
    "import": workflow_ids.feed_import_workflow_id,
    "playbook run": workflow_ids.playbook_run_workflow_id,
}


async def check_engine() -> list[Violation]:
    """Compare Temporal's lists of executions with our rows. Raises RuntimeError when Temporal does not answer."""
    client = await connect()
    return [*await check_orders(client), *await check_runs(client)]


async def check_orders(client: Client) -> list[Violation]:
    """One run for each order, none failed, none still running for a closed order."""
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


async def check_runs(client: Client) -> list[Violation]:
    """Batches, imports and all the others: a process while the row is open, and none after its end."""
    open_before = {kind.name: await sync_to_async(unfinished_since)(kind) for kind in KINDS}
    running = {one.id async for one in client.list_workflows("ExecutionStatus = 'Running'", page_size=1000)}
    found: list[Violation] = []
    for kind in KINDS:
        process_of = PROCESS_OF[kind.name]
        still_open = open_before[kind.name] & await sync_to_async(unfinished_since)(kind)
        prefix = process_of("")
        named = [workflow.removeprefix(prefix) for workflow in running if workflow.startswith(prefix)]
        wrong = {run: "it is open, and no process works on it" for run in still_open if process_of(run) not in running}
        wrong |= dict.fromkeys(await sync_to_async(over_since)(kind, named), "it has ended, its process still runs")
        found += [Violation(invariant=kind.name, subject=run, detail=detail) for run, detail in wrong.items()]
    return found


def _violation(names: dict[str, tuple[str, str]], order_id: str, detail: str) -> Violation:
    return Violation(invariant="one run", subject=names.get(order_id, (order_id, ""))[0], detail=detail)
