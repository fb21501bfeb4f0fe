"""Commands about an order that is under way: recorded, made known to its process, and asked for before each step.

A command binds from the moment its row is committed, not from the moment Temporal hears of it: a step asks
`require_free_way` after its claim and before its effect, so an order that was put on hold or cancelled while Temporal
was away moves no money. The message to the workflow only saves it from waiting.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from orders import history, outbox
from orders.actor import Actor
from orders.errors import CancelAsked, OnHold, WrongState
from orders.models import Command, Export, ExportPlan, Order
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
    export: Export | None = None,
    export_plan: ExportPlan | None = None,
) -> Command:
    """Write the command; `done` is its outcome where there is nothing left to do, `tell` sends it to the process.

    `step` is the one it drives, if any; `until` is when it ends by itself (`orders.services.ending`).

    The caller holds the order's lock, in the transaction of the change.
    """
    user = actor.user if actor.user is not None and actor.user.pk else None
    command = Command.objects.create(
        kind=kind,
        order=order,
        export=export,
        export_plan=export_plan,
        step=step or "",
        requested_by=user,  # type: ignore[misc]
        actor=actor.name,
        channel=actor.channel,
        reason=reason[:500],
        until=until,
        details=details or {},
        status=CommandStatus.DONE if done else CommandStatus.ACCEPTED,
        outcome=done,
        finished_at=timezone.now() if done else None,
    )
    if until is not None:
        # An aggregate of its own: until then the order is told other things.
        body = {"command_id": str(command.id)}
        outbox.publish(Topic.COMMAND_OVER, aggregate=f"ending:{command.id}", body=body, due_at=until)
    if tell and order:
        outbox.publish(
            tell,
            aggregate=f"order:{order.id}",
            body={
                "command_id": str(command.id),
                "order_id": str(order.id),
                "kind": kind,
                **({"step": step} if step else {}),
            },
        )
    return command


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


def refuse_second(order: Order, kind: CommandKind, doing: str) -> None:
    """Raise `WrongState` that names who was first and when, if such a command stands already."""
    first = standing(order.pk, kind)
    if first is not None:
        raise WrongState(f"Order {order.number} {doing} already, by {first.actor} at {moment(first)}.")


def finish(commands: QuerySet[Command], outcome: str) -> None:
    """Say what became of open commands."""
    commands.filter(status=CommandStatus.ACCEPTED).update(
        status=CommandStatus.DONE, outcome=outcome[:500], finished_at=timezone.now()
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
