"""Charging an order.

Prepare, call, settle: no transaction is open while the gateway is asked. What an earlier attempt may have done is asked
of the gateway before anything is done again, so a lost answer never becomes a second charge. Only one answer is money:
the gateway says that the payment succeeded, and took exactly what was asked for. Every other state waits, for the
customer, the bank or a person, or is a final no.
"""

from dataclasses import dataclass

from orders import failpoints, fence, history
from orders.actor import Actor
from orders.errors import PartnerFailed, PartnerUnavailable, RequestRefused, StaleAttempt
from orders.models import Payment
from orders.partners import breaker
from orders.partners import payments as gateway
from orders.partners.payments import CANCELLABLE, Declined, Intent, PaymentState
from orders.services import captures, parking, payment_methods, payment_waits, predecessors, tasks
from orders.services.commands import require_free_way
from orders.services.payment_undo import undo_charge as undo_charge
from orders.services.process import note_retry
from orders.services.reviewing import require_verdict
from orders.vocabulary import (
    EventType,
    OrderStatus,
    PartnerCode,
    PaymentStatus,
    PaymentWait,
    StepName,
    TaskKind,
)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where the payment of an order stands."""

    taken: bool
    #: seconds until the gateway must be asked again without any event; 0 when taken
    wait_seconds: float = 0.0


TAKEN = Standing(taken=True)


def charge(order_id: str, *, actor: Actor) -> Standing:
    """Take the order's total from its payment method, or say for how long to wait.

    Raises `OnHold` (waits for a person), `CancelAsked`, `ReviewRejected` or `PaymentDeclined` (final),
    `PartnerUnavailable` (retry), `RequestRefused` (parked), `StepMissing` (not due), `StepVoided` or `StaleAttempt`
    (not ours any more).
    """
    held = fence.claim(order_id, StepName.CHARGE)
    if held.is_done:
        return TAKEN
    require_free_way(order_id)
    require_verdict(order_id)
    payment = _prepare(held)
    try:
        with breaker.attempt(PartnerCode.PAYMENTS, subject=order_id):
            intent, asked = _bring_on(held, payment, actor=actor)
        if intent.state is PaymentState.CANCELED:
            raise Declined("canceled", "The payment was cancelled at the gateway.")
        if intent.state is PaymentState.REQUIRES_PAYMENT_METHOD:
            code = intent.error_code or "declined"
            raise Declined(code, intent.error_message or "The payment was declined.")
    except Declined as refusal:
        _note_decline(held, payment, refusal)
        raise
    except gateway.UnexpectedState as race:
        raise PartnerUnavailable("The payment changed at the gateway while it was confirmed.") from race
    except PartnerFailed as error:
        note_retry(held, error, actor=actor)
        # Every attempt looks the payment up before it calls again, and the gateway confirms an intent only once.
        fence.raise_generation(held)
        raise
    except PartnerUnavailable as error:
        note_retry(held, error, actor=actor)
        raise
    except RequestRefused as error:
        parking.park(held, error, actor=actor)
        raise
    failpoints.reach(held.key, held.token, "effect")
    if not intent.is_paid:
        return _wait(held, payment, intent, actor=actor)
    _settle_capture(held, payment, intent, looked_up=not asked, actor=actor)
    return TAKEN


def _prepare(held: fence.Claim) -> Payment:
    """The payment row; it exists before the gateway hears of the order."""
    with fence.progress(held):
        # Under the lock that a change of the payment method takes too: the row says what the intent is made with.
        order = history.lock_order(held.order_id)
        predecessors.require_due(order, held.name)
        method = {"payment_method": order.payment_method}
        payment, _ = Payment.objects.get_or_create(
            order=order, defaults={"amount_minor": order.total_minor, "currency": order.currency, **method}
        )
        payment.order = order
    return payment


def _bring_on(held: fence.Claim, payment: Payment, *, actor: Actor) -> tuple[Intent, bool]:
    """The order's payment as the gateway has it now, and whether this attempt asked for the money."""
    intent = _open_intent(held, _with_wanted_method(held, payment, actor=actor))
    if intent.state is PaymentState.REQUIRES_CONFIRMATION:
        # The last look before money moves: an undo that came first has voided the step.
        fence.check(held)
        failpoints.reach(held.key, held.token, "call")
        return gateway.confirm(intent.id, key=_key(held, payment, "confirm")), True
    if intent.state is PaymentState.REQUIRES_ACTION and payment.waits_for and payment_waits.is_over(payment):
        fence.check(held)
        intent = gateway.cancel(intent.id, key=held.call_key("cancel", intent.id))
        if intent.state is PaymentState.CANCELED:
            raise Declined("authentication_expired", "The customer did not confirm the payment at the bank in time.")
    return intent, False


