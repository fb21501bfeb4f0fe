"""What happens to a payment once it is confirmed: the card's answer, the customer's, and the bank's days later.

A declined attempt leaves the intent where another card can pay it and forgets the card, as Stripe does; an intent that
remembered it would let a second confirm without a card charge a customer who was told that the payment failed.
"""

from simulator import charges, methods
from simulator.charges import Charge
from simulator.context import Context
from simulator.intents import Intent
from simulator.methods import AUTHENTICATION_REQUIRED, GENERIC, SEEDED, Method, Refusal
from simulator.stripe_forms import dump
from simulator.wire import Response, answer, draw

#: docs.stripe.com/payments/place-a-hold-on-a-payment-method: most holds end after seven days
AUTHORIZATION_SECONDS = 7 * 86_400
AUTHENTICATION_FAILURE = Refusal(
    code="payment_intent_authentication_failure",
    decline_code=None,
    message="The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new"
    " PaymentMethod to attempt to fulfill this PaymentIntent again.",
)


def attempt(ctx: Context, intent: Intent, *, call: str, off_session: bool, no_action: bool) -> Response:
    """Try to take the money of an intent that has a payment method; `call` is create or confirm.

    Answers 200 with the intent, or 402 with the reason for which it has to find another way to pay. `off_session` says
    that the customer is away, `no_action` that the caller cannot show them anything: both turn a bank's question into
    a decline.
    """
    # What the customer would have answered to an earlier attempt is not waited for any more.
    ctx.unschedule(intent.id)
    method = methods.find(intent.payment_method or "") or Method()
    asks = not intent.authenticated and (
        method.authenticates == "always" or (method.authenticates == "on_session" and not off_session)
    )
    refusal = None if asks else _refusal(ctx, intent, method)
    if refusal is None and ctx.faults.declines(ctx.tx, "payments", f"payment_intents.{call}", intent.facts(ctx.key)):
        refusal = GENERIC
    if refusal is None and asks:
        if not (off_session or no_action):
            return answer(200, _ask_customer(ctx, intent).as_json(ctx.base_url))
        refusal = AUTHENTICATION_REQUIRED
    token = _token(intent)
    intent = conclude(ctx, intent, method, refusal, cause="confirm")
    if refusal is not None:
        error = charges.failure_of(refusal, intent.latest_charge, method=token, kind=method.type)
        return answer(402, {"error": error | {"payment_intent": intent.as_json(ctx.base_url)}})
    return answer(200, intent.as_json(ctx.base_url))


def conclude(ctx: Context, intent: Intent, method: Method, refusal: Refusal | None, *, cause: str) -> Intent:
    """Bring an attempt to its end, or a debit on its way; returns the intent as it then is."""
    if refusal is not None:
        return _decline(ctx, intent, charges.begin(ctx, intent, "failed", refusal=refusal), refusal, cause)
    if method.is_debit:
        charge = charges.begin(ctx, intent, "pending")
        intent = intent.change(
            ctx, cause=cause, status="processing", latest_charge=charge.id, last_payment_error=None, authenticated=0
        )
        charge.publish(ctx, "charge.pending")
        intent.publish(ctx, "payment_intent.processing")
        intent.note(ctx, "payment_intents.process")
        if method.debit != "never":
            delayed = method.debit == "delayed"
            seconds = ctx.behaviour.debit_delayed_seconds if delayed else ctx.behaviour.debit_seconds
            ctx.schedule("debit_settles", seconds, intent.id)
        return intent
    if intent.capture_method == "manual":
        charge = charges.begin(ctx, intent, "succeeded")
        intent = intent.change(
            ctx,
            cause=cause,
            status="requires_capture",
            amount_capturable=intent.amount,
            latest_charge=charge.id,
            last_payment_error=None,
            authenticated=0,
        )
        charge.publish(ctx, "charge.succeeded")
        intent.publish(ctx, "payment_intent.amount_capturable_updated")
        intent.note(ctx, "payment_intents.authorize")
        ctx.schedule("authorization_expires", AUTHORIZATION_SECONDS, intent.id)
        return intent
    return _succeed(ctx, intent, charges.begin(ctx, intent, "succeeded", captured=intent.amount), method, cause)


