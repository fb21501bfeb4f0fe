"""Undoing an order whose process ended from outside: terminated by an operator, or lost with the engine's own data.

One order has one run, ever, and Temporal refuses a second one under the same id. So what is left is not driven on but
undone, by a run of another kind under an id of its own, which this module adopts and records. It can only undo: every
step that it might race with is fenced, so even a recovery of an order whose process lives after all takes no money
twice and ships nothing.
"""

from __future__ import annotations

from orders import history, outbox
from orders.actor import Actor
from orders.models import Finding, Order, OutboxMessage, Recovery, StaffTask
from orders.services import commands, process
from orders.vocabulary import (
    IN_PROCESS_STATUSES,
    CommandKind,
    EventType,
    FailureType,
    FindingKind,
    OrderStatus,
    Topic,
)


def begin(order: Order, *, why: str, actor: Actor) -> Recovery:
    """Ask for the order's recovery, once. The caller holds the order's lock in its transaction."""
    recovery, made = Recovery.objects.get_or_create(
        order=order, defaults={"ended_run_id": order.process_run_id, "why": why[:500], "asked_by": actor.name}
    )
    if made:
        history.record(
            order,
            EventType.RECOVERY_BEGUN,
            actor=actor,
            reason=f"{why} Another run undoes the order.",
            data={"ended_run": order.process_run_id},
        )
        hand_over(order)
    return recovery


def hand_over(order: Order) -> bool:
    """Tell Temporal to start the recovery, unless it waits to be told; answers whether it was told anew.

    The caller holds the order's lock.
    """
    aggregate = f"order:{order.pk}"
    if OutboxMessage.objects.filter(aggregate=aggregate, delivered_at=None, topic=Topic.RECOVER_ORDER).exists():
        return False
    body = {"order_id": str(order.pk), "number": order.number}
    outbox.publish(Topic.RECOVER_ORDER, aggregate=aggregate, body=body)
    return True


def by_hand(task: StaffTask, order: Order, *, note: str, reference: str, actor: Actor) -> None:
    """A lead resolved the task: the order may be undone. The caller holds the locks."""
    if order.status not in IN_PROCESS_STATUSES:
        return
    begin(order, why=f"Its process was ended at Temporal; {actor.name} had it undone: {note}", actor=actor)
    Finding.objects.filter(order=order, kind=FindingKind.PROCESS_ENDED, resolved_at=None).update(
        repair=f"a recovery run undoes the order, asked for by {actor.name}"[:200]
    )


def adopt(order_id: str, *, run_id: str, actor: Actor) -> bool:
    """Bind the recovery run to the order and begin the undo; False when the order was closed meanwhile.

    Raises `Recovery.DoesNotExist` when nobody asked for it.
    """
    recovery = Recovery.objects.get(order_id=order_id)
    order = Order.objects.get(pk=order_id)
    if order.is_terminal:
        return False
    # An order that no run had taken up: from now on no other one may.
    Order.objects.filter(pk=order_id, process_run_id="").update(process_run_id=run_id)
    Recovery.objects.filter(order_id=order_id).update(run_id=run_id)
    if order.status == OrderStatus.UNDOING:
        failure, message = FailureType(order.failure_type), order.failure_message
    elif commands.standing(order_id, CommandKind.CANCEL) is not None:
        # Who was told yes sees the order end as cancelled.
        failure, message = FailureType.CANCELLED, "The order was cancelled"
    else:
        failure, message = FailureType.PROCESS_ENDED, recovery.why
    return process.begin_undo(order_id, failure_type=failure, message=message, actor=actor)
