"""Cancelling an order at any stage: first the plan, then the command, then the undo by its process.

An accepted cancellation is a promise: it is recorded under the order's lock, and completion asks for it under the same
lock, so an order whose cancellation was accepted never completes afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from orders.actor import Actor
from orders.errors import WrongState
from orders.models import Command, Order
from orders.selectors.undoing import Line, undo_of
from orders.services import commands
from orders.services.commands import Standing
from orders.services.sheets import Sheet
from orders.vocabulary import (
    CommandKind,
    EventType,
    FailureType,
    OrderStatus,
    Topic,
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What cancelling the order now would do; it may do less or more if a step ends meanwhile."""

    order_number: str
    undo: tuple[Line, ...]
    #: what cannot be undone, or not be said yet, as sentences
    stays: tuple[str, ...]


def plan(order: Order) -> Plan:
    """What would be undone, in the order in which it is undone. Raises `WrongState` when it is too late."""
    _require_open(order, commands.standing_of([order.pk])[order.pk])
    found = undo_of(order)
    return Plan(order_number=order.number, undo=tuple(line for line in found.lines if not line.done), stays=found.stays)


def cancel(order_number: str, *, actor: Actor, reason: str) -> Command:
    """Cancel the order. An order that nobody started is cancelled at once, every other one by its process.

    Raises `NotPermitted`, `Order.DoesNotExist`, or `WrongState` when it is closed or being cancelled already.
    """
    actor.require("orders.cancel_order")
    with transaction.atomic():
        order = Order.objects.select_for_update(no_key=True).get(number=order_number)
        sheet = Sheet(actor=actor, reason=reason)
        in_process = order.commands.filter(kind=CommandKind.START).exists()
        command = cancel_locked(order, commands.standing_of([order.pk])[order.pk], sheet, in_process=in_process)
        sheet.write()
    return command


def cancel_locked(order: Order, standing: Standing, sheet: Sheet, *, in_process: bool) -> Command:
    """`cancel` for a caller that holds the lock and writes the sheet. Raises `WrongState`, changing nothing."""
    _require_open(order, standing)
    command = sheet.command(CommandKind.CANCEL, order, tell=Topic.CANCEL_ORDER if in_process else None)
    sheet.event(order, EventType.CANCEL_ASKED, command=str(command.id))
    if not in_process:
        _close(order, command, sheet)
    return command


def _require_open(order: Order, standing: Standing) -> None:
    if order.status == OrderStatus.COMPLETED:
        raise WrongState(f"Order {order.number} is completed and its goods are on their way; refund or return it.")
    if order.is_terminal:
        raise WrongState(f"Order {order.number} is {order.status} already.")
    commands.refuse_second(order, CommandKind.CANCEL, "is being cancelled", standing)
    if order.status == OrderStatus.UNDOING:
        raise WrongState(f"Order {order.number} is being undone already, because {order.failure_message}")


def _close(order: Order, command: Command, sheet: Sheet) -> None:
    """Nothing has happened to the order yet: there is nothing to undo and no process to ask."""
    before = order.status
    order.move_to(OrderStatus.CANCELLED)
    order.failure_type = FailureType.CANCELLED
    order.failure_message = f"Cancelled by {command.actor}: {command.reason}"[:500]
    order.resume_status = ""
    sheet.event(order, EventType.CANCELLED, status_before=before, failure_type=FailureType.CANCELLED)
    sheet.finish_all_of(order)
