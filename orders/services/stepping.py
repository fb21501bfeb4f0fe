"""Trying a failing step again at once, pausing it, and letting it go on.

A step that asks a partner is tried again without limit, in growing intervals. A person who knows that the partner is
back need not wait for the interval, and one who knows that it is not can stop the knocking; the order itself stays
where it is. The command goes to Temporal by the outbox and may come too late: then its outcome says what the step had
become meanwhile, and nothing else happens.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.amounts import duration
from orders.errors import InvalidInput, WrongState
from orders.models import Command, Order, Step
from orders.services import commands
from orders.vocabulary import (
    PARTNER_STEPS,
    CommandKind,
    CommandStatus,
    EventType,
    OrderStatus,
    StepName,
    StepStatus,
    Topic,
)
from orders.wording import STEP_DOING

#: these stand until the step's next attempt has read them, however Temporal answers
OBEYED_BY_THE_STEP = frozenset({CommandKind.STEP_SKIP, CommandKind.PAYMENT_METHOD})


def retry(order_number: str, *, actor: Actor, reason: str) -> Command:
    """Make the next attempt at once. Raises `NotPermitted`, `Order.DoesNotExist`, or `WrongState` if none fails."""
    actor.require("orders.drive_step")
    with transaction.atomic():
        waiting = Order.objects.select_for_update().get(number=order_number)
        if waiting.status == OrderStatus.AWAITING_PAYMENT:
            return _ask_now(waiting, actor=actor, reason=reason)
        order, step = failing(order_number)
        _refuse_paused(order, step)
        commands.refuse_second(
            order, CommandKind.STEP_RETRY, "is told to try again", commands.standing_of([order.pk])[order.pk]
        )
        return _give(CommandKind.STEP_RETRY, EventType.STEP_RETRY_ASKED, order, step, actor=actor, reason=reason)


def _ask_now(order: Order, *, actor: Actor, reason: str) -> Command:
    """Wake a process that sleeps until the next look at a payment. The caller holds the order's lock."""
    command = commands.record(
        CommandKind.STEP_RETRY,
        order,
        actor=actor,
        reason=reason,
        step=StepName.CHARGE,
        done="The gateway is asked at once.",
        tell=Topic.TELL_ORDER,
    )
    data = {"command": str(command.id)}
    history.record(order, EventType.STEP_RETRY_ASKED, actor=actor, reason=reason, step=StepName.CHARGE, data=data)
    return command


def pause(order_number: str, *, actor: Actor, reason: str, minutes: int | None = None) -> Command:
    """Make no further attempt for so long, or until somebody resumes the step; an attempt that runs ends first.

    Raises `NotPermitted`, `Order.DoesNotExist`, `InvalidInput` for too long a pause, or `WrongState` when no step
    fails or it is paused already.
    """
    actor.require("orders.drive_step")
    minutes = settings.STEP_PAUSE_MINUTES if minutes is None else minutes
    if not 1 <= minutes <= settings.STEP_PAUSE_MAX_MINUTES:
        raise InvalidInput("minutes", f"{minutes} is not within 1 to {settings.STEP_PAUSE_MAX_MINUTES} minutes.")
    with transaction.atomic():
        order, step = failing(order_number)
        _refuse_paused(order, step)
        end_pauses(order, "Another step was paused.")
        until = clock.now() + timedelta(minutes=minutes)
        return _give(
            CommandKind.STEP_PAUSE, EventType.STEP_PAUSED, order, step, actor=actor, reason=reason, until=until
        )


def resume(order_number: str, *, actor: Actor, reason: str) -> Command:
    """Try the paused step again, at once. Raises `NotPermitted`, `Order.DoesNotExist` or `WrongState`."""
    actor.require("orders.drive_step")
    with transaction.atomic():
        order, step = failing(order_number)
        if paused(order, step) is None:
            who = commands.said_who(order, CommandKind.STEP_RESUME, "resumed it")
            raise WrongState(f"Order {order.number}: nobody paused {STEP_DOING[StepName(step.name)]}.{who}")
        end_pauses(order, f"Resumed by {actor.name}: {reason}")
        return _give(CommandKind.STEP_RESUME, EventType.STEP_RESUMED, order, step, actor=actor, reason=reason)


def let_go(order: Order, pause: Command, *, actor: Actor, reason: str) -> None:
    """The time of the pause is over. The caller holds the order's lock."""
    step = Step.objects.get(order=order, name=pause.step)
    if step.status != StepStatus.OPEN:
        commands.finish(Command.objects.filter(pk=pause.pk), _meanwhile(step))
        return
    end_pauses(order, f"Its time was over. {reason}.")
    _give(CommandKind.STEP_RESUME, EventType.STEP_RESUMED, order, step, actor=actor, reason=reason)


def settle(command_id: UUID | str, *, taken: bool, actor: Actor) -> None:
    """Temporal took the command, or had no such step any more. Harmless the second time."""
    with transaction.atomic():
        order = history.lock_order(Command.objects.values_list("order_id", flat=True).get(pk=command_id))
        command = Command.objects.get(pk=command_id)
        if command.status != CommandStatus.ACCEPTED:
            return
        step = Step.objects.get(order=order, name=command.step)
        if step.status == StepStatus.OPEN and command.kind in OBEYED_BY_THE_STEP:
            return
        if step.status == StepStatus.OPEN and taken:
            # A pause stands until somebody resumes the step or it is over.
            if command.kind != CommandKind.STEP_PAUSE:
                commands.finish(Command.objects.filter(pk=command.pk), "The next attempt was made at once.")
            return
        commands.leave_alone(order, command, _meanwhile(step), actor=actor)


def failing(order_number: str) -> tuple[Order, Step]:
    """The locked order and its step that fails."""
    order = Order.objects.select_for_update(no_key=True).get(number=order_number)
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
    ago = duration(clock.now() - step.finished_at)
    return f"Already {'succeeded' if step.status == StepStatus.DONE else 'given up for the undo'} {ago} ago."


def paused(order: Order, step: Step) -> Command | None:
    return Command.objects.filter(
        order=order, kind=CommandKind.STEP_PAUSE, step=step.name, status=CommandStatus.ACCEPTED
    ).first()


def _refuse_paused(order: Order, step: Step) -> None:
    first = paused(order, step)
    if first is not None:
        raise WrongState(
            f"Order {order.number}: {STEP_DOING[StepName(step.name)]} is paused already, by {first.actor} at "
            f"{commands.moment(first)}. Resume it."
        )


def end_pauses(order: Order, outcome: str) -> None:
    commands.finish(order.commands.filter(kind=CommandKind.STEP_PAUSE), outcome)


def _give(
    kind: CommandKind,
    event: EventType,
    order: Order,
    step: Step,
    *,
    actor: Actor,
    reason: str,
    until: datetime | None = None,
) -> Command:
    command = commands.record(
        kind, order, actor=actor, reason=reason, tell=Topic.DRIVE_STEP, step=StepName(step.name), until=until
    )
    data = {"command": str(command.id), **({"until": until.isoformat()} if until else {})}
    history.record(order, event, actor=actor, reason=reason, step=step.name, data=data)
    return command
