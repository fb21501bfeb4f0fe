"""What becomes of a refund: given back, on its way, refused, come back later, or settled by a person.

Each function books one change, under locks that the caller holds: the order's, then the refund's. None asks the
gateway. A ledger row names the try that it books, so what came back and went out again is written once each time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from orders import clock, history, outbox
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import LedgerTransfer, Order, Payment, Refund, ReturnCase, StaffTask
from orders.partners.payments import GatewayRefund
from orders.services import owing, tasks
from orders.vocabulary import (
    OPEN_RETURNS,
    EventType,
    LedgerAccount,
    OrderStatus,
    PaymentStatus,
    RefundStatus,
    ReturnStatus,
    TaskKind,
    Topic,
)

#: an attempt that was under way when a person settled the refund has ended by then
ATTEMPT_IS_OVER = timedelta(minutes=2)


def key(order: Order, refund: Refund) -> str:
    """The idempotency key of the refund's present try, without its generation."""
    return f"{order.pk}:refund:{refund.pk}:{refund.tries}"


def gave_back(
    order: Order, refund: Refund, found: GatewayRefund, *, actor: Actor, reason: str, data: dict[str, Any] | None = None
) -> None:
    """The gateway proves that the money is with the customer."""
    was_owed = refund.status == RefundStatus.REFUSED
    refund.gateway_reference, refund.gateway_status = found.id, found.status[:40]
    end(refund, RefundStatus.DONE)
    book(order, refund, LedgerAccount.GATEWAY)
    told = {"refund": str(refund.pk), "refunded_minor": refund.amount_minor, "gateway_reference": found.id}
    history.record(order, EventType.REFUNDED, actor=actor, reason=reason, data=told | (data or {}))
    if was_owed or refund.tries > 1:
        owing.owed_changed(order, resolution="The gateway gave the money back.", actor=actor)
    heard(order, actor=actor)


def is_on_its_way(order: Order, refund: Refund, found: GatewayRefund, *, actor: Actor) -> None:
    """The gateway took the refund and has not ended it: the amount stays kept back, and nothing is booked."""
    was_owed = refund.status == RefundStatus.REFUSED
    refund.status, refund.gateway_reference, refund.gateway_status = RefundStatus.PENDING, found.id, found.status[:40]
    refund.save(update_fields=["status", "gateway_reference", "gateway_status", "tries", "key", "token"])
    data = {"refund": str(refund.pk), "amount_minor": refund.amount_minor, "gateway_reference": found.id}
    reason = f"The gateway has the refund as {found.status}; it tells when the money has arrived"
    history.record(order, EventType.REFUND_PENDING, actor=actor, reason=reason, data=data)
    if was_owed or refund.tries > 1:
        owing.owed_changed(order, resolution="The gateway has taken the refund.", actor=actor)
    heard(order, actor=actor)


def refuse(order: Order, refund: Refund, says: str, *, actor: Actor, found: GatewayRefund | None = None) -> None:
    """The gateway gives the money not back: it is owed from now on."""
    if found is not None:
        refund.gateway_reference, refund.gateway_status = found.id, found.status[:40]
    event = EventType.REFUND_FAILED if refund.status == RefundStatus.PENDING else EventType.REFUND_REFUSED
    refund.status, refund.note = RefundStatus.REFUSED, says[:500]
    refund.save(update_fields=["status", "note", "gateway_reference", "gateway_status", "token"])
    heard(order, actor=actor)
    owing.owe(order, refund, says, actor=actor, event=event)


def came_back(order: Order, refund: Refund, found: GatewayRefund, *, actor: Actor) -> None:
    """A refund that had succeeded failed later: the money is with us again, and owed unless it was made outside."""
    says = failure_words(found)
    payment = locked_payment(order)
    reverse(_given(order, refund))
    payment.refunded_minor -= refund.amount_minor
    if payment.status == PaymentStatus.REFUNDED:
        payment.status = PaymentStatus.CAPTURED
    refund.gateway_status, refund.note = found.status[:40], says[:500]
    # A new try: what is booked for it from now on has a name of its own.
    refund.tries += 1
    refund.key, refund.key_generation = key(order, refund), 1
    if refund.outside:
        refund.status = RefundStatus.DROPPED
    else:
        refund.status, refund.finished_at = RefundStatus.REFUSED, None
        payment.refunding_minor += refund.amount_minor
        _return_is_unpaid(refund)
    refund.save(
        update_fields=["status", "finished_at", "note", "gateway_status", "tries", "key", "key_generation", "token"]
    )
    payment.save(update_fields=["refunded_minor", "refunding_minor", "status", "updated_at"])
    if refund.outside:
        owing.tell(order, refund, EventType.REFUND_FAILED, says, actor=actor)
        return
    owing.owe(order, refund, says, actor=actor, event=EventType.REFUND_FAILED)


