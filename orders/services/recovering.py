"""Undoing an order whose process ended from outside: terminated by an operator, or lost with the engine's own data.

One order has one run, ever, and Temporal refuses a second one under the same id. So what is left is not driven on but
undone, by a run of another kind under an id of its own, which this module adopts and records. It takes no step that
asks for money or goods: every step that it might race with is fenced, so even a recovery of an order whose process
lives after all takes no money twice and ships nothing.

What has been shipped is never undone unasked: a lead decides whether it is undone, or finished, which is the sale and
the end in our books.
"""

from __future__ import annotations

from orders import history, outbox
from orders.actor import Actor
from orders.errors import CancelAsked, InvalidInput, OnHold
from orders.models import Finding, Order, OutboxMessage, Recovery, StaffTask
from orders.services import commands, holding, process
from orders.services.reviving import AGAIN
from orders.services.sweeping import restoring
from orders.vocabulary import (
    IN_PROCESS_STATUSES,
    CommandKind,
    EventType,
    FailureType,
    FindingKind,
    OrderStatus,
    RecoveryDecision,
    StepName,
    StepStatus,
    Topic,
)


def has_shipped(order: Order) -> bool:
    """Whether its parcel was booked."""
    return order.steps.filter(name=StepName.SHIP, status=StepStatus.DONE).exists()


def begin(order: Order, *, why: str, actor: Actor, finishes: bool = False) -> Recovery:
    """Ask for the order's recovery, once. The caller holds the order's lock in its transaction."""
    recovery, made = Recovery.objects.get_or_create(
        order=order,
        defaults={
            "ended_run_id": order.process_run_id,
            "why": why[:500],
            "asked_by": actor.name,
            "finishes": finishes,
        },
    )
    if made:
        history.record(
            order,
            EventType.RECOVERY_BEGUN,
            actor=actor,
            reason=f"{why} Another run {'finishes' if finishes else 'undoes'} the order.",
            data={"ended_run": order.process_run_id},
        )
        hand_over(order)
    return recovery


def hand_over(order: Order, *, again: bool = False) -> bool:
    """Tell Temporal to start the recovery, unless it waits to be told; answers whether it was told anew.

    With `again` it starts also where Temporal says that it has ended with a result. The caller holds the order's lock.
    """
    aggregate = f"order:{order.pk}"
    if OutboxMessage.objects.filter(outbox.PENDING, aggregate=aggregate, topic=Topic.RECOVER_ORDER).exists():
        return False
    body = {"order_id": str(order.pk), "number": order.number} | ({AGAIN: True} if again else {})
    outbox.publish(Topic.RECOVER_ORDER, aggregate=aggregate, body=body)
    return True


def by_hand(
    task: StaffTask, order: Order, *, note: str, reference: str, actor: Actor, decision: RecoveryDecision | None = None
) -> None:
    """A lead resolved the task: the order may be undone, or finished. The caller holds the locks.

    Raises `InvalidInput` where the parcel was booked and nothing was decided, or where there is nothing to finish.
    """
    if order.status not in IN_PROCESS_STATUSES:
        return
    shipped = has_shipped(order) and order.status != OrderStatus.UNDOING
    if shipped and decision is None:
        raise InvalidInput("decision", "Its parcel was booked: say whether the order is finished or undone.")
    if decision is RecoveryDecision.FINISH and not shipped:
        raise InvalidInput("decision", "It has not been shipped, or is being undone: it can only be undone.")
    finishes = decision is RecoveryDecision.FINISH
    done = "finished" if finishes else "undone"
    why = f"Its process was ended at Temporal; {actor.name} had it {done}: {note}"
    begin(order, why=why, actor=actor, finishes=finishes)
    Finding.objects.filter(order=order, kind=FindingKind.PROCESS_ENDED, resolved_at=None).update(
        repair=f"a recovery run {'finishes' if finishes else 'undoes'} the order, asked for by {actor.name}"[:200]
    )


def adopt(order_id: str, *, run_id: str, actor: Actor) -> bool:
    """Bind the recovery run to the order and begin the undo; False when the order is closed, also by being finished.

    Raises `Recovery.DoesNotExist` when nobody asked for it, `OnHold` when it is to be finished and somebody holds it.
    """
    if not Order.objects.filter(pk=order_id).exists() and not restoring.is_standing():
        # The database was restored, and a lead has decided about what it does not have.
        return False
    recovery = Recovery.objects.get(order_id=order_id)
    order = Order.objects.get(pk=order_id)
    if order.is_terminal:
        return False
    # An order that no run had taken up: from now on no other one may.
    Order.objects.filter(pk=order_id, process_run_id="").update(process_run_id=run_id)
    Recovery.objects.filter(order_id=order_id).update(run_id=run_id)
    if recovery.finishes and order.status != OrderStatus.UNDOING and _finish(order_id, actor=actor):
        return False
    if order.status == OrderStatus.UNDOING:
        failure, message = FailureType(order.failure_type), order.failure_message
    elif commands.standing(order_id, CommandKind.CANCEL) is not None:
        # Who was told yes sees the order end as cancelled.
        failure, message = FailureType.CANCELLED, "The order was cancelled"
    else:
        failure, message = FailureType.PROCESS_ENDED, recovery.why
    return process.begin_undo(order_id, failure_type=failure, message=message, actor=actor)


def _finish(order_id: str, *, actor: Actor) -> bool:
    """Book the sale and close the order; False when somebody was told that it is cancelled, which binds."""
    try:
        commands.require_not_cancelled(order_id)
        if holding.settle(order_id, actor=actor):
            raise OnHold
        process.complete(order_id, actor=actor)
    except CancelAsked:
        return False
    return True
