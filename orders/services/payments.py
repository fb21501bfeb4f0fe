"""Charging an order, and undoing the charge.

Prepare, call, settle: no transaction is open while the gateway is asked. What an earlier attempt may have done is asked
of the gateway before anything is done again, so a lost answer never becomes a second charge or a lost refund.
"""

from dataclasses import dataclass

from orders import failpoints, fence, history
from orders.actor import Actor
from orders.errors import PartnerUnavailable, StaleAttempt
from orders.models import LedgerTransfer, Order, Payment
from orders.partners import breaker
from orders.partners import payments as gateway
from orders.services import outcomes, payment_methods, refunding
from orders.services.commands import require_free_way
from orders.services.process import note_retry
from orders.services.reviewing import require_verdict
from orders.vocabulary import EventType, LedgerAccount, OrderStatus, PartnerCode, PaymentStatus, StepName

SUCCEEDED, CANCELLED = "succeeded", "canceled"


@dataclass(frozen=True, kw_only=True)
class Undone:
    """One intent as the gateway has it after the undo."""

    intent: gateway.Intent
    #: the refund's id, where money went back
    refund: str = ""
    #: why the gateway gives nothing back, where it should have
    refusal: str = ""


def charge(order_id: str, *, actor: Actor) -> None:
    """Take the order's total from its payment method.

    Raises `OnHold` (waits for a person), `CancelAsked`, `ReviewRejected` or `PaymentDeclined` (final),
    `PartnerUnavailable` (retry), `StepVoided` or `StaleAttempt` (not ours any more).
    """
    held = fence.claim(order_id, StepName.CHARGE)
    if held.is_done:
        return
    require_free_way(order_id)
    require_verdict(order_id)
    payment = _prepare(held)
    try:
        with breaker.attempt(PartnerCode.PAYMENTS):
            intent = _open_intent(held, _with_wanted_method(held, payment, actor=actor))
            if intent.status != SUCCEEDED:
                # The last look before money moves: an undo that came first has voided the step.
                fence.check(held)
                failpoints.reach(held.key, held.token, "call")
                intent = gateway.confirm(intent.id, key=_key(held, payment, "confirm"))
    except gateway.Declined as refusal:
        with fence.progress(held):
            if history.lock_order(order_id).payment_method != payment.payment_method:
                raise StaleAttempt(
                    "The payment was declined; the order has another payment method by now."
                ) from refusal
            payment.status, payment.decline_code = PaymentStatus.DECLINED, refusal.code[:64]
            payment.save(update_fields=["status", "decline_code", "updated_at"])
        raise
    except gateway.UnexpectedState as race:
        raise PartnerUnavailable("The payment changed at the gateway while it was confirmed.") from race
    except PartnerUnavailable as error:
        note_retry(held, error, actor=actor)
        raise
    failpoints.reach(held.key, held.token, "effect")
    _settle_capture(held, payment, intent, actor=actor)


def undo_charge(order_id: str, *, actor: Actor) -> None:
    """Undo of `charge`: cancel what has not moved money, refund what has; nothing if there is nothing.

    Money that the gateway refuses to give back for good is owed from then on (`orders.services.refunding`): an order
    that asked for ever would never say so.
    """
    held = fence.claim(order_id, StepName.REFUND)
    if held.is_done:
        return
    fence.void(order_id, StepName.CHARGE)
    try:
        with breaker.attempt(PartnerCode.PAYMENTS):
            moved = _undo_at_gateway(held)
    except PartnerUnavailable as error:
        note_retry(held, error, actor=actor)
        outcomes.ask_a_person_when_late(held, error, actor=actor)
        raise
    failpoints.reach(held.key, held.token, "effect")
    _settle_undo(held, moved, actor=actor)


def _prepare(held: fence.Claim) -> Payment:
    """The payment row; it exists before the gateway hears of the order."""
    with fence.progress(held):
        # Under the lock that a change of the payment method takes too: the row says what the intent is made with.
        order = history.lock_order(held.order_id)
        method = {"payment_method": order.payment_method}
        payment, _ = Payment.objects.get_or_create(
            order=order, defaults={"amount_minor": order.total_minor, "currency": order.currency, **method}
        )
        payment.order = order
    return payment


def _with_wanted_method(held: fence.Claim, payment: Payment, *, actor: Actor) -> Payment:
    """The payment, made anew when the order names another method than its intent; unless the old one took the money.

    An intent that we have no id of was never confirmed, and never will be: it is cancelled like one that we know.
    """
    if payment.order.payment_method == payment.payment_method:
        return payment
    known = payment.gateway_reference
    for intent in [gateway.retrieve(known)] if known else gateway.find_for_order(held.order_id):
        if intent.status in gateway.CANCELLABLE:
            intent = gateway.cancel(intent.id, key=f"{held.key}:cancel:{intent.id}")
        if intent.status == SUCCEEDED:
            return payment
        if intent.status != CANCELLED:
            raise PartnerUnavailable(f"The payment is {intent.status} at the gateway and cannot be cancelled now.")
    failpoints.reach(held.key, held.token, "effect")
    with fence.progress(held):
        order = history.lock_order(held.order_id)
        payment_methods.obey(order, payment, actor=actor)
        payment.order = order
    return payment


def _key(held: fence.Claim, payment: Payment, what: str) -> str:
    """Our name for a call, other ones for each payment method: the gateway answers a known key from its memory."""
    return f"{held.key}:{what}" + (f":{payment.generation}" if payment.generation > 1 else "")


