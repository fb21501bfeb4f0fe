"""What Temporal has of each kind of process in `orders.services.run_kinds`: the workflow, and how its id is made.

Lowest of the layers that know workflow ids, so that the sweep's question and `verify_invariants` mean the same.
"""

from collections.abc import Callable
from dataclasses import dataclass

from orders.vocabulary import RunKind
from temporal_app import workflow_ids


@dataclass(frozen=True, kw_only=True)
class Run:
    """One kind of process at Temporal."""

    #: the name of the workflow's class, which is its type at Temporal
    workflow: str
    #: from the key of its row; None where a schedule makes the id
    id_of: Callable[[str], str] | None = None
    #: the schedule that starts it
    schedule: str = ""

    @property
    def prefix(self) -> str:
        """How every id of the kind begins."""
        return self.id_of("") if self.id_of is not None else self.schedule


RUNS: dict[RunKind, Run] = {
    RunKind.ORDER: Run(workflow="OrderWorkflow", id_of=workflow_ids.order_workflow_id),
    RunKind.RECOVERY: Run(workflow="RecoveryWorkflow", id_of=workflow_ids.recovery_workflow_id),
    RunKind.REFUND: Run(workflow="RefundWorkflow", id_of=workflow_ids.refund_workflow_id),
    RunKind.GATEWAY_PAYMENT: Run(workflow="GatewayPaymentWorkflow", id_of=workflow_ids.gateway_payment_workflow_id),
    RunKind.NOTICE: Run(workflow="NoticeWorkflow", id_of=workflow_ids.notice_workflow_id),
    RunKind.PROCESS: Run(workflow="ProcessWorkflow", id_of=workflow_ids.process_workflow_id),
    RunKind.IMPORT: Run(workflow="FeedImportWorkflow", id_of=workflow_ids.feed_import_workflow_id),
    RunKind.EXPORT: Run(workflow="ExportWorkflow", id_of=workflow_ids.export_workflow_id),
    RunKind.PARTNER_RUN: Run(workflow="PartnerCallsWorkflow", id_of=workflow_ids.partner_run_workflow_id),
    RunKind.PLAYBOOK_RUN: Run(workflow="PlaybookWorkflow", id_of=workflow_ids.playbook_run_workflow_id),
    RunKind.ORDER_EVENT: Run(workflow="PlaybookEventWorkflow", id_of=workflow_ids.order_event_workflow_id),
    RunKind.BATCH: Run(workflow="BatchWorkflow", id_of=workflow_ids.batch_workflow_id),
    RunKind.SWEEP: Run(workflow="SweepWorkflow", schedule=workflow_ids.SWEEP),
    RunKind.SEAL: Run(workflow="SealWorkflow", schedule=workflow_ids.HISTORY_SEAL),
    RunKind.DAY_END: Run(workflow="OpenProcessWorkflow", schedule=workflow_ids.DAY_END_CLOSE),
    RunKind.QUALITY_SAMPLE: Run(workflow="QualitySampleWorkflow", schedule=workflow_ids.QUALITY_SAMPLE),
    RunKind.EXPORT_ROUND: Run(workflow="ExportRoundWorkflow", schedule=workflow_ids.EXPORT_ROUND),
    RunKind.PLAYBOOK_ROUND: Run(workflow="PlaybookScheduleWorkflow", schedule=workflow_ids.PLAYBOOK_SCHEDULE),
}


def kind_of(workflow_id: str) -> tuple[RunKind, str] | None:
    """The kind and the key of a process by its id; None where a schedule made the id, or nobody of ours."""
    for kind, run in RUNS.items():
        if run.id_of is not None and workflow_id.startswith(run.prefix):
            return kind, workflow_id.removeprefix(run.prefix)
    return None
