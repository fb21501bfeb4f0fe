"""The activities of a batch: what may be done now, a chunk of it, one check, and the summary at the end."""

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from orders.services import batches
from orders.services.batches.working import Where
from orders.vocabulary import Verdict
from temporal_app.errors import translated_errors
from temporal_app.payloads import BatchInput, BatchItemInput, BatchWindow, OrderInput


@activity.defn(no_thread_cancel_exception=True)
def run_chunk(batch: BatchInput) -> Verdict:
    """Do the next orders in one transaction; answers what may be done after that."""
    with translated_errors():
        return batches.run_chunk(batch.batch_id, where=_where(), beat=_beat)


@activity.defn(no_thread_cancel_exception=True)
def begin_orders(batch: BatchInput) -> BatchWindow:
    """Settle the orders that ended, and begin as many as the window has room for."""
    with translated_errors():
        window = batches.begin_orders(batch.batch_id, where=_where())
        orders = [
            OrderInput(order_id=order.order_id, number=order.number, customer=order.customer) for order in window.begun
        ]
        return BatchWindow(verdict=window.verdict, orders=orders)


@activity.defn(no_thread_cancel_exception=True)
def claim_checks(batch: BatchInput) -> BatchWindow:
    with translated_errors():
        claimed = batches.claim_checks(batch.batch_id)
        return BatchWindow(verdict=claimed.verdict, positions=claimed.positions)


@activity.defn(no_thread_cancel_exception=True)
def check_item(item: BatchItemInput) -> None:
    with translated_errors():
        batches.check_item(item.batch_id, item.position, where=_where())


@activity.defn(no_thread_cancel_exception=True)
def fail_item(item: BatchItemInput) -> None:
    with translated_errors():
        batches.fail_item(item.batch_id, item.position, error_type=item.error_type, message=item.message)


@activity.defn(no_thread_cancel_exception=True)
def stop_batch(batch: BatchInput) -> None:
    """The process was cancelled at Temporal; without this its page would say "running" for ever."""
    with translated_errors(undoing=True):
        batches.stop_by_engine(batch.batch_id)


@activity.defn(no_thread_cancel_exception=True)
def summarise_batch(batch: BatchInput) -> dict[str, int]:
    """Status of an item -> how many."""
    with translated_errors():
        return batches.summarise(batch.batch_id)


def _where() -> Where:
    info = activity.info()
    return Where(workflow_id=info.workflow_id or "", run_id=info.workflow_run_id or "", attempt=info.attempt)


def _beat(position: int) -> None:
    activity.heartbeat(position)
    if activity.is_worker_shutdown():
        # Retryable: another worker goes on, and this one need not be killed after its grace period.
        raise ApplicationError(
            "The worker is leaving; the batch goes on elsewhere",
            type="worker_shutdown",
            category=ApplicationErrorCategory.BENIGN,
        )
