"""Replays recorded or running histories on the code as it is now, before a deploy does it with customers' orders.

A workflow whose code decides otherwise than its history says stops where it is: nothing is lost, and nothing goes on.
The engine's message names two commands and no line, so a failure here also says where in our code the workflow was.
"""

import asyncio
import dataclasses
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DefaultFailureConverter, default
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer, WorkflowReplayResult

from temporal_app.lanes import Lanes
from temporal_app.registry import REGISTRY
from temporal_app.replay_watch import Watch, WatchedRunner
from temporal_app.rowless import Rowless
from temporal_app.search_attributes import ORDER_NUMBER

CHECKOUT = Path(__file__).resolve().parents[1]
STORED = CHECKOUT / "tests" / "replay" / "histories"
WORKFLOWS: tuple[type, ...] = tuple(workflow for contents in REGISTRY.values() for workflow in contents.workflows)
ADVICE = (
    'Wrap the change in `if workflow.patched("what-changed"):` and keep the old way in the else branch '
    '(ARCHITECTURE.md, "To change a workflow"; https://docs.temporal.io/develop/python/versioning).'
)
A_BUG = "Mend the error; the workflow waits until a version without it replays."
NOT_IN_CODE = "No worker of this version knows this type. Keep the class until the last run of it has ended."
#: the engine's code of a command that is not the one in the history
NONDETERMINISM = "TMPRL1100"
#: histories fetched ahead of the replay
AHEAD = 8
#: the engine prints its failure with quotes and words around what it says
CORE_MESSAGE = re.compile(r'message: "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """One history that the code does not follow any more."""

    workflow_type: str
    workflow_id: str
    run_id: str
    #: empty for what is not an order
    order: str
    #: for each branch of the workflow that waits: file:line (function), innermost first; empty when it has ended
    where: list[str]
    reason: str
    advice: str

    def __str__(self) -> str:
        subject = f"{self.workflow_type} {self.workflow_id}" + (f", order {self.order}" if self.order else "")
        where = "\n       ".join(self.where) or "the workflow had ended, and its history goes on"
        return f"{subject}\n  at   {where}\n  why  {self.reason}\n  do   {self.advice}"


async def replay(
    histories: AsyncIterator[WorkflowHistory],
    *,
    workflows: Sequence[type] = WORKFLOWS,
    server: Client | None = None,
    on_replayed: Callable[[], None] = lambda: None,
) -> list[Divergence]:
    """Replay each history; answers those that the code does not follow.

    Histories of a `server` are read as its workers read them. Without one they are the recorded files, which are in the
    clear: no worker reads those, and each is listed by its hash (`stored_histories`).
    """
    watch = Watch()
    converter = server.data_converter if server else pydantic_data_converter
    replayer = Replayer(
        workflows=workflows,
        # Nothing leaves this process, and an encoded failure would hide its reason and its line.
        data_converter=dataclasses.replace(converter, failure_converter_class=DefaultFailureConverter),
        # Payloads are bound to it.
        namespace=server.namespace if server else "recorded",
        workflow_runner=WatchedRunner(watch=watch, believes_all=server is None),
        interceptors=[watch, Lanes(), Rowless()],
        # The engine would print each failure a second time, as one line of a thousand characters.
        runtime=Runtime(telemetry=TelemetryConfig(logging=None)),
        # Otherwise a machine so busy that an import takes two seconds is reported as a deadlock of the workflow.
        debug_mode=True,
    )
    found = []
    async with replayer.workflow_replay_iterator(histories) as results:
        async for result in results:
            if result.replay_failure is not None:
                found.append(_divergence(result, watch, {workflow.__name__ for workflow in workflows}))
            on_replayed()
    return found


def stored_files(folder: Path = STORED) -> list[Path]:
    """The recorded histories of all released versions."""
    return sorted(folder.glob("*/*.json"))


def unrecorded(files: Iterable[Path]) -> list[str]:
    """Workflow types of which no way is recorded yet: nothing watches over a change of theirs."""
    texts = [file.read_text() for file in files]
    names = [workflow.__name__ for workflow in WORKFLOWS]
    return sorted(name for name in names if not any(f'"name": "{name}"' in text for text in texts))


async def stored(files: Iterable[Path]) -> AsyncIterator[WorkflowHistory]:
    for file in files:
        recorded = json.loads(file.read_text())
        yield WorkflowHistory.from_json(recorded["workflowId"], recorded)


def running_query() -> str:
    """Every open workflow that a worker of ours would be handed, whatever its type."""
    types = ", ".join(f"'{workflow.__name__}'" for workflow in WORKFLOWS)
    queues = ", ".join(f"'{queue}'" for queue in REGISTRY)
    return f"ExecutionStatus = 'Running' AND (WorkflowType IN ({types}) OR TaskQueue IN ({queues}))"


async def running(client: Client, query: str, *, on_passed_over: Callable[[], None]) -> AsyncIterator[WorkflowHistory]:
    """The histories of all workflows that match, page by page, a few fetched ahead.

    One that is gone, or has not begun, has nothing to replay; the engine would hang on it.
    """
    fetching: deque[asyncio.Task[WorkflowHistory | None]] = deque()

    async def next_one() -> WorkflowHistory | None:
        history = await fetching.popleft()
        if history is None:
            on_passed_over()
        return history

    try:
        async for execution in client.list_workflows(query):
            fetching.append(asyncio.create_task(_fetch(client, execution.id, execution.run_id)))
            if len(fetching) == AHEAD and (history := await next_one()):
                yield history
        while fetching:
            if history := await next_one():
                yield history
    finally:
        for task in fetching:
            task.cancel()


async def _fetch(client: Client, workflow_id: str, run_id: str) -> WorkflowHistory | None:
    try:
        history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    begun = any(event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED for event in history.events)
    return history if begun else None


def _divergence(result: WorkflowReplayResult, watch: Watch, known: set[str]) -> Divergence:
    started = result.history.events[0].workflow_execution_started_event_attributes
    kind = started.workflow_type.name
    number = started.search_attributes.indexed_fields.get(ORDER_NUMBER.name)
    text = str(result.replay_failure)
    said = CORE_MESSAGE.search(text)
    return Divergence(
        workflow_type=kind,
        workflow_id=result.history.workflow_id,
        run_id=result.history.run_id,
        order=default().payload_converter.from_payload(number) if number else "",
        where=watch.position(result.history.run_id),
        reason=(said.group(1).replace('\\"', '"').replace("\\'", "'") if said else text)[:500],
        advice=NOT_IN_CODE if kind not in known else ADVICE if NONDETERMINISM in text else A_BUG,
    )