def undo_came_back(order: Order, payment: Payment, found: GatewayRefund, *, actor: Actor) -> None:
    """The same for the refund of an undo, which has no row of its own until then."""
    given = LedgerTransfer.objects.get(key=f"{order.id}:refund")
    reverse(given)
    payment.refunded_minor -= given.amount_minor
    payment.status, payment.refund_reference = PaymentStatus.CAPTURED, ""
    payment.save(update_fields=["refunded_minor", "status", "refund_reference", "updated_at"])
    refund = _of_an_undo(order, payment, given.amount_minor, RefundStatus.REFUSED, actor=actor, found=found)
    owing.owe(order, refund, failure_words(found), actor=actor, event=EventType.REFUND_FAILED)


def owe_undo(order: Order, payment: Payment, amount_minor: int, says: str, *, actor: Actor) -> Refund:
    """What an undo could not give back becomes a refused refund, to be tried again or settled like any other."""
    refund = _of_an_undo(order, payment, amount_minor, RefundStatus.REFUSED, actor=actor, note=says)
    owing.owe(order, refund, says, actor=actor)
    return refund


def follow_undo(order: Order, payment: Payment, amount_minor: int, found: GatewayRefund, *, actor: Actor) -> Refund:
    """The refund of an undo that is on its way becomes a row with a process of its own, which follows it to its end."""
    refund = _of_an_undo(order, payment, amount_minor, RefundStatus.PENDING, actor=actor, found=found)
    is_on_its_way(order, refund, found, actor=actor)
    publish(refund)
    return refund


def settle_by_hand(task: StaffTask, order: Order, *, note: str, reference: str, actor: Actor) -> None:
    """The oldest refund that is owed went back by another way: book it so, and let its process end.

    `owing.ask_for_owed` asks for the next one when the task is closed: a reference stands for one amount.
    """
    if not reference:
        raise InvalidInput("reference", "Money that went back needs a reference by which it can be found.")
    refund = owing.owed(order).first()
    if refund is None:
        raise WrongState(f"No refund of order {order.number} is owed any more.")
    settle(refund, order, note=note, reference=reference, actor=actor)


def settle(refund: Refund, order: Order, *, note: str, reference: str, actor: Actor) -> None:
    """Book by a person's word that the refund's amount is with the customer.

    An attempt that is under way cannot commit any more, but the gateway may have heard it: its books are read again
    when every such attempt is over.
    """
    refund.token += 1
    end(refund, RefundStatus.SETTLED, note=f"{note} ({reference})")
    book(order, refund, LedgerAccount.BY_HAND)
    data = {"refund": str(refund.pk), "refunded_minor": refund.amount_minor, "reference": reference}
    history.record(order, EventType.REFUND_SETTLED, actor=actor, reason=note, data=data)
    publish(refund)
    read_again(order, f"refund:{refund.pk}", after=ATTEMPT_IS_OVER)


def end(refund: Refund, status: RefundStatus, *, note: str = "") -> None:
    """The refund is over; its amount is no longer kept back. The caller holds the order's lock and books the rest."""
    refund.status, refund.finished_at, refund.note = status, clock.now(), note[:500]
    refund.save(
        update_fields=[
            "status",
            "finished_at",
            "note",
            "gateway_reference",
            "gateway_status",
            "tries",
            "key",
            "token",
        ]
    )
    payment = Payment.objects.select_for_update().get(order_id=refund.order_id)
    payment.refunding_minor -= refund.amount_minor
    if status != RefundStatus.DROPPED:
        payment.refunded_minor += refund.amount_minor
    if payment.refunded_minor == payment.captured_minor:
        payment.status = PaymentStatus.REFUNDED
    payment.save(update_fields=["refunding_minor", "refunded_minor", "status", "updated_at"])
    if status != RefundStatus.DROPPED and refund.return_case_id is not None:
        paid = ReturnCase.objects.filter(pk=refund.return_case_id)
        paid.update(status=ReturnStatus.REFUNDED, ended_at=refund.finished_at, ended_by=refund.actor)


