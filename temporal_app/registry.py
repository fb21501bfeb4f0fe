"""What a worker runs, listed by queue: a diff of this file shows what a deploy adds or takes away."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from temporal_app.activities import (
    batches,
    engine,
    exports,
    feeds,
    notices,
    orders,
    partner_calls,
    playbooks,
    processes,
    quality,
    recoveries,
    refunds,
    seals,
    sweeps,
)
from temporal_app.task_queues import TaskQueue
from temporal_app.workflows.batch import BatchWorkflow
from temporal_app.workflows.export import ExportRoundWorkflow, ExportWorkflow
from temporal_app.workflows.feed_import import FeedImportWorkflow
from temporal_app.workflows.notice import NoticeWorkflow
from temporal_app.workflows.order import OrderWorkflow
from temporal_app.workflows.partner_calls import PartnerCallsWorkflow
from temporal_app.workflows.playbook import PlaybookWorkflow
from temporal_app.workflows.playbook_start import PlaybookEventWorkflow, PlaybookScheduleWorkflow
from temporal_app.workflows.process import OpenProcessWorkflow, ProcessWorkflow
from temporal_app.workflows.quality import QualitySampleWorkflow
from temporal_app.workflows.recovery import RecoveryWorkflow
from temporal_app.workflows.refund import RefundWorkflow
from temporal_app.workflows.seal import SealWorkflow
from temporal_app.workflows.sweep import SweepWorkflow


@dataclass(frozen=True, kw_only=True)
class QueueContents:
    workflows: tuple[type, ...]
    activities: tuple[Callable[..., Any], ...]


REGISTRY: dict[TaskQueue, QueueContents] = {
    TaskQueue.ORDERS: QueueContents(
        workflows=(OrderWorkflow, RefundWorkflow, RecoveryWorkflow, PlaybookWorkflow, PlaybookEventWorkflow),
        activities=(
            orders.prepare_order,
            orders.check_fraud,
            orders.settle_review,
            orders.settle_hold,
            orders.charge_payment,
            orders.ship_order,
            orders.complete_order,
            orders.begin_undo,
            orders.undo_shipment,
            orders.undo_payment,
            orders.release_stock,
            orders.close_order,
            refunds.send_refund,
            recoveries.adopt_recovery,
            playbooks.load_playbook,
            playbooks.run_playbook_step,
            playbooks.decide_playbook_step,
            playbooks.next_playbook_round,
            playbooks.settle_playbook_step,
            playbooks.finish_playbook_step,
            playbooks.fail_playbook_step,
            playbooks.decision_on_playbook_step,
            playbooks.playbook_stands_still,
            playbooks.begin_playbook_undo,
            playbooks.next_playbook_undo,
            playbooks.undo_playbook_step,
            playbooks.fail_playbook_undo,
            playbooks.end_playbook,
            playbooks.fire_playbook_triggers,
        ),
    ),
    TaskQueue.BATCHES: QueueContents(
        workflows=(
            FeedImportWorkflow,
            SealWorkflow,
            ProcessWorkflow,
            OpenProcessWorkflow,
            NoticeWorkflow,
            SweepWorkflow,
            QualitySampleWorkflow,
            BatchWorkflow,
            ExportWorkflow,
            ExportRoundWorkflow,
            PlaybookScheduleWorkflow,
        ),
        activities=(
            feeds.validate_feed,
            feeds.transform_feed,
            feeds.store_feed,
            feeds.abandon_feed,
            seals.seal_history,
            playbooks.start_due_playbooks,
            processes.look_at_process,
            processes.work_process_step,
            processes.give_up_process_step,
            processes.stop_process,
            processes.open_process,
            # Here, so that a slow mail server takes no slot from an order.
            notices.send_notice,
            notices.give_up_notice,
            sweeps.processes_to_ask_about,
            engine.look_at_processes,
            sweeps.settle_processes,
            sweeps.sweep_deadlines,
            sweeps.sweep_books,
            quality.count_shipped,
            quality.store_sample,
            batches.run_chunk,
            batches.begin_orders,
            batches.claim_checks,
            batches.fail_item,
            batches.stop_batch,
            batches.summarise_batch,
            exports.write_export,
            exports.abandon_export,
            exports.expire_exports,
            exports.ask_for_planned_exports,
        ),
    ),
    TaskQueue.PARTNERS: QueueContents(
        workflows=(PartnerCallsWorkflow,),
        activities=(
            partner_calls.list_partner_calls,
            partner_calls.make_partner_call,
            partner_calls.give_up_partner_call,
            partner_calls.end_partner_run,
            processes.ask_partner_for_process,
            batches.check_item,
        ),
    ),
}
