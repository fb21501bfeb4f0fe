"""The activities of a process of configured steps: a look at its rows, the work of a step, and its ends.

The work heartbeats between chunks, so that a killed worker is noticed within seconds; how far it is stands in the
step's row, committed with what was done.
"""

from datetime import date

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, CancelledError

from orders.errors import InvalidInput, WrongState
from orders.services import processes
from orders.vocabulary import ProcessName
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.payloads import (
    EndProcess,
    OpenedProcess,
    OpenProcess,
    ProcessInput,
    ProcessStanding,
    ProcessStepInput,
)

ACTOR = "process"


@activity.defn(no_thread_cancel_exception=True)
def look_at_process(process: ProcessInput) -> ProcessStanding:
    with translated_errors(undoing=True):
        found = processes.look(process.run_id)
        return ProcessStanding(
            next=found.next,
            status=found.status,
            position=found.position,
            name=found.name,
            wait_seconds=found.wait_seconds,
            asks_partner=found.asks_partner,
            patience_seconds=found.patience_seconds,
        )


@activity.defn(no_thread_cancel_exception=True)
def work_process_step(step: ProcessStepInput) -> None:
    _work(step)


@activity.defn(no_thread_cancel_exception=True)
def ask_partner_for_process(step: ProcessStepInput) -> None:
    """The same, on the queue for calls to partners."""
    _work(step)


@activity.defn(no_thread_cancel_exception=True)
def give_up_process_step(end: EndProcess) -> None:
    with translated_errors(undoing=True):
        processes.give_up(end.run_id, end.position, end.message)


@activity.defn(no_thread_cancel_exception=True)
def stop_process(end: EndProcess) -> None:
    with translated_errors(undoing=True):
        processes.stop(end.run_id, actor=engine_actor(ACTOR), reason=end.message)


@activity.defn(no_thread_cancel_exception=True)
def open_process(asked: OpenProcess) -> OpenedProcess:
    """Start the run that a schedule asks for; somebody who was faster, or a day that is too old, is an answer."""
    with translated_errors():
        try:
            run = processes.start(
                ProcessName(asked.definition),
                business_day=date.fromisoformat(asked.business_day),
                actor=engine_actor("schedule"),
                reason="The schedule",
            )
        except (WrongState, InvalidInput) as refusal:
            return OpenedProcess(run_id="", says=str(refusal)[:500])
        return OpenedProcess(run_id=str(run.pk), says=f"Started for {run.business_day}.")


def _work(step: ProcessStepInput) -> None:
    with translated_errors():
        processes.work(step.run_id, step.position, actor=engine_actor(ACTOR), beat=beat)


def beat(cursor: str) -> None:
    """Between two chunks: say how far the step is, and leave when told to."""
    activity.heartbeat(cursor)
    if activity.is_cancelled():
        raise CancelledError("The process was cancelled in Temporal")
    if activity.is_worker_shutdown():
        # Retryable: another worker goes on, and this one need not be killed after its grace period.
        raise ApplicationError(
            "The worker is leaving; the step goes on elsewhere",
            type="worker_shutdown",
            category=ApplicationErrorCategory.BENIGN,
        )