def settle_debit(ctx: Context, intent: Intent) -> None:
    """Have the bank answer a debit: the money is there, or the account had none."""
    charge = charges.of_intent(ctx.tx, intent)
    assert charge is not None, "a processing intent has a charge"
    method = methods.find(charge.payment_method) or Method()
    if method.refusal is None:
        charge = charge.change(
            ctx,
            cause="bank",
            status="succeeded",
            amount_captured=intent.amount,
            balance_transaction=ctx.balance_transaction(),
        )
        _succeed(ctx, intent, charge, method, "bank")
        return
    charge = charge.change(
        ctx,
        cause="bank",
        status="failed",
        failure_code=method.refusal.code,
        failure_message=method.refusal.message,
    )
    _decline(ctx, intent, charge, method.refusal, "bank")


def hear_customer(ctx: Context, intent: Intent, *, confirmed: bool) -> Intent:
    """Take the customer's answer to the bank's question; the intent must be in requires_action."""
    ctx.unschedule(intent.id)
    method = methods.find(intent.payment_method or "") or Method()
    if not confirmed:
        error = charges.failure_of(AUTHENTICATION_FAILURE, None, method=_token(intent), kind=method.type)
        intent = intent.change(
            ctx,
            cause="customer",
            status="requires_payment_method",
            payment_method=None,
            last_payment_error=dump(error | {"type": "invalid_request_error"}),
        )
        intent.publish(ctx, "payment_intent.payment_failed")
        intent.note(ctx, "payment_intents.decline")
        return intent
    if intent.confirmation_method == "manual":
        return intent.change(ctx, cause="customer", status="requires_confirmation", authenticated=1)
    return conclude(ctx, intent, method, _refusal(ctx, intent, method), cause="customer")


def expire_authorization(ctx: Context, intent: Intent) -> None:
    """End a hold that nobody captured."""
    intent = intent.change(
        ctx,
        cause="authorization expired",
        status="canceled",
        amount_capturable=0,
        cancellation_reason="automatic",
        canceled_at=ctx.wall,
    )
    charge = charges.of_intent(ctx.tx, intent)
    if charge is not None:
        charge.publish(ctx, "charge.expired")
    intent.publish(ctx, "payment_intent.canceled")
    intent.note(ctx, "payment_intents.expire")


def schedule_dispute(ctx: Context, charge: Charge, method: Method) -> None:
    """Have the cardholder dispute a charge that was taken, if that is what the method is for."""
    if method.dispute is not None:
        ctx.schedule("dispute_opens", ctx.behaviour.dispute_seconds, charge.id)


def _succeed(ctx: Context, intent: Intent, charge: Charge, method: Method, cause: str) -> Intent:
    intent = intent.change(
        ctx,
        cause=cause,
        status="succeeded",
        amount_received=intent.amount,
        latest_charge=charge.id,
        last_payment_error=None,
        authenticated=0,
    )
    charge.publish(ctx, "charge.succeeded")
    intent.publish(ctx, "payment_intent.succeeded")
    intent.note(ctx, "payment_intents.charge", charged_minor=intent.amount_received)
    schedule_dispute(ctx, charge, method)
    return intent


def _decline(ctx: Context, intent: Intent, charge: Charge, refusal: Refusal, cause: str) -> Intent:
    kind = (methods.find(charge.payment_method) or Method()).type
    error = charges.failure_of(refusal, charge.id, method=charge.payment_method, kind=kind)
    intent = intent.change(
        ctx,
        cause=cause,
        status="requires_payment_method",
        payment_method=None,
        latest_charge=charge.id,
        last_payment_error=dump(error),
        authenticated=0,
    )
    charge.publish(ctx, "charge.failed")
    intent.publish(ctx, "payment_intent.payment_failed")
    intent.note(ctx, "payment_intents.decline")
    return intent


def _ask_customer(ctx: Context, intent: Intent) -> Intent:
    intent = intent.change(ctx, cause="confirm", status="requires_action", last_payment_error=None)
    intent.publish(ctx, "payment_intent.requires_action")
    intent.note(ctx, "payment_intents.ask")
    customer = ctx.behaviour.customer
    if customer.confirms_after_seconds is not None:
        mood = draw(ctx.seed, "customer", intent.order_ref or intent.id)
        if mood >= customer.share_never:
            fails = mood < customer.share_never + customer.share_fails
            kind = "customer_refuses" if fails else "customer_confirms"
            ctx.schedule(kind, customer.confirms_after_seconds, intent.id)
    return intent


def _refusal(ctx: Context, intent: Intent, method: Method) -> Refusal | None:
    seeded = SEEDED.fullmatch(intent.payment_method or "")
    if seeded:
        return GENERIC if draw(ctx.seed, "decline", intent.order_ref) * 100 < int(seeded[1]) else None
    return None if method.is_debit else method.refusal


def _token(intent: Intent) -> str:
    return intent.payment_method or ""
