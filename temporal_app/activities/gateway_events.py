"""The activity of one payment of which the gateway has told something."""

from temporalio import activity

from orders.services import gateway_events
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.payloads import GatewayPaymentInput


@activity.defn(no_thread_cancel_exception=True)
def settle_gateway_payment(payment: GatewayPaymentInput) -> bool:
    """Whether nothing is left to be looked at again."""
    with translated_errors(undoing=True):
        return gateway_events.carry_out(payment.payment, actor=engine_actor("payment gateway"))
