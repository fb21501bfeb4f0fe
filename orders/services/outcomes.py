"""Undos whose outcome stays unknown: after a while a person is asked, and a person's word can end them.

A lost answer is looked up under its key by every attempt, and that almost always settles it. A partner that stays
silent would keep an order open for ever; then a task says what is not known, under which key and since when, while the
undo goes on trying. Whoever comes first, the partner's answer or the person's word, closes the step: it is one fence.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import OperationalError, transaction

from orders import clock, fence, history
from orders.actor import Actor
from orders.amounts import money
from orders.database_errors import LOCK_NOT_AVAILABLE, sqlstate
from orders.errors import DomainError, InvalidInput, WrongState
from orders.models import LedgerTransfer, Order, Payment, Refund, StaffTask, Step
from orders.services import refund_outcomes, stock, tasks
from orders.vocabulary import (
    EventType,
    FailureType,
    LedgerAccount,
    PaymentStatus,
    RefundStatus,
    ShipmentStatus,
    StepName,
    StepStatus,
    TaskKind,
    TaskLevel,
)

#: undo -> what nobody knows while it is open
UNKNOWN = {
    StepName.REFUND: "whether the payment was taken, and whether it went back",
    StepName.RECALL: "whether a parcel is booked or on its way",
}
#: how an order ends whose forward step was tried to the end of its time
OUT_OF_TIME = frozenset({FailureType.OUTCOME_UNKNOWN, FailureType.PARTNER_UNAVAILABLE})
OF_AN_UNDO = (TaskKind.OUTCOME_UNKNOWN, TaskKind.PARCEL_LEFT, TaskKind.REQUEST_REFUSED)


def ask_a_person_when_late(held: fence.Claim, error: DomainError, *, actor: Actor) -> None:
    """Open the task once the undo has been open for too long; at once where the step's own time was over before."""
    step = Step.objects.select_related("order").get(pk=held.key)
    known_late = step.order.failure_type in OUT_OF_TIME
    if not known_late and clock.now() - step.begun_at < _patience():
        return
    says = (
        f"Not known of {step.order.number}: {UNKNOWN[held.name]}. Key {held.key}, since "
        f"{step.begun_at:%Y-%m-%d %H:%M} UTC. {error} It is tried on; resolve this with a reference if you found out."
    )
    _open(TaskKind.OUTCOME_UNKNOWN, held.order_id, says, actor=actor)


def ask_about_refund_when_late(refund: Refund, error: DomainError, *, actor: Actor) -> None:
    """The same for a refund that has a process of its own."""
    if clock.now() - refund.created_at < _patience():
        return
    with transaction.atomic():
        ask_about_refund(history.lock_order(refund.order_id), refund, str(error), actor=actor)


def ask_about_refund(order: Order, refund: Refund, why: str, *, actor: Actor) -> None:
    """Open the task about a refund of which nobody knows whether it went back. The caller holds the order's lock."""
    says = (
        f"Not known of the refund of {money(refund.amount_minor, refund.currency)}: whether it went back. Key "
        f"{refund.key}, since {refund.created_at:%Y-%m-%d %H:%M} UTC. {why} It is tried on; resolve this with a "
        "reference if you found out."
    )
    tasks.open_task(TaskKind.OUTCOME_UNKNOWN, order, level=TaskLevel.LEAD, says=says, actor=actor)


def parcel_left(held: fence.Claim, error: DomainError, *, actor: Actor) -> None:
    """The carrier says that it is too late to cancel."""
    says = (
        f"The order is ended, but its parcel is not taken back. {error} Key {held.key}. Get it back, and resolve this "
        "with the carrier's reference when the pieces are on the shelf."
    )
    _open(TaskKind.PARCEL_LEFT, held.order_id, says, actor=actor)


def heard(order: Order, *, actor: Actor) -> None:
    """The partner answered after all. The caller holds the order's lock."""
    for kind in OF_AN_UNDO:
        tasks.close_if_open(kind, order, resolution="The partner answered: the undo is done.", actor=actor)


