"""Undoing a charge: cancel what has not moved money, give back what has; nothing if there is nothing.

An undo ends only when the payment can take no money any more: it is cancelled, or it succeeded and its refund is made.
A debit that the bank has begun can be neither cancelled nor refunded; the undo waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from orders import failpoints, fence, history
from orders.actor import Actor
from orders.errors import PartnerFailed, PartnerUnavailable, PaymentUnsettled, RequestRefused
from orders.models import LedgerTransfer, Order, Payment
from orders.partners import breaker
from orders.partners import payments as gateway
from orders.partners.payments import (
    CANCELLABLE,
    ENDED,
    NOT_GIVEN_BACK,
    GatewayRefund,
    Intent,
    PaymentState,
    RefundState,
)
from orders.services import captures, outcomes, parking, payment_waits, predecessors, refunding, tasks
from orders.services.process import note_retry
from orders.vocabulary import EventType, LedgerAccount, PartnerCode, PaymentStatus, StepName, TaskKind

#: the gateway is asked again at least this often whether the bank has decided
LONGEST_WAIT = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class Undone:
    """One intent as the gateway has it after the undo."""

    intent: Intent
    #: the refund, where money goes back
    refund: GatewayRefund | None = None
    #: why the gateway gives nothing back, where it should have
    refusal: str = ""


def undo_charge(order_id: str, *, actor: Actor) -> None:
    """Undo of `charge`. Raises `PartnerUnavailable`, `RequestRefused` or `PaymentUnsettled` (retry), `StepMissing`.

    Money that the gateway refuses to give back for good is owed from then on (`orders.services.refunding`): an order
    that asked for ever would never say so.
    """
    held = fence.claim(order_id, StepName.REFUND)
    if held.is_done:
        return
    with fence.progress(held):
        # Before the order: a charge that is being committed holds its step and waits for the order.
        fence.void(order_id, StepName.CHARGE)
        predecessors.require_due(history.lock_order(order_id), held.name)
    try:
        with breaker.attempt(PartnerCode.PAYMENTS, subject=order_id):
            moved = _undo_at_gateway(held)
        unsettled = next((one.intent for one in moved if one.intent.state not in ENDED), None)
        if unsettled is not None:
            raise _wait(held, unsettled, actor=actor)
    except PaymentUnsettled as error:
        note_retry(held, error, actor=actor)
        raise
    except PartnerFailed as error:
        note_retry(held, error, actor=actor)
        outcomes.ask_a_person_when_late(held, error, actor=actor)
        # Every attempt looks up what was given back before it asks for it again.
        fence.raise_generation(held)
        raise
    except PartnerUnavailable as error:
        note_retry(held, error, actor=actor)
        outcomes.ask_a_person_when_late(held, error, actor=actor)
        raise
    except RequestRefused as error:
        parking.park(held, error, actor=actor)
        raise
    failpoints.reach(held.key, held.token, "effect")
    _settle(held, moved, actor=actor)


def _undo_at_gateway(held: fence.Claim) -> list[Undone]:
    """Cancel or refund every intent of the order."""
    payment = Payment.objects.filter(order_id=held.order_id).first()
    if payment is None:
        # The first act of `charge` is this row, under the fence that is void now: the gateway never heard of the order.
        return []
    if payment.gateway_reference:
        found = [gateway.retrieve(payment.gateway_reference)]
    else:
        found = gateway.find_for_order(held.order_id, since=payment.created_at)
    moved = []
    for intent in found:
        if intent.state in CANCELLABLE:
            intent = gateway.cancel(intent.id, key=held.call_key("cancel", intent.id))
        taken = intent.state is PaymentState.SUCCEEDED and intent.taken_minor
        moved.append(_give_back(held, intent) if taken else Undone(intent=intent))
    return moved


def _give_back(held: fence.Claim, intent: Intent) -> Undone:
    if held.key_generation > 1:
        # Our name of the call is another one than before, so it does not protect from giving back twice.
        found = gateway.find_whole_refund(intent)
        if found is not None:
            return Undone(intent=intent, refund=found)
    # The last look before money moves.
    fence.check(held)
    try:
        refund = gateway.refund(
            intent.id, amount_minor=intent.taken_minor, key=held.call_key(intent.id), order=held.order_id
        )
    except gateway.RefundRefused as refusal:
        # A gateway that has forgotten our key refuses what it has done already; only then nothing came back.
        known = gateway.find_whole_refund(intent)
        return Undone(intent=intent, refund=known, refusal="" if known else str(refusal))
    return Undone(intent=intent, refund=refund)


def _wait(held: fence.Claim, intent: Intent, *, actor: Actor) -> PaymentUnsettled:
    """Note that the bank has the payment, and say for how long to wait."""
    with fence.progress(held):
        order = history.lock_order(held.order_id)
        payment = Payment.objects.select_for_update().get(order=order)
        payment.gateway_reference = intent.id
        seconds = payment_waits.begin(order, payment, intent, actor=actor)
    error = PaymentUnsettled(
        f"The gateway has the payment as {intent.status}: it can be neither cancelled nor refunded until that ends."
    )
    error.retry_after = min(timedelta(seconds=seconds), LONGEST_WAIT)
    return error


def _settle(held: fence.Claim, moved: list[Undone], *, actor: Actor) -> None:
    with fence.commit(held, {}):
        order = history.lock_order(held.order_id)
        payment = Payment.objects.filter(order=order).first()
        if payment is None:
            return
        refunded = owed = sent = 0
        for undone in moved:
            refund, amount = undone.refund, undone.intent.taken_minor
            if not amount:
                continue
            if not payment.captured_minor:
                # The charge went through but its answer was lost: book both ways, as the gateway's books have both.
                captures.book(order, payment, undone.intent)
            if refund is None or refund.state in NOT_GIVEN_BACK:
                says = undone.refusal or f"The gateway has the refund as {refund.status if refund else 'not made'}."
                owed += refunding.owe_undo(order, payment, amount, says, actor=actor).amount_minor
            elif refund.state is RefundState.SUCCEEDED:
                refunded += _book_refund(order, payment, amount, refund.id)
            else:
                sent += refunding.follow_undo(order, payment, amount, refund, actor=actor).amount_minor
        if payment.captured_minor == 0 and payment.status != PaymentStatus.DECLINED:
            payment.status = PaymentStatus.VOIDED
        payment.save(update_fields=["status", *payment_waits.end(payment), "updated_at"])
        history.record(
            order,
            EventType.PAYMENT_UNDONE,
            actor=actor,
            reason=_words(refunded, owed, sent),
            step=held.name,
            data={
                "refunded_minor": refunded,
                "payment": payment.status,
                **({"owed_minor": owed} if owed else {}),
                **({"sent_minor": sent} if sent else {}),
            },
        )
        tasks.close_if_open(TaskKind.PAYMENT_STATE, order, resolution="The payment was undone.", actor=actor)
        outcomes.heard(order, actor=actor)
        parking.mended(held, order, actor=actor)


def _words(refunded: int, owed: int, sent: int) -> str:
    if owed:
        return "The gateway refuses to give the payment back; it is owed to the customer"
    if sent:
        return "The gateway gives the payment back; it is on its way"
    return "The payment was refunded" if refunded else "No money had moved; the payment was cancelled"


def _book_refund(order: Order, payment: Payment, amount_minor: int, refund: str) -> int:
    payment.status, payment.refunded_minor = PaymentStatus.REFUNDED, amount_minor
    payment.refund_reference = refund
    payment.save(update_fields=["status", "refunded_minor", "refund_reference", "updated_at"])
    LedgerTransfer.objects.create(
        key=f"{order.id}:refund",
        order=order,
        debit_account=LedgerAccount.CUSTOMER,
        credit_account=LedgerAccount.GATEWAY,
        amount_minor=amount_minor,
        currency=order.currency,
    )
    return amount_minor
