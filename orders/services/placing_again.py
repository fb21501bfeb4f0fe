"""Placing an order that failed again: a new order with the same lines, customer and payment method.

One order has one process, ever, so a failed one cannot be started a second time. The copy has a number of its own, and
the two histories name each other. Without it, staff key the order in by hand and nobody can say that it is the same.
"""

from __future__ import annotations

from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.amounts import money
from orders.errors import WrongState
from orders.models import Order, OrderLine
from orders.services import commands
from orders.services.copying import copy_rows
from orders.services.placing import LINE_FIELDS, facts_when_placed, next_number
from orders.services.sheets import Sheet
from orders.vocabulary import CommandKind, EventType, OrderStatus


def place_again(order_number: str, *, actor: Actor, reason: str) -> Order:
    """The new order, placed and not started.

    Raises `NotPermitted`, `Order.DoesNotExist`, or `WrongState`: it did not fail, money is owed back for it, its
    customer was erased, or somebody was first.
    """
    actor.require("orders.place_order")
    with transaction.atomic():
        failed = Order.objects.select_for_update(no_key=True).get(number=order_number)
        sheet = Sheet(actor=actor, reason=reason)
        made = place_again_locked(failed, sheet)
        sheet.write()
    return made


def place_again_locked(failed: Order, sheet: Sheet) -> Order:
    """`place_again` for a caller that holds the lock and writes the sheet. Raises `WrongState`, changing nothing."""
    _require_failed(failed)
    made = Order(
        number=next_number(),
        source=failed.source,
        channel=sheet.actor.channel,
        customer=failed.customer,
        currency=failed.currency,
        total_minor=failed.total_minor,
        line_count=failed.line_count,
        payment_method=failed.payment_method,
        ship_to_country=failed.ship_to_country,
        # Its sender's name for it is taken by the failed one.
        placed_at=clock.now(),
    )
    made.save(force_insert=True)
    lines = OrderLine.objects.filter(order=failed).order_by("position").values_list(*LINE_FIELDS[1:])
    copy_rows(OrderLine, LINE_FIELDS, ((made.pk, *line) for line in lines))
    history.record(
        made,
        EventType.PLACED,
        actor=sheet.actor,
        reason=f"Placed again after {failed.number} failed: {sheet.reason}",
        status_before="",
        data={**facts_when_placed(made), "again_of": failed.number},
    )
    sheet.command(CommandKind.PLACE_AGAIN, failed, done=f"Placed again as {made.number}")
    sheet.event(
        failed, EventType.PLACED_AGAIN, reason=f"Placed again as {made.number}: {sheet.reason}", placed_as=made.number
    )
    return made


def _require_failed(order: Order) -> None:
    if order.status != OrderStatus.FAILED:
        raise WrongState(f"Order {order.number} is {order.status}; only one that failed is placed again.")
    first = order.commands.filter(kind=CommandKind.PLACE_AGAIN).first()
    if first is not None:
        raise WrongState(f"Order {order.number}: {first.outcome} by {first.actor} at {commands.moment(first)}.")
    if order.refund_outstanding_minor:
        owed = money(order.refund_outstanding_minor, order.currency)
        raise WrongState(f"Order {order.number}: {owed} are owed back to the customer; see to that first.")
    if order.customer is not None and order.customer.erased_at is not None:
        raise WrongState(f"Order {order.number}: the personal data of its customer was erased.")
