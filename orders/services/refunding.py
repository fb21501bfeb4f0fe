"""Asking for a refund of a completed order, and trying a refused one again.

What may be refunded is counted under the order's lock with what is under way, and a CHECK of the payment holds it
besides: two people who refund at once never give back more than was taken. `orders.services.repaying` sends it, and
`orders.services.refund_outcomes` books what becomes of it.
"""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from orders import clock, history
from orders.actor import Actor
from orders.amounts import money
from orders.errors import InvalidInput, WrongState
from orders.models import Approval, Order, Payment, Refund, ReturnCase
from orders.services import alone, approvals, commands, owing, refund_outcomes
from orders.services.refund_outcomes import follow_undo as follow_undo
from orders.services.refund_outcomes import owe_undo as owe_undo
from orders.vocabulary import (
    MOVING_REFUNDS,
    OPEN_REFUNDS,
    ApprovalStatus,
    CommandKind,
    DisputeStatus,
    EventType,
    OrderStatus,
    RefundStatus,
    ReturnStatus,
)

COMMAND = "refund"
#: the same for what came back of a return
FOR_RETURN = CommandKind.RETURN_REFUND.value
#: while one of these stands nobody asks for another one; one that is on its way may take days
HELD_UP_BY = MOVING_REFUNDS | {RefundStatus.REFUSED}


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
        if not alone.needs_second(order, amount_minor, actor=actor):
            return _create(order, payment, amount_minor, actor=actor, reason=reason, return_case=return_case)
        parameters = {"refund": str(uuid.uuid4()), "order": str(order.pk), "amount_minor": amount_minor}
        return approvals.ask(
            FOR_RETURN if return_case else COMMAND,
            subject=order.number,
            says=f"Refund {money(amount_minor, order.currency)} of order {order.number}"
            + (" for what came back." if return_case else "."),
            parameters=parameters | ({"return": str(return_case.pk)} if return_case else {}),
            reason=reason,
            actor=actor,
            order=order,
        )


def carry_out(parameters: dict[str, Any], *, actor: Actor) -> None:
    """The work of an approved refund. Raises `WrongState` when it cannot be given back any more."""
    actor.require("orders.refund_order")
    order = history.lock_order(parameters["order"])
    payment = refundable(order)
    _refuse_standing(order, order.refunds.filter(status__in=HELD_UP_BY))
    amount = parameters["amount_minor"]
    if amount > payment.left_minor:
        raise WrongState(f"Only {money(payment.left_minor, payment.currency)} are left to refund by now.")
    approval = Approval.objects.select_related("requested_by", "decided_by").get(
        command__in=(COMMAND, FOR_RETURN), parameters__refund=parameters["refund"]
    )
    case = None
    if "return" in parameters:
        case = ReturnCase.objects.select_for_update().get(pk=parameters["return"])
        _require_due(case, payment, amount)
    _create(order, payment, amount, actor=actor, reason=approval.reason, approval=approval, return_case=case)


def retry(order_number: str, *, actor: Actor, reason: str, refund: UUID | str | None = None) -> Refund:
    """Try a refused refund again, under a new key: the one that `refund` names, or the oldest.

    Raises `NotPermitted`, `Order.DoesNotExist`, or `WrongState` when none is refused, another one is being sent, or the
    payment is disputed.
    """
    actor.require("orders.refund_order")
    with transaction.atomic():
        order = Order.objects.select_for_update().get(number=order_number)
        refused = _refused(order, refund)
        _refuse_standing(order, order.refunds.filter(status__in=MOVING_REFUNDS))
        _refuse_disputed(order)
        refused.tries += 1
        refused.key, refused.key_generation = refund_outcomes.key(order, refused), 1
        refused.status, refused.requested_by_id = RefundStatus.REQUESTED, _user_id(actor)
        refused.save(update_fields=["tries", "key", "key_generation", "status", "requested_by"])
        if owing.owed(order).exists():
            resolution = "This refund is tried again; a new task tells of the next one."
            owing.owed_changed(order, resolution=resolution, actor=actor)
        _tell(order, refused, CommandKind.REFUND_RETRY, EventType.REFUND_RETRIED, actor, reason)
    return refused


