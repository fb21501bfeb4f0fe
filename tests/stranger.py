"""Somebody who reaches Temporal's port and has none of our keys: raw calls, no code of ours.

What it takes from the histories it can read, it uses as it is.
"""

import asyncio
import uuid

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
)
from temporalio.api.common.v1 import (
    ActivityType,
    Payload,
    Payloads,
    RetryPolicy,
    WorkflowExecution,
    WorkflowType,
)
from temporalio.api.enums.v1 import CommandType, TaskQueueKind
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    RecordActivityTaskHeartbeatRequest,
    RequestCancelWorkflowExecutionRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client


def plain(data: bytes = b"true", encoding: bytes = b"json/plain", **metadata: bytes) -> Payload:
    return Payload(metadata={"encoding": encoding, **metadata}, data=data)


#: what the SDK would unpack itself, before any codec is asked
ENVELOPE = plain(
    b"",
    b"binary/protobuf",
    messageType=b"temporal.api.common.v1.Payloads",
    __temporal_system_payload=b"true",
)
#: what the SDK would look up elsewhere, before any codec is asked
REFERENCE = plain(b"{}", b"json/external-storage-reference")


class Stranger:
    def __init__(self, client: Client) -> None:
        self.service, self.namespace = client.workflow_service, client.namespace

    async def signal(self, workflow_id: str, name: str, *payloads: Payload) -> None:
        await self.service.signal_workflow_execution(
            SignalWorkflowExecutionRequest(
                namespace=self.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id),
                signal_name=name,
                input=Payloads(payloads=payloads),
                request_id=str(uuid.uuid4()),
            )
        )

    async def start(self, workflow: str, queue: str, workflow_id: str, *payloads: Payload) -> None:
        await self.service.start_workflow_execution(
            StartWorkflowExecutionRequest(
                namespace=self.namespace,
                workflow_id=workflow_id,
                workflow_type=WorkflowType(name=workflow),
                task_queue=TaskQueue(name=queue),
                input=Payloads(payloads=payloads),
                request_id=str(uuid.uuid4()),
            )
        )

    async def activity(self, queue: str) -> PollActivityTaskQueueResponse:
        """The next task that our workflow asks for."""
        request = PollActivityTaskQueueRequest(namespace=self.namespace, task_queue=TaskQueue(name=queue))
        while True:
            # Tried again where the server closes the connection under the poll, as it does with each after minutes.
            task = await self.service.poll_activity_task_queue(request, retry=True)
            if task.task_token:
                return task

    async def answer(self, task: PollActivityTaskQueueResponse, *payloads: Payload) -> None:
        result = Payloads(payloads=payloads) if payloads else None
        await self.service.respond_activity_task_completed(
            RespondActivityTaskCompletedRequest(namespace=self.namespace, task_token=task.task_token, result=result)
        )

    async def fail(self, task: PollActivityTaskQueueResponse, failure: Failure) -> None:
        await self.service.respond_activity_task_failed(
            RespondActivityTaskFailedRequest(namespace=self.namespace, task_token=task.task_token, failure=failure)
        )

    async def heartbeat(self, task: PollActivityTaskQueueResponse, *payloads: Payload) -> None:
        await self.service.record_activity_task_heartbeat(
            RecordActivityTaskHeartbeatRequest(
                namespace=self.namespace, task_token=task.task_token, details=Payloads(payloads=payloads)
            )
        )

    async def complete_workflow(self, queue: str, *payloads: Payload) -> None:
        """Take a workflow task from a queue of ours and say that the workflow is done."""
        done = Command(
            command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
            complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(
                result=Payloads(payloads=payloads)
            ),
        )
        await self._decide(queue, done)

    async def ask_for(self, own_queue: str, queue: str, *asked: tuple[str, Payload]) -> None:
        """From a workflow of one's own, ask our workers for activities: type and argument of each, tried once."""
        scheduled = [
            Command(
                command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
                schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
                    activity_id=str(number),
                    activity_type=ActivityType(name=activity),
                    task_queue=TaskQueue(name=queue),
                    input=Payloads(payloads=[argument]),
                    start_to_close_timeout=Duration(seconds=30),
                    retry_policy=RetryPolicy(maximum_attempts=1),
                ),
            )
            for number, (activity, argument) in enumerate(asked)
        ]
        await self._decide(own_queue, *scheduled)

    async def tried(self, workflow_id: str) -> dict[str, str]:
        """What became of the activities that a workflow asked for, by their ids, once all have been tried."""
        while True:
            events = await self.events(workflow_id)
            asked = {one.event_id: one.activity_task_scheduled_event_attributes.activity_id for one in events}
            became: dict[str, str] = {}
            for event in events:
                for word in ("completed", "failed", "timed_out"):
                    name = f"activity_task_{word}_event_attributes"
                    if event.HasField(name):  # type: ignore[arg-type]
                        became[asked[getattr(event, name).scheduled_event_id]] = word
            if len(became) == len(list(filter(None, asked.values()))) > 0:
                return became
            await asyncio.sleep(0.05)

    async def cancel(self, workflow_id: str) -> None:
        await self.service.request_cancel_workflow_execution(
            RequestCancelWorkflowExecutionRequest(
                namespace=self.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id),
                request_id=str(uuid.uuid4()),
            )
        )

    async def events(self, workflow_id: str) -> list[HistoryEvent]:
        """The history of the newest run, which anybody can read."""
        request = GetWorkflowExecutionHistoryRequest(
            namespace=self.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        return list((await self.service.get_workflow_execution_history(request)).history.events)

    async def happened(self, workflow_id: str, *kinds: str) -> str:
        """Until an event of one of the kinds ("workflow_task_failed") is there; which one."""
        while True:
            for event in await self.events(workflow_id):
                found = (event.WhichOneof("attributes") or "").removesuffix("_event_attributes")
                if found in kinds:
                    return found
            await asyncio.sleep(0.05)

    async def settled(self, workflow_id: str) -> None:
        """Until our worker has dealt with all that the workflow was sent: no task of it waits, or it has ended."""
        request = DescribeWorkflowExecutionRequest(
            namespace=self.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        while (await self.service.describe_workflow_execution(request)).HasField("pending_workflow_task"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def _decide(self, queue: str, *commands: Command) -> None:
        request = PollWorkflowTaskQueueRequest(
            namespace=self.namespace,
            task_queue=TaskQueue(name=queue, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL),
        )
        task = await self.service.poll_workflow_task_queue(request, retry=True)
        await self.service.respond_workflow_task_completed(
            RespondWorkflowTaskCompletedRequest(namespace=self.namespace, task_token=task.task_token, commands=commands)
        )
