"""Schedules: what workers saw of them, and what people ask of them.

Temporal keeps the schedules; a person's command goes to it by the outbox, and what became of it is seen and written
down by a worker. So a page needs no Temporal, and a command that is given while Temporal is away is not lost.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from orders import clock, outbox
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Command, ScheduleState, SweepProgress
from orders.services import commands, system_events
from orders.vocabulary import CommandKind, CommandStatus, Topic

#: a row that no worker has seen for this long is of a schedule that our code does not have any more
FORGOTTEN_AFTER = timedelta(days=1)
#: days; a longer backfill would start a flood of runs
LONGEST_BACKFILL = 31
#: how old the first sight of a schedule is said to be that was written and not looked at
NOT_SEEN = timedelta(hours=1)
#: types of system events
SCHEDULE_MENDED, SWEEP_LATE = "ScheduleMended", "SweepLate"
#: the schedule of the sweep
SWEEP_NAME = "backoffice:sweep"
#: how a pause of ours is told to Temporal, so that whoever reads it there or here knows who and why
PAUSED_BY = "Paused by "
SOMEBODY_ELSE = "somebody in Temporal"

OUTCOMES = {
    CommandKind.SCHEDULE_PAUSE: "Temporal has paused it.",
    CommandKind.SCHEDULE_RESUME: "Temporal has resumed it.",
    CommandKind.SCHEDULE_RUN: "Temporal has started a run.",
    CommandKind.SCHEDULE_BACKFILL: "Temporal starts the runs of that time.",
}


def pause(name: str, *, actor: Actor, reason: str) -> ScheduleState:
    """Start no run until somebody resumes it. Raises `ScheduleState.DoesNotExist` or `WrongState`."""
    return _drive(name, CommandKind.SCHEDULE_PAUSE, actor=actor, reason=reason)


def resume(name: str, *, actor: Actor, reason: str) -> ScheduleState:
    """Start runs again. Raises `ScheduleState.DoesNotExist` or `WrongState`."""
    return _drive(name, CommandKind.SCHEDULE_RESUME, actor=actor, reason=reason)


def run_now(name: str, *, actor: Actor, reason: str) -> ScheduleState:
    """Start a run besides the planned ones. Raises `ScheduleState.DoesNotExist` or `WrongState`."""
    return _drive(name, CommandKind.SCHEDULE_RUN, actor=actor, reason=reason)


def backfill(name: str, *, since: datetime, until: datetime, actor: Actor, reason: str) -> ScheduleState:
    """Make the runs that were due between two moments of the past.

    Raises `ScheduleState.DoesNotExist`, `WrongState`, or `InvalidInput` naming the bound.
    """
    if since >= until:
        raise InvalidInput("until", "It must lie after `since`.")
    if until > clock.now():
        raise InvalidInput("until", "It must not lie in the future.")
    if until - since > timedelta(days=LONGEST_BACKFILL):
        raise InvalidInput("since", f"At most {LONGEST_BACKFILL} days are made up for at once.")
    more = {"since": since.isoformat(), "until": until.isoformat()}
    return _drive(name, CommandKind.SCHEDULE_BACKFILL, actor=actor, reason=reason, **more)


def settle(command_id: UUID | str, *, taken: bool) -> None:
    """Temporal took the command, or has no such schedule. Harmless the second time."""
    command = Command.objects.get(pk=command_id)
    outcome = OUTCOMES[CommandKind(command.kind)] if taken else "Temporal does not have this schedule."
    commands.finish(Command.objects.filter(pk=command.pk), outcome)


def note(name: str, *, paused: bool, pause_note: str, **seen: Any) -> None:
    """What a worker saw of a schedule just now; `seen` are the row's other columns."""
    by, why = _who_and_why(pause_note) if paused else ("", "")
    fields = {**seen, "paused": paused, "paused_by": by[:150], "pause_reason": why[:500], "seen_at": clock.now()}
    ScheduleState.objects.update_or_create(name=name, defaults=fields)


