"""What a worker runs, listed by queue: a diff of this file shows what a deploy adds or takes away."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from temporal_app.activities import feeds, orders, playbooks, refunds, seals
from temporal_app.task_queues import TaskQueue
from temporal_app.workflows.feed_import import FeedImportWorkflow
from temporal_app.workflows.order import OrderWorkflow
from temporal_app.workflows.playbook import PlaybookWorkflow
from temporal_app.workflows.playbook_start import PlaybookEventWorkflow, PlaybookScheduleWorkflow
from temporal_app.workflows.refund import RefundWorkflow
from temporal_app.workflows.seal import SealWorkflow


@dataclass(frozen=True, kw_only=True)
class QueueContents:
    workflows: tuple[type, ...]
    activities: tuple[Callable[..., Any], ...]


REGISTRY: dict[TaskQueue, QueueContents] = {
    TaskQueue.ORDERS: QueueContents(
        workflows=(OrderWorkflow, RefundWorkflow, PlaybookWorkflow, PlaybookEventWorkflow),
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
        workflows=(FeedImportWorkflow, SealWorkflow, PlaybookScheduleWorkflow),
        activities=(
            feeds.validate_feed,
            feeds.transform_feed,
            feeds.store_feed,
            feeds.abandon_feed,
            seals.seal_history,
            playbooks.start_due_playbooks,
        ),
    ),
}
