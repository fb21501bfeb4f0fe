"""What a worker runs, listed by queue: a diff of this file shows what a deploy adds or takes away.

An activity is sent to the queue that lists it (`lanes.py`), so it cannot be listed in one place and sent to another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from temporal_app.activities import (
    batches,
    engine,
    exports,
    feeds,
    gateway_events,
    notices,
    orders,
    partner_calls,
    playbooks,
    processes,
    quality,
    recoveries,
    refunds,
    runs,
    seals,
    sweeps,
)
from temporal_app.task_queues import TaskQueue
from temporal_app.workflows.batch import BatchWorkflow
from temporal_app.workflows.export import ExportRoundWorkflow, ExportWorkflow
from temporal_app.workflows.feed_import import FeedImportWorkflow
from temporal_app.workflows.gateway_payment import GatewayPaymentWorkflow
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
    workflows: tuple[type, ...] = ()
    activities: tuple[Callable[..., Any], ...]
    #: served here and sent here no more: what processes had asked for before there were lanes. It can go when every
    #: order that was under way at that upgrade has ended: a step gives up after 20 hours, an undo never does.
    from_before: tuple[Callable[..., Any], ...] = ()


REGISTRY: dict[TaskQueue, QueueContents] = {
    TaskQueue.ORDERS: QueueContents(
        workflows=(
            OrderWorkflow,
            RefundWorkflow,
            GatewayPaymentWorkflow,
            RecoveryWorkflow,
            PlaybookWorkflow,
            PlaybookEventWorkflow,
        ),
        activities=(
            orders.prepare_order,
            orders.settle_review,
            orders.settle_hold,
            orders.complete_order,
            orders.begin_undo,
            orders.release_stock,
            orders.close_order,
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
        from_before=(
            orders.check_fraud,
            orders.charge_payment,
            orders.ship_order,
            orders.undo_shipment,
            orders.undo_payment,
            refunds.send_refund,
            gateway_events.settle_gateway_payment,
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
            notices.give_up_notice,
            sweeps.processes_to_ask_about,
            engine.look_at_processes,
            sweeps.settle_processes,
            sweeps.sweep_deadlines,
            sweeps.sweep_books,
            sweeps.sweep_events,
            runs.runs_to_ask_about,
            runs.look_at_runs,
            runs.settle_runs,
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
        from_before=(notices.send_notice,),
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
    TaskQueue.FRAUD: QueueContents(activities=(orders.check_fraud,)),
    # What the gateway tells of is mostly of new orders.
    TaskQueue.PAYMENTS: QueueContents(activities=(orders.charge_payment, gateway_events.settle_gateway_payment)),
    TaskQueue.CARRIER: QueueContents(activities=(orders.ship_order,)),
    TaskQueue.REFUNDS: QueueContents(activities=(refunds.send_refund, orders.undo_payment)),
    TaskQueue.RECALLS: QueueContents(activities=(orders.undo_shipment,)),
    # Steps that change rows only stay with the orders; the workflow knows which ones call out.
    TaskQueue.ENDPOINTS: QueueContents(activities=(playbooks.run_playbook_step,)),
    TaskQueue.MAIL: QueueContents(activities=(notices.send_notice,)),
}
