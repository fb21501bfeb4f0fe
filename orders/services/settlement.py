"""Bringing our rows of one payment to what the gateway proves: its refunds and disputes, whoever made them.

Whatever told of it, an event, a poll, a person or a refusal, ends here. The gateway is read while no transaction is
open; then each difference is booked once under the order's lock. So events may come doubled, late, in any order, or
not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from orders import history, outbox
from orders.actor import Actor
from orders.errors import DomainError
from orders.models import Order, Payment, Refund
from orders.partners import breaker, disputes, gateway_books
from orders.partners import payments as gateway
from orders.partners.disputes import GatewayDispute
from orders.partners.payments import NOT_GIVEN_BACK, GatewayRefund, Intent, RefundState
from orders.services import captures, disputing, outside_refunds, refund_outcomes
from orders.vocabulary import OrderStatus, PartnerCode, RefundStatus, Topic

#: what the order's process is told of; it looks itself
GATEWAY_EVENT = "gateway_event"


@dataclass(frozen=True, kw_only=True)
class Books:
    """What the gateway has of one payment."""

    intent: Intent
    #: the oldest first
    refunds: tuple[GatewayRefund, ...] = ()
    disputes: tuple[GatewayDispute, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Settled:
    """How far our rows are; when something is left, it must be looked at again."""

    is_whole: bool
    says: str


def settle_payment(reference: str, *, actor: Actor, told_by: str = "") -> Settled:
    """Book every difference between the gateway and us in the payment of that id. Any number of calls book once.

    `told_by` is the id of the event that told of it. Of an order whose process still moves its money nothing is booked
    but disputes: the process is woken, and looks itself. Raises `PartnerUnavailable` (retry).
    """
    payment = Payment.objects.filter(gateway_reference=reference).select_related("order").first()
    if payment is None:
        return _of_no_payment(reference, told_by)
    with breaker.attempt(PartnerCode.PAYMENTS, subject=str(payment.order_id)):
        books = read(reference)
    with transaction.atomic():
        order = history.lock_order(payment.order_id)
        if not order.is_terminal and told_by:
            wake(order.pk, told_by)
        before = order.event_count
        is_whole = book(order, books, actor=actor)
        changed = order.event_count - before
    if not is_whole:
        return Settled(is_whole=False, says="Something is under way; it is looked at again.")
    return Settled(is_whole=True, says=f"{changed} changes booked." if changed else "Nothing had to be booked.")


def read(reference: str) -> Books:
    """What the gateway has of the payment. Raises `PartnerUnavailable`."""
    intent = gateway.retrieve(reference)
    return Books(
        intent=intent,
        refunds=tuple(reversed(gateway.refunds_of(reference))),
        disputes=tuple(disputes.disputes_of(reference)),
    )


def read_if_answered(reference: str) -> Books | None:
    """The same; None when the gateway does not answer, for whoever has an answer of their own to book."""
    try:
        return read(reference)
    except DomainError:
        return None


def book(order: Order, books: Books, *, actor: Actor) -> bool:
    """Book the differences; answers whether none is left for later. The caller holds the order's lock."""
    payment = refund_outcomes.locked_payment(order)
    if payment.gateway_status != books.intent.status[:40]:
        payment.gateway_status = books.intent.status[:40]
        payment.save(update_fields=["gateway_status", "updated_at"])
    if order.status in {OrderStatus.CANCELLED, OrderStatus.FAILED} and not payment.captured_minor:
        _book_late_capture(order, payment, books.intent, actor=actor)
    if not payment.captured_minor:
        # Our process has not heard of the money yet; what became of it since comes after that.
        return not books.refunds and not books.disputes
    is_whole = True
    if order.is_terminal:
        for found in books.refunds:
            is_whole &= _follow(order, found, actor=actor)
    elif books.refunds:
        # Also when each has failed: the one of an undo may have been booked as made, before the order has ended.
        is_whole = False
    return disputing.book(order, payment, books.disputes, actor=actor) and is_whole


