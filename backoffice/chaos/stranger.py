"""Somebody at Temporal's port during a whole run, with none of our keys and nothing of our environment.

`python -m backoffice.chaos.stranger --address HOST:PORT --namespace NAME --seed N --deeds FILE`

It signals and cancels our workflows, starts some of its own under names like ours, and is a worker on our queues now
and then: what it takes it answers with nothing, with plausible values in plain text, with payloads that it copied from
histories, with failures, or not at all. Workflow tasks it fails or leaves to time out. Each deed is a line in the file,
before what could be mistaken for ours, so that the verdict can tell its workflows from ours. SIGTERM ends it; then it
ends what it started, as an operator would who has noticed.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    ListWorkflowExecutionsRequest,
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    RequestCancelWorkflowExecutionRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    RespondWorkflowTaskFailedRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

#: what it does and how often, besides being a worker
DEEDS = {"signal": 5, "copy": 4, "cancel": 3, "start": 1}
#: pauses of the worker that it is, in those of its other deeds: of all tasks it takes a few
ACTIVITY_PAUSES, WORKFLOW_PAUSES = 2, 8
SIGNALS = {"OrderWorkflow": "command_given", "RefundWorkflow": "look_again"}
QUEUES = ("fraud", "payments", "carrier", "refunds", "recalls", "partners")
#: what a worker of ours might have answered
PLAUSIBLE = {
    "charge_payment": b'{"taken": true, "wait_seconds": 0}',
    "send_refund": b'"done"',
    "check_fraud": b"false",
    "settle_review": b'{"approved": true, "wait_seconds": 0}',
}
CODES = ("payment_declined", "carrier_rejected", "cancelled", "step_voided")
ANSWERS = ("empty", "plausible", "plausible", "copy", "failure", "silence")
#: how long it waits for a task (the server refuses a poll of two seconds), and for a call
POLL, CALL = timedelta(seconds=6), timedelta(seconds=3)
#: workflows that it looks at
PAGE = 50


def plain(data: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


def payloads_of(event: HistoryEvent) -> list[Payload]:
    """What can be copied from an event, as it is stored."""
    results = event.activity_task_completed_event_attributes.result.payloads
    inputs = event.workflow_execution_started_event_attributes.input.payloads
    signals = event.workflow_execution_signaled_event_attributes.input.payloads
    return [*results, *inputs, *signals]


@dataclass(kw_only=True)
class Stranger:
    client: Client
    deeds: Path
    draw: random.Random
    started: list[str] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        return self.client.namespace

    def note(self, deed: str, workflow_id: str, *, detail: str = "") -> None:
        told = {"deed": deed, "workflow": workflow_id, "detail": detail, "at": time.time()}
        with self.deeds.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")

    async def work(self, pause: float) -> None:
        """Until it is cancelled: signals and the like, and beside them both kinds of worker.

        One poller waits at each queue, as each worker of ours has five there: fewer would be handed next to no task.
        """
        pollers = [partial(self.answer_an_activity, queue) for queue in QUEUES]
        await asyncio.gather(
            self._again_and_again(self.act, pause),
            *(self._again_and_again(poller, ACTIVITY_PAUSES * pause) for poller in pollers),
            self._again_and_again(self.refuse_a_workflow_task, WORKFLOW_PAUSES * pause),
        )

    async def _again_and_again(self, do: Callable[[], Awaitable[None]], pause: float) -> None:
        while True:
            # Nobody there, or a server that is just being killed.
            with contextlib.suppress(RPCError, IndexError):
                await do()
            await asyncio.sleep(pause)

    async def act(self) -> None:
        match self.draw.choices(list(DEEDS), weights=list(DEEDS.values()))[0]:
            case "start":
                await self.start()
            case "cancel":
                await self.cancel(*await self.somebody())
            case "signal":
                forged = self.draw.choice(([], [plain(b'{"command_id": "1", "kind": "cancel"}')], [Payload()]))
                await self.signal(*await self.somebody(), forged)
            case "copy":
                workflow_id, kind = await self.somebody()
                other, _ = await self.somebody()
                await self.signal(workflow_id, kind, [self.draw.choice(await self.copies(other))])

    async def somebody(self) -> tuple[str, str]:
        """Id and type of an order's or a refund's workflow that runs. Raises IndexError when none does."""
        query = "ExecutionStatus = 'Running' AND WorkflowType IN ('OrderWorkflow', 'RefundWorkflow')"
        request = ListWorkflowExecutionsRequest(namespace=self.namespace, query=query, page_size=PAGE)
        found = await self.client.workflow_service.list_workflow_executions(request, timeout=CALL)
        ours = [one for one in found.executions if one.execution.workflow_id not in self.started]
        one = self.draw.choice(ours)
        return one.execution.workflow_id, one.type.name

    async def copies(self, workflow_id: str) -> list[Payload]:
        request = GetWorkflowExecutionHistoryRequest(
            namespace=self.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        told = await self.client.workflow_service.get_workflow_execution_history(request, timeout=CALL)
        return [payload for event in told.history.events for payload in payloads_of(event)]

    async def signal(self, workflow_id: str, kind: str, payloads: list[Payload]) -> None:
        request = SignalWorkflowExecutionRequest(
            namespace=self.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            signal_name=SIGNALS[kind],
            input=Payloads(payloads=payloads),
            request_id=str(uuid.uuid4()),
        )
        await self.client.workflow_service.signal_workflow_execution(request, timeout=CALL)
        self.note("signal", workflow_id)

    async def cancel(self, workflow_id: str, kind: str) -> None:
        if kind != "OrderWorkflow":
            return
        self.note("cancel", workflow_id)
        request = RequestCancelWorkflowExecutionRequest(
            namespace=self.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            request_id=str(uuid.uuid4()),
        )
        await self.client.workflow_service.request_cancel_workflow_execution(request, timeout=CALL)

    async def start(self) -> None:
        """A workflow under a name like ours, with plain words about an order that it has read of."""
        other, _ = await self.somebody()
        order = other.partition(":")[2]
        workflow_id = f"order:{uuid.UUID(int=self.draw.getrandbits(128), version=4)}"
        self.started.append(workflow_id)
        self.note("start", workflow_id)
        words = json.dumps({"order_id": order, "number": "SO-1", "customer": "C"}).encode()
        payload = self.draw.choice([plain(words), *await self.copies(other)])
        request = StartWorkflowExecutionRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name="OrderWorkflow"),
            task_queue=TaskQueue(name="orders"),
            input=Payloads(payloads=[payload]),
            request_id=str(uuid.uuid4()),
        )
        await self.client.workflow_service.start_workflow_execution(request, timeout=CALL)

    async def answer_an_activity(self, queue: str) -> None:
        """As a worker on a queue of ours."""
        request = PollActivityTaskQueueRequest(namespace=self.namespace, task_queue=TaskQueue(name=queue))
        task = await self.client.workflow_service.poll_activity_task_queue(request, timeout=POLL)
        if not task.task_token:
            return
        answer = self.draw.choice(ANSWERS)
        self.note("activity", task.workflow_execution.workflow_id, detail=f"{task.activity_type.name}: {answer}")
        match answer:
            case "empty":
                await self._complete(task, [])
            case "plausible":
                await self._complete(task, [plain(PLAUSIBLE.get(task.activity_type.name, b"null"))])
            case "copy":
                copied = await self.copies(task.workflow_execution.workflow_id)
                await self._complete(task, [self.draw.choice([*copied, *task.input.payloads])])
            case "failure":
                await self._fail(task)

    async def _complete(self, task: PollActivityTaskQueueResponse, payloads: list[Payload]) -> None:
        request = RespondActivityTaskCompletedRequest(
            namespace=self.namespace,
            task_token=task.task_token,
            result=Payloads(payloads=payloads) if payloads else None,
        )
        await self.client.workflow_service.respond_activity_task_completed(request, timeout=CALL)

    async def _fail(self, task: PollActivityTaskQueueResponse) -> None:
        info = ApplicationFailureInfo(type=self.draw.choice(CODES), non_retryable=self.draw.random() < 0.8)
        request = RespondActivityTaskFailedRequest(
            namespace=self.namespace,
            task_token=task.task_token,
            failure=Failure(message="Your card was declined", application_failure_info=info),
        )
        await self.client.workflow_service.respond_activity_task_failed(request, timeout=CALL)

    async def refuse_a_workflow_task(self) -> None:
        """Only a delay: what it took is offered again at once, or when its ten seconds are over."""
        request = PollWorkflowTaskQueueRequest(namespace=self.namespace, task_queue=TaskQueue(name="orders"))
        task = await self.client.workflow_service.poll_workflow_task_queue(request, timeout=POLL)
        if not task.task_token:
            return
        self.note("workflow task", task.workflow_execution.workflow_id)
        if self.draw.random() < 0.3:
            return
        failed = RespondWorkflowTaskFailedRequest(
            namespace=self.namespace,
            task_token=task.task_token,
            cause=WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
            failure=Failure(message="No"),
        )
        await self.client.workflow_service.respond_workflow_task_failed(failed, timeout=CALL)

    async def clear_up(self) -> None:
        """Terminate what it started, until the server says that each is gone or was never there."""
        left = list(self.started)
        while left:
            left = [workflow_id for workflow_id in left if not await self._terminated(workflow_id)]
            await asyncio.sleep(0.5)

    async def _terminated(self, workflow_id: str) -> bool:
        request = TerminateWorkflowExecutionRequest(
            namespace=self.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            reason="A stranger's",
        )
        try:
            await self.client.workflow_service.terminate_workflow_execution(request, timeout=CALL)
        except RPCError as error:
            # A busy server answers otherwise, or not in time.
            return error.status is RPCStatusCode.NOT_FOUND
        return True


async def connected(address: str, namespace: str, stop: asyncio.Event) -> AsyncIterator[Client]:
    """One client, as soon as the server answers; none when it is told to stop before."""
    while not stop.is_set():
        try:
            yield await Client.connect(address, namespace=namespace)
            return
        except RuntimeError:
            await asyncio.sleep(0.5)


async def ended(working: "asyncio.Task[None]") -> None:
    """Cancel it until it has ended: a call that comes back at that moment may take a cancellation for an error."""
    while not working.done():
        working.cancel()
        await asyncio.wait([working], timeout=1.0)


async def work(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    draw = random.Random(f"{arguments.seed}:stranger")
    async for client in connected(arguments.address, arguments.namespace, stop):
        stranger = Stranger(client=client, deeds=Path(arguments.deeds), draw=draw)
        working = asyncio.create_task(stranger.work(arguments.pause))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([working, stopped], return_when=asyncio.FIRST_COMPLETED)
        await ended(working)
        await stranger.clear_up()


def main() -> None:
    parser = argparse.ArgumentParser(prog="stranger")
    for name in ("address", "namespace", "deeds"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.3, help="seconds between two deeds")
    asyncio.run(_work_and_leave(parser.parse_args()))


async def _work_and_leave(arguments: argparse.Namespace) -> None:
    await work(arguments)
    # The client's threads may keep the interpreter from ending; each deed is in its file already.
    os._exit(0)


if __name__ == "__main__":
    main()
