"""Plans: exports that are asked for again and again, in the name of whoever planned them.

One look every few minutes asks for what is due. The hour of the next round is set in the transaction that asks, so a
look that is tried again asks for nothing twice; rounds that were missed while we were away are made up for once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from orders import clock
from orders.actor import Actor, person
from orders.errors import AlreadyExists, DomainError, InvalidInput, WrongState
from orders.models import Export, ExportPlan
from orders.selectors import filtering
from orders.services import commands
from orders.services.exports.requesting import request
from orders.services.selection import Selection
from orders.vocabulary import MAX_PLAN_HOURS, OPEN_EXPORTS, Channel, CommandKind, ExportFormat

OVERLAP = "The export before is still being made: this round was skipped."


def plan(
    name: str,
    format: ExportFormat,
    asked: Mapping[str, Any],
    *,
    actor: Actor,
    reason: str,
    every_hours: int | None = None,
    daily_at: time | None = None,
) -> ExportPlan:
    """Save a filter with its hour. Raises `NotPermitted`, `InvalidInput` or `AlreadyExists`."""
    owner = _owner(actor)
    name = name.strip()
    if not 1 <= len(name) <= 100:
        raise InvalidInput("name", "A name has 1 to 100 characters.")
    _check(asked, every_hours=every_hours, daily_at=daily_at)
    now = clock.now()
    with transaction.atomic():
        found, is_new = ExportPlan.objects.get_or_create(
            name=name,
            defaults={
                "format": format,
                "filter": dict(asked),
                "every_hours": every_hours,
                "daily_at": daily_at,
                "next_at": next_round(now, every_hours=every_hours, daily_at=daily_at),
                "made_by_id": owner,
            },
        )
        if not is_new:
            raise AlreadyExists("name", f"There is a plan {name} already.")
        _record(CommandKind.EXPORT_PLAN, found, actor=actor, reason=reason, done="Planned")
    return found


def change(
    plan_id: UUID | str,
    *,
    actor: Actor,
    reason: str,
    format: ExportFormat,
    asked: Mapping[str, Any],
    every_hours: int | None = None,
    daily_at: time | None = None,
) -> ExportPlan:
    """Another filter, format or hour, from the next round on. The name stays, and a paused plan stays paused.

    The plan is theirs who changed it last: nobody's filter runs with the permissions of somebody else. Raises
    `ExportPlan.DoesNotExist`, `NotPermitted` or `InvalidInput`.
    """
    owner = _owner(actor)
    _check(asked, every_hours=every_hours, daily_at=daily_at)
    with transaction.atomic():
        found = _locked(plan_id)
        if (found.every_hours, found.daily_at) != (every_hours, daily_at):
            found.next_at = next_round(clock.now(), every_hours=every_hours, daily_at=daily_at)
        found.format, found.filter, found.made_by_id = format, dict(asked), owner
        found.every_hours, found.daily_at = every_hours, daily_at
        found.save(update_fields=["format", "filter", "made_by", "every_hours", "daily_at", "next_at"])
        _record(CommandKind.EXPORT_PLAN_CHANGE, found, actor=actor, reason=reason, done="Changed")
    return found


def pause(plan_id: UUID | str, *, actor: Actor, reason: str) -> ExportPlan:
    """Ask for nothing until resumed. Raises `ExportPlan.DoesNotExist`, `NotPermitted` or `WrongState`."""
    return _set_paused(plan_id, True, CommandKind.EXPORT_PLAN_PAUSE, actor=actor, reason=reason)


def resume(plan_id: UUID | str, *, actor: Actor, reason: str) -> ExportPlan:
    """Go on from the next round; what was missed stays missed. Raises as `pause` does."""
    return _set_paused(plan_id, False, CommandKind.EXPORT_PLAN_RESUME, actor=actor, reason=reason)


def run_now(plan_id: UUID | str, *, actor: Actor, reason: str) -> Export:
    """Ask for one export now, in the name of whoever clicks; the next round stays as it is.

    Raises as `pause` does, and as `request` does.
    """
    actor.require("orders.plan_exports")
    with transaction.atomic():
        found = _locked(plan_id)
        export = _ask(found, actor=actor, reason=reason)
        _record(CommandKind.EXPORT_PLAN_RUN, found, actor=actor, reason=reason, done=str(export), export=export)
    return export


def run_due() -> int:
    """Ask for what is due by now; answers how many exports were asked for."""
    due = ExportPlan.objects.filter(paused=False, next_at__lte=clock.now()).values_list("pk", flat=True)
    return sum(_round(plan_id) for plan_id in list(due))


def next_round(after: datetime, *, every_hours: int | None, daily_at: time | None) -> datetime:
    """The first round after that moment."""
    if daily_at is None:
        return after + timedelta(hours=every_hours or 1)
    today = after.replace(hour=daily_at.hour, minute=daily_at.minute, second=0, microsecond=0)
    return today if today > after else today + timedelta(days=1)


def _round(plan_id: UUID) -> bool:
    with transaction.atomic():
        found = _locked(plan_id)
        now = clock.now()
        if found.paused or found.next_at > now:
            return False  # somebody else was faster
        found.last_problem = ""
        try:
            _ask(found, actor=person(found.made_by, Channel.ENGINE), reason=f"Planned: {found.name}")
        except Overlap as skip:
            found.skipped += 1
            found.last_problem = str(skip)
        except DomainError as problem:
            found.last_problem = str(problem)[:500]
        found.last_at = now
        if found.every_hours:
            # It keeps its minute, however late the look comes.
            pause = timedelta(hours=found.every_hours)
            found.next_at += pause * ((now - found.next_at) // pause + 1)
        else:
            found.next_at = next_round(now, every_hours=None, daily_at=found.daily_at)
        found.save(update_fields=["last_at", "last_problem", "skipped", "next_at"])
    return not found.last_problem


class Overlap(WrongState):
    """The export before is still being made."""


def _ask(found: ExportPlan, *, actor: Actor, reason: str) -> Export:
    if Export.objects.filter(plan=found, status__in=sorted(OPEN_EXPORTS)).exists():
        raise Overlap(OVERLAP)
    selection = Selection(orders=filtering.matching(found.filter), asked={"filter": found.filter})
    return request(selection, ExportFormat(found.format), actor=actor, reason=reason, plan=found)


def _set_paused(plan_id: UUID | str, paused: bool, kind: CommandKind, *, actor: Actor, reason: str) -> ExportPlan:
    actor.require("orders.plan_exports")
    with transaction.atomic():
        found = _locked(plan_id)
        if found.paused == paused:
            raise WrongState(f"The plan is {'paused' if paused else 'not paused'} already.")
        found.paused = paused
        if not paused:
            found.next_at = next_round(clock.now(), every_hours=found.every_hours, daily_at=found.daily_at)
        found.save(update_fields=["paused", "next_at"])
        _record(kind, found, actor=actor, reason=reason, done="Paused" if paused else "Resumed")
    return found


def _owner(actor: Actor) -> int:
    """Whose plan it is. Raises `NotPermitted` or `InvalidInput`."""
    actor.require("orders.plan_exports")
    actor.require("orders.export_orders")
    if actor.user is None or not actor.user.pk:
        raise InvalidInput("name", "A plan belongs to a person: its exports are asked for with their permissions.")
    return int(actor.user.pk)


def _check(asked: Mapping[str, Any], *, every_hours: int | None, daily_at: time | None) -> None:
    """Raise `InvalidInput` that names the field."""
    if (every_hours is None) == (daily_at is None):
        raise InvalidInput("every_hours", "Say either every how many hours, or at which time of the day.")
    if every_hours is not None and not 1 <= every_hours <= MAX_PLAN_HOURS:
        raise InvalidInput("every_hours", f"{every_hours} is not within 1 to {MAX_PLAN_HOURS}.")
    filtering.matching(asked)


def _locked(plan_id: UUID | str) -> ExportPlan:
    return ExportPlan.objects.select_for_update(of=("self",)).select_related("made_by").get(pk=plan_id)


def _record(
    kind: CommandKind, found: ExportPlan, *, actor: Actor, reason: str, done: str, export: Export | None = None
) -> None:
    commands.record(kind, None, actor=actor, reason=reason, done=done, export=export, export_plan=found)