def written(name: str) -> str:
    """Which code wrote the schedule last, as it called itself; "" when no worker has."""
    return ScheduleState.objects.filter(pk=name).values_list("written", flat=True).first() or ""


def wrote(name: str, code: str, *, why: str = "") -> None:
    """A worker's code has written the schedule at Temporal. `why` says what was wrong with it, where something was."""
    if not ScheduleState.objects.filter(pk=name).update(written=code):
        # It was not seen yet: another worker's look is still to come.
        ScheduleState.objects.create(name=name, written=code, seen_at=clock.now() - NOT_SEEN)
    if why:
        system_events.remember(SCHEDULE_MENDED, why, workflow_id=name)


def sweep_is_late(*, after: timedelta) -> bool:
    """Whether no sweep has ended for so long, although nobody paused it."""
    paused = ScheduleState.objects.filter(pk=SWEEP_NAME, paused=True).exists()
    oldest = SweepProgress.objects.order_by("ran_at").values_list("ran_at", flat=True).first()
    return not paused and oldest is not None and oldest < clock.now() - after


def sweep_was_pushed(what: str, *, ended: str = "") -> None:
    """A worker found the sweep late and did something about it; `ended` is the id of the run that it ended."""
    system_events.remember(SWEEP_LATE, what, workflow_id=ended or SWEEP_NAME)


def forget_old() -> None:
    """Take away the rows of schedules that no code of ours has any more."""
    ScheduleState.objects.filter(seen_at__lt=clock.now() - FORGOTTEN_AFTER).delete()


def seen_lately(within: timedelta, *, names: set[str]) -> bool:
    """Whether another worker wrote all of them down so lately that nobody need look again."""
    fresh = ScheduleState.objects.filter(name__in=names, seen_at__gt=clock.now() - within)
    return fresh.count() == len(names)


def _drive(name: str, kind: CommandKind, *, actor: Actor, reason: str, **more: str) -> ScheduleState:
    actor.require("orders.drive_schedule")
    if not reason.strip():
        raise InvalidInput("reason", "Say why; it is kept with the command.")
    with transaction.atomic():
        row = ScheduleState.objects.select_for_update().get(pk=name)
        _refuse(row, kind)
        command = commands.record(kind, None, actor=actor, reason=reason, subject=name)
        outbox.publish(
            Topic.DRIVE_SCHEDULE,
            aggregate=f"schedule:{name}",
            body={
                "schedule": name,
                "kind": kind,
                "command_id": str(command.pk),
                "note": f"{PAUSED_BY}{actor.name}: {reason}"[:500],
                **more,
            },
        )
    return row


def _refuse(row: ScheduleState, kind: CommandKind) -> None:
    """Raise `WrongState` when it is so already, or was asked for, with who and since when."""
    on_its_way = Command.objects.filter(subject=row.name, status=CommandStatus.ACCEPTED).order_by("-created_at")
    same = on_its_way.filter(kind=kind).first()
    if same is not None:
        raise WrongState(f"This was asked for by {same.actor} at {commands.moment(same)} and is on its way.")
    opposite = on_its_way.filter(kind__in=[CommandKind.SCHEDULE_PAUSE, CommandKind.SCHEDULE_RESUME]).exists()
    if kind is CommandKind.SCHEDULE_PAUSE and row.paused and not opposite:
        raise WrongState(f"{row.name} is paused already, by {row.paused_by}: {row.pause_reason}")
    if kind is CommandKind.SCHEDULE_RESUME and not row.paused and not opposite:
        raise WrongState(f"{row.name} is not paused.")


def _who_and_why(note: str) -> tuple[str, str]:
    by, _, why = note.removeprefix(PAUSED_BY).partition(": ")
    return (by, why) if note.startswith(PAUSED_BY) else (SOMEBODY_ELSE, note)
