"""Goods that come back: announced by an agent, counted by the warehouse, restocked once, and paid back as counted.

Counting and paying are two commands of two people's permissions: a count never moves money by itself, and whoever pays
confirms the sum that the count came to. Every command takes the order's lock first, so what may still come back is
never promised twice; CHECKs and a trigger of the rows hold it besides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.amounts import counted, money
from orders.errors import InvalidInput, WrongState
from orders.models import Approval, Order, OrderLine, Refund, ReturnCase, ReturnLine
from orders.services import commands, refunding, stock
from orders.vocabulary import (
    MAX_RETURN_LINES,
    OPEN_REFUNDS,
    OPEN_RETURNS,
    CommandKind,
    EventType,
    OrderStatus,
    ReturnStatus,
    UnsellableReason,
)


@dataclass(frozen=True, kw_only=True)
class Announced:
    """Pieces of one line of the order, named by its position."""

    position: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Received:
    """What came of one line: `received` pieces, of which `unsellable` do not go back into the stock."""

    position: int
    received: int
    unsellable: int = 0
    unsellable_reason: str = ""


Line = TypeVar("Line", Announced, Received)


def announce(order_number: str, *, lines: Iterable[Announced], actor: Actor, reason: str) -> ReturnCase:
    """Say that pieces of a completed order will come back.

    Raises `NotPermitted`, `Order.DoesNotExist`, `InvalidInput` for more pieces than are left, or `WrongState` naming
    who announced one before.
    """
    actor.require("orders.announce_return")
    with transaction.atomic():
        order = Order.objects.select_for_update(no_key=True).get(number=order_number)
        if order.status != OrderStatus.COMPLETED:
            raise WrongState(f"Order {order.number} is {order.status}; only goods of a completed order come back.")
        standing = order.returns.filter(status__in=OPEN_RETURNS).first()
        if standing is not None:
            raise WrongState(f"A return of {order.number} is open already: {_who(standing)}")
        wanted = {line.position: line.quantity for line in _once(lines)}
        found = {line.position: line for line in order.lines.filter(position__in=wanted)}
        case = ReturnCase(order=order, reason=reason[:500], actor=actor.name, channel=actor.channel)
        case.save(force_insert=True)
        for position, pieces in wanted.items():
            _announce_line(case, found.get(position), position, pieces)
        _tell(case, CommandKind.RETURN_ANNOUNCE, EventType.RETURN_ANNOUNCED, actor, reason, pieces=sum(wanted.values()))
    return case


def receive(return_id: UUID | str, *, lines: Iterable[Received], actor: Actor, reason: str) -> ReturnCase:
    """Say what came; a line that is not named did not come, and its pieces may be announced again.

    Restocks what can be sold and works out what is due. Raises `NotPermitted`, `ReturnCase.DoesNotExist`,
    `InvalidInput` for more than was announced, or `WrongState` naming who received it before.
    """
    actor.require("orders.receive_return")
    with transaction.atomic():
        case = _locked(return_id, ReturnStatus.ANNOUNCED)
        came = {line.position: line for line in _once(lines)}
        expected = {line.order_line.position: line for line in case.lines.select_related("order_line")}
        for position in came:
            if position not in expected:
                raise InvalidInput("lines", f"Line {position} was not announced.")
        if not any(line.received for line in came.values()):
            raise InvalidInput("lines", "Nothing came: withdraw the return instead.")
        back: Counter[int] = Counter()
        for position, line in expected.items():
            _receive_line(line, came.get(position) or Received(position=position, received=0))
            back[line.order_line.product_id] += line.restocked
        stock.restock(+back)
        case.status, case.received_at, case.received_by = ReturnStatus.RECEIVED, clock.now(), actor.name
        case.save(update_fields=["status", "received_at", "received_by"])
        figures = {
            "pieces": sum(line.received for line in expected.values()),
            "restocked": back.total(),
            "due_minor": sum(line.refund_minor for line in expected.values()),
        }
        _tell(case, CommandKind.RETURN_RECEIVE, EventType.RETURN_RECEIVED, actor, reason, **figures)
    return case


def withdraw(return_id: UUID | str, *, actor: Actor, reason: str) -> ReturnCase:
    """Nothing will come. Raises `NotPermitted`, `ReturnCase.DoesNotExist` or `WrongState` when pieces came."""
    actor.require("orders.announce_return")
    with transaction.atomic():
        case = _locked(return_id, ReturnStatus.ANNOUNCED)
        for line in case.lines.select_related("order_line"):
            line.order_line.awaited -= line.announced
            line.order_line.save(update_fields=["awaited"])
        _end(case, ReturnStatus.WITHDRAWN, actor, reason)
        _tell(case, CommandKind.RETURN_WITHDRAW, EventType.RETURN_WITHDRAWN, actor, reason)
    return case


def refund(return_id: UUID | str, *, amount_minor: int, actor: Actor, reason: str) -> Refund | Approval:
    """Give back what the received pieces were paid for; `amount_minor` is the sum that the person saw and confirms.

    The return is refunded when the money went back. Raises `NotPermitted`, `ReturnCase.DoesNotExist`, or `WrongState`
    when another sum is due or somebody refunds it already.
    """
    actor.require("orders.refund_order")
    with transaction.atomic():
        case = _locked(return_id, ReturnStatus.RECEIVED)
        return refunding.request(
            case.order.number, amount_minor=amount_minor, actor=actor, reason=reason, return_case=case
        )


def close(return_id: UUID | str, *, actor: Actor, reason: str) -> ReturnCase:
    """End a received return without a refund. Raises `NotPermitted`, or `WrongState` while a refund of it is open."""
    actor.require("orders.refund_order")
    with transaction.atomic():
        case = _locked(return_id, ReturnStatus.RECEIVED)
        if case.refunds.filter(status__in=OPEN_REFUNDS).exists():
            raise WrongState("A refund of this return is under way or owed; it ends as refunded.")
        waiting = refunding.waiting(case.order).filter(parameters__return=str(case.pk)).first()
        if waiting is not None:
            raise WrongState(f"{waiting.says} This waits for a second person, who can decline it.")
        _end(case, ReturnStatus.CLOSED, actor, reason)
        _tell(case, CommandKind.RETURN_CLOSE, EventType.RETURN_CLOSED, actor, reason)
    return case


def share_minor(line: OrderLine, *, before: int, pieces: int) -> int:
    """What `pieces` of the line were paid for, after `before` came back: the shares of all add up to its total."""
    return line.total_minor * (before + pieces) // line.quantity - line.total_minor * before // line.quantity


def _announce_line(case: ReturnCase, line: OrderLine | None, position: int, pieces: int) -> None:
    if line is None:
        raise InvalidInput("lines", f"Order {case.order.number} has no line {position}.")
    if not 1 <= pieces <= line.returnable:
        raise InvalidInput("lines", f"Line {position}: {pieces} is not within 1 to {line.returnable} pieces.")
    line.awaited += pieces
    line.save(update_fields=["awaited"])
    ReturnLine.objects.create(case=case, order_line=line, announced=pieces)


def _receive_line(line: ReturnLine, came: Received) -> None:
    at = f"Line {came.position}:"
    if not 0 <= came.received <= line.announced:
        raise InvalidInput("lines", f"{at} {came.received} is not within 0 to the {line.announced} announced.")
    if not 0 <= came.unsellable <= came.received:
        raise InvalidInput(
            "lines", f"{at} {came.unsellable} unsellable is not within 0 to the {came.received} received."
        )
    if bool(came.unsellable) != bool(came.unsellable_reason):
        raise InvalidInput("lines", f"{at} unsellable pieces and their reason go together.")
    if came.unsellable_reason and came.unsellable_reason not in set(UnsellableReason):
        raise InvalidInput("lines", f"{at} {came.unsellable_reason[:40]!r} is no reason that we know.")
    of = line.order_line
    line.received, line.restocked = came.received, came.received - came.unsellable
    line.unsellable_reason = came.unsellable_reason
    line.refund_minor = share_minor(of, before=of.returned, pieces=came.received)
    line.save(update_fields=["received", "restocked", "unsellable_reason", "refund_minor"])
    of.awaited -= line.announced
    of.returned += came.received
    of.save(update_fields=["awaited", "returned"])


def _once(lines: Iterable[Line]) -> list[Line]:
    given = list(lines)
    if not given:
        raise InvalidInput("lines", "At least one line is needed.")
    if len(given) > MAX_RETURN_LINES:
        raise InvalidInput("lines", f"{len(given)} lines; one return takes {MAX_RETURN_LINES} at most.")
    twice = [position for position, times in Counter(line.position for line in given).items() if times > 1]
    if twice:
        raise InvalidInput("lines", f"Line {twice[0]} is named more than once.")
    return given


def _locked(return_id: UUID | str, status: ReturnStatus) -> ReturnCase:
    """The return, after its order's lock, which every change of a return takes; `WrongState` says who acted."""
    order = history.lock_order(_order_of(return_id))
    case = ReturnCase.objects.select_for_update().get(pk=return_id)
    case.order = order
    if case.status != status:
        raise WrongState(f"This return of {order.number} is {case.status}: {_who(case)}")
    return case


