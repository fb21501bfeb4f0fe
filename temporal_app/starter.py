"""From an outbox message to Temporal: one function for each topic.

Delivery is at least once, so each function must be harmless the second time. A start under a business id with
a policy of reuse is: the second is refused, or begins a run that finds in its row that nothing is left to do.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import BackfillRequest, SchedulePatch, TriggerImmediatelyRequest
from temporalio.api.workflowservice.v1 import (
    PatchScheduleRequest,
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
)
from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from orders.services.predecessors import UNDO
from orders.services.reviving import AGAIN
from orders.vocabulary import BatchMode, CommandKind, StepName, Topic
from temporal_app.deliveries import (
    REFUSED,
    RPC_TIMEOUT,
    cancel_running,
    not_there,
    start_once,
)
from temporal_app.deliveries import NotThere as NotThere
from temporal_app.payloads import (
    BatchInput,
    CommandGiven,
    ExportInput,
    FeedInput,
    GatewayPaymentInput,
    NoticeInput,
    OrderInput,
    PartnerRunInput,
    ProcessInput,
    RecoveryInput,
    RefundInput,
)
from temporal_app.playbook_payloads import OrderEventHappened, PlaybookInput
from temporal_app.search_attributes import ORDER_NUMBER, of_order
from temporal_app.step_activities import ACTIVITY_OF_STEP
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import (
    SCHEDULE_PREFIX,
    batch_workflow_id,
    export_workflow_id,
    feed_import_workflow_id,
    gateway_payment_workflow_id,
    notice_workflow_id,
    order_event_workflow_id,
    order_workflow_id,
    partner_run_workflow_id,
    playbook_run_workflow_id,
    process_workflow_id,
    recovery_workflow_id,
    refund_workflow_id,
)
from temporal_app.workflows.batch import BatchWorkflow
from temporal_app.workflows.export import ExportWorkflow
from temporal_app.workflows.feed_import import FeedImportWorkflow
from temporal_app.workflows.gateway_payment import GatewayPaymentWorkflow
from temporal_app.workflows.notice import NoticeWorkflow
from temporal_app.workflows.order import OrderWorkflow
from temporal_app.workflows.partner_calls import PartnerCallsWorkflow
from temporal_app.workflows.playbook import PlaybookWorkflow
from temporal_app.workflows.playbook_start import PlaybookEventWorkflow
from temporal_app.workflows.process import ProcessWorkflow
from temporal_app.workflows.recovery import RecoveryWorkflow
from temporal_app.workflows.refund import RefundWorkflow

#: commands that the next attempt of a step obeys; a reset ends a pause too, where one stands
TRY_AT_ONCE = {CommandKind.STEP_RETRY, CommandKind.STEP_SKIP, CommandKind.PAYMENT_METHOD}


async def start_order(client: Client, body: dict[str, Any]) -> None:
    again = bool(body.get(AGAIN))
    await start_once(
        client,
        OrderWorkflow.run,
        OrderInput(
            order_id=body["order_id"],
            number=body["number"],
            customer=body["customer"],
            # The run before may have got to any step: should this one be cancelled early, the parcel is recalled first.
            undos=len(UNDO) if again else 0,
        ),
        id=order_workflow_id(body["order_id"]),
        task_queue=TaskQueue.ORDERS,
        search_attributes=of_order(body["number"], body["customer"]),
        static_summary=f"Order {body['number']}",
        # Only by a lead's word, after the database was restored.
        **({"id_reuse_policy": WorkflowIDReusePolicy.ALLOW_DUPLICATE} if again else {}),
        # Relay and worker share the client: the first task skips a trip through the task queue.
        request_eager_start=True,
    )


async def tell_order(client: Client, body: dict[str, Any]) -> None:
    with not_there():
        await client.get_workflow_handle(order_workflow_id(body["order_id"])).signal(
            OrderWorkflow.command_given,
            CommandGiven(command_id=body["command_id"], kind=body["kind"]),
            rpc_timeout=RPC_TIMEOUT,
        )


async def cancel_order(client: Client, body: dict[str, Any]) -> None:
    await cancel_running(client, order_workflow_id(body["order_id"]))
    # Temporal takes one cancellation of a run and no second one: if somebody sent one before that nobody had asked for,
    # only the signal makes the process look. A run that ends by the cancellation needs none, and one that was sent too
    # many has heard the cancellation all the same.
    try:
        await tell_order(client, body)
    except NotThere:
        return
    except RPCError as error:
        if error.status not in REFUSED:
            raise


async def drive_step(client: Client, body: dict[str, Any]) -> bool:
    """Try again, pause or resume; False when Temporal has no such step pending any more, or cannot do it."""
    service, kind = client.workflow_service, CommandKind(body["kind"])
    which: dict[str, Any] = {
        "namespace": client.namespace,
        "execution": WorkflowExecution(workflow_id=order_workflow_id(body["order_id"])),
        "type": ACTIVITY_OF_STEP[StepName(body["step"])],
    }
    try:
        if kind in TRY_AT_ONCE:
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


def _of_rows(body: dict[str, Any]) -> dict[str, Any]:
    """How a process may be started again that only follows its row: one that did not end with a result.

    A person may have one started again that did; then the body says so.
    """
    reuse = WorkflowIDReusePolicy
    return {"id_reuse_policy": reuse.ALLOW_DUPLICATE if body.get(AGAIN) else reuse.ALLOW_DUPLICATE_FAILED_ONLY}


async def start_feed_import(client: Client, body: dict[str, Any]) -> None:
    await start_once(
        client,
        FeedImportWorkflow.run,
        FeedInput(feed_id=body["feed_id"]),
        id=feed_import_workflow_id(body["feed_id"]),
        task_queue=TaskQueue.BATCHES,
        static_summary="Order feed import",
        **_of_rows(body),
    )


async def tell_feed_import(client: Client, body: dict[str, Any]) -> None:
    with not_there():
        await client.get_workflow_handle(feed_import_workflow_id(body["feed_id"])).signal(
            FeedImportWorkflow.look_again, rpc_timeout=RPC_TIMEOUT
        )


async def send_refund(client: Client, body: dict[str, Any]) -> None:
    """Start the refund's process, or wake it where it is parked.

    One that has ended is begun anew: a refund that had succeeded can fail later, and be tried again.
    """
    await start_once(
        client,
        RefundWorkflow.run,
        RefundInput(refund_id=body["refund_id"]),
        id=refund_workflow_id(body["refund_id"]),
        task_queue=TaskQueue.ORDERS,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal="look_again",
        static_summary="Refund",
    )


async def settle_gateway_payment(client: Client, body: dict[str, Any]) -> None:
    """Start the payment's process, or wake it. One that has ended is begun anew: the gateway tells of it for months."""
    await start_once(
        client,
        GatewayPaymentWorkflow.run,
        GatewayPaymentInput(payment=body["payment"]),
        id=gateway_payment_workflow_id(body["payment"]),
        task_queue=TaskQueue.ORDERS,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal="look_again",
        static_summary="Payment at the gateway",
    )


