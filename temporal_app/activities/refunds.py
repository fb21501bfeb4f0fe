"""The activity of one refund."""

from temporalio import activity

from orders.services import repaying
from orders.vocabulary import RefundStatus
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.payloads import RefundInput


@activity.defn(no_thread_cancel_exception=True)
def send_refund(refund: RefundInput) -> RefundStatus:
    """Where the refund stands after this attempt."""
    with translated_errors(undoing=True):
        return repaying.send(refund.refund_id, actor=engine_actor("refund process"))
