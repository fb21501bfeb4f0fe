"""Asking for a refund of a completed order, trying a refused one again, and settling it by hand.

What may be refunded is counted under the order's lock with what is under way, and a CHECK of the payment holds it
besides: two people who refund at once never give back more than was taken. `orders.services.repaying` sends it.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from orders import history, outbox
from orders.actor import Actor
from orders.amounts import money
from orders.errors import InvalidInput, WrongState
from orders.models import Approval, LedgerTransfer, Order, Payment, Refund, ReturnCase, StaffTask
from orders.services import approvals, commands, tasks
from orders.vocabulary import (
    OPEN_REFUNDS,
    ApprovalStatus,
    CommandKind,
    EventType,
    LedgerAccount,
    OrderStatus,
    PaymentStatus,
    RefundStatus,
    ReturnStatus,
    TaskKind,
    TaskLevel,
    Topic,
)

COMMAND = "refund"
#: the same for what came back of a return
FOR_RETURN = CommandKind.RETURN_REFUND.value


def request(
    order_number: str,
    *,
    amount_minor: int,
    actor: Actor,
    reason: str,
    left_minor: int | None = None,
    return_case: ReturnCase | None = None,
) -> Refund | Approval:
    """Ask for a refund: the refund when it is on its way, the approval when it waits for a second person.

    `left_minor` is what the person saw as refundable. With `return_case`, which the caller has locked, the amount must
    be exactly what is due for that. Raises `NotPermitted`, `Order.DoesNotExist`, `InvalidInput`, or
    `WrongState` naming who was first and when.
    """
    actor.require("orders.refund_order")
    with transaction.atomic():
        order = Order.objects.select_for_update().get(number=order_number)
        payment = refundable(order)
        _refuse_second(order, payment, left_minor)
        if return_case is not None:
            _require_due(return_case, payment, amount_minor)
        if not 1 <= amount_minor <= payment.left_minor:
            left = money(payment.left_minor, payment.currency)
            raise InvalidInput("amount_minor", f"{amount_minor} is not within 1 to {payment.left_minor} ({left}).")
        if not _needs_second(order, amount_minor):
            return _create(order, payment, amount_minor, actor=actor, reason=reason, return_case=return_case)
        parameters = {"refund": str(uuid.uuid4()), "order": str(order.pk), "amount_minor": amount_minor}
        return approvals.ask(
            FOR_RETURN if return_case else COMMAND,
            subject=order.number,
            says=f"{money(amount_minor, order.currency)} of order {order.number} are refunded"
            + (" for what came back." if return_case else "."),
            parameters=parameters | ({"return": str(return_case.pk)} if return_case else {}),
            reason=reason,
            actor=actor,
        )


def carry_out(parameters: dict[str, Any], *, actor: Actor) -> None:
    """The work of an approved refund. Raises `WrongState` when it cannot be given back any more."""
    actor.require("orders.refund_order")
    order = history.lock_order(parameters["order"])
    payment = refundable(order)
    _refuse_open(order)
    amount = parameters["amount_minor"]
    if amount > payment.left_minor:
        raise WrongState(f"Only {money(payment.left_minor, payment.currency)} are left to refund by now.")
    approval = Approval.objects.get(command__in=(COMMAND, FOR_RETURN), parameters__refund=parameters["refund"])
    case = None
    if "return" in parameters:
        case = ReturnCase.objects.select_for_update().get(pk=parameters["return"])
        _require_due(case, payment, amount)
    _create(order, payment, amount, actor=actor, reason=approval.reason, approval=approval, return_case=case)


def retry(order_number: str, *, actor: Actor, reason: str) -> Refund:
    """Try the refused refund again, under a new key. Raises `NotPermitted`, `Order.DoesNotExist` or `WrongState`."""
    actor.require("orders.refund_order")
    with transaction.atomic():
        order = Order.objects.select_for_update().get(number=order_number)
        refund = _refused(order)
        refund.tries += 1
        refund.key, refund.status = _key(order, refund), RefundStatus.REQUESTED
        refund.requested_by_id = _user_id(actor)
        refund.save(update_fields=["tries", "key", "status", "requested_by"])
        _tell(order, refund, CommandKind.REFUND_RETRY, EventType.REFUND_RETRIED, actor, reason)
    return refund


def settle_by_hand(task: StaffTask, order: Order, *, note: str, reference: str, actor: Actor) -> None:
    """The money went back by another way: book it so, and let the refund's process end."""
    if not reference:
        raise InvalidInput("reference", "Money that went back needs a reference by which it can be found.")
    settle(_refused(order), order, note=note, reference=reference, actor=actor)