def settle_by_hand(task: StaffTask, order: Order, *, note: str, reference: str, actor: Actor) -> None:
    """A person found out and saw to it: end the undo by their word. The caller holds the locks of order and task.

    Raises `InvalidInput` without a reference, `WrongState` when no such undo is open or an attempt is just ending it.
    """
    if not reference:
        raise InvalidInput("reference", "What was found out needs a reference by which it can be looked up.")
    wanted = [StepName.RECALL] if task.kind == TaskKind.PARCEL_LEFT else list(UNKNOWN)
    try:
        # An attempt locks its step before the order; waiting for it here, the other way round, would be a deadlock.
        with transaction.atomic():
            step = order.steps.select_for_update(nowait=True).filter(name__in=wanted, status=StepStatus.OPEN).first()
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        raise WrongState("An attempt is just ending; look again in a moment.") from error
    if step is None:
        _settle_refund(order, note=note, reference=reference, actor=actor)
        return
    back = _book_money_back(order) if step.name == StepName.REFUND else 0
    pieces = _take_back_if_shipped(order) if step.name == StepName.RECALL else 0
    step.status, step.finished_at = StepStatus.DONE, clock.now()
    step.result = {"by_hand": reference}
    step.save(update_fields=["status", "finished_at", "result"])
    history.record(
        order,
        EventType.SETTLED_BY_HAND,
        actor=actor,
        reason=tasks.with_reference(note, reference),
        step=step.name,
        data={"task": str(task.pk), "refunded_minor": back, "pieces": pieces},
    )


def take_shipment_back(order: Order) -> int:
    """The booked shipment is off, and its pieces are held for the order again; answers how many."""
    order.shipments.update(status=ShipmentStatus.CANCELLED)
    return stock.take_back(order)


def _patience() -> timedelta:
    return timedelta(seconds=settings.OUTCOME_UNKNOWN_AFTER_SECONDS)


def _settle_refund(order: Order, *, note: str, reference: str, actor: Actor) -> None:
    unsure = (RefundStatus.SENT, RefundStatus.PENDING)
    refund = (
        order.refunds.select_for_update(of=("self",)).filter(status__in=unsure).order_by("created_at", "id").first()
    )
    if refund is None:
        raise WrongState("Nothing of this order is unknown any more; the process still works on what is open.")
    refund_outcomes.settle(refund, order, note=note, reference=reference, actor=actor)


def _open(kind: TaskKind, order_id: str, says: str, *, actor: Actor) -> None:
    if StaffTask.objects.filter(order_id=order_id, kind=kind, done_at=None).exists():
        return
    with transaction.atomic():
        order = history.lock_order(order_id)
        tasks.open_task(kind, order, level=TaskLevel.LEAD, says=says, actor=actor)


def _take_back_if_shipped(order: Order) -> int:
    shipped = order.steps.filter(name=StepName.SHIP, status=StepStatus.DONE).exists()
    return take_shipment_back(order) if shipped else 0


def _book_money_back(order: Order) -> int:
    """What our books have as taken went back by somebody's word; what they have not, they need not give back."""
    payment = Payment.objects.select_for_update().filter(order=order).first()
    if payment is None:
        return 0
    amount = payment.captured_minor - payment.refunded_minor - payment.refunding_minor
    if amount:
        LedgerTransfer.objects.create(
            key=f"{order.id}:refund",
            order=order,
            debit_account=LedgerAccount.CUSTOMER,
            credit_account=LedgerAccount.BY_HAND,
            amount_minor=amount,
            currency=payment.currency,
        )
        payment.refunded_minor += amount
        payment.status = PaymentStatus.REFUNDED
    elif payment.status == PaymentStatus.PENDING:
        payment.status = PaymentStatus.VOIDED
    payment.save(update_fields=["refunded_minor", "status", "updated_at"])
    return amount
