"""Asks Temporal about the processes of orders, for the sweep.

Async, because the worker's own client answers and no row is touched. A question that Temporal does not answer leaves
its order out: an engine that is away must never look like a thousand orders without a process.
"""

import asyncio
from datetime import timedelta

from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from orders.vocabulary import RunState
from temporal_app.connections import database_now
from temporal_app.payloads import ProcessesAsked, ProcessesSeen, ProcessSeen
from temporal_app.workflow_ids import ORDER_PREFIX, RECOVERY_PREFIX, order_workflow_id, recovery_workflow_id

RPC_TIMEOUT = timedelta(seconds=3)
#: questions on their way at a time
TOGETHER = 10
#: what one visibility query may answer
MOST = 200
#: ends that are older were seen by an earlier sweep, or belong to an order that is asked about anyway
LOOK_BACK = timedelta(hours=1)
#: the first tries of a workflow task also fail when a worker is killed
FAILING_FROM = 3
PROBLEMS = SearchAttributeKey.for_keyword_list("TemporalReportedProblems")
TYPES = "WorkflowType IN ('OrderWorkflow', 'RecoveryWorkflow')"
BROKEN = {WorkflowExecutionStatus.TERMINATED, WorkflowExecutionStatus.FAILED, WorkflowExecutionStatus.TIMED_OUT}


@activity.defn
async def look_at_processes(asked: ProcessesAsked) -> ProcessesSeen:
    """The state of each process that was asked about, and of those that Temporal itself finds in trouble."""
    client = activity.client()
    ids = {order_workflow_id(pk) for pk in (*asked.in_process, *asked.closed)}
    ids |= {recovery_workflow_id(pk) for pk in asked.recovering}
    listed, unlisted = await _in_trouble(client)
    recovering = set(asked.recovering)
    # An order that is being recovered has a terminated process, rightly.
    ids |= {
        one for one in listed if one.startswith(RECOVERY_PREFIX) or one.removeprefix(ORDER_PREFIX) not in recovering
    }
    gate = asyncio.Semaphore(TOGETHER)

    async def look(workflow_id: str) -> ProcessSeen | str:
        async with gate:
            return await _look(client, workflow_id)

    asked_about = sorted(ids)
    answers = await asyncio.gather(*map(look, asked_about))
    reasons = {one: answer for one, answer in zip(asked_about, answers, strict=True) if isinstance(answer, str)}
    closed = set(asked.closed) - set(asked.watched)
    told = [one for one in answers if isinstance(one, ProcessSeen) and not _is_as_it_should(one, closed)]
    skipped = unlisted
    if reasons:
        why = next(iter(reasons.values()))
        skipped = f"Temporal did not answer about {len(reasons)} of {len(ids)} processes: {why}"
    unanswered = tuple(sorted({_order_of(workflow_id) for workflow_id in reasons}))
    return ProcessesSeen(processes=tuple(told), skipped=skipped, unanswered=unanswered)


def _is_as_it_should(seen: ProcessSeen, closed: set[str]) -> bool:
    """A closed order of which nothing was found, and whose process is over: not worth a line in the history."""
    return seen.order_id in closed and seen.state in {RunState.CLOSED, RunState.MISSING, RunState.BROKEN}


async def _in_trouble(client: Client) -> tuple[set[str], str]:
    """Ids of processes that ended badly of late or report problems; and why nothing is known of them, if so."""
    since = (await database_now() - LOOK_BACK).isoformat()
    queries = (
        f"{TYPES} AND ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut') AND CloseTime > '{since}'",
        f"{TYPES} AND ExecutionStatus = 'Running' AND TemporalReportedProblems IS NOT NULL",
    )
    found: set[str] = set()
    why = ""
    for query in queries:
        try:
            async for one in client.list_workflows(query, limit=MOST, page_size=MOST, rpc_timeout=RPC_TIMEOUT):
                found.add(one.id)
        except RPCError as error:
            # A server that does not know the attribute refuses the query; the pending task tells of problems too.
            if error.status is not RPCStatusCode.INVALID_ARGUMENT:
                why = f"Temporal did not list processes in trouble: {error.status.name}"
    return found, why


async def _look(client: Client, workflow_id: str) -> ProcessSeen | str:
    """The state of the newest run under the id, or why it is not known."""
    order_id = _order_of(workflow_id)
    try:
        found = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
        state, says = state_of(found)
        if state is RunState.RESET and await _has_continued(client, found):
            state = RunState.RUNNING
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return ProcessSeen(order_id=order_id, state=RunState.MISSING)
        return error.status.name
    return ProcessSeen(order_id=order_id, state=state, says=says, busy=_is_busy(found))


async def _has_continued(client: Client, found: WorkflowExecutionDescription) -> bool:
    """Whether the run has another id than the first one because it continued as new; a reset keeps the original id."""
    asked = GetWorkflowExecutionHistoryRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=found.id, run_id=found.run_id),
        maximum_page_size=1,
    )
    answer = await client.workflow_service.get_workflow_execution_history(asked, timeout=RPC_TIMEOUT)
    [begun] = answer.history.events[:1]
    return begun.workflow_execution_started_event_attributes.original_execution_run_id == found.run_id


def _order_of(workflow_id: str) -> str:
    return workflow_id.removeprefix(RECOVERY_PREFIX).removeprefix(ORDER_PREFIX)


def _is_busy(found: WorkflowExecutionDescription) -> bool:
    """Whether a task of it is on its way; one that waits for a signal or a timer has none."""
    raw = found.raw_description
    return bool(raw.HasField("pending_workflow_task") or raw.pending_activities)


def state_of(found: WorkflowExecutionDescription) -> tuple[RunState, str]:
    if found.status in BROKEN:
        return RunState.BROKEN, f"it was {str(found.status.name).lower().replace('_', ' ')} at Temporal"
    if found.status is not WorkflowExecutionStatus.RUNNING:
        return RunState.CLOSED, "it ended at Temporal without closing the order"
    problems = found.typed_search_attributes.get(PROBLEMS)
    attempt = found.raw_description.pending_workflow_task.attempt
    if problems or attempt >= FAILING_FROM:
        return RunState.WEDGED, f"Attempt {attempt}. {'; '.join(problems or ())}".strip()[:300]
    if found.raw_description.workflow_execution_info.first_run_id not in {"", found.run_id}:
        return RunState.RESET, ""
    return RunState.RUNNING, ""
