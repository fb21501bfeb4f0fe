"""A sheet collects what one command changes, for one order or for five hundred, and writes it with few statements.

Hold, release, cancel and new prices are written once, against a sheet: the button of one order and the chunk of a
batch run the same lines. A batch that saved each order by itself would need five statements an order; a sheet needs
five a chunk.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from orders import history, outbox
from orders.actor import Actor
from orders.models import Batch, Command, Order, OrderEvent, OrderLine, OutboxMessage
from orders.services import commands
from orders.vocabulary import CommandKind, CommandStatus, EventType, Topic

#: what a command may change of an order's row, with the types of the columns
COLUMNS = {
    "status": "text",
    "status_since": "timestamptz",
    "total_minor": "bigint",
    "closed_at": "timestamptz",
    "resume_status": "text",
    "failure_type": "text",
    "failure_message": "text",
    "event_count": "int",
    "chain_head": "text",
}
SAVE_ORDERS = f"""
    UPDATE orders_order AS o SET {", ".join(f"{name} = new.{name}" for name in COLUMNS)}
    FROM unnest(%s::uuid[], {", ".join(f"%s::{kind}[]" for kind in COLUMNS.values())})
        AS new(id, {", ".join(COLUMNS)})
    WHERE o.id = new.id
"""
SAVE_LINES = """
    UPDATE orders_orderline AS line SET unit_price = new.unit_price, total_minor = new.total_minor
    FROM unnest(%s::bigint[], %s::numeric[], %s::bigint[]) AS new(id, unit_price, total_minor)
    WHERE line.id = new.id
"""


class Sheet:
    """What one actor does to locked orders, for one reason; nothing is saved before `write`."""

    def __init__(self, *, actor: Actor, reason: str, batch: Batch | None = None) -> None:
        self.actor = actor
        self.reason = reason
        self.batch = batch
        self._orders: dict[UUID, Order] = {}
        self._lines: list[OrderLine] = []
        self._events: list[OrderEvent] = []
        self._reasons: dict[str, str] = {}
        self._commands: list[Command] = []
        self._messages: list[OutboxMessage] = []
        #: what became of commands that stood open -> which
        self._finished: dict[str, list[UUID]] = {}
        self._closed: list[UUID] = []

    def command(
        self,
        kind: CommandKind,
        order: Order,
        *,
        done: str = "",
        tell: Topic | None = None,
        until: datetime | None = None,
    ) -> Command:
        command = commands.new(
            kind, order, actor=self.actor, reason=self.reason, done=done, until=until, batch=self.batch
        )
        self._commands.append(command)
        self._messages += commands.messages_of(command, tell)
        return command

    def event(
        self,
        order: Order,
        event_type: EventType,
        *,
        reason: str = "",
        status_before: str | None = None,
        actor: Actor | None = None,
        **data: Any,
    ) -> None:
        """Append to the order's history."""
        if self.batch is not None:
            data["batch"] = str(self.batch.pk)
        event = history.next_event(
            order,
            event_type,
            actor=actor or self.actor,
            reason=self._stored(event_type, reason or self.reason),
            status_before=status_before,
            data=data,
        )
        self._events.append(event)
        self._orders[order.pk] = order

    def _stored(self, event_type: EventType, reason: str) -> str:
        """One key for all orders of which it is said."""
        if reason not in self._reasons:
            self._reasons[reason] = history.as_stored(event_type, reason)
        return self._reasons[reason]

    def prices(self, lines: Iterable[OrderLine]) -> None:
        """Save the prices of these lines; their order's event says what they were."""
        self._lines += lines

    def finish(self, command: Command, outcome: str) -> None:
        """Say what became of a command that stood open."""
        self._finished.setdefault(outcome, []).append(command.pk)

    def finish_all_of(self, order: Order) -> None:
        """The order was closed before its processing began: none of its commands stands any more."""
        self._closed.append(order.pk)

    def write(self) -> None:
        """Save it all, in the caller's transaction."""
        if not transaction.get_connection().in_atomic_block:
            raise RuntimeError("A sheet needs the transaction in which its orders were locked.")
        Command.objects.bulk_create(self._commands, batch_size=500)
        OrderEvent.objects.bulk_create(self._events, batch_size=500)
        _save_lines(self._lines)
        _save(self._orders.values())
        for outcome, ids in self._finished.items():
            commands.finish(Command.objects.filter(pk__in=ids), outcome)
        if self._closed:
            open_ones = Command.objects.filter(order_id__in=self._closed, status=CommandStatus.ACCEPTED)
            commands.finish(open_ones, "The order was cancelled before its processing began.")
        outbox.publish_all(self._messages)


def _save(orders: Iterable[Order]) -> None:
    rows = list(orders)
    if not rows:
        return
    values = [[order.pk for order in rows], *([_plain(getattr(order, name)) for order in rows] for name in COLUMNS)]
    with connection.cursor() as cursor:
        cursor.execute(SAVE_ORDERS, values)


def _save_lines(lines: list[OrderLine]) -> None:
    if lines:
        rows = [(line.pk, line.unit_price, line.total_minor) for line in lines]
        with connection.cursor() as cursor:
            cursor.execute(SAVE_LINES, [list(column) for column in zip(*rows, strict=True)])


def _plain(value: Any) -> Any:
    """psycopg would look for a PostgreSQL enum behind a word of ours."""
    return str(value) if isinstance(value, str) else value
