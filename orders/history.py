"""The only way to change an order's row: together with a line of its history, in one transaction.

A status that changed without a row saying who and why is how support calls become archaeology. `record` appends the
event, chains its hash to the one before, and saves the order with the new chain head.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from orders import clock
from orders.actor import Actor
from orders.models import Order, OrderEvent
from orders.models.typed_words import Sealed, sealed, stored_of
from orders.vocabulary import EventType

HASHED_FIELDS = (
    "order_id",
    "sequence",
    "type",
    "at",
    "actor_kind",
    "actor",
    "channel",
    "reason",
    "step",
    "attempt",
    "status_before",
    "status_after",
    "workflow_id",
    "run_id",
    "data",
)

#: events whose reasons we write ourselves: what each order passes, so that it costs no key
WORDLESS_EVENTS = frozenset(
    {
        EventType.VALIDATED,
        EventType.STOCK_RESERVED,
        EventType.FRAUD_CHECKED,
        EventType.REVIEW_OPENED,
        EventType.PAYMENT_WAITS,
        EventType.PAYMENT_CAPTURED,
        EventType.COMPLETED,
        EventType.STOCK_RELEASED,
        EventType.SHIPMENT_UNDONE,
        EventType.PAYMENT_UNDONE,
        EventType.TRACKING_UPDATED,
        EventType.QUALITY_SAMPLED,
        EventType.START_REDELIVERED,
    }
)
#: reasons of ours in events that may also have somebody else's
OUR_WORDS = frozenset(
    {"Order received", "Processing requested", "The carrier took the shipment", "Made to try things at size"}
)


def lock_order(order_id: UUID | str) -> Order:
    """The order's row, locked until the transaction ends. Raises `Order.DoesNotExist`."""
    return Order.objects.select_for_update(no_key=True).get(pk=order_id)


def lock_orders(order_ids: Iterable[UUID | str]) -> list[Order]:
    """The rows of many orders, locked in the order of their ids, by everybody: two that meet would wait for ever.

    No key is changed, so rows that only refer to an order are written meanwhile: a batch is frozen while chunks of
    another one hold hundreds of its orders, in an order of their own.
    """
    return list(Order.objects.select_for_update(no_key=True).filter(pk__in=list(order_ids)).order_by("pk"))


def event_hash(event: OrderEvent, previous_hash: str) -> str:
    """sha256 over the hash before and the stored row as canonical JSON (sorted keys, no spaces, UTC times)."""
    row = {name: getattr(event, name) for name in HASHED_FIELDS if name != "reason"}
    row["reason"] = stored_of(event.reason)
    row["order_id"] = str(event.order_id)
    row["at"] = event.at.astimezone(timezone.get_fixed_timezone(0)).isoformat(timespec="microseconds")
    canonical = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{previous_hash}{canonical}".encode()).hexdigest()


def record(
    order: Order,
    event_type: EventType,
    *,
    actor: Actor,
    reason: str,
    step: str = "",
    status_before: str | None = None,
    data: dict[str, Any] | None = None,
    save: Iterable[str] = (),
) -> OrderEvent:
    """Append an event and save the order's status and the fields in `save`.

    The caller holds the order's row lock (`lock_order`) or has just created it in this transaction. `status_before`
    is the status before the change; leave it out when the event did not move the order.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("history.record needs the transaction that changes the order.")
    event = next_event(order, event_type, actor=actor, reason=reason, step=step, status_before=status_before, data=data)
    event.save(force_insert=True)
    order.save(
        update_fields=["status", "status_since", "closed_at", "event_count", "chain_head", *save],
    )
    return event


def next_event(
    order: Order,
    event_type: EventType,
    *,
    actor: Actor,
    reason: str,
    step: str = "",
    status_before: str | None = None,
    data: dict[str, Any] | None = None,
) -> OrderEvent:
    """The order's next event, chained and not yet saved; the order in memory has the new chain head.

    For `record`, and for writers of many orders at once (`orders.services.sheets`), who save both in one transaction.
    """
    event = OrderEvent(
        order=order,
        sequence=order.event_count + 1,
        type=event_type,
        at=clock.now(),
        actor_kind=actor.kind,
        actor=actor.name,
        channel=actor.channel,
        reason=as_stored(event_type, reason),
        step=step,
        attempt=actor.attempt,
        status_before=order.status if status_before is None else status_before,
        status_after=order.status,
        workflow_id=actor.workflow_id,
        run_id=actor.run_id,
        data=data or {},
        previous_hash=order.chain_head,
    )
    event.hash = event_hash(event, order.chain_head)
    order.event_count = event.sequence
    order.chain_head = event.hash
    return event


def as_stored(event_type: EventType, reason: str) -> str:
    """The reason as the event keeps it: encrypted, unless all of it is ours. A second time it stays as it is.

    For whoever says the same of many orders, so that one key serves them all.
    """
    if isinstance(reason, Sealed) or event_type in WORDLESS_EVENTS or reason in OUR_WORDS:
        return reason
    return cast(str, sealed(reason[:500]))


@dataclass(frozen=True, kw_only=True)
class ChainBreak:
    """Where a chain does not hold."""

    order_number: str
    #: sequence of the first event that does not verify; one past the last when the tail is missing
    sequence: int
    problem: str


def verify_chain(order: Order, events: Iterable[OrderEvent]) -> ChainBreak | None:
    """The first break in the order's chain, given all its events in sequence; None when it holds.

    The chain covers the events; the order's row must be as the last of them left it.
    """
    previous, expected, status = "", 1, order.status
    for event in events:
        if event.sequence != expected:
            return ChainBreak(order_number=order.number, sequence=expected, problem="an event is missing")
        if event.previous_hash != previous or event.hash != event_hash(event, previous):
            return ChainBreak(order_number=order.number, sequence=event.sequence, problem="the row was changed")
        previous, expected, status = event.hash, expected + 1, event.status_after
    if (expected - 1, previous) != (order.event_count, order.chain_head):
        return ChainBreak(order_number=order.number, sequence=expected, problem="the chain does not end at its head")
    if status != order.status:
        problem = f"the order is {order.status}, and its last event left it {status}"
        return ChainBreak(order_number=order.number, sequence=expected - 1, problem=problem)
    return None
