"""The beginning of a recovery; its other activities are those of the order."""

from temporalio import activity

from orders.services import recovering
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.payloads import OrderStep


@activity.defn(no_thread_cancel_exception=True)
def adopt_recovery(step: OrderStep) -> bool:
    """False when the order was closed before the undo could begin."""
    with translated_errors(undoing=True):
        return recovering.adopt(step.order_id, run_id=step.run_id, actor=engine_actor("order recovery"))
