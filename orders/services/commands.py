"""Commands about an order that is under way: recorded, made known to its process, and asked for before each step.

A command binds from the moment its row is committed, not from the moment Temporal hears of it: a step asks
`require_free_way` after its claim and before its effect, so an order that was put on hold or cancelled while Temporal
was away moves no money. The message to the workflow only saves it from waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet

from orders import clock, current_request, history, outbox
from orders.actor import Actor
from orders.errors import CancelAsked, OnHold, WrongState
from orders.models import Command, Order, OutboxMessage
from orders.vocabulary import CommandKind, CommandStatus, EventType, StepName, Topic

#: commands that stay open until they are taken back or the order ends
BINDING = (CommandKind.HOLD, CommandKind.CANCEL)


def record(
    kind: CommandKind,
    order: Order | None,
    *,
    actor: Actor,
    reason: str,
    done: str = "",
    tell: Topic | None = None,
    step: StepName | None = None,
    until: datetime | None = None,
    details: dict[str, Any] | None = None,
    subject: str = "",
    **about: Model | None,
) -> Command:
    """Write the command; `done` is its outcome where there is nothing left to do, `tell` sends it to the process.

    `step` is the one it drives, if any; `until` is when it ends by itself (`orders.services.ending`); `subject` what it
    is about where that is no order. `about` are other rows that it concerns: batch, export, export_plan, feed.

    The caller holds the order's lock, in the transaction of the change.
    """
    command = new(
        kind,
        order,
        actor=actor,
        reason=reason,
        done=done,
        step=step,
        until=until,
        details=details,
        subject=subject,
        **about,
    )
    command.save(force_insert=True)
    outbox.publish_all(messages_of(command, tell))
    return command


def new(
    kind: CommandKind,
    order: Order | None,
    *,
    actor: Actor,
    reason: str,
    done: str = "",
    step: StepName | None = None,
    until: datetime | None = None,
    details: dict[str, Any] | None = None,
    subject: str = "",
    **about: Model | None,
) -> Command:
    """The command, not yet saved."""
    user = actor.user if actor.user is not None and actor.user.pk else None
    return Command(
        kind=kind,
        order=order,
        step=step or "",
        subject=subject,
        **about,  # type: ignore[misc]
        requested_by=user,  # type: ignore[misc]
        actor=actor.name,
        channel=actor.channel,
        request_id=current_request.request_id.get(),
        reason=reason[:500],
        until=until,
        details=details or {},
        status=CommandStatus.DONE if done else CommandStatus.ACCEPTED,
        outcome=done,
        finished_at=clock.now() if done else None,
    )


def messages_of(command: Command, tell: Topic | None) -> list[OutboxMessage]:
    """What the order's process is told of it, and the reminder of its end; not yet saved."""
    found = []
    if command.until is not None:
        # An aggregate of its own: until then the order is told other things.
        body = {"command_id": str(command.id)}
        times = {"due_at": command.until, "available_at": command.until}
        found.append(OutboxMessage(topic=Topic.COMMAND_OVER, aggregate=f"ending:{command.id}", body=body, **times))
    if tell and command.order_id:
        body = {
            "command_id": str(command.id),
            "order_id": str(command.order_id),
            "kind": CommandKind(command.kind),
            **({"step": command.step} if command.step else {}),
        }
        found.append(OutboxMessage(topic=tell, aggregate=f"order:{command.order_id}", body=body))
    return found


#: the open commands of an order, by kind
Standing = Mapping[CommandKind, Command]


def standing_of(orders: Iterable[UUID]) -> dict[UUID, dict[CommandKind, Command]]:
    """The open commands of many orders, in one query; every order has an entry."""
    found: dict[UUID, dict[CommandKind, Command]] = {order: {} for order in orders}
    for command in Command.objects.filter(order_id__in=found, status=CommandStatus.ACCEPTED):
        found[command.order_id][CommandKind(command.kind)] = command  # type: ignore[index]
    return found


def standing(order_id: UUID | str, kind: CommandKind) -> Command | None:
    """The open command of that kind, if one stands."""
    return _open(order_id).filter(kind=kind).first()


def require_free_way(order_id: UUID | str) -> None:
    """Raise `CancelAsked` or `OnHold` when such a command stands; every step asks before its effect."""
    kinds = {command.kind: command for command in _open(order_id).filter(kind__in=BINDING)}
    if CommandKind.CANCEL in kinds:
        raise CancelAsked
    if CommandKind.HOLD in kinds:
        raise OnHold


def require_not_cancelled(order_id: UUID | str) -> None:
    """Raise `CancelAsked` when a cancellation stands; a process that waits asks for it whenever it is woken."""
    if standing(order_id, CommandKind.CANCEL) is not None:
        raise CancelAsked


def refuse_second(order: Order, kind: CommandKind, doing: str, known: Standing | None = None) -> None:
    """Raise `WrongState` that names who was first and when, if such a command stands already.

    `known` are the order's open commands where they were read before.
    """
    first = standing(order.pk, kind) if known is None else known.get(kind)
    if first is not None:
        raise WrongState(f"Order {order.number} {doing} already, by {first.actor} at {moment(first)}.")


def finish(commands: QuerySet[Command], outcome: str) -> None:
    """Say what became of open commands."""
    commands.filter(status=CommandStatus.ACCEPTED).update(
        status=CommandStatus.DONE, outcome=outcome[:500], finished_at=clock.now()
    )


def leave_alone(order: Order, command: Command, outcome: str, *, actor: Actor) -> None:
    """Say that a command came too late. The caller holds the order's lock."""
    finish(Command.objects.filter(pk=command.pk), outcome)
    history.record(
        order,
        EventType.STEP_LEFT_ALONE,
        actor=actor,
        reason=f"{outcome} Nothing was done.",
        step=command.step,
        data={"command": str(command.pk)},
    )


def said_who(order: Order, kind: CommandKind, did: str) -> str:
    """Who gave that command last, and when, for whoever comes second; empty when nobody did."""
    last = order.commands.filter(kind=kind).order_by("-created_at").first()
    return f" {last.actor} {did} at {moment(last)}." if last else ""


def moment(command: Command) -> str:
    return command.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _open(order_id: UUID | str) -> QuerySet[Command]:
    return Command.objects.filter(order_id=order_id, status=CommandStatus.ACCEPTED)
