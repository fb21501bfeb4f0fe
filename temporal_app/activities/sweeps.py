"""The database's half of the sweep; Temporal's half is `engine`."""

from temporalio import activity

from orders.services import restored
from orders.services.sweeping import books, deadlines, events, processes, restoring
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.payloads import ProcessesAsked, ProcessesSeen

ACTOR = "sweeper"


@activity.defn(no_thread_cancel_exception=True)
def processes_to_ask_about() -> ProcessesAsked:
    with translated_errors():
        asked = processes.question()
        return ProcessesAsked(
            in_process=asked.in_process, recovering=asked.recovering, closed=asked.closed, watched=asked.watched
        )


@activity.defn(no_thread_cancel_exception=True)
def settle_processes(seen: ProcessesSeen) -> int:
    """How many findings are new."""
    with translated_errors():
        told = [
            processes.Seen(order_id=one.order_id, state=one.state, says=one.says, busy=one.busy)
            for one in seen.processes
        ]
        actor = engine_actor(ACTOR)
        # Only here: the workflow comes here when the first part, which writes the id, did not fail.
        restoring.require_remembered(actor)
        return processes.settle(told, skipped=seen.skipped, unanswered=seen.unanswered, actor=actor)


@activity.defn(no_thread_cancel_exception=True)
def sweep_deadlines() -> int:
    with translated_errors():
        return deadlines.sweep(actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def sweep_books() -> int:
    with translated_errors():
        restored.ask_partners()
        return books.sweep(actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def sweep_events() -> None:
    with translated_errors():
        events.sweep()
