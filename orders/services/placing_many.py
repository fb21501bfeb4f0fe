"""Taking hundreds of orders in with a handful of statements.

`placing.place` costs ten statements an order, which is right for one and made a year's file take minutes. Every rule
is the same function; only the writing is done together. An order that a rule refuses is an answer and costs its
neighbours nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from orders import history, outbox
from orders.actor import Actor
from orders.errors import InvalidInput
from orders.models import Command, Order, OrderEvent, OrderLine, OutboxMessage
from orders.models.customer import Personal
from orders.models.typed_words import stored_of
from orders.services import customers, placing
from orders.services.copying import copy_rows
from orders.services.placing import LINE_FIELDS, Line, NewOrder
from orders.vocabulary import EventType, OrderStatus, Topic

EVENT_FIELDS = (
    *("order", "sequence", "type", "at", "actor_kind", "actor", "channel", "reason", "step", "attempt"),
    *("status_before", "status_after", "workflow_id", "run_id", "data", "previous_hash", "hash"),
)


@dataclass(kw_only=True)
class Draft:
    """An order that no rule refuses, with everything that is written beside it."""

    order: Order
    lines: list[Line]
    personal: Personal | None
    reference: str
    events: list[OrderEvent] = field(default_factory=list)
    start: Command | None = None


def place_all(
    orders: Sequence[NewOrder], *, actor: Actor, reason: str, start: bool = False
) -> list[Order | InvalidInput | None]:
    """Store the orders, in the caller's transaction; of each the order, why it is refused, or None when it exists.

    Each must have a reference. With `start` their processing is asked for, as one of many that nobody waits for.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("place_all needs the transaction of its caller.")
    actor.require("orders.place_order")
    if start:
        actor.require("orders.start_order")
    answers = _drafts(orders, actor)
    drafts = [answer for answer in answers if isinstance(answer, Draft)]
    _number_and_name(drafts)
    said = history.as_stored(EventType.PLACED, reason) if drafts else reason
    for draft in drafts:
        _tell(draft, actor, reason, said, start=start)
    made = _insert(drafts)
    copy_rows(OrderLine, LINE_FIELDS, ((pk, *line) for pk, draft in made.items() for line in draft.lines))
    copy_rows(OrderEvent, EVENT_FIELDS, (_event(event) for draft in made.values() for event in draft.events))
    _start(made.values())
    return [
        answer if isinstance(answer, InvalidInput) else made[answer.order.pk].order if answer.order.pk in made else None
        for answer in answers
    ]


def _drafts(orders: Sequence[NewOrder], actor: Actor) -> list[Draft | InvalidInput]:
    products = placing.products_of(line.sku for new in orders for line in new.lines)
    answers: list[Draft | InvalidInput] = []
    for new in orders:
        try:
            order, lines = placing.build(new, products, channel=actor.channel)
        except InvalidInput as refusal:
            answers.append(refusal)
            continue
        buyer = new.customer
        personal = Personal(name=buyer.name, email=buyer.email, country=buyer.country) if buyer else None
        answers.append(Draft(order=order, lines=lines, personal=personal, reference=buyer.reference if buyer else ""))
    return answers


def _number_and_name(drafts: list[Draft]) -> None:
    """Give each order its number and its customer; the first order of a customer makes them."""
    wanted: dict[str, Personal] = {}
    for draft in drafts:
        if draft.personal is not None:
            wanted.setdefault(draft.reference, draft.personal)
    known = customers.all_known(wanted)
    for draft, number in zip(drafts, placing.next_numbers(len(drafts)), strict=True):
        draft.order.number = number
        draft.order.customer = known.get(draft.reference) if draft.personal is not None else None


def _tell(draft: Draft, actor: Actor, reason: str, said: str, *, start: bool) -> None:
    """The order's history so far, and the command that starts it; `said` is the reason as events keep it."""
    order = draft.order
    facts = placing.facts_when_placed(order)
    draft.events.append(
        history.next_event(order, EventType.PLACED, actor=actor, reason=said, status_before="", data=facts)
    )
    if not start:
        return
    draft.start = placing.start_command(order, actor=actor, reason=reason)
    order.move_to(OrderStatus.QUEUED)
    draft.events.append(
        history.next_event(
            order,
            EventType.START_REQUESTED,
            actor=actor,
            reason=said,
            status_before=OrderStatus.PLACED,
            data={"command": str(draft.start.id)},
        )
    )


def _insert(drafts: list[Draft]) -> dict[Any, Draft]:
    """The drafts whose orders are stored now; an order that another import stored first is left alone."""
    Order.objects.bulk_create([draft.order for draft in drafts], ignore_conflicts=True)
    stored = set(Order.objects.filter(pk__in=[draft.order.pk for draft in drafts]).values_list("pk", flat=True))
    return {draft.order.pk: draft for draft in drafts if draft.order.pk in stored}


def _start(made: Iterable[Draft]) -> None:
    started = [(draft.order, draft.start) for draft in made if draft.start is not None]
    if not started:
        return
    Command.objects.bulk_create([command for _, command in started])
    outbox.publish_all(
        [
            OutboxMessage(
                topic=Topic.START_ORDER,
                aggregate=f"order:{order.pk}",
                body=placing.start_message(order, command),
                bulk=True,
            )
            for order, command in started
        ]
    )


def _event(event: OrderEvent) -> tuple[Any, ...]:
    return tuple(
        json.dumps(event.data) if name == "data" else stored_of(getattr(event, "order_id" if name == "order" else name))
        for name in EVENT_FIELDS
    )