def settle(refund: Refund, order: Order, *, note: str, reference: str, actor: Actor) -> None:
    """Book by a person's word that the refund's amount is with the customer. The caller holds the locks."""
    end(refund, RefundStatus.SETTLED, note=f"{note} ({reference})")
    book(order, refund, LedgerAccount.BY_HAND)
    data = {"refund": str(refund.pk), "refunded_minor": refund.amount_minor, "reference": reference}
    history.record(order, EventType.REFUND_SETTLED, actor=actor, reason=note, data=data)
    publish(refund)


def owe(order: Order, refund: Refund, says: str, *, actor: Actor) -> None:
    """The gateway says no for good: the money stays owed until somebody gives it back. The caller holds the locks."""
    data = {"refund": str(refund.pk), "amount_minor": refund.amount_minor}
    history.record(order, EventType.REFUND_REFUSED, actor=actor, reason=says, data=data)
    tasks.open_task(
        TaskKind.REFUND_OWED,
        order,
        level=TaskLevel.LEAD,
        says=f"{money(refund.amount_minor, refund.currency)} of {order.number} are owed to the customer. {says}",
        actor=actor,
    )


def owe_undo(order: Order, payment: Payment, amount_minor: int, says: str, *, actor: Actor) -> Refund:
    """What an undo could not give back becomes a refused refund, to be tried again or settled like any other."""
    refund = Refund(
        order=order,
        amount_minor=amount_minor,
        currency=payment.currency,
        reason=(order.failure_message or "The order was undone")[:500],
        status=RefundStatus.REFUSED,
        note=says[:500],
        actor=actor.name,
        channel=actor.channel,
    )
    refund.key = _key(order, refund)
    refund.save(force_insert=True)
    payment.refunding_minor += amount_minor
    payment.save(update_fields=["refunding_minor", "updated_at"])
    owe(order, refund, says, actor=actor)
    return refund


def refundable(order: Order) -> Payment:
    """The payment of an order that can be refunded. Raises `WrongState`."""
    if order.status != OrderStatus.COMPLETED:
        raise WrongState(f"Order {order.number} is {order.status}; only a completed order is refunded.")
    return Payment.objects.select_for_update().get(order=order)


def end(refund: Refund, status: RefundStatus, *, note: str = "") -> None:
    """The refund is over; its amount is no longer kept back. The caller holds the order's lock and books the rest."""
    refund.status, refund.finished_at, refund.note = status, timezone.now(), note[:500]
    refund.save(update_fields=["status", "finished_at", "note", "gateway_reference"])
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
        key=f"{order.id}:refund:{refund.pk}",
        order=order,
        debit_account=LedgerAccount.SALES if order.status == OrderStatus.COMPLETED else LedgerAccount.CUSTOMER,
        credit_account=paid_from,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
    )


def publish(refund: Refund) -> None:
    outbox.publish(Topic.SEND_REFUND, aggregate=f"refund:{refund.pk}", body={"refund_id": str(refund.pk)})


def waiting(order: Order) -> QuerySet[Approval]:
    """Refunds of the order that wait for a second person; one at most."""
    return Approval.objects.filter(
        command__in=(COMMAND, FOR_RETURN),
        subject=order.number,
        status=ApprovalStatus.WAITING,
        expires_at__gt=timezone.now(),
    )


