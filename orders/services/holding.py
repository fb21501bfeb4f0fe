"""Stopping an order, and letting it go on.

A hold stops the order before its next step: a step that is under way ends first, because a charge that was sent cannot
be called back by waiting. The engine says when the order stands still (`settle`); until then its page says "holding".
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.amounts import counted
from orders.errors import InvalidInput, WrongState
from orders.models import Command, Order
from orders.services import commands
from orders.services.commands import Standing
from orders.services.sheets import Sheet
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
        order = Order.objects.select_for_update(no_key=True).get(number=order_number)
        sheet = Sheet(actor=actor, reason=reason)
        command = hold_locked(order, commands.standing_of([order.pk])[order.pk], sheet, until=until)
        sheet.write()
    return command


def hold_locked(order: Order, standing: Standing, sheet: Sheet, *, until: datetime | None = None) -> Command:
    """`hold` for a caller that holds the order's lock and writes the sheet. Raises `WrongState`, changing nothing."""
    commands.refuse_second(order, CommandKind.CANCEL, "is being cancelled", standing)
    commands.refuse_second(order, CommandKind.HOLD, "is on hold", standing)
    if order.is_terminal or order.status == OrderStatus.UNDOING:
        raise WrongState(f"Order {order.number} is {order.status}; only an order that goes on can be held.")
    at_rest = order.status in AT_REST
    command = sheet.command(CommandKind.HOLD, order, tell=None if at_rest else Topic.TELL_ORDER, until=until)
    ends: dict[str, Any] = {"until": until.isoformat()} if until else {}
    sheet.event(order, EventType.HOLD_ASKED, command=str(command.id), **ends)
    if at_rest:
        before = order.resume_status = order.status
        order.move_to(OrderStatus.ON_HOLD)
        sheet.event(order, EventType.HELD, reason=_held_by(command), status_before=before)
    return command


def release(order_number: str, *, actor: Actor, reason: str) -> Command:
    """Let the order go on where it stopped. Raises `NotPermitted`, `Order.DoesNotExist` or `WrongState`."""
    actor.require("orders.hold_order")
    with transaction.atomic():
        order = Order.objects.select_for_update(no_key=True).get(number=order_number)
        return let_go(order, actor=actor, reason=reason)


def let_go(order: Order, *, actor: Actor, reason: str) -> Command:
    """`release` for a caller that holds the order's lock, whoever may do it. Raises `WrongState`."""
    sheet = Sheet(actor=actor, reason=reason)
    # Only to a process that was begun: an order that nobody started has none to tell.
    in_process = order.commands.filter(kind=CommandKind.START).exists()
    command = release_locked(order, commands.standing_of([order.pk])[order.pk], sheet, in_process=in_process)
    sheet.write()
    return command


def release_locked(order: Order, standing: Standing, sheet: Sheet, *, in_process: bool) -> Command:
    """`release` for a caller that holds the lock and writes the sheet. Raises `WrongState`, changing nothing."""
    held = standing.get(CommandKind.HOLD)
    if held is None:
        who = commands.said_who(order, CommandKind.RELEASE, "released it")
        raise WrongState(f"Order {order.number} is {order.status}; nobody holds it.{who}")
    sheet.finish(held, f"Released by {sheet.actor.name}: {sheet.reason}")
    command = sheet.command(
        CommandKind.RELEASE, order, done="The order goes on.", tell=Topic.TELL_ORDER if in_process else None
    )
    before = order.status
    if order.status == OrderStatus.ON_HOLD:
        order.move_to(OrderStatus(order.resume_status))
        order.resume_status = ""
    sheet.event(order, EventType.RELEASED, status_before=before, command=str(command.id))
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
    now, most = clock.now(), settings.HOLD_MAX_DAYS
    if until is not None and not now < until <= now + timedelta(days=most):
        raise InvalidInput("until", f"{until:%d %b %Y %H:%M} UTC is not within {counted(most, 'day')} from now.")


def _stop(order: Order, held: Command, *, actor: Actor) -> None:
    before = order.resume_status = order.status
    order.move_to(OrderStatus.ON_HOLD)
    history.record(
        order,
        EventType.HELD,
        actor=actor,
        reason=_held_by(held),
        status_before=before,
        save=("resume_status",),
    )


def _held_by(held: Command) -> str:
    return f"Held by {held.actor}: {held.reason}"