def _with_wanted_method(held: fence.Claim, payment: Payment, *, actor: Actor) -> Payment:
    """The payment, made anew when the order names another method than its intent; unless the old one took the money.

    An intent that we have no id of was never confirmed, and never will be: it is cancelled like one that we know.
    """
    if payment.order.payment_method == payment.payment_method:
        return payment
    for intent in _made(payment):
        if intent.state in CANCELLABLE:
            intent = gateway.cancel(intent.id, key=held.call_key("cancel", intent.id))
        if intent.state is PaymentState.CANCELED:
            continue
        # It took the money, or may still take it: the change came too late, or must wait for the bank.
        return payment
    failpoints.reach(held.key, held.token, "effect")
    with fence.progress(held):
        order = history.lock_order(held.order_id)
        payment_methods.obey(order, payment, actor=actor)
        payment.order = order
    return payment


def _made(payment: Payment) -> list[Intent]:
    """The intents of the order's payment at the gateway, whether or not we know their ids."""
    if payment.gateway_reference:
        return [gateway.retrieve(payment.gateway_reference)]
    return gateway.find_for_order(str(payment.order_id), since=payment.created_at)


def _key(held: fence.Claim, payment: Payment, what: str) -> str:
    """Our name for a call, other ones for each payment method: the gateway answers a known key from its memory."""
    return held.call_key(what, payment.generation) if payment.generation > 1 else held.call_key(what)


def _open_intent(held: fence.Claim, payment: Payment) -> Intent:
    """The order's one intent at the gateway: looked up when an earlier attempt made it, else created and stored."""
    if payment.gateway_reference:
        return gateway.retrieve(payment.gateway_reference)
    # Under a new name the gateway would make a second one; its answer to the first may have been lost.
    made = [] if held.key_generation == 1 else [one for one in _made(payment) if one.state in CANCELLABLE]
    intent = made[0] if made else _create(held, payment)
    with fence.progress(held):
        payment.gateway_reference = intent.id
        payment.save(update_fields=["gateway_reference", "updated_at"])
    return intent


def _create(held: fence.Claim, payment: Payment) -> Intent:
    return gateway.create_intent(
        key=_key(held, payment, "intent"),
        order=held.order_id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        payment_method=payment.payment_method,
    )


def _note_decline(held: fence.Claim, payment: Payment, refusal: Declined) -> None:
    with fence.progress(held):
        if history.lock_order(held.order_id).payment_method != payment.payment_method:
            raise StaleAttempt("The payment was declined; the order has another payment method by now.") from refusal
        payment.status, payment.decline_code = PaymentStatus.DECLINED, refusal.code[:64]
        payment.save(update_fields=["status", "decline_code", *payment_waits.end(payment), "updated_at"])


def _wait(held: fence.Claim, payment: Payment, intent: Intent, *, actor: Actor) -> Standing:
    with fence.progress(held):
        order = history.lock_order(held.order_id)
        if order.payment_method != payment.payment_method and intent.state is PaymentState.PROCESSING:
            payment_methods.too_late(order, payment, actor=actor)
        seconds = payment_waits.begin(order, payment, intent, actor=actor)
        parking.mended(held, order, actor=actor)
    return Standing(taken=False, wait_seconds=seconds)


def _settle_capture(held: fence.Claim, payment: Payment, intent: Intent, *, looked_up: bool, actor: Actor) -> None:
    waited = payment.waits_for
    with fence.commit(held, {"gateway_reference": intent.id}):
        order = history.lock_order(held.order_id)
        captures.book(order, payment, intent)
        payment_methods.too_late(order, payment, actor=actor)
        before = order.status
        order.move_to(OrderStatus.SHIPPING)
        resolved = looked_up and not waited
        history.record(
            order,
            EventType.PAYMENT_CAPTURED,
            actor=actor,
            reason=_captured_words(waited, resolved=resolved),
            step=held.name,
            status_before=before,
            data={
                "amount_minor": intent.taken_minor,
                "gateway_reference": intent.id,
                "claim": held.token,
                **({"resolved_by_lookup": True} if resolved else {}),
            },
            save=("payment_method",),
        )
        tasks.close_if_open(TaskKind.PAYMENT_STATE, order, resolution="The gateway took the payment.", actor=actor)
        parking.mended(held, order, actor=actor)


def _captured_words(waited: str, *, resolved: bool) -> str:
    if waited == PaymentWait.CUSTOMER:
        return "The customer confirmed, and the gateway took the payment"
    if waited == PaymentWait.BANK:
        return "The bank paid, and the gateway took the payment"
    return "The gateway took the payment" + ("; an earlier attempt had lost its answer" if resolved else "")
