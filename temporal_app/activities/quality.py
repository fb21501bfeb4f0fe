"""The daily sample for quality control."""

from datetime import date

from temporalio import activity

from orders.services import quality
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.payloads import SampleDay, SampleDrawn, SampleFrame


@activity.defn(no_thread_cancel_exception=True)
def count_shipped(asked: SampleDay) -> SampleFrame:
    with translated_errors():
        found = quality.frame(date.fromisoformat(asked.day))
        return SampleFrame(shipped=found.shipped, size=found.size)


@activity.defn(no_thread_cancel_exception=True)
def store_sample(drawn: SampleDrawn) -> int:
    """How many orders the day's sample has; a second one of the day is not written."""
    with translated_errors():
        return quality.store(
            date.fromisoformat(drawn.day),
            shipped=drawn.shipped,
            positions=drawn.positions,
            actor=engine_actor("quality sample"),
        )
