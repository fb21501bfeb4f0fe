"""Holds and pauses that end by themselves.

Whoever stops an order for an hour forgets it, and the order stands still for a week. The command says until when it
stands, and an outbox message that is due at that hour ends it: the relay runs `end`, also hours late when no relay was
running, and the order is told as if a person had released it. What was taken back meanwhile stays as it is.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from orders import history
from orders.actor import Actor
from orders.models import Command
from orders.services import holding, stepping
from orders.vocabulary import CommandKind, CommandStatus


def end(command_id: UUID | str, *, actor: Actor) -> None:
    """The time of a hold or a pause is over. Harmless the second time, and when it does not stand any more."""
    with transaction.atomic():
        order = history.lock_order(Command.objects.values_list("order_id", flat=True).get(pk=command_id))
        command = Command.objects.get(pk=command_id)
        if command.status != CommandStatus.ACCEPTED or command.until is None:
            return
        reason = f"It was to last until {command.until:%Y-%m-%d %H:%M:%S} UTC, as {command.actor} said"
        if command.kind == CommandKind.HOLD:
            holding.let_go(order, actor=actor, reason=reason)
        else:
            stepping.let_go(order, command, actor=actor, reason=reason)
