"""A process whose row a restored database has forgotten comes to its end, of every kind, on the real servers."""

import asyncio
import uuid
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from orders.actor import system
from orders.models import RestoreDifference, StaffTask
from orders.services import resolving
from orders.services.sweeping import restoring
from orders.vocabulary import BatchMode, RunKind, TaskKind
from temporal_app.payloads import (
    BatchInput,
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
from temporal_app.registry import REGISTRY
from temporal_app.runs import RUNS
from tests.e2e.engine import Engine, eventually
from tests.e2e.test_restored_database import lead

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
NOBODY = str(uuid.UUID(int=7))
#: what each process is about, by the key of its row
INPUTS: dict[RunKind, Any] = {
    RunKind.ORDER: OrderInput(order_id=NOBODY, number="SO-1", customer="C-1"),
    RunKind.RECOVERY: RecoveryInput(order_id=NOBODY, number="SO-1"),
    RunKind.REFUND: RefundInput(refund_id=NOBODY),
    RunKind.GATEWAY_PAYMENT: GatewayPaymentInput(payment="pi_nobody"),
    RunKind.NOTICE: NoticeInput(notice_id=NOBODY, tries=1),
    RunKind.PROCESS: ProcessInput(run_id=NOBODY),
    RunKind.IMPORT: FeedInput(feed_id=NOBODY),
    RunKind.EXPORT: ExportInput(export_id=NOBODY),
    RunKind.PARTNER_RUN: PartnerRunInput(run_id=NOBODY),
    RunKind.PLAYBOOK_RUN: PlaybookInput(run_id=NOBODY),
    RunKind.ORDER_EVENT: OrderEventHappened(event_id=7_000_000),
    RunKind.BATCH: BatchInput(batch_id=NOBODY, mode=BatchMode.CHUNKS),
}
KEYS = {RunKind.GATEWAY_PAYMENT: "pi_nobody", RunKind.ORDER_EVENT: "7000000"}


async def started(engine: Engine) -> list[str]:
    client = await engine.client()
    ids = []
    for kind, given in INPUTS.items():
        id_of = RUNS[kind].id_of
        assert id_of is not None
        ids.append(id_of(KEYS.get(kind, NOBODY)))
        await client.start_workflow(RUNS[kind].workflow, given, id=ids[-1], task_queue=queue_of(kind))
    return ids


def queue_of(kind: RunKind) -> str:
    names = {queue: {one.__name__ for one in contents.workflows} for queue, contents in REGISTRY.items()}
    return next(queue for queue, workflows in names.items() if RUNS[kind].workflow in workflows)


def test_it_waits_for_a_lead_and_then_ends(running_engine: Engine) -> None:
    assert set(INPUTS) == {kind for kind, run in RUNS.items() if run.id_of is not None}
    restoring.recognise((), run_id="remembered", actor=system("test"))
    assert restoring.recognise(["forgotten"], actor=system("test"))
    ids = asyncio.run(started(running_engine))

    def statuses() -> dict[str, WorkflowExecutionStatus | None]:
        return {one: running_engine.workflow_status(one) for one in ids}

    eventually(lambda: "An activity failed unexpectedly" in running_engine.log(), what="a process without a row")
    eventually(restoring.is_compared, what="the comparison with Temporal")
    # A later part of the sweep asks them about the order that has no row.
    unasked = RestoreDifference.objects.filter(asked_at=None)
    eventually(lambda: RestoreDifference.objects.exists() and not unasked.exists(), what="the partners' answers")
    resolving.resolve(StaffTask.objects.get(kind=TaskKind.RESTORED).pk, note="Restored to 10:02", actor=lead())
    eventually(lambda: WorkflowExecutionStatus.RUNNING not in statuses().values(), what="the end of all")
    assert {one: status.name for one, status in statuses().items() if status} == dict.fromkeys(ids, "COMPLETED")
