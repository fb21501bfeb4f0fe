"""The nightly seal over all histories."""

from temporalio import activity

from orders.services import seals
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.payloads import SealResult


@activity.defn(no_thread_cancel_exception=True)
def seal_history() -> SealResult:
    with translated_errors():
        sealed = seals.seal_history(actor=engine_actor("nightly seal"))
        return SealResult(sequence=sealed.seal.sequence, made=sealed.made)