def refundable(order: Order) -> Payment:
    """The payment of an order that can be refunded. Raises `WrongState`."""
    if order.status != OrderStatus.COMPLETED:
        raise WrongState(f"Order {order.number} is {order.status}; only a completed order is refunded.")
    _refuse_disputed(order)
    return Payment.objects.select_for_update().get(order=order)


def waiting(order: Order) -> QuerySet[Approval]:
    """Refunds of the order that wait for a second person; one at most."""
    return Approval.objects.filter(
        command__in=(COMMAND, FOR_RETURN),
        subject=order.number,
        status=ApprovalStatus.WAITING,
        expires_at__gt=clock.now(),
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
        asked_by_id=_user_id(actor),
        actor=actor.name,
        channel=actor.channel,
        approval=approval,
        return_case=return_case,
    )
    refund.key = refund_outcomes.key(order, refund)
    refund.save(force_insert=True)
    payment.refunding_minor += amount_minor
    payment.save(update_fields=["refunding_minor", "updated_at"])
    kind = CommandKind.RETURN_REFUND if return_case else CommandKind.REFUND
    _tell(order, refund, kind, EventType.REFUND_ASKED, actor, reason)
    return refund


def _tell(order: Order, refund: Refund, kind: CommandKind, event: EventType, actor: Actor, reason: str) -> None:
    command = commands.record(kind, order, actor=actor, reason=reason, done="The refund's own history says the rest.")
    data = {"refund": str(refund.pk), "amount_minor": refund.amount_minor, "command": str(command.pk)}
    if refund.approval is not None:
        reason, data = f"{approvals.agreement(refund.approval)} {reason}", data | approvals.evidence(refund.approval)
    history.record(order, event, actor=actor, reason=reason, data=data)
    refund_outcomes.publish(refund)


def _refuse_second(order: Order, payment: Payment, left_minor: int | None) -> None:
    """Raise `WrongState` when somebody else refunds the order, or has done so since the person looked."""
    _refuse_standing(order, order.refunds.filter(status__in=HELD_UP_BY))
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
    _refuse_standing(case.order, case.refunds.filter(status__in=OPEN_REFUNDS))
    payable = case.payable_minor(payment.left_minor)
    if not payable:
        raise WrongState("Nothing is left to refund for what came back; close the return.")
    if amount_minor != payable:
        due, given = money(payable, payment.currency), money(amount_minor, payment.currency)
        raise WrongState(f"{due} are to be refunded for what came back, not {given}.")


def _refuse_standing(order: Order, refunds: QuerySet[Refund]) -> None:
    standing = refunds.first()
    if standing is not None:
        amount = money(standing.amount_minor, standing.currency)
        raise WrongState(
            f"A refund of {amount} on {order.number} is {standing.status} already, asked for by {standing.actor} at "
            f"{_when(standing.created_at)}."
        )


def _refuse_disputed(order: Order) -> None:
    """The gateway refuses it anyway: the customer's bank has the money, or has kept it."""
    dispute = order.disputes.filter(status=DisputeStatus.OPEN).first()
    if dispute is not None:
        amount = money(dispute.amount_minor, dispute.currency)
        raise WrongState(
            f"{amount} of order {order.number} are disputed since {_when(dispute.opened_at)}; a disputed payment "
            "cannot be refunded until the bank has decided."
        )


def _refused(order: Order, named: UUID | str | None) -> Refund:
    """The oldest refund that is refused, or the one that is named."""
    found = owing.owed(order)
    refund = found.filter(pk=named).first() if named else found.first()
    if refund is None:
        who = commands.said_who(order, CommandKind.REFUND_RETRY, "tried it again")
        which = f"Refund {named}" if named else "No refund"
        is_not = "is not refused" if named else "is refused"
        raise WrongState(f"{which} of order {order.number} {is_not}; the process works on what is open.{who}")
    return refund


def _user_id(actor: Actor) -> int | None:
    return actor.user.pk if actor.user is not None else None


def _when(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
