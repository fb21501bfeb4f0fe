"""The beginning and the end of an order's process: adopt the run, validate, complete, or begin and close the undo.

The workflow decides what comes next; these functions make each decision a fact. Every one is fenced and may run any
number of times.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum

from orders import clock, fence, history
from orders.actor import Actor
from orders.errors import DomainError, InvalidInput, NotTheProcess, PartnerDown, StepMissing
from orders.models import LedgerTransfer, Order, OrderEvent, Payment, ReviewCase
from orders.services import commands, gateway_events, predecessors, reviewing, sorting
from orders.vocabulary import (
    PARTNER_STEPS,
    CommandKind,
    EventType,
    FailureType,
    LedgerAccount,
    OrderStatus,
    PaymentStatus,
    ReviewStatus,
    StepName,
    StepStatus,
)

#: how often an order's history tells of something that was reported and is not true
MOST_UNPROVEN_TOLD = 5
#: what a step may end with for now, and go on later
NO_REFUSAL = frozenset(
    {
        FailureType.ON_HOLD,
        FailureType.CANCELLED,
        FailureType.PARTNER_UNAVAILABLE,
        FailureType.PARTNER_DOWN,
        FailureType.REQUEST_REFUSED,
        FailureType.STALE_ATTEMPT,
        FailureType.STEP_MISSING,
        FailureType.STEP_VOIDED,
        FailureType.NOT_THE_PROCESS,
    }
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
    """The goods left: the money is earned and the order is closed.

    Raises `OnHold`, `CancelAsked`, or `StepMissing` when it is not paid or not shipped.
    """
    held = fence.claim(order_id, StepName.COMPLETE)
    if held.is_done:
        return
    with fence.commit(held, {}):
        order = history.lock_order(order_id)
        # Under the order's lock, which every command takes too: what was accepted before this binds.
        commands.require_free_way(order_id)
        predecessors.require_due(order, held.name)
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
        gateway_events.look_at_end(order)


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


def begin_proven_undo(order_id: str, *, failure_type: FailureType, message: str, actor: Actor) -> bool:
    """`begin_undo` for the engine, whose word alone undoes nothing: the reason must stand in the database.

    Raises `StepMissing` when nobody cancelled the order here, no step ended with that no, and no step is out of time.
    """
    with transaction.atomic():
        done = fence.void(order_id, StepName.COMPLETE) is StepStatus.DONE
        order = history.lock_order(order_id)
        if not done and not (order.is_terminal or order.status == OrderStatus.UNDOING or _proven(order, failure_type)):
            if failure_type is FailureType.CANCELLED:
                raise StepMissing(
                    f"The process of order {order.number} was cancelled at Temporal directly. Nobody has cancelled the "
                    "order here, so it goes on."
                )
            raise StepMissing(f"Nothing in our books is a reason to undo order {order.number} as {failure_type}.")
        return begin_undo(order_id, failure_type=failure_type, message=message, actor=actor)


def _proven(order: Order, failure_type: FailureType) -> bool:
    if failure_type is FailureType.CANCELLED:
        return commands.standing(order.pk, CommandKind.CANCEL) is not None
    if order.steps.filter(refusal=failure_type).exclude(status=StepStatus.DONE).exists():
        return True
    if failure_type is FailureType.REVIEW_REJECTED:
        return ReviewCase.objects.filter(order=order, status=ReviewStatus.REJECTED).exists()
    if failure_type is FailureType.PAYMENT_DECLINED:
        return Payment.objects.filter(order=order, status=PaymentStatus.DECLINED).exists()
    # What is left are steps that were tried to the end of their time.
    begun = clock.now() - timedelta(seconds=settings.STEP_OUT_OF_TIME_SECONDS)
    return order.steps.filter(name__in=PARTNER_STEPS, status=StepStatus.OPEN, begun_at__lte=begun).exists()


def note_missing(order_id: str, missing: StepMissing, event: EventType, *, actor: Actor) -> None:
    """Say on the order that something was asked for or reported which the database does not bear out.

    A few times at the most: whoever sends such messages must not fill the history with them.
    """
    with transaction.atomic():
        order = history.lock_order(order_id)
        if order.events.filter(type=event).count() < MOST_UNPROVEN_TOLD:
            history.record(order, event, actor=actor, reason=str(missing))


def note_refusal(order_id: str, steps: tuple[StepName, ...], error: DomainError) -> None:
    """Remember the final no of one of these steps, which an undo may rest on; nothing for what is no final no."""
    if error.failure_type not in NO_REFUSAL:
        fence.note_refusal(order_id, steps, error.failure_type)


def close(order_id: str, *, actor: Actor) -> OrderStatus:
    """Everything is undone: the order ends as cancelled (a person asked) or failed (it could not be fulfilled).

    Raises `StepMissing` when an undo is not done.
    """
    held = fence.claim(order_id, StepName.CLOSE)
    if held.is_done:
        return OrderStatus(Order.objects.values_list("status", flat=True).get(pk=order_id))
    with fence.commit(held, {}):
        order = history.lock_order(order_id)
        predecessors.require_due(order, held.name)
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
        gateway_events.look_at_end(order)
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
