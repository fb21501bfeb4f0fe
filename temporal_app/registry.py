"""What a worker runs, listed by queue: a diff of this file shows what a deploy adds or takes away."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from temporal_app.activities import exports, feeds, orders, refunds, seals
from temporal_app.task_queues import TaskQueue
from temporal_app.workflows.export import ExportRoundWorkflow, ExportWorkflow
from temporal_app.workflows.feed_import import FeedImportWorkflow
from temporal_app.workflows.order import OrderWorkflow
from temporal_app.workflows.refund import RefundWorkflow
from temporal_app.workflows.seal import SealWorkflow


@dataclass(frozen=True, kw_only=True)
class QueueContents:
    workflows: tuple[type, ...]
    activities: tuple[Callable[..., Any], ...]


REGISTRY: dict[TaskQueue, QueueContents] = {
    TaskQueue.ORDERS: QueueContents(
        workflows=(OrderWorkflow, RefundWorkflow),
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
        ),
    ),
    TaskQueue.BATCHES: QueueContents(
        workflows=(FeedImportWorkflow, SealWorkflow, ExportWorkflow, ExportRoundWorkflow),
        activities=(
            feeds.validate_feed,
            feeds.transform_feed,
            feeds.store_feed,
            feeds.abandon_feed,
            seals.seal_history,
            exports.write_export,
            exports.abandon_export,
            exports.expire_exports,
            exports.ask_for_planned_exports,
        ),
    ),
}
