"""Asks Temporal about the processes of everything that is no order, for the sweep, and settles the answers.

Like `engine`: the question is async, asked over the worker's own client, and touches no row; what Temporal does not
answer is left out, because an engine that is away must never look like a thousand lost runs.
"""

import asyncio
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from orders.services.sweeping import restoring, runs
from orders.services.sweeping.runs import OF_ORDERS
from orders.vocabulary import RunKind, RunState
from temporal_app.activities.context import engine_actor
from temporal_app.activities.engine import LOOK_BACK, MOST, RPC_TIMEOUT, TOGETHER, state_of
from temporal_app.activities.sweeps import ACTOR
from temporal_app.codec import RefusedPayload, UnreadablePayload
from temporal_app.connections import database_now
from temporal_app.errors import translated_errors
from temporal_app.runs import RUNS, kind_of
from temporal_app.search_attributes import ORDER_NUMBER
from temporal_app.sweep_payloads import RunAsked, RunsAsked, RunSeen, RunsSeen, SweepResult
from temporal_app.workflow_ids import ORDER_PREFIX

#: those whose id tells their row
#: sweeps that Temporal is asked for; the database remembers those of a longer time
SWEEPS_OF = timedelta(minutes=20)
#: orders of a restored database that are compared; their ids and numbers are one payload
MOST_ORDERS = 10_000
TYPES = ", ".join(f"'{run.workflow}'" for kind, run in RUNS.items() if run.id_of and kind not in OF_ORDERS)


@activity.defn(no_thread_cancel_exception=True)
def runs_to_ask_about() -> RunsAsked:
    with translated_errors():
        asked = tuple(RunAsked(kind=one.kind, key=one.key) for one in runs.question())
        return RunsAsked(
            runs=asked, sweeps=restoring.sweeps(), restored=restoring.is_standing(), lost_since=restoring.lost_since()
        )


@activity.defn
async def look_at_runs(asked: RunsAsked) -> RunsSeen:
    """The state of each process that was asked about, and of those that Temporal itself finds in trouble."""
    client = activity.client()
    wanted = {(one.kind, one.key) for one in asked.runs}
    skipped = ""
    sweeps: tuple[str, ...] = ()
    orders: tuple[tuple[str, str], ...] = ()
    try:
        wanted |= await _in_trouble(client)
        sweeps = await other_sweeps(client, set(asked.sweeps))
        if sweeps or asked.restored:
            orders = await _newest_orders(client, since=asked.lost_since)
    except RPCError as error:
        skipped = f"Temporal did not list processes in trouble: {error.status.name}"
    gate = asyncio.Semaphore(TOGETHER)

    async def look(kind: RunKind, key: str) -> RunSeen | str:
        async with gate:
            return await _look(client, kind, key)

    answers = await asyncio.gather(*(look(*one) for one in sorted(wanted)))
    reasons = [one for one in answers if isinstance(one, str)]
    if reasons:
        skipped = f"Temporal did not answer about {len(reasons)} of {len(wanted)} runs: {reasons[0]}"
    seen = tuple(one for one in answers if isinstance(one, RunSeen))
    return RunsSeen(runs=seen, skipped=skipped, sweeps=sweeps, orders=orders)


@activity.defn(no_thread_cancel_exception=True)
def settle_runs(seen: RunsSeen) -> int:
    """How many findings are new."""
    with translated_errors():
        actor = engine_actor(ACTOR)
        restoring.compare(seen.sweeps, orders=seen.orders, run_id=actor.run_id, actor=actor, answered=not seen.skipped)
        told = [runs.Seen(kind=one.kind, key=one.key, state=one.state, says=one.says) for one in seen.runs]
        return runs.settle(told, skipped=seen.skipped, actor=actor)


async def _in_trouble(client: Client) -> set[tuple[RunKind, str]]:
    """Those that ended badly of late or report problems. Raises `RPCError`."""
    since = (await database_now() - LOOK_BACK).isoformat()
    types = f"WorkflowType IN ({TYPES})"
    queries = (
        f"{types} AND ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut') AND CloseTime > '{since}'",
        f"{types} AND ExecutionStatus = 'Running' AND TemporalReportedProblems IS NOT NULL",
    )
    found: set[tuple[RunKind, str]] = set()
    for query in queries:
        try:
            async for one in client.list_workflows(query, limit=MOST, page_size=MOST, rpc_timeout=RPC_TIMEOUT):
                named = kind_of(one.id)
                if named is not None and named[0] not in OF_ORDERS:
                    found.add(named)
        except RPCError as error:
            # A server that does not know the attribute refuses the query; the pending task tells of problems too.
            if error.status is not RPCStatusCode.INVALID_ARGUMENT:
                raise
    return found


async def other_sweeps(client: Client, known: set[str]) -> tuple[str, ...]:
    """Sweeps of late that say of themselves that they settled, and are not known. Raises `RPCError`."""
    since = (await database_now() - SWEEPS_OF).isoformat()
    query = f"WorkflowType = 'SweepWorkflow' AND ExecutionStatus = 'Completed' AND CloseTime > '{since}'"
    listed = client.list_workflows(query, limit=MOST, page_size=MOST, rpc_timeout=RPC_TIMEOUT)
    others = [(one.id, one.run_id) async for one in listed if one.run_id not in known]
    return tuple([run_id for workflow_id, run_id in others if await _has_settled(client, workflow_id, run_id)])


async def _has_settled(client: Client, workflow_id: str, run_id: str) -> bool:
    handle = client.get_workflow_handle(workflow_id, run_id=run_id, result_type=SweepResult)
    try:
        return bool((await handle.result(rpc_timeout=RPC_TIMEOUT)).settled)
    except (WorkflowFailureError, RefusedPayload, UnreadablePayload, ValueError):
        # Whatever it is, it is no word of ours.
        return False


async def _newest_orders(client: Client, *, since: str) -> tuple[tuple[str, str], ...]:
    """Ids and numbers, as they stand at Temporal. Raises `RPCError`."""
    since = since or (await database_now() - LOOK_BACK).isoformat()
    query = f"WorkflowType = 'OrderWorkflow' AND StartTime > '{since}'"
    found = client.list_workflows(query, limit=MOST_ORDERS, page_size=MOST, rpc_timeout=RPC_TIMEOUT)
    return tuple(
        [
            (one.id.removeprefix(ORDER_PREFIX), one.typed_search_attributes.get(ORDER_NUMBER) or "")
            async for one in found
            if one.id.startswith(ORDER_PREFIX)
        ]
    )


async def _look(client: Client, kind: RunKind, key: str) -> RunSeen | str:
    """The state of the newest run under the id, or why it is not known."""
    id_of = RUNS[kind].id_of
    assert id_of is not None
    try:
        found = await client.get_workflow_handle(id_of(key)).describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return RunSeen(kind=kind, key=key, state=RunState.MISSING)
        return error.status.name
    state, says = state_of(found)
    return RunSeen(kind=kind, key=key, state=state, says=says)
