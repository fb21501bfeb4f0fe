"""Disputes of payments: what the customer's bank took, gave back or kept, booked as the gateway proves it.

The ledger follows the funds and not the status: what the bank holds stands in an account of its own until it decides,
and is a loss only when the dispute is lost. Each call books the difference to what is booked already, so it does not
matter how often and in which order the gateway tells of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.db.models import QuerySet, Sum

from orders import clock, history
from orders.actor import Actor
from orders.amounts import money
from orders.models import Dispute, LedgerTransfer, Order, Payment
from orders.partners.disputes import DisputeState, GatewayDispute
from orders.services import owing, refund_outcomes, tasks
from orders.vocabulary import (
    OPEN_DISPUTES,
    DisputeStatus,
    EventType,
    LedgerAccount,
    RefundStatus,
    TaskKind,
    TaskLevel,
)

STATUS_OF: dict[DisputeState, DisputeStatus] = {
    DisputeState.WARNING_NEEDS_RESPONSE: DisputeStatus.INQUIRY,
    DisputeState.WARNING_UNDER_REVIEW: DisputeStatus.INQUIRY,
    DisputeState.WARNING_CLOSED: DisputeStatus.CLOSED,
    DisputeState.PREVENTED: DisputeStatus.CLOSED,
    DisputeState.NEEDS_RESPONSE: DisputeStatus.OPEN,
    DisputeState.UNDER_REVIEW: DisputeStatus.OPEN,
    DisputeState.WON: DisputeStatus.WON,
    DisputeState.LOST: DisputeStatus.LOST,
    # The payment stays out of every refund until somebody has looked.
    DisputeState.UNKNOWN: DisputeStatus.OPEN,
}
#: how a dispute that has ended is told
ENDED_WORDS = {
    DisputeStatus.WON: "The bank decided for us",
    DisputeStatus.LOST: "The bank decided for the customer, who keeps the money",
    DisputeStatus.CLOSED: "The bank's inquiry ended without a dispute",
}


def book(order: Order, payment: Payment, found: Sequence[GatewayDispute], *, actor: Actor) -> bool:
    """Bring the order's disputes to what the gateway has; answers whether all is booked that there is to book.

    The caller holds the order's lock. A loss is booked when the order has ended: before that nobody knows from which
    account it is to be taken.
    """
    is_whole = True
    for one in sorted(found, key=lambda each: (each.opened_at, each.id)):
        dispute = Dispute.objects.select_for_update().filter(gateway_reference=one.id).first()
        if dispute is None:
            dispute = _open(order, one, actor=actor)
        elif (dispute.gateway_status, dispute.evidence_due_at) != (one.status[:40], one.evidence_due_at):
            _change(order, dispute, one, actor=actor)
        is_whole &= _book_funds(order, dispute, one)
    if found:
        _keep_out(order, payment, actor=actor)
    return is_whole


def _open(order: Order, one: GatewayDispute, *, actor: Actor) -> Dispute:
    status = STATUS_OF[one.state]
    dispute = Dispute(
        order=order,
        gateway_reference=one.id,
        amount_minor=one.amount_minor,
        currency=one.currency,
        reason=one.reason[:64],
        status=status,
        gateway_status=one.status[:40],
        opened_at=one.opened_at,
        evidence_due_at=one.evidence_due_at,
        closed_at=None if status in OPEN_DISPUTES else clock.now(),
    )
    dispute.save(force_insert=True)
    _tell(order, dispute, EventType.DISPUTE_OPENED, _opened_words(dispute), actor=actor)
    if status in ENDED_WORDS:
        says = f"{ENDED_WORDS[status]} ({dispute.gateway_status})."
        _tell(order, dispute, EventType.DISPUTE_CLOSED, says, actor=actor)
    if status in OPEN_DISPUTES or status is DisputeStatus.LOST:
        _ask_a_lead(order, dispute, actor=actor)
    return dispute


def _change(order: Order, dispute: Dispute, one: GatewayDispute, *, actor: Actor) -> None:
    before, status = DisputeStatus(dispute.status), STATUS_OF[one.state]
    if one.state is DisputeState.UNKNOWN:
        status = before
    dispute.status, dispute.gateway_status, dispute.evidence_due_at = status, one.status[:40], one.evidence_due_at
    if status in OPEN_DISPUTES:
        dispute.closed_at = None
    elif before in OPEN_DISPUTES:
        dispute.closed_at = clock.now()
    dispute.save(update_fields=["status", "gateway_status", "evidence_due_at", "closed_at"])
    if status in ENDED_WORDS and status is not before:
        says = f"{ENDED_WORDS[status]} ({dispute.gateway_status})."
        _tell(order, dispute, EventType.DISPUTE_CLOSED, says, actor=actor)
        tasks.close_if_open(TaskKind.DISPUTE, order, resolution=says, actor=actor)
        if status is DisputeStatus.LOST:
            _ask_a_lead(order, dispute, actor=actor)
        return
    says = f"The gateway has the dispute as {dispute.gateway_status.replace('_', ' ')}."
    _tell(order, dispute, EventType.DISPUTE_CHANGED, says, actor=actor)
    if status is DisputeStatus.OPEN and before is not DisputeStatus.OPEN:
        tasks.close_if_open(TaskKind.DISPUTE, order, resolution=says, actor=actor)
        _ask_a_lead(order, dispute, actor=actor)


def _book_funds(order: Order, dispute: Dispute, one: GatewayDispute) -> bool:
    """Write the ledger rows that are missing; answers whether none is left for later."""
    taken, is_lost = one.withdrawn_minor, dispute.status == DisputeStatus.LOST
    loss = taken if is_lost and order.is_terminal else 0
    books = _balances(dispute)
    # A dispute that is won late, or reopened, goes back the way it came.
    for credit, debit, booked, wanted in (
        (LedgerAccount.GATEWAY, LedgerAccount.DISPUTED, -books[LedgerAccount.GATEWAY], taken),
        (LedgerAccount.DISPUTED, given := refund_outcomes.given_from(order), books[given], loss),
    ):
        if booked == wanted:
            continue
        source, target = (credit, debit) if wanted > booked else (debit, credit)
        LedgerTransfer.objects.create(
            key=f"{_prefix(dispute)}{_transfers(dispute).count() + 1}",
            order=order,
            debit_account=target,
            credit_account=source,
            amount_minor=abs(wanted - booked),
            currency=dispute.currency,
        )
    if dispute.withdrawn_minor != taken:
        dispute.withdrawn_minor = taken
        dispute.save(update_fields=["withdrawn_minor"])
    return loss == taken or not is_lost


def _keep_out(order: Order, payment: Payment, *, actor: Actor) -> None:
    """What the bank has is not refunded besides, and what it keeps is not owed any more."""
    payment.refresh_from_db()
    payment.disputed_minor = min(_withdrawn(order), payment.captured_minor)
    payment.save(update_fields=["disputed_minor", "updated_at"])
    if not order.is_terminal:
        return
    lost = _withdrawn(order, status=DisputeStatus.LOST)
    too_much = payment.refunded_minor + payment.refunding_minor + lost - payment.captured_minor
    if lost and too_much > 0:
        _owe_less(order, too_much, actor=actor)


def _owe_less(order: Order, too_much: int, *, actor: Actor) -> None:
    changed = False
    for refund in owing.owed(order):
        part = min(refund.amount_minor, too_much)
        if not part:
            break
        says = f"{money(part, refund.currency)} are owed no more: the customer's bank took the money back."
        if part == refund.amount_minor:
            refund_outcomes.end(refund, RefundStatus.DROPPED, note=says)
            # Its process waits for what staff do about it.
            refund_outcomes.publish(refund)
        else:
            owing.reduce(refund, part)
        data = {"refund": str(refund.pk), "amount_minor": part}
        history.record(order, EventType.REFUND_DROPPED, actor=actor, reason=says, data=data)
        too_much, changed = too_much - part, True
    if changed:
        owing.owed_changed(order, resolution="The customer's bank took the money back.", actor=actor)


def _withdrawn(order: Order, **which: str) -> int:
    return order.disputes.filter(**which).aggregate(n=Sum("withdrawn_minor"))["n"] or 0


def _ask_a_lead(order: Order, dispute: Dispute, *, actor: Actor) -> None:
    tasks.open_task(TaskKind.DISPUTE, order, level=TaskLevel.LEAD, says=_task_words(order, dispute), actor=actor)


def _task_words(order: Order, dispute: Dispute) -> str:
    amount, reason = money(dispute.amount_minor, dispute.currency), dispute.reason.replace("_", " ")
    at = f"Dispute {dispute.gateway_reference} at the gateway"
    if dispute.status == DisputeStatus.LOST:
        return f"{amount} of {order.number} are lost: the bank decided for the customer ({reason}). {at}."
    asks = "asks about" if dispute.status == DisputeStatus.INQUIRY else "has taken back"
    due = dispute.evidence_due_at
    until = f"Evidence is taken until {due:%Y-%m-%d %H:%M} UTC. " if due else ""
    return (
        f"The customer's bank {asks} {amount} of {order.number} ({reason}). {until}{at}. Send the evidence there, or "
        "accept the dispute, and resolve this with a note."
    )


def _opened_words(dispute: Dispute) -> str:
    amount = money(dispute.amount_minor, dispute.currency)
    what = "asks about" if dispute.status == DisputeStatus.INQUIRY else "disputes"
    return f"The customer's bank {what} {amount}: {dispute.reason.replace('_', ' ')}."


def _tell(order: Order, dispute: Dispute, event: EventType, says: str, *, actor: Actor) -> None:
    data = {
        "dispute": str(dispute.pk),
        "amount_minor": dispute.amount_minor,
        "gateway_reference": dispute.gateway_reference,
        "gateway_status": dispute.gateway_status,
    }
    history.record(order, event, actor=actor, reason=says, data=data)


def _balances(dispute: Dispute) -> Counter[str]:
    """Account -> what the rows of this dispute leave in it; debits are positive."""
    found: Counter[str] = Counter()
    for row in _transfers(dispute):
        found[row.debit_account] += row.amount_minor
        found[row.credit_account] -= row.amount_minor
    return found


def _transfers(dispute: Dispute) -> QuerySet[LedgerTransfer]:
    return LedgerTransfer.objects.filter(order_id=dispute.order_id, key__startswith=_prefix(dispute))


def _prefix(dispute: Dispute) -> str:
    return f"{dispute.order_id}:dispute:{dispute.pk}:"
