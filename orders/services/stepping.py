"""Trying a failing step again at once, pausing it, and letting it go on.

A step that asks a partner is tried again without limit, in growing intervals. A person who knows that the partner is
back need not wait for the interval, and one who knows that it is not can stop the knocking; the order itself stays
where it is. The command goes to Temporal by the outbox and may come too late: then its outcome says what the step had
become meanwhile, and nothing else happens.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from orders import history
from orders.actor import Actor
from orders.amounts import duration
from orders.errors import WrongState
from orders.models import Command, Order, Step
from orders.services import commands
from orders.vocabulary import PARTNER_STEPS, CommandKind, CommandStatus, EventType, StepName, StepStatus, Topic
from orders.wording import STEP_DOING


def retry(order_number: str, *, actor: Actor, reason: str) -> Command:
    """Make the next attempt at once. Raises `NotPermitted`, `Order.DoesNotExist`, or `WrongState` if none fails."""
    actor.require("orders.drive_step")
    with transaction.atomic():
        order, step = _failing(order_number)
        _refuse_paused(order, step)
        commands.refuse_second(
            order, CommandKind.STEP_RETRY, "is told to try again", commands.standing_of([order.pk])[order.pk]
        )
        return _give(CommandKind.STEP_RETRY, EventType.STEP_RETRY_ASKED, order, step, actor=actor, reason=reason)


def pause(order_number: str, *, actor: Actor, reason: str) -> Command:
    """Make no further attempt until somebody resumes the step; an attempt that runs ends first.

    Raises `NotPermitted`, `Order.DoesNotExist`, or `WrongState` when no step fails or it is paused already.
    """
    actor.require("orders.drive_step")
    with transaction.atomic():
        order, step = _failing(order_number)
        _refuse_paused(order, step)
        _end_pauses(order, "Another step was paused.")
        return _give(CommandKind.STEP_PAUSE, EventType.STEP_PAUSED, order, step, actor=actor, reason=reason)


def resume(order_number: str, *, actor: Actor, reason: str) -> Command:
    """Try the paused step again, at once. Raises `NotPermitted`, `Order.DoesNotExist` or `WrongState`."""
    actor.require("orders.drive_step")
    with transaction.atomic():
        order, step = _failing(order_number)
        if _paused(order, step) is None:
            raise WrongState(f"Order {order.number}: nobody paused {STEP_DOING[StepName(step.name)]}.")
        _end_pauses(order, f"Resumed by {actor.name}: {reason}")
        return _give(CommandKind.STEP_RESUME, EventType.STEP_RESUMED, order, step, actor=actor, reason=reason)


def settle(command_id: UUID | str, *, taken: bool, actor: Actor) -> None:
    """Temporal took the command, or had no such step any more. Harmless the second time."""
    with transaction.atomic():
        order = history.lock_order(Command.objects.values_list("order_id", flat=True).get(pk=command_id))
        command = Command.objects.get(pk=command_id)
        if command.status != CommandStatus.ACCEPTED:
            return
        step = Step.objects.get(order=order, name=command.step)
        mine = Command.objects.filter(pk=command.pk)
        if step.status == StepStatus.OPEN and taken:
            # A pause stands until somebody resumes the step or it is over.
            if command.kind != CommandKind.STEP_PAUSE:
                commands.finish(mine, "The next attempt was made at once.")
            return
        outcome = _meanwhile(step)
        commands.finish(mine, outcome)
        history.record(
            order,
            EventType.STEP_LEFT_ALONE,
            actor=actor,
            reason=f"{outcome} Nothing was done.",
            step=step.name,
            data={"command": str(command.id)},
        )


def _failing(order_number: str) -> tuple[Order, Step]:
    """The locked order and its step that fails."""
    order = Order.objects.select_for_update().get(number=order_number)
    asked = order.steps.filter(name__in=PARTNER_STEPS)
    step = asked.filter(status=StepStatus.OPEN).exclude(last_error="").order_by("-claimed_at").first()
    if step is not None and not order.is_terminal:
        return order, step
    last = asked.exclude(finished_at=None).order_by("-finished_at").first()
    found = f" {STEP_DOING[StepName(last.name)].capitalize()}: {_meanwhile(last).lower()}" if last else ""
    raise WrongState(f"Order {order.number}: no step is failing.{found}")


def _meanwhile(step: Step) -> str:
    if step.finished_at is None:
        return "Temporal had no such step to drive; it goes on by itself."
    ago = duration(timezone.now() - step.finished_at)
    return f"Already {'succeeded' if step.status == StepStatus.DONE else 'given up for the undo'} {ago} ago."


def _paused(order: Order, step: Step) -> Command | None:
    return Command.objects.filter(
        order=order, kind=CommandKind.STEP_PAUSE, step=step.name, status=CommandStatus.ACCEPTED
    ).first()


def _refuse_paused(order: Order, step: Step) -> None:
    first = _paused(order, step)
    if first is not None:
        raise WrongState(
            f"Order {order.number}: {STEP_DOING[StepName(step.name)]} is paused already, by {first.actor} at "
            f"{commands.moment(first)}. Resume it."
        )


def _end_pauses(order: Order, outcome: str) -> None:
    commands.finish(order.commands.filter(kind=CommandKind.STEP_PAUSE), outcome)


def _give(kind: CommandKind, event: EventType, order: Order, step: Step, *, actor: Actor, reason: str) -> Command:
    command = commands.record(kind, order, actor=actor, reason=reason, tell=Topic.DRIVE_STEP, step=StepName(step.name))
    history.record(order, event, actor=actor, reason=reason, step=step.name, data={"command": str(command.id)})
    return command