def _order_of(return_id: UUID | str) -> UUID:
    return ReturnCase.objects.values_list("order_id", flat=True).get(pk=return_id)


def _end(case: ReturnCase, status: ReturnStatus, actor: Actor, note: str) -> None:
    case.status, case.ended_at, case.ended_by, case.note = status, clock.now(), actor.name, note[:500]
    case.save(update_fields=["status", "ended_at", "ended_by", "note"])


def _tell(case: ReturnCase, kind: CommandKind, event: EventType, actor: Actor, reason: str, **figures: int) -> None:
    command = commands.record(kind, case.order, actor=actor, reason=reason, done=_outcome(case, figures))
    data = {"return": str(case.pk), **figures, "command": str(command.pk)}
    history.record(case.order, event, actor=actor, reason=reason, data=data)


def _outcome(case: ReturnCase, figures: dict[str, int]) -> str:
    pieces = f" {counted(figures['pieces'], 'piece')}." if "pieces" in figures else ""
    due = f" {money(figures['due_minor'], case.order.currency)} are due." if "due_minor" in figures else ""
    return f"The return is {case.status}.{pieces}{due}"


def _who(case: ReturnCase) -> str:
    """Who acted last, and when."""
    by, at = case.actor, case.created_at
    if case.ended_at is not None:
        by, at = case.ended_by, case.ended_at
    elif case.received_at is not None:
        by, at = case.received_by, case.received_at
    return f"{case.status} by {by} at {at:%Y-%m-%d %H:%M:%S} UTC."