def _create(
    order: Order,
    payment: Payment,
    amount_minor: int,
    *,
    actor: Actor,
    reason: str,
    approval: Approval | None = None,
    return_case: ReturnCase | None = None,
) -> Refund:
    refund = Refund(
        id=uuid.UUID(approval.parameters["refund"]) if approval else uuid.uuid4(),
        order=order,
        amount_minor=amount_minor,
        currency=payment.currency,
        reason=reason[:500],
        requested_by_id=_user_id(actor),
        actor=actor.name,
        channel=actor.channel,
        approval=approval,
        return_case=return_case,
    )
    refund.key = _key(order, refund)
    refund.save(force_insert=True)
    payment.refunding_minor += amount_minor
    payment.save(update_fields=["refunding_minor", "updated_at"])
    kind = CommandKind.RETURN_REFUND if return_case else CommandKind.REFUND
    _tell(order, refund, kind, EventType.REFUND_ASKED, actor, reason)
    return refund


def _tell(order: Order, refund: Refund, kind: CommandKind, event: EventType, actor: Actor, reason: str) -> None:
    command = commands.record(kind, order, actor=actor, reason=reason, done="The refund's own history says the rest.")
    data = {"refund": str(refund.pk), "amount_minor": refund.amount_minor, "command": str(command.pk)}
    history.record(order, event, actor=actor, reason=reason, data=data)
    publish(refund)


def _refuse_second(order: Order, payment: Payment, left_minor: int | None) -> None:
    """Raise `WrongState` when somebody else refunds the order, or has done so since the person looked."""
    _refuse_open(order)
    other = waiting(order).first()
    if other is not None:
        raise WrongState(
            f"{other.says} This waits for a second person, asked for by {other.requested_by} at "
            f"{_when(other.requested_at)}."
        )
    if left_minor is not None and left_minor != payment.left_minor:
        last = order.refunds.first()
        by = f"; {last.actor} refunded at {_when(last.created_at)}" if last else ""
        raise WrongState(
            f"{money(payment.left_minor, payment.currency)} of order {order.number} are left to refund, not "
            f"{money(left_minor, payment.currency)}{by}."
        )


def _require_due(case: ReturnCase, payment: Payment, amount_minor: int) -> None:
    """Raise `WrongState` unless the return waits for exactly this refund."""
    if case.status != ReturnStatus.RECEIVED:
        raise WrongState(f"This return is {case.status}; nothing of it is left to refund.")
    payable = case.payable_minor(payment.left_minor)
    if not payable:
        raise WrongState("Nothing is left to refund for what came back; close the return.")
    if amount_minor != payable:
        due, given = money(payable, payment.currency), money(amount_minor, payment.currency)
        raise WrongState(f"{due} are to be refunded for what came back, not {given}.")


def _refuse_open(order: Order) -> None:
    standing = order.refunds.filter(status__in=OPEN_REFUNDS).first()
    if standing is not None:
        amount = money(standing.amount_minor, standing.currency)
        raise WrongState(
            f"A refund of {amount} on {order.number} is {standing.status} already, asked for by {standing.actor} at "
            f"{_when(standing.created_at)}."
        )


def _needs_second(order: Order, amount_minor: int) -> bool:
    """All that one person alone gives back counts: many small refunds are a large one."""
    alone = order.refunds.filter(approval=None).exclude(status=RefundStatus.DROPPED)
    before = alone.aggregate(n=Sum("amount_minor"))["n"] or 0
    return bool(before + amount_minor > settings.REFUND_SECOND_PERSON_OVER_MINOR)


def _refused(order: Order) -> Refund:
    refund = order.refunds.select_for_update().filter(status=RefundStatus.REFUSED).first()
    if refund is None:
        who = commands.said_who(order, CommandKind.REFUND_RETRY, "tried it again")
        raise WrongState(f"No refund of order {order.number} is refused; the process works on what is open.{who}")
    return refund


def _key(order: Order, refund: Refund) -> str:
    return f"{order.pk}:refund:{refund.pk}:{refund.tries}"


def _user_id(actor: Actor) -> int | None:
    return actor.user.pk if actor.user is not None else None


def _when(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
