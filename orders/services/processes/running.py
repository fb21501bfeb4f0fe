"""What the engine does for a run: look what comes next, work a step, and close what cannot go on.

Every decision is taken under the run's lock, from its rows. So a pause that was committed before a step began is seen
by it, and a step that ended sees what was asked for meanwhile; nothing depends on the order in which signals arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from orders import clock
from orders.actor import Actor
from orders.errors import DomainError, StaleAttempt
from orders.models import ProcessRun, ProcessStep
from orders.services.processes.definitions import step_of
from orders.services.processes.pacing import Beat, Pace, Stopped, held
from orders.vocabulary import (
    ENDED_PROCESS_STATUSES,
    ENDED_PROCESS_STEPS,
    OnFailure,
    ProcessNext,
    ProcessStatus,
    ProcessStepStatus,
)
from orders.wording import status_word


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What comes next for a run."""

    next: ProcessNext
    status: ProcessStatus
    position: int = 0
    name: str = ""
    #: until the step may begin
    wait_seconds: float = 0.0
    asks_partner: bool = False
    #: how long the step is tried; 0 for as long as it takes
    patience_seconds: float = 0.0


def look(run_id: UUID | str) -> Standing:
    """What the run's process must do now."""
    with transaction.atomic():
        run = lock(run_id)
        status = ProcessStatus(run.status)
        if status in ENDED_PROCESS_STATUSES:
            return Standing(next=ProcessNext.END, status=status)
        step = run.steps.exclude(status__in=ENDED_PROCESS_STEPS).annotate(clock=Now()).order_by("position")[0]
        if status == ProcessStatus.PAUSED:
            return Standing(next=ProcessNext.PARK, status=status, position=step.position, name=step.name)
        definition = step_of(run.definition, step.position)
        wait = (step.due_at - step.clock).total_seconds() if step.due_at else 0.0
        begun = step.status == ProcessStepStatus.RUNNING
        return Standing(
            next=ProcessNext.STEP if begun or wait <= 0 else ProcessNext.WAIT,
            status=status,
            position=step.position,
            name=step.name,
            wait_seconds=max(0.0, wait),
            asks_partner=definition.asks_partner,
            patience_seconds=definition.patience.total_seconds() if definition.patience else 0.0,
        )


def work(run_id: UUID | str, position: int, *, actor: Actor, beat: Beat) -> None:
    """Do the step, or what an earlier attempt left of it; nothing when it has ended or may not begin.

    `beat` is called between chunks and raises when the attempt must leave. Raises `StaleAttempt`, or what the work
    raises: then the step stays as it is, and another attempt or `give_up` comes.
    """
    pace = _begin(run_id, position, actor=actor, beat=beat)
    if pace is None:
        return
    try:
        pace.rest()
        outcome, status = step_of(pace.run.definition, position).work(pace), ProcessStepStatus.DONE
    except Stopped:
        outcome, status = "Stopped on the way: the run was cancelled.", ProcessStepStatus.SKIPPED
    except StaleAttempt:
        raise
    except DomainError as error:
        _note(pace, str(error))
        raise
    except Exception as error:
        # Its text may quote values of a row.
        _note(pace, f"An unexpected error: {type(error).__name__}")
        raise
    with transaction.atomic():
        run = lock(run_id)
        step = held(pace.step)
        _end(run, step, status, outcome)


def give_up(run_id: UUID | str, position: int, message: str) -> None:
    """The step was tried for as long as it may be: it failed, and the run goes on or ends as its definition says."""
    with transaction.atomic():
        run = lock(run_id)
        step = run.steps.select_for_update().get(position=position)
        if run.status in ENDED_PROCESS_STATUSES or step.status in ENDED_PROCESS_STEPS:
            return
        step.error = message[:500]
        step.token += 1
        _end(run, step, ProcessStepStatus.FAILED, message)


