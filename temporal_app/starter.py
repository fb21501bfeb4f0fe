"""From an outbox message to Temporal: one function for each topic.

Delivery is at least once, so each function must be harmless the second time. A start under a business id with
REJECT_DUPLICATE is: the second is refused, which is as good as delivered.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import PauseActivityRequest, ResetActivityRequest, UnpauseActivityRequest
from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from orders.vocabulary import CommandKind, OrderStatus, StepName, Topic
from temporal_app.payloads import CommandGiven, FeedInput, OrderEventHappened, OrderInput, PlaybookInput, RefundInput
from temporal_app.search_attributes import CUSTOMER, ORDER_NUMBER, ORDER_STATUS
from temporal_app.step_activities import ACTIVITY_OF_STEP
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import (
    feed_import_workflow_id,
    order_event_workflow_id,
    order_workflow_id,
    playbook_run_workflow_id,
    refund_workflow_id,
)
from temporal_app.workflows.feed_import import FeedImportWorkflow
from temporal_app.workflows.order import OrderWorkflow
from temporal_app.workflows.playbook import PlaybookWorkflow
from temporal_app.workflows.playbook_start import PlaybookEventWorkflow
from temporal_app.workflows.refund import RefundWorkflow

#: for one attempt; the relay tries again
RPC_TIMEOUT = timedelta(seconds=5)
REFUSED = {
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.UNIMPLEMENTED,
}


async def start_once(client: Client, workflow: Any, arg: Any, **how: Any) -> None:
    """Start under a business id; the second delivery of the same start changes nothing.

    `how` are options of `Client.start_workflow` (`id` and `task_queue` at least). With `start_signal` a workflow that
    runs already gets the signal.
    """
    options = {
        "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
        "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
        "rpc_timeout": RPC_TIMEOUT,
        **how,
    }
    try:
        await client.start_workflow(workflow, arg, **options)
    except WorkflowAlreadyStartedError:
        return


@contextmanager
def ended_needs_nothing() -> Iterator[None]:
    """A process that has ended needs no message: its last step answered the command."""
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def start_order(client: Client, body: dict[str, Any]) -> None:
    await start_once(
        client,
        OrderWorkflow.run,
        OrderInput(order_id=body["order_id"], number=body["number"], customer=body["customer"]),
        id=order_workflow_id(body["order_id"]),
        task_queue=TaskQueue.ORDERS,
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(ORDER_NUMBER, body["number"]),
                SearchAttributePair(ORDER_STATUS, OrderStatus.QUEUED),
                SearchAttributePair(CUSTOMER, body["customer"]),
            ]
        ),
        static_summary=f"Order {body['number']}",
        # Relay and worker share the client: the first task skips a trip through the task queue.
        request_eager_start=True,
    )


async def tell_order(client: Client, body: dict[str, Any]) -> None:
    with ended_needs_nothing():
        await client.get_workflow_handle(order_workflow_id(body["order_id"])).signal(
            OrderWorkflow.command_given,
            CommandGiven(command_id=body["command_id"], kind=body["kind"]),
            rpc_timeout=RPC_TIMEOUT,
        )


async def cancel_order(client: Client, body: dict[str, Any]) -> None:
    with ended_needs_nothing():
        await client.get_workflow_handle(order_workflow_id(body["order_id"])).cancel(rpc_timeout=RPC_TIMEOUT)


async def drive_step(client: Client, body: dict[str, Any]) -> bool:
    """Try again, pause or resume; False when Temporal has no such step pending any more, or cannot do it."""
    service, kind = client.workflow_service, CommandKind(body["kind"])
    which: dict[str, Any] = {
        "namespace": client.namespace,
        "execution": WorkflowExecution(workflow_id=order_workflow_id(body["order_id"])),
        "type": ACTIVITY_OF_STEP[StepName(body["step"])],
    }
    try:
        if kind is CommandKind.STEP_RETRY:
            await service.reset_activity(ResetActivityRequest(**which), timeout=RPC_TIMEOUT)
        elif kind is CommandKind.STEP_PAUSE:
            await service.pause_activity(
                PauseActivityRequest(**which, request_id=body["command_id"]), timeout=RPC_TIMEOUT
            )
        else:
            await service.unpause_activity(UnpauseActivityRequest(**which, reset_attempts=True), timeout=RPC_TIMEOUT)
    except RPCError as error:
        # Anything else is tried again; a refusal is not, because a cancellation may wait behind it.
        if error.status in REFUSED:
            return False
        raise
    return True


async def start_feed_import(client: Client, body: dict[str, Any]) -> None:
    await start_once(
        client,
        FeedImportWorkflow.run,
        FeedInput(feed_id=body["feed_id"]),
        id=feed_import_workflow_id(body["feed_id"]),
        task_queue=TaskQueue.BATCHES,
        static_summary="Order feed import",
    )


async def send_refund(client: Client, body: dict[str, Any]) -> None:
    """Start the refund's process, or wake it where it is parked; one that has ended has nothing left to do."""
    await start_once(
        client,
        RefundWorkflow.run,
        RefundInput(refund_id=body["refund_id"]),
        id=refund_workflow_id(body["refund_id"]),
        task_queue=TaskQueue.ORDERS,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
        start_signal="look_again",
        static_summary="Refund",
    )


async def start_playbook(client: Client, body: dict[str, Any]) -> None:
    await start_once(
        client,
        PlaybookWorkflow.run,
        PlaybookInput(run_id=body["run_id"]),
        id=playbook_run_workflow_id(body["run_id"]),
        task_queue=TaskQueue.ORDERS,
        static_summary="Playbook",
    )


async def fire_triggers(client: Client, body: dict[str, Any]) -> None:
    await start_once(
        client,
        PlaybookEventWorkflow.run,
        OrderEventHappened(event_id=body["event_id"]),
        id=order_event_workflow_id(body["event_id"]),
        task_queue=TaskQueue.ORDERS,
        static_summary="Playbooks that an event starts",
    )


async def tell_playbook(client: Client, body: dict[str, Any]) -> None:
    with ended_needs_nothing():
        await client.get_workflow_handle(playbook_run_workflow_id(body["run_id"])).signal(
            PlaybookWorkflow.look_again, rpc_timeout=RPC_TIMEOUT
        )


async def cancel_playbook(client: Client, body: dict[str, Any]) -> None:
    with ended_needs_nothing():
        await client.get_workflow_handle(playbook_run_workflow_id(body["run_id"])).cancel(rpc_timeout=RPC_TIMEOUT)


#: a function that answers a bool says whether the command of the message was taken
DELIVER: dict[Topic, Callable[[Client, dict[str, Any]], Awaitable[bool | None]]] = {
    Topic.START_ORDER: start_order,
    Topic.TELL_ORDER: tell_order,
    Topic.CANCEL_ORDER: cancel_order,
    Topic.DRIVE_STEP: drive_step,
    Topic.START_FEED_IMPORT: start_feed_import,
    Topic.SEND_REFUND: send_refund,
    Topic.START_PLAYBOOK: start_playbook,
    Topic.TELL_PLAYBOOK: tell_playbook,
    Topic.CANCEL_PLAYBOOK: cancel_playbook,
    Topic.FIRE_TRIGGERS: fire_triggers,
}
