"""What people ask of a run: start, pause, resume, cancel. A second one who asks for the same is told who was first.

The row is what counts; the message only wakes the run's process. So a pause during a step says "pausing" until the
step has ended, and a cancellation of a paused run takes effect at once, with Temporal away or not.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.db.models.functions import Now

from orders import clock, outbox
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import ProcessRun, ProcessStep
from orders.services import commands
from orders.services.processes.definitions import DEFINITIONS
from orders.services.processes.running import close, lock, move
from orders.vocabulary import (
    DAY_STAYS_OPEN,
    ENDED_PROCESS_STATUSES,
    CommandKind,
    ProcessName,
    ProcessStatus,
    ProcessStepStatus,
    Topic,
)
from orders.wording import status_word

#: days; an older business day is not closed any more
OLDEST_DAY = 31


def start(definition: ProcessName, *, business_day: date | None = None, actor: Actor, reason: str) -> ProcessRun:
    """Start a run for the day, today unless given; it covers what happened since the run before.

    Raises `NotPermitted`, `InvalidInput`, or `WrongState` naming who runs or has run it and since when.
    """
    actor.require("orders.run_process")
    now = clock.now()
    day = business_day or now.date()
    if not now.date() - timedelta(days=OLDEST_DAY) <= day <= now.date():
        raise InvalidInput("business_day", f"The day must be one of the last {OLDEST_DAY} days, or today.")
    _refuse_second(definition, day)
    until = min(_midnight(day + timedelta(days=1)), now)
    user = actor.user if actor.user is not None and actor.user.pk else None
    try:
        with transaction.atomic():
            run = ProcessRun.objects.create(
                definition=definition,
                business_day=day,
                covers_from=_covered_until(definition, day, until),
                covers_until=until,
                status_by=actor.name,
                status_reason=reason[:500],
                requested_by=user,  # type: ignore[misc]
                actor=actor.name,
                channel=actor.channel,
            )
            _make_steps(run)
            _record(CommandKind.PROCESS_START, run, actor=actor, reason=reason, done="Started.")
    except IntegrityError:
        # Somebody was faster, between the look and the row.
        _refuse_second(definition, day)
        raise
    return run


def pause(run_id: UUID | str, *, actor: Actor, reason: str) -> ProcessRun:
    """Begin no further step until somebody resumes the run. Raises `ProcessRun.DoesNotExist` or `WrongState`."""
    actor.require("orders.run_process")
    with transaction.atomic():
        run = _open(run_id)
        if run.status != ProcessStatus.RUNNING:
            raise WrongState(f"{_named(run)} is {run.status} already, by {run.status_by} at {_when(run)}.")
        working = run.steps.filter(status=ProcessStepStatus.RUNNING).exists()
        move(run, ProcessStatus.PAUSING if working else ProcessStatus.PAUSED, by=actor.name, reason=reason)
        done = "Pauses when its step has ended." if working else "Paused."
        _record(CommandKind.PROCESS_PAUSE, run, actor=actor, reason=reason, done=done)
    return run


def resume(run_id: UUID | str, *, actor: Actor, reason: str) -> ProcessRun:
    """Let a paused run go on. Raises `ProcessRun.DoesNotExist` or `WrongState`."""
    actor.require("orders.run_process")
    with transaction.atomic():
        run = _open(run_id)
        if run.status == ProcessStatus.CANCELLING:
            raise WrongState(f"{_named(run)} is being cancelled, by {run.status_by} since {_when(run)}.")
        if run.status == ProcessStatus.RUNNING:
            raise WrongState(f"{_named(run)} is not paused.")
        move(run, ProcessStatus.RUNNING, by=actor.name, reason=reason)
        _record(CommandKind.PROCESS_RESUME, run, actor=actor, reason=reason, done="Resumed.")
    return run


def cancel(run_id: UUID | str, *, actor: Actor, reason: str) -> ProcessRun:
    """End the run: at once between two steps, else when its step has ended or reached its next chunk.

    Raises `ProcessRun.DoesNotExist` or `WrongState`.
    """
    actor.require("orders.run_process")
    with transaction.atomic():
        run = _open(run_id)
        if run.status == ProcessStatus.CANCELLING:
            raise WrongState(f"{_named(run)} is being cancelled already, by {run.status_by} since {_when(run)}.")
        working = run.steps.filter(status=ProcessStepStatus.RUNNING).exists()
        if working:
            move(run, ProcessStatus.CANCELLING, by=actor.name, reason=reason)
        else:
            close(run, ProcessStatus.CANCELLED, by=actor.name, reason=reason)
        done = "Ends when its step has ended." if working else "Cancelled."
        _record(CommandKind.PROCESS_CANCEL, run, actor=actor, reason=reason, done=done)
    return run


def _refuse_second(definition: ProcessName, day: date) -> None:
    first = (
        ProcessRun.objects.filter(definition=definition, business_day=day).exclude(status__in=DAY_STAYS_OPEN).first()
    )
    if first is not None:
        at = f"{first.created_at:%Y-%m-%d %H:%M:%S} UTC"
        raise WrongState(f"{_named(first)} was started by {first.actor} at {at}; it is {first.status}.")


def _covered_until(definition: ProcessName, day: date, until: datetime) -> datetime:
    """The end of the run before, so that nothing falls between two; the day's beginning when there was none."""
    before = ProcessRun.objects.filter(
        definition=definition, business_day__lt=day, status=ProcessStatus.COMPLETED, covers_until__lt=until
    ).aggregate(last=Max("covers_until"))["last"]
    since = max(before, until - timedelta(days=OLDEST_DAY)) if before else _midnight(day)
    return min(since, until - timedelta(microseconds=1))


def _make_steps(run: ProcessRun) -> None:
    for position, step in enumerate(DEFINITIONS[ProcessName(run.definition)], start=1):
        ProcessStep.objects.create(
            run=run,
            position=position,
            name=step.name,
            on_failure=step.on_failure,
            delay_seconds=step.delay,
            status=ProcessStepStatus.WAITING if position == 1 else ProcessStepStatus.PENDING,
            due_at=Now() + timedelta(seconds=step.delay) if position == 1 else None,
        )


def _open(run_id: UUID | str) -> ProcessRun:
    """The locked run, unless it has ended."""
    run = lock(run_id)
    if run.status in ENDED_PROCESS_STATUSES:
        ended = f"{run.finished_at:%Y-%m-%d %H:%M:%S} UTC"
        raise WrongState(f"{_named(run)} is {run.status} since {ended}; there is nothing to change.")
    return run


def _record(kind: CommandKind, run: ProcessRun, *, actor: Actor, reason: str, done: str) -> None:
    """Keep who asked for it, and wake the run's process."""
    commands.record(kind, None, actor=actor, reason=reason, done=done, subject=str(run.pk))
    outbox.publish(Topic.TELL_PROCESS, aggregate=f"process:{run.pk}", body={"run_id": str(run.pk)})


def _named(run: ProcessRun) -> str:
    return f"{status_word(run.definition)} of {run.business_day:%Y-%m-%d}"


def _when(run: ProcessRun) -> str:
    return f"{run.status_since:%Y-%m-%d %H:%M:%S} UTC"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
