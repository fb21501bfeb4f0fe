"""Schedules: what workers saw of them, and what people ask of them.

Temporal keeps the schedules; a person's command goes to it by the outbox, and what became of it is seen and written
down by a worker. So a page needs no Temporal, and a command that is given while Temporal is away is not lost.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from orders import outbox
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Command, ScheduleState
from orders.services import commands
from orders.vocabulary import CommandKind, CommandStatus, Topic

#: a row that no worker has seen for this long is of a schedule that our code does not have any more
FORGOTTEN_AFTER = timedelta(days=1)
#: days; a longer backfill would start a flood of runs
LONGEST_BACKFILL = 31
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
    if until > timezone.now():
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
    fields = {**seen, "paused": paused, "paused_by": by[:150], "pause_reason": why[:500], "seen_at": timezone.now()}
    ScheduleState.objects.update_or_create(name=name, defaults=fields)


def forget_old() -> None:
    """Take away the rows of schedules that no code of ours has any more."""
    ScheduleState.objects.filter(seen_at__lt=timezone.now() - FORGOTTEN_AFTER).delete()


def seen_lately(within: timedelta, *, names: set[str]) -> bool:
    """Whether another worker wrote all of them down so lately that nobody need look again."""
    fresh = ScheduleState.objects.filter(name__in=names, seen_at__gt=timezone.now() - within)
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
