"""Stopping an order, and letting it go on.

A hold stops the order before its next step: a step that is under way ends first, because a charge that was sent cannot
be called back by waiting. The engine says when the order stands still (`settle`); until then its page says "holding".
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from orders import history
from orders.actor import Actor
from orders.amounts import counted
from orders.errors import InvalidInput, WrongState
from orders.models import Command, Order
from orders.services import commands
from orders.vocabulary import CommandKind, EventType, OrderStatus, Topic

#: nothing is under way, so the status can change at once
AT_REST = frozenset({OrderStatus.PLACED})


def hold(order_number: str, *, actor: Actor, reason: str, until: datetime | None = None) -> Command:
    """Stop the order before its next step; with `until` it goes on by itself then.

    Raises `NotPermitted`, `Order.DoesNotExist`, `InvalidInput` for a moment that is past or too far, or `WrongState`
    when it is closed, being undone, or on hold already.
    """
    actor.require("orders.hold_order")
    _require_reasonable(until)
    with transaction.atomic():
        order = Order.objects.select_for_update().get(number=order_number)
        commands.refuse_second(order, CommandKind.CANCEL, "is being cancelled")
        commands.refuse_second(order, CommandKind.HOLD, "is on hold")
        if order.is_terminal or order.status == OrderStatus.UNDOING:
            raise WrongState(f"Order {order.number} is {order.status}; only an order that goes on can be held.")
        at_rest = order.status in AT_REST
        command = commands.record(
            CommandKind.HOLD,
            order,
            actor=actor,
            reason=reason,
            until=until,
            tell=None if at_rest else Topic.TELL_ORDER,
        )
        data = {"command": str(command.id), **({"until": until.isoformat()} if until else {})}
        history.record(order, EventType.HOLD_ASKED, actor=actor, reason=reason, data=data)
        if at_rest:
            _stop(order, command, actor=actor)
    return command


def release(order_number: str, *, actor: Actor, reason: str) -> Command:
    """Let the order go on where it stopped. Raises `NotPermitted`, `Order.DoesNotExist` or `WrongState`."""
    actor.require("orders.hold_order")
    with transaction.atomic():
        order = Order.objects.select_for_update().get(number=order_number)
        held = commands.standing(order.pk, CommandKind.HOLD)
        if held is None:
            who = commands.said_who(order, CommandKind.RELEASE, "released it")
            raise WrongState(f"Order {order.number} is {order.status}; nobody holds it.{who}")
        return let_go(order, held, actor=actor, reason=reason)


def let_go(order: Order, held: Command, *, actor: Actor, reason: str) -> Command:
    """End the hold. The caller holds the order's lock."""
    commands.finish(Command.objects.filter(pk=held.pk), f"Released by {actor.name}: {reason}")
    in_process = order.commands.filter(kind=CommandKind.START).exists()
    command = commands.record(
        CommandKind.RELEASE,
        order,
        actor=actor,
        reason=reason,
        done="The order goes on.",
        tell=Topic.TELL_ORDER if in_process else None,
    )
    before = order.status
    if order.status == OrderStatus.ON_HOLD:
        _go_on(order)
    history.record(
        order,
        EventType.RELEASED,
        actor=actor,
        reason=reason,
        status_before=before,
        data={"command": str(command.id)},
        save=("resume_status",),
    )
    return command


def settle(order_id: UUID | str, *, actor: Actor) -> bool:
    """Whether a hold stands; if so the order is shown as on hold from now on. Asked by the process between steps."""
    with transaction.atomic():
        order = history.lock_order(order_id)
        held = commands.standing(order_id, CommandKind.HOLD)
        if held is not None and order.status != OrderStatus.ON_HOLD:
            _stop(order, held, actor=actor)
    return held is not None


def _require_reasonable(until: datetime | None) -> None:
    now, most = timezone.now(), settings.HOLD_MAX_DAYS
    if until is not None and not now < until <= now + timedelta(days=most):
        raise InvalidInput("until", f"{until:%d %b %Y %H:%M} UTC is not within {counted(most, 'day')} from now.")


def _stop(order: Order, held: Command, *, actor: Actor) -> None:
    before = order.resume_status = order.status
    order.move_to(OrderStatus.ON_HOLD)
    history.record(
        order,
        EventType.HELD,
        actor=actor,
        reason=f"Held by {held.actor}: {held.reason}",
        status_before=before,
        save=("resume_status",),
    )


def _go_on(order: Order) -> None:
    order.move_to(OrderStatus(order.resume_status))
    order.resume_status = ""
