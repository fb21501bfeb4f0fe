"""What Temporal must say about our orders and runs: each has its process, no order two, none was left running.

An order's run that was ended from outside is excused once the order was recovered, and a second run
where a lead had the order finished after a restore; both are recorded in the database.
Temporal is asked between two looks at the database, because a run may rightly end in between.
"""

from collections import Counter
from collections.abc import Iterable

from asgiref.sync import sync_to_async
from temporalio.client import Client, WorkflowExecutionStatus

from orders.services.invariants import (
    Violation,
    finished_after_a_restore,
    numbers_and_statuses,
    recovered_orders,
)
from orders.services.run_kinds import WITH_OPEN_ROWS, Kind, open_since, over_since
from orders.services.runs_invariants import PATIENCE
from orders.vocabulary import RunKind
from temporal_app.client import connect
from temporal_app.runs import RUNS

#: an order's workflow ends with a result or as cancelled; everything else ran no undo
BAD = {
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
}


async def check_engine() -> list[Violation]:
    """Compare Temporal's lists of executions with our rows. Raises RuntimeError when Temporal does not answer."""
    client = await connect()
    return [*await check_orders(client), *await check_runs(client)]


async def check_orders(client: Client) -> list[Violation]:
    """One run for each order, and none failed."""
    runs: Counter[str] = Counter()
    bad: dict[str, str] = {}
    async for execution in client.list_workflows("WorkflowType = 'OrderWorkflow'", page_size=1000):
        order_id = execution.id.removeprefix("order:")
        # One that continued as new is the same process under another run id.
        if execution.status is not WorkflowExecutionStatus.CONTINUED_AS_NEW:
            runs[order_id] += 1
        if execution.status in BAD:
            bad[order_id] = execution.status.name.lower()
    names = await sync_to_async(numbers_and_statuses)(runs)
    recovered = await sync_to_async(recovered_orders)()
    begun_again = await sync_to_async(finished_after_a_restore)()
    return [
        *(_violation(names, order, f"{count} runs") for order, count in _of_several(runs, begun_again)),
        *(_violation(names, order, f"the workflow is {word}") for order, word in bad.items() if order not in recovered),
    ]


async def check_runs(client: Client) -> list[Violation]:
    """Every kind of process: one while its row is open, and none after its end."""
    open_before = {kind.kind: await _open(kind) for kind in WITH_OPEN_ROWS}
    running = {one.id async for one in client.list_workflows("ExecutionStatus = 'Running'", page_size=1000)}
    found: list[Violation] = []
    for kind in WITH_OPEN_ROWS:
        run = RUNS[kind.kind]
        assert run.id_of is not None
        still_open = open_before[kind.kind] & await _open(kind)
        named = [workflow.removeprefix(run.prefix) for workflow in running if workflow.startswith(run.prefix)]
        wrong = {key: "it is open, and no process works on it" for key in still_open if run.id_of(key) not in running}
        over = await sync_to_async(over_since)(kind, named, patience=PATIENCE)
        wrong |= dict.fromkeys(over, "it has ended, its process still runs")
        subjects = await _subjects(kind, wrong)
        found += [Violation(invariant=kind.kind, subject=subjects[key], detail=detail) for key, detail in wrong.items()]
    return found


async def _subjects(kind: Kind, keys: Iterable[str]) -> dict[str, str]:
    """What people call them: an order by its number, anything else by its id."""
    names = await sync_to_async(numbers_and_statuses)(keys) if keys and kind.kind is RunKind.ORDER else {}
    return {key: names[key][0] if key in names else key for key in keys}


async def _open(kind: Kind) -> set[str]:
    return await sync_to_async(open_since)(kind, patience=PATIENCE)


def _of_several(runs: Counter[str], begun_again: set[str]) -> list[tuple[str, int]]:
    return [(order, count) for order, count in runs.items() if count > (2 if order in begun_again else 1)]


def _violation(names: dict[str, tuple[str, str]], order_id: str, detail: str) -> Violation:
    return Violation(invariant="one run", subject=names.get(order_id, (order_id, ""))[0], detail=detail)