def stop(run_id: UUID | str, *, actor: Actor, reason: str) -> None:
    """The run's process was ended from outside: its rows must not say "running" for ever."""
    with transaction.atomic():
        run = lock(run_id)
        if run.status in ENDED_PROCESS_STATUSES:
            return
        running = run.steps.select_for_update().filter(status=ProcessStepStatus.RUNNING).first()
        if running is not None:
            running.token += 1
            _finish(running, ProcessStepStatus.SKIPPED, f"Stopped on the way: {reason}")
        close(run, ProcessStatus.CANCELLED, by=actor.name, reason=reason)


def lock(run_id: UUID | str) -> ProcessRun:
    return ProcessRun.objects.select_for_update().get(pk=run_id)


def move(run: ProcessRun, status: ProcessStatus, *, by: str, reason: str) -> None:
    """Change the run's status. The caller holds its lock."""
    run.status, run.status_since = status, clock.now()
    run.status_by, run.status_reason = by[:150], reason[:500]
    if status in ENDED_PROCESS_STATUSES:
        run.finished_at = run.status_since
    run.save(update_fields=["status", "status_since", "status_by", "status_reason", "finished_at"])


def close(run: ProcessRun, status: ProcessStatus, *, by: str, reason: str) -> None:
    """End the run; the steps that did not begin never will. The caller holds the run's lock."""
    run.steps.exclude(status__in=ENDED_PROCESS_STEPS).update(
        status=ProcessStepStatus.SKIPPED,
        finished_at=clock.now(),
        outcome=f"Not begun: the run {'failed' if status == ProcessStatus.FAILED else 'was cancelled'}.",
    )
    move(run, status, by=by, reason=reason)


def _begin(run_id: UUID | str, position: int, *, actor: Actor, beat: Beat) -> Pace | None:
    """Claim the step for this attempt; None when there is nothing to do."""
    with transaction.atomic():
        run = lock(run_id)
        step = run.steps.select_for_update().get(position=position)
        if run.status in ENDED_PROCESS_STATUSES or step.status in ENDED_PROCESS_STEPS:
            return None
        if step.status != ProcessStepStatus.RUNNING:
            if run.status != ProcessStatus.RUNNING or step.status != ProcessStepStatus.WAITING:
                return None
            step.status, step.started_at = ProcessStepStatus.RUNNING, clock.now()
        step.token += 1
        step.save(update_fields=["status", "started_at", "token"])
    return Pace(run, step, actor=actor, beat=beat)


def _note(pace: Pace, error: str) -> None:
    """Why the newest attempt failed, for the page."""
    ProcessStep.objects.filter(pk=pace.step.pk, token=pace.step.token).update(error=error[:500])


def _end(run: ProcessRun, step: ProcessStep, status: ProcessStepStatus, outcome: str) -> None:
    """The step is over: what was asked for meanwhile takes effect, else the next one is due after its delay."""
    _finish(step, status, outcome)
    following = run.steps.filter(position__gt=step.position).order_by("position").first()
    if run.status == ProcessStatus.CANCELLING:
        close(run, ProcessStatus.CANCELLED, by=run.status_by, reason=run.status_reason)
    elif status == ProcessStepStatus.FAILED and step.on_failure == OnFailure.STOP:
        close(run, ProcessStatus.FAILED, by="the process", reason=f"{status_word(step.name)}: {outcome}")
    elif following is None:
        move(run, ProcessStatus.COMPLETED, by="the process", reason="Every step has ended.")
    else:
        due_at = Now() + timedelta(seconds=following.delay_seconds)
        run.steps.filter(pk=following.pk).update(status=ProcessStepStatus.WAITING, due_at=due_at)
        if run.status == ProcessStatus.PAUSING:
            move(run, ProcessStatus.PAUSED, by=run.status_by, reason=run.status_reason)


def _finish(step: ProcessStep, status: ProcessStepStatus, outcome: str) -> None:
    step.status, step.finished_at, step.outcome = status, clock.now(), outcome[:500]
    if status == ProcessStepStatus.DONE:
        step.error = ""
    step.save(update_fields=["status", "finished_at", "outcome", "token", "error"])
