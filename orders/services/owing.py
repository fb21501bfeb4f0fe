"""Refunds that the gateway refused: the money is owed, and a task says so until somebody gives it back.

An order can owe several. A task is about the oldest of them, because its reference stands for one amount.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from orders import history
from orders.actor import Actor
from orders.amounts import counted, money
from orders.models import Order, Payment, Refund
from orders.services import tasks
from orders.vocabulary import EventType, RefundStatus, TaskKind, TaskLevel


def owe(order: Order, refund: Refund, says: str, *, actor: Actor, event: EventType = EventType.REFUND_REFUSED) -> None:
    """Say that the money stays owed until somebody gives it back."""
    tell(order, refund, event, says, actor=actor)
    owed_changed(order, resolution="What is owed has changed; a new task says how much.", actor=actor)


def owed(order: Order) -> QuerySet[Refund]:
    """The refunds that are owed, the oldest first, locked."""
    rows = order.refunds.select_for_update(of=("self",)).filter(status=RefundStatus.REFUSED)
    return rows.order_by("created_at", "id")


def owed_changed(order: Order, *, resolution: str, actor: Actor) -> None:
    """Keep the task of what is owed true.

    A task says one amount, and resolving it books that: whoever still looks at the old one must not book another.
    """
    tasks.close_if_open(TaskKind.REFUND_OWED, order, resolution=resolution, actor=actor)
    ask_for_owed(order, actor=actor)


def ask_for_owed(order: Order, *, actor: Actor) -> None:
    """Open the task for the oldest refund that is owed, if any."""
    rows = list(owed(order))
    if not rows:
        return
    refund, more = rows[0], rows[1:]
    besides = money(sum(one.amount_minor for one in more), refund.currency)
    rest = f" {besides} more are owed in {counted(len(more), 'refund')} after it." if more else ""
    amount = money(refund.amount_minor, refund.currency)
    says = f"{amount} of {order.number} are owed to the customer. {refund.note[: 400 - len(rest)]}{rest}"
    tasks.open_task(TaskKind.REFUND_OWED, order, level=TaskLevel.LEAD, says=says, actor=actor)


def reduce(refund: Refund, part_minor: int) -> None:
    """So much less is owed of it. The caller holds the locks, and says what became of the part."""
    refund.amount_minor -= part_minor
    refund.save(update_fields=["amount_minor"])
    payment = Payment.objects.select_for_update().get(order_id=refund.order_id)
    payment.refunding_minor -= part_minor
    payment.save(update_fields=["refunding_minor", "updated_at"])


def tell(order: Order, refund: Refund, event: EventType, says: str, *, actor: Actor) -> None:
    data: dict[str, Any] = {"refund": str(refund.pk), "amount_minor": refund.amount_minor}
    if refund.gateway_reference:
        data["gateway_reference"] = refund.gateway_reference
    history.record(order, event, actor=actor, reason=says, data=data)