def _open_intent(held: fence.Claim, payment: Payment) -> gateway.Intent:
    """The order's one intent at the gateway: looked up when an earlier attempt made it, else created and stored."""
    if payment.gateway_reference:
        return gateway.retrieve(payment.gateway_reference)
    intent = gateway.create_intent(
        key=_key(held, payment, "intent"),
        order=held.order_id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        payment_method=payment.payment_method,
    )
    with fence.progress(held):
        payment.gateway_reference = intent.id
        payment.save(update_fields=["gateway_reference", "updated_at"])
    return intent


def _settle_capture(held: fence.Claim, payment: Payment, intent: gateway.Intent, *, actor: Actor) -> None:
    with fence.commit(held, {"gateway_reference": intent.id}):
        order = history.lock_order(held.order_id)
        _book_capture(order, payment, intent.amount_minor)
        payment_methods.too_late(order, payment, actor=actor)
        order.move_to(OrderStatus.SHIPPING)
        lookup = {} if held.is_first else {"resolved_by_lookup": True}
        history.record(
            order,
            EventType.PAYMENT_CAPTURED,
            actor=actor,
            reason="The gateway took the payment"
            + ("" if held.is_first else "; an earlier attempt had lost its answer"),
            step=held.name,
            status_before=OrderStatus.CHARGING,
            data={"amount_minor": intent.amount_minor, "gateway_reference": intent.id, "claim": held.token, **lookup},
            save=("payment_method",),
        )


def _book_capture(order: Order, payment: Payment, amount_minor: int) -> None:
    payment.status, payment.captured_minor = PaymentStatus.CAPTURED, amount_minor
    payment.save(update_fields=["status", "captured_minor", "gateway_reference", "updated_at"])
    LedgerTransfer.objects.create(
        key=f"{order.id}:capture",
        order=order,
        debit_account=LedgerAccount.GATEWAY,
        credit_account=LedgerAccount.CUSTOMER,
        amount_minor=amount_minor,
        currency=order.currency,
    )


def _undo_at_gateway(held: fence.Claim) -> list[Undone]:
    """Cancel or refund every intent of the order."""
    payment = Payment.objects.filter(order_id=held.order_id).first()
    if payment is None:
        # The first act of `charge` is this row, under the fence that is void now: the gateway never heard of the order.
        return []
    if payment.gateway_reference:
        found = [gateway.retrieve(payment.gateway_reference)]
    else:
        found = gateway.find_for_order(held.order_id)
    moved = []
    for intent in found:
        if intent.status in gateway.CANCELLABLE:
            intent = gateway.cancel(intent.id, key=f"{held.key}:cancel:{intent.id}")
        moved.append(_give_back(held, intent) if intent.status == SUCCEEDED else Undone(intent=intent))
    return moved


def _give_back(held: fence.Claim, intent: gateway.Intent) -> Undone:
    try:
        refund = gateway.refund(
            intent.id, amount_minor=intent.amount_minor, key=f"{held.key}:{intent.id}", order=held.order_id
        )
    except gateway.RefundRefused as refusal:
        # A gateway that has forgotten our key refuses what it has done already; only then nothing came back.
        refund = gateway.find_whole_refund(intent)
        return Undone(intent=intent, refund=refund, refusal="" if refund else str(refusal))
    return Undone(intent=intent, refund=refund)


def _settle_undo(held: fence.Claim, moved: list[Undone], *, actor: Actor) -> None:
    with fence.commit(held, {}):
        order = history.lock_order(held.order_id)
        payment = Payment.objects.filter(order=order).first()
        if payment is None:
            return
        refunded = owed = 0
        for undone in moved:
            if undone.refund:
                refunded += _book_refund(order, payment, undone.intent, undone.refund)
            elif undone.refusal:
                owed += _owe(order, payment, undone, actor=actor)
        if not refunded and not owed and payment.status != PaymentStatus.DECLINED:
            payment.status = PaymentStatus.VOIDED
            payment.save(update_fields=["status", "updated_at"])
        history.record(
            order,
            EventType.PAYMENT_UNDONE,
            actor=actor,
            reason=_undone_words(refunded, owed),
            step=held.name,
            data={"refunded_minor": refunded, "payment": payment.status, **({"owed_minor": owed} if owed else {})},
        )
        outcomes.heard(order, actor=actor)


def _undone_words(refunded: int, owed: int) -> str:
    if owed:
        return "The gateway refuses to give the payment back; it is owed to the customer"
    return "The payment was refunded" if refunded else "No money had moved; the payment was cancelled"


def _owe(order: Order, payment: Payment, undone: Undone, *, actor: Actor) -> int:
    _book_late_capture(order, payment, undone.intent)
    return refunding.owe_undo(order, payment, undone.intent.amount_minor, undone.refusal, actor=actor).amount_minor


def _book_late_capture(order: Order, payment: Payment, intent: gateway.Intent) -> None:
    """The charge went through but its answer was lost: book both ways, as the gateway's books have both."""
    if payment.status != PaymentStatus.CAPTURED:
        payment.gateway_reference = intent.id
        _book_capture(order, payment, intent.amount_minor)


def _book_refund(order: Order, payment: Payment, intent: gateway.Intent, refund: str) -> int:
    _book_late_capture(order, payment, intent)
    payment.status, payment.refunded_minor = PaymentStatus.REFUNDED, intent.amount_minor
    payment.refund_reference = refund
    payment.save(update_fields=["status", "refunded_minor", "refund_reference", "updated_at"])
    LedgerTransfer.objects.create(
        key=f"{order.id}:refund",
        order=order,
        debit_account=LedgerAccount.CUSTOMER,
        credit_account=LedgerAccount.GATEWAY,
        amount_minor=intent.amount_minor,
        currency=order.currency,
    )
    return intent.amount_minor