def wake(order_id: UUID, told_by: str) -> None:
    """Tell the order's process to look at its payment. In the transaction of the caller."""
    body = {"command_id": told_by, "order_id": str(order_id), "kind": GATEWAY_EVENT}
    outbox.publish(Topic.TELL_ORDER, aggregate=f"order:{order_id}", body=body)


def _of_no_payment(reference: str, told_by: str) -> Settled:
    """A payment whose id we have not stored: its order is being charged at this moment, or it is none of ours."""
    with breaker.attempt(PartnerCode.PAYMENTS, subject=reference):
        found = gateway_books.find_booked(reference)
    order = Order.objects.filter(pk=found.order).first() if found and _is_uuid(found.order) else None
    if order is None:
        return Settled(is_whole=True, says="No order of ours has this payment.")
    if not order.is_terminal and told_by:
        with transaction.atomic():
            wake(order.pk, told_by)
    return Settled(is_whole=True, says=f"Order {order.number} has another payment by now, or none yet.")


def _follow(order: Order, found: GatewayRefund, *, actor: Actor) -> bool:
    """Bring our rows to one refund of the gateway's; answers whether it is booked."""
    rows = list(order.refunds.select_for_update(of=("self",)).order_by("created_at", "id"))
    standing = {RefundStatus.DONE, RefundStatus.PENDING}
    known = [row for row in rows if row.gateway_reference == found.id and row.status in standing]
    payment = refund_outcomes.locked_payment(order)
    if found.state in NOT_GIVEN_BACK:
        for row in known:
            _fail(order, row, found, actor=actor)
        if payment.refund_reference == found.id:
            refund_outcomes.undo_came_back(order, payment, found, actor=actor)
        outside_refunds.came_back(order, found, actor=actor)
        return True
    if known:
        for row in known:
            if row.status == RefundStatus.PENDING and found.state is RefundState.SUCCEEDED:
                _succeed(order, row, found, actor=actor)
        return True
    if payment.refund_reference == found.id or outside_refunds.is_booked(order, found):
        return True
    ours = (row for row in rows if str(row.pk) == found.name or row.gateway_reference == found.id)
    named = next(ours, None)
    if named is not None and named.status in {RefundStatus.REQUESTED, RefundStatus.SENT, RefundStatus.REFUSED}:
        if found.state is RefundState.SUCCEEDED:
            _succeed(order, named, found, actor=actor)
        elif found.state is not RefundState.UNKNOWN:
            named.token += 1
            refund_outcomes.is_on_its_way(order, named, found, actor=actor)
            refund_outcomes.publish(named)
        return True
    return outside_refunds.book(order, found, twice=named, actor=actor)


def _succeed(order: Order, row: Refund, found: GatewayRefund, *, actor: Actor) -> None:
    # An attempt that is under way cannot commit besides.
    row.token += 1
    refund_outcomes.gave_back(order, row, found, actor=actor, reason="The gateway says that the money has arrived")
    refund_outcomes.publish(row)


def _fail(order: Order, row: Refund, found: GatewayRefund, *, actor: Actor) -> None:
    row.token += 1
    if row.status == RefundStatus.DONE:
        refund_outcomes.came_back(order, row, found, actor=actor)
    elif row.outside:
        refund_outcomes.end(row, RefundStatus.DROPPED, note=refund_outcomes.failure_words(found))
    else:
        refund_outcomes.refuse(order, row, refund_outcomes.failure_words(found), actor=actor, found=found)
        refund_outcomes.publish(row)


def _book_late_capture(order: Order, payment: Payment, intent: Intent, *, actor: Actor) -> None:
    """The gateway took the money of an order that had ended: it is ours to give back."""
    if not intent.taken_minor:
        return
    captures.book(order, payment, intent)
    says = f"The gateway took the payment after the order had ended ({intent.id})."
    refund_outcomes.owe_undo(order, payment, payment.captured_minor, says, actor=actor)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