async def tell_process(client: Client, body: dict[str, Any]) -> None:
    """Start the run's process, or wake it; one that has ended with a result has nothing left to do."""
    await start_once(
        client,
        ProcessWorkflow.run,
        ProcessInput(run_id=body["run_id"]),
        id=process_workflow_id(body["run_id"]),
        task_queue=TaskQueue.BATCHES,
        start_signal="look_again",
        static_summary="Process",
        **_of_rows(body),
    )


async def drive_schedule(client: Client, body: dict[str, Any]) -> bool:
    """Pause, resume, run now or backfill; False when it is no schedule of ours, or Temporal does not have it.

    Temporal knows the command by its id, so a second delivery makes no second run. Nor do two commands within one
    second: it names a run by the second that it is for.
    """
    if not body["schedule"].startswith(SCHEDULE_PREFIX):
        return False
    request = PatchScheduleRequest(
        namespace=client.namespace,
        schedule_id=body["schedule"],
        patch=_patch(CommandKind(body["kind"]), body),
        identity=client.identity,
        request_id=body["command_id"],
    )
    try:
        await client.workflow_service.patch_schedule(request, timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status in REFUSED:
            return False
        raise
    return True


def _patch(kind: CommandKind, body: dict[str, Any]) -> SchedulePatch:
    if kind is CommandKind.SCHEDULE_PAUSE:
        return SchedulePatch(pause=body["note"])
    if kind is CommandKind.SCHEDULE_RESUME:
        return SchedulePatch(unpause="Resumed")
    # One after the other: a day that is closed while the day before is still being closed would overlap it.
    policy = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL
    if kind is CommandKind.SCHEDULE_RUN:
        return SchedulePatch(trigger_immediately=TriggerImmediatelyRequest(overlap_policy=policy))
    span = BackfillRequest(overlap_policy=policy)
    span.start_time.FromDatetime(datetime.fromisoformat(body["since"]))
    span.end_time.FromDatetime(datetime.fromisoformat(body["until"]))
    return SchedulePatch(backfill_request=[span])


async def send_notice(client: Client, body: dict[str, Any]) -> None:
    notice = NoticeInput(notice_id=body["notice_id"], tries=body["tries"])
    await start_once(
        client,
        NoticeWorkflow.run,
        notice,
        id=notice_workflow_id(notice.notice_id, notice.tries),
        task_queue=TaskQueue.BATCHES,
        static_summary="Notice to a customer",
        **_of_rows(body),
    )


async def start_partner_run(client: Client, body: dict[str, Any]) -> None:
    await start_once(
        client,
        PartnerCallsWorkflow.run,
        PartnerRunInput(run_id=body["run_id"]),
        id=partner_run_workflow_id(body["run_id"]),
        task_queue=TaskQueue.PARTNERS,
        static_summary=f"Calls to a partner: {body['partner']}",
        **_of_rows(body),
    )


async def cancel_partner_run(client: Client, body: dict[str, Any]) -> None:
    await cancel_running(client, partner_run_workflow_id(body["run_id"]))


async def recover_order(client: Client, body: dict[str, Any]) -> None:
    """Start the recovery; one that was ended from outside is begun again, one that ended by itself if the body says."""
    await start_once(
        client,
        RecoveryWorkflow.run,
        RecoveryInput(order_id=body["order_id"], number=body["number"]),
        id=recovery_workflow_id(body["order_id"]),
        task_queue=TaskQueue.ORDERS,
        search_attributes=TypedSearchAttributes([SearchAttributePair(ORDER_NUMBER, body["number"])]),
        static_summary=f"Recovery of {body['number']}",
        **_of_rows(body),
    )


async def run_batch(client: Client, body: dict[str, Any]) -> None:
    """Start the batch's process, or wake it. One that has ended is begun anew: its failed items are done again."""
    await start_once(
        client,
        BatchWorkflow.run,
        BatchInput(batch_id=body["batch_id"], mode=BatchMode(body["mode"])),
        id=batch_workflow_id(body["batch_id"]),
        task_queue=TaskQueue.BATCHES,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal="look_again",
        static_summary="Batch",
    )


async def run_export(client: Client, body: dict[str, Any]) -> None:
    await start_once(
        client,
        ExportWorkflow.run,
        ExportInput(export_id=body["export_id"]),
        id=export_workflow_id(body["export_id"]),
        task_queue=TaskQueue.BATCHES,
        static_summary="Export of orders",
        **_of_rows(body),
    )


async def start_playbook(client: Client, body: dict[str, Any]) -> None:
    await start_once(
        client,
        PlaybookWorkflow.run,
        PlaybookInput(run_id=body["run_id"]),
        id=playbook_run_workflow_id(body["run_id"]),
        task_queue=TaskQueue.ORDERS,
        static_summary="Playbook",
        **_of_rows(body),
    )


async def fire_triggers(client: Client, body: dict[str, Any]) -> None:
    await start_once(
        client,
        PlaybookEventWorkflow.run,
        OrderEventHappened(event_id=body["event_id"]),
        id=order_event_workflow_id(body["event_id"]),
        task_queue=TaskQueue.ORDERS,
        static_summary="Playbooks that an event starts",
        **_of_rows(body),
    )


async def tell_playbook(client: Client, body: dict[str, Any]) -> None:
    with not_there():
        await client.get_workflow_handle(playbook_run_workflow_id(body["run_id"])).signal(
            PlaybookWorkflow.look_again, rpc_timeout=RPC_TIMEOUT
        )


async def cancel_playbook(client: Client, body: dict[str, Any]) -> None:
    await cancel_running(client, playbook_run_workflow_id(body["run_id"]))


#: a function that answers a bool says whether the command of the message was taken
DELIVER: dict[Topic, Callable[[Client, dict[str, Any]], Awaitable[bool | None]]] = {
    Topic.START_ORDER: start_order,
    Topic.TELL_ORDER: tell_order,
    Topic.CANCEL_ORDER: cancel_order,
    Topic.DRIVE_STEP: drive_step,
    Topic.START_FEED_IMPORT: start_feed_import,
    Topic.SEND_REFUND: send_refund,
    Topic.GATEWAY_EVENT: settle_gateway_payment,
    Topic.TELL_PROCESS: tell_process,
    Topic.DRIVE_SCHEDULE: drive_schedule,
    Topic.SEND_NOTICE: send_notice,
    Topic.TELL_FEED_IMPORT: tell_feed_import,
    Topic.START_PARTNER_RUN: start_partner_run,
    Topic.CANCEL_PARTNER_RUN: cancel_partner_run,
    Topic.RECOVER_ORDER: recover_order,
    Topic.RUN_BATCH: run_batch,
    Topic.RUN_EXPORT: run_export,
    Topic.START_PLAYBOOK: start_playbook,
    Topic.TELL_PLAYBOOK: tell_playbook,
    Topic.CANCEL_PLAYBOOK: cancel_playbook,
    Topic.FIRE_TRIGGERS: fire_triggers,
}
