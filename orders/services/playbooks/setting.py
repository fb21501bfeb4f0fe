"""Saying what starts a playbook by itself: an event of an order, or the time.

One that gives money is set by two people: its runs ask for refunds in the publisher's name, and the condition says of
which orders. Switching off takes one. Every change is a row (`orders.services.playbooks.changing`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction

from orders import clock
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Approval, Playbook, PlaybookSchedule, PlaybookTrigger
from orders.playbooks import expressions
from orders.playbooks.expressions import BadExpression
from orders.playbooks.facts import ORDER_FACTS
from orders.services import approvals
from orders.services.playbooks import changing
from orders.services.playbooks.publishing import lock_playbook, newest_published, stand_for
from orders.vocabulary import AutomationKind, EventType

COMMAND = "set_trigger"
SCOPE = {"order": ORDER_FACTS}
WHY = "It gives money, and starts by itself"


def set_trigger(
    slug: str, event: str, *, condition: str = "true", enabled: bool = True, actor: Actor
) -> PlaybookTrigger | Approval:
    """Let the event start the playbook, or not any more; the request when it waits for a second person.

    Raises `NotPermitted`, `InvalidInput`, or `WrongState` while a change of it waits already.
    """
    actor.require("orders.set_trigger")
    if event not in set(EventType) or event.startswith("order.playbook_"):
        raise InvalidInput("event", f"{event} is no event that can start a playbook.")
    _check(condition)
    with transaction.atomic():
        playbook = _playbook(slug)
        before, after = _of_trigger(playbook, event), {"condition": condition, "enabled": enabled}
        if not _needs_second(playbook, before, after):
            return _save_trigger(playbook, event, before, after, actor=actor)
        return approvals.ask(
            COMMAND,
            subject=f"{slug} on {event}",
            says=f"The playbook {slug}, which gives money, starts by itself at {event} if {condition}{_was(before)}",
            parameters={"kind": AutomationKind.TRIGGER, "slug": slug, "event": event, **after, "was": before},
            reason=WHY,
            actor=actor,
        )


def set_schedule(
    slug: str, *, every_hours: int, condition: str, enabled: bool = True, actor: Actor
) -> PlaybookSchedule | Approval:
    """Start the playbook every so often on the open orders that meet the condition. Raises as `set_trigger` does."""
    actor.require("orders.set_trigger")
    if not 1 <= every_hours <= 24 * 30:
        raise InvalidInput("every_hours", f"{every_hours} is not within 1 to {24 * 30}.")
    _check(condition)
    with transaction.atomic():
        playbook = _playbook(slug)
        before = _of_schedule(playbook)
        after = {"every_hours": every_hours, "condition": condition, "enabled": enabled}
        if not _needs_second(playbook, before, after):
            return _save_schedule(playbook, before, after, actor=actor)
        return approvals.ask(
            COMMAND,
            subject=slug,
            says=f"The playbook {slug}, which gives money, starts every {every_hours} h on each open order if "
            f"{condition}{_was(before)}",
            parameters={"kind": AutomationKind.SCHEDULE, "slug": slug, **after, "was": before},
            reason=WHY,
            actor=actor,
        )


def carry_out(parameters: dict[str, Any], *, actor: Actor) -> None:
    """The work of an approved change. Raises `WrongState` when what it would change is not what it was."""
    actor.require("orders.set_trigger")
    playbook = lock_playbook(parameters["slug"])
    is_trigger = parameters["kind"] == AutomationKind.TRIGGER
    before = _of_trigger(playbook, parameters["event"]) if is_trigger else _of_schedule(playbook)
    if before != parameters["was"]:
        raise WrongState(f"What starts {playbook.slug} was changed since; ask again.")
    names = ["condition", "enabled"] if is_trigger else ["every_hours", "condition", "enabled"]
    after = {name: parameters[name] for name in names}
    if is_trigger:
        _save_trigger(playbook, parameters["event"], before, after, actor=actor)
    else:
        _save_schedule(playbook, before, after, actor=actor)


def _save_trigger(
    playbook: Playbook, event: str, before: dict[str, Any], after: dict[str, Any], *, actor: Actor
) -> PlaybookTrigger:
    subject = f"{playbook.slug} on {event}"
    _begin(AutomationKind.TRIGGER, subject, playbook, before, after, actor)
    trigger, _ = PlaybookTrigger.objects.update_or_create(
        playbook=playbook, event=event, defaults={**after, "made_by": actor.name, "last_problem": ""}
    )
    return trigger


def _save_schedule(
    playbook: Playbook, before: dict[str, Any], after: dict[str, Any], *, actor: Actor
) -> PlaybookSchedule:
    _begin(AutomationKind.SCHEDULE, playbook.slug, playbook, before, after, actor)
    next_at = clock.now() + timedelta(hours=after["every_hours"])
    schedule, _ = PlaybookSchedule.objects.update_or_create(
        playbook=playbook,
        defaults={**after, "made_by": actor.name, "next_at": next_at, "last_problem": "", "cursor": ""},
    )
    return schedule


def _begin(
    kind: AutomationKind,
    subject: str,
    playbook: Playbook,
    before: dict[str, Any],
    after: dict[str, Any],
    actor: Actor,
) -> None:
    version = newest_published(playbook.slug)
    if after["enabled"] and version is not None:
        stand_for(version, actor=actor)
    approval = approvals.being_decided((COMMAND,), subject) if _needs_second(playbook, before, after) else None
    changing.record(kind, subject, before=before, after=after, actor=actor, approval=approval)


def _needs_second(playbook: Playbook, before: dict[str, Any], after: dict[str, Any]) -> bool:
    return bool(after["enabled"]) and before != after and changing.gives_money(playbook)


def _of_trigger(playbook: Playbook, event: str) -> dict[str, Any]:
    """The values that stand; none for an event that starts nothing."""
    return dict(playbook.event_triggers.filter(event=event).values("condition", "enabled").first() or {})


def _of_schedule(playbook: Playbook) -> dict[str, Any]:
    return dict(playbook.schedules.values("every_hours", "condition", "enabled").first() or {})


def _was(before: dict[str, Any]) -> str:
    if not before:
        return ". Now it does not."
    hours = f"every {before['every_hours']} h, " if "every_hours" in before else ""
    return f". Now: {hours}if {before['condition']}{'' if before['enabled'] else ', switched off'}."


def _check(condition: str) -> None:
    try:
        expressions.check(condition, SCOPE, "bool")
    except BadExpression as error:
        raise InvalidInput("condition", str(error)) from error


def _playbook(slug: str) -> Playbook:
    try:
        return lock_playbook(slug)
    except Playbook.DoesNotExist:
        raise InvalidInput("playbook", f"There is no playbook {slug}.") from None
