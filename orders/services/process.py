"""The beginning and the end of an order's process: adopt the run, validate, complete, or begin and close the undo.

The workflow decides what comes next; these functions make each decision a fact. Every one is fenced and may run any
number of times.
"""

from django.db import transaction
from django.db.models import Q, Sum

from orders import fence, history
from orders.actor import Actor
from orders.errors import DomainError, InvalidInput, NotTheProcess, PartnerDown
from orders.models import LedgerTransfer, Order, OrderEvent
from orders.services import commands, reviewing, sorting
from orders.vocabulary import (
    CommandKind,
    EventType,
    FailureType,
    LedgerAccount,
    OrderStatus,
    StepName,
    StepStatus,
)


def adopt(order_id: str, *, run_id: str) -> None:
    """Bind the order to the one run that may process it, for ever. Raises `NotTheProcess` for every other run.

    Temporal refuses a second run only as long as it retains the first; this row does not forget.
    """
    mine = Order.objects.filter(Q(process_run_id="") | Q(process_run_id=run_id), pk=order_id)
    if not mine.update(process_run_id=run_id):
        raise NotTheProcess()


def validate(order_id: str, *, actor: Actor) -> None:
    """Check the order as it stands in the database. Raises `InvalidInput`, `OnHold` or `CancelAsked`."""
    held = fence.claim(order_id, StepName.VALIDATE)
    if held.is_done:
        return
    commands.require_free_way(order_id)
    with fence.commit(held, {}):
        order = history.lock_order(order_id)
        lines = order.lines.aggregate(total=Sum("total_minor"))
        if order.total_minor != (lines["total"] or 0):
            raise InvalidInput(
                "total_minor", f"The lines add up to {lines['total']}, the order says {order.total_minor}."
            )
        order.move_to(OrderStatus.RESERVING)
        history.record(
            order,
            EventType.VALIDATED,
            actor=actor,
            reason="Lines, prices and total agree",
            step=held.name,
            status_before=OrderStatus.QUEUED,
        )


def complete(order_id: str, *, actor: Actor) -> None:
    """The goods left: the money is earned and the order is closed. Raises `OnHold` or `CancelAsked`."""
    held = fence.claim(order_id, StepName.COMPLETE)
    if held.is_done:
        return
    with fence.commit(held, {}):
        order = history.lock_order(order_id)
        # Under the order's lock, which every command takes too: what was accepted before this binds.
        commands.require_free_way(order_id)
        LedgerTransfer.objects.create(
            key=f"{order.id}:earn",
            order=order,
            debit_account=LedgerAccount.CUSTOMER,
            credit_account=LedgerAccount.SALES,
            amount_minor=order.total_minor,
            currency=order.currency,
        )
        before = order.status
        order.move_to(OrderStatus.COMPLETED)
        history.record(
            order,
            EventType.COMPLETED,
            actor=actor,
            reason="Paid and shipped",
            step=held.name,
            status_before=before,
        )
        commands.finish(order.commands.all(), "The order was completed.")


def begin_undo(order_id: str, *, failure_type: FailureType, message: str, actor: Actor) -> bool:
    """Close the door to completion and say that the undo has begun; False when the order was completed before."""
    with transaction.atomic():
        if fence.void(order_id, StepName.COMPLETE) is StepStatus.DONE:
            return False
        fence.void(order_id, StepName.VALIDATE)
        fence.void(order_id, StepName.FRAUD)
        order = history.lock_order(order_id)
        if order.status == OrderStatus.UNDOING or order.is_terminal:
            # Also when it was closed before (a workflow that was reset): every step of the undo is fenced.
            return True
        before = order.status
        order.move_to(OrderStatus.UNDOING)
        asked = commands.standing(order_id, CommandKind.CANCEL)
        if failure_type is FailureType.CANCELLED and asked is not None:
            message = f"Cancelled by {asked.actor}: {asked.reason}"
        order.failure_type, order.failure_message, order.resume_status = failure_type, message[:500], ""
        stopped = order.commands.filter(kind__in=[CommandKind.HOLD, CommandKind.STEP_PAUSE])
        commands.finish(stopped, "The order is being undone.")
        reviewing.close_case(order, reason="The order ended before a verdict.")
        history.record(
            order,
            EventType.UNDO_BEGUN,
            actor=actor,
            reason=message or "The process is being undone",
            status_before=before,
            data={"failure_type": failure_type},
            save=("failure_type", "failure_message", "resume_status"),
        )
    return True


def close(order_id: str, *, actor: Actor) -> OrderStatus:
    """Everything is undone: the order ends as cancelled (a person asked) or failed (it could not be fulfilled)."""
    held = fence.claim(order_id, StepName.CLOSE)
    if held.is_done:
        return OrderStatus(Order.objects.values_list("status", flat=True).get(pk=order_id))
    with fence.commit(held, {}):
        order = history.lock_order(order_id)
        # A person ended it; everything else is an order that could not be fulfilled.
        cancelled = order.failure_type in {FailureType.CANCELLED, FailureType.REVIEW_REJECTED}
        order.move_to(OrderStatus.CANCELLED if cancelled else OrderStatus.FAILED)
        history.record(
            order,
            EventType.CANCELLED if cancelled else EventType.FAILED,
            actor=actor,
            reason=order.failure_message or "The process ended",
            step=held.name,
            status_before=OrderStatus.UNDOING,
            data={"failure_type": order.failure_type},
        )
        commands.finish(order.commands.all(), f"The order ended as {order.status}.")
        sorting.sort_out(order, actor=actor)
    return OrderStatus(order.status)


def note_retry(held: fence.Claim, error: DomainError, *, actor: Actor) -> None:
    """Remember a failed attempt; the 1st, 2nd, 3rd, 10th, 100th ... also get a line in the timeline.

    Retries have no limit, and a partner that is down for a night must not fill the history with ten thousand rows. An
    attempt that did not call a partner because it is out of order gets one line for the whole outage.
    """
    fence.note_failure(held, str(error))
    if isinstance(error, PartnerDown):
        retrying = OrderEvent.objects.filter(order_id=held.order_id, type=EventType.STEP_RETRYING, step=held.name)
        tells = not retrying.filter(at__gte=error.since).exists()
    else:
        tells = held.token <= 3 or str(held.token).strip("0") == "1"
    if tells:
        with transaction.atomic():
            order = history.lock_order(held.order_id)
            history.record(
                order,
                EventType.STEP_RETRYING,
                actor=actor,
                reason=str(error),
                step=held.name,
                data={"claim": held.token},
            )