def book(order: Order, refund: Refund, paid_from: LedgerAccount) -> None:
    """What was earned is earned no more; of an order that earned nothing, we owe the customer no more."""
    LedgerTransfer.objects.create(
        key=_transfer_key(order, refund),
        order=order,
        debit_account=given_from(order),
        credit_account=paid_from,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
    )


def given_from(order: Order) -> LedgerAccount:
    """The account that money which goes back is taken from."""
    return LedgerAccount.SALES if order.status == OrderStatus.COMPLETED else LedgerAccount.CUSTOMER


def heard(order: Order, *, actor: Actor) -> None:
    """The gateway answered after all."""
    resolution = "The gateway answered: it is known what became of the refund."
    for kind in (TaskKind.OUTCOME_UNKNOWN, TaskKind.REQUEST_REFUSED):
        tasks.close_if_open(kind, order, resolution=resolution, actor=actor)


def publish(refund: Refund) -> None:
    """Start the refund's process, or wake it."""
    outbox.publish(Topic.SEND_REFUND, aggregate=f"refund:{refund.pk}", body={"refund_id": str(refund.pk)})


def read_again(order: Order, why: str, *, after: timedelta) -> None:
    """Have the gateway's books of the order's payment read, and ours brought to them."""
    reference = Payment.objects.values_list("gateway_reference", flat=True).get(order=order)
    if reference:
        # An aggregate of its own: it must not hold up what the gateway tells meanwhile.
        outbox.publish(
            Topic.GATEWAY_EVENT, aggregate=f"gateway-payment:{why}", body={"payment": reference}, after=after
        )


def locked_payment(order: Order) -> Payment:
    return Payment.objects.select_for_update().get(order=order)


def failure_words(found: GatewayRefund) -> str:
    why = f" ({found.failure_reason.replace('_', ' ')})" if found.failure_reason else ""
    return f"The gateway could not give the money back{why}: refund {found.id} is {found.status}."


def _of_an_undo(
    order: Order,
    payment: Payment,
    amount_minor: int,
    status: RefundStatus,
    *,
    actor: Actor,
    note: str = "",
    found: GatewayRefund | None = None,
) -> Refund:
    refund = Refund(
        order=order,
        amount_minor=amount_minor,
        currency=payment.currency,
        reason=(order.failure_message or "The order was undone")[:500],
        status=status,
        note=(note or (failure_words(found) if found and status == RefundStatus.REFUSED else ""))[:500],
        actor=actor.name,
        channel=actor.channel,
        gateway_reference=found.id if found else "",
        gateway_status=found.status[:40] if found else "",
    )
    refund.key = key(order, refund)
    refund.save(force_insert=True)
    payment.refunding_minor += amount_minor
    payment.save(update_fields=["refunding_minor", "updated_at"])
    return refund


def reverse(given: LedgerTransfer) -> None:
    """Book back what the gateway could not give after all; once, by the transfer's key."""
    LedgerTransfer.objects.create(
        key=f"{given.key}:failed",
        order_id=given.order_id,
        debit_account=given.credit_account,
        credit_account=given.debit_account,
        amount_minor=given.amount_minor,
        currency=given.currency,
    )


def _transfer_key(order: Order, refund: Refund) -> str:
    return f"{order.id}:refund:{refund.pk}" + (f":{refund.tries}" if refund.tries > 1 else "")


def _given(order: Order, refund: Refund) -> LedgerTransfer:
    # Until tries were numbered, a later one was booked under the name of the first.
    keys = (_transfer_key(order, refund), f"{order.id}:refund:{refund.pk}")
    return LedgerTransfer.objects.filter(key__in=keys).order_by("-key")[:1].get()


def _return_is_unpaid(refund: Refund) -> None:
    """What came back is not paid for any more: it waits again, unless another return is open by now."""
    if refund.return_case_id is None:
        return
    cases = ReturnCase.objects.select_for_update().filter(pk=refund.return_case_id, status=ReturnStatus.REFUNDED)
    case = cases.first()
    if case is None:
        return
    if ReturnCase.objects.filter(order_id=case.order_id, status__in=OPEN_RETURNS).exists():
        case.status, case.note = ReturnStatus.CLOSED, "Its refund failed later, and is owed."
    else:
        case.status, case.ended_at, case.ended_by = ReturnStatus.RECEIVED, None, ""
    case.save(update_fields=["status", "ended_at", "ended_by", "note"])
