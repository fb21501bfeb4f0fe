"""The calls on payment intents, with Stripe's refusals.

The adapter under test is the official client: a gateway that were kinder than Stripe would let a double capture or a
late cancel pass here and fail with real money.
"""

import json
import secrets
import sqlite3
from typing import Any

from simulator import attempts, charges, machine, methods
from simulator.context import Context
from simulator.intents import Intent, load
from simulator.machine import CANCELABLE, CONFIRMABLE
from simulator.methods import DEBIT_CURRENCIES, Method
from simulator.stripe_forms import (
    Form,
    check_minimum,
    dump,
    error_answer,
    invalid,
    missing,
    missing_parameter,
)
from simulator.wire import Request, Response, answer, new_id, parse_form

CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
CONFIRMATION_METHODS = ("automatic", "manual")
CANCELLATION_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
METHOD_TYPES = ("card", *DEBIT_CURRENCIES)
#: what only shows up again on the object
EXTRAS = ("receipt_email", "statement_descriptor", "statement_descriptor_suffix")
#: only together with confirm=true when an intent is created. `expand` is nowhere, because an answer that does not
#: expand would be a lie.
OF_CONFIRMATION = frozenset(
    {"error_on_requires_action", "mandate_data[*]", "off_session", "return_url", "use_stripe_sdk"}
)
SHARED_FIELDS = frozenset({"payment_method", *EXTRAS})
CREATE_FIELDS = (
    SHARED_FIELDS
    | OF_CONFIRMATION
    | {
        *("amount", "currency", "capture_method", "confirmation_method", "confirm", "metadata", "description"),
        *("automatic_payment_methods[enabled]", "automatic_payment_methods[allow_redirects]"),
        "payment_method_types[*]",
    }
)
UPDATE_FIELDS = SHARED_FIELDS | {"amount", "currency", "metadata", "description", "payment_method_types[*]"}
#: what may only change while the payment is still to be made
BEFORE_PAYMENT = ("amount", "currency", "payment_method")
CONFIRM_FIELDS = frozenset({"payment_method", "receipt_email"}) | OF_CONFIRMATION


def create(ctx: Context, request: Request) -> Response:
    """POST /v1/payment_intents: amount (minor units), currency, payment_method?, capture_method?, confirm?, ...

    With confirm=true the payment is attempted at once; a decline then answers 402 and the intent exists all the same.
    """
    form = Form(request, CREATE_FIELDS)
    amount = form.amount("amount") or missing_parameter("amount")
    currency, token, metadata = form.currency("currency"), form.text("payment_method"), form.metadata()
    check_minimum(amount, currency)
    confirmed = form.flag("confirm")
    if token is None and confirmed:
        missing_parameter("payment_method")
    if not confirmed:
        _refuse_without_confirm(form)
    capture_method = form.choice("capture_method", CAPTURE_METHODS, "automatic") or ""
    types = _types(form) or _dashboard_types(currency)
    check_method(token, currency=currency, types=types, capture_method=capture_method)
    intent_id = new_id("pi")
    status = "requires_confirmation" if token else "requires_payment_method"
    ctx.tx.execute(
        "INSERT INTO intents (id, client_secret, action_secret, order_ref, amount, currency, capture_method,"
        " confirmation_method, payment_method, payment_method_types, status, return_url, description, metadata, extras,"
        " created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            intent_id,
            f"{intent_id}_secret_{secrets.token_hex(12)}",
            secrets.token_hex(12),
            metadata.get("order", ""),
            amount,
            currency,
            capture_method,
            form.choice("confirmation_method", CONFIRMATION_METHODS, "automatic"),
            token,
            json.dumps(types),
            status,
            form.url("return_url"),
            form.text("description"),
            dump(metadata),
            dump(_extras(form) | _automatic(form)),
            ctx.wall,
        ),
    )
    machine.move(ctx.tx, "payment_intent", intent_id, None, status, cause="create", at=ctx.now)
    intent = load(ctx.tx, intent_id).make_searchable(ctx)
    intent.publish(ctx, "payment_intent.created")
    intent.note(ctx, "payment_intents.create")
    return _attempt(ctx, intent, form, "create") if confirmed else answer(200, intent.as_json(ctx.base_url))


def update(ctx: Context, request: Request) -> Response:
    """POST /v1/payment_intents/{id}: what is not given stays. A new payment method has to be confirmed again."""
    form = Form(request, UPDATE_FIELDS)
    intent = load(ctx.tx, request.segments[2])
    amount, token = form.amount("amount"), form.text("payment_method")
    currency = form.currency("currency") if form.text("currency") else intent.currency
    for name in BEFORE_PAYMENT:
        if form.text(name) and intent.status not in CONFIRMABLE:
            return _unexpected_state(ctx, intent, f"update the {name} of", CONFIRMABLE)
    check_minimum(amount or intent.amount, currency)
    types = _types(form) or json.loads(intent.payment_method_types)
    check_method(token, currency=currency, types=types, capture_method=intent.capture_method)
    metadata = form.metadata_change(json.loads(intent.metadata))
    intent = intent.change(
        ctx,
        cause="update" if token else None,
        status="requires_confirmation" if token else intent.status,
        payment_method=token or intent.payment_method,
        payment_method_types=json.dumps(types),
        amount=amount or intent.amount,
        currency=currency,
        description=form.text("description") or intent.description,
        metadata=dump(metadata),
        extras=dump(json.loads(intent.extras) | _extras(form)),
    )
    if token:
        ctx.unschedule(intent.id)
    intent.note(ctx, "payment_intents.update")
    return answer(200, intent.as_json(ctx.base_url))


def confirm(ctx: Context, request: Request) -> Response:
    """POST /v1/payment_intents/{id}/confirm: attempt the payment, with another payment_method if one is given."""
    form = Form(request, CONFIRM_FIELDS)
    intent = load(ctx.tx, request.segments[2])
    token = form.text("payment_method")
    types = json.loads(intent.payment_method_types)
    check_method(token, currency=intent.currency, types=types, capture_method=intent.capture_method)
    if intent.status not in CONFIRMABLE:
        return _unexpected_state(ctx, intent, "confirm", CONFIRMABLE)
    if token is None and intent.payment_method is None:
        return error_answer(
            400,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the"
            " PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a"
            " payment method.",
            code="payment_intent_unexpected_state",
            payment_intent=intent.as_json(ctx.base_url),
        )
    intent = intent.change(
        ctx,
        payment_method=token or intent.payment_method,
        # Another card was not authenticated, whatever the customer confirmed before.
        authenticated=0 if token not in (None, intent.payment_method) else intent.authenticated,
        return_url=form.url("return_url") or intent.return_url,
        extras=dump(json.loads(intent.extras) | _extras(form)),
    )
    return _attempt(ctx, intent, form, "confirm")


def capture(ctx: Context, request: Request) -> Response:
    """POST /v1/payment_intents/{id}/capture: take amount_to_capture, or all; the rest of the hold is released."""
    form = Form(request, frozenset({"amount_to_capture"}))
    intent = load(ctx.tx, request.segments[2])
    amount = form.amount("amount_to_capture") or intent.amount_capturable
    if intent.status != "requires_capture":
        return _unexpected_state(ctx, intent, "capture", ("requires_capture",))
    if amount > intent.amount_capturable:
        invalid(
            f"The amount to capture ({amount}) is greater than the amount that can be captured"
            f" ({intent.amount_capturable}).",
            param="amount_to_capture",
            code="amount_too_large",
        )
    if ctx.faults.declines(ctx.tx, "payments", "payment_intents.capture", intent.facts(ctx.key)):
        return error_answer(400, "The authorisation behind this charge has expired.", code="charge_expired_for_capture")
    ctx.unschedule(intent.id)
    charge = charges.of_intent(ctx.tx, intent)
    assert charge is not None, "a hold has a charge"
    charge = charge.change(ctx, amount_captured=amount, balance_transaction=ctx.balance_transaction())
    intent = intent.change(ctx, cause="capture", status="succeeded", amount_capturable=0, amount_received=amount)
    charge.publish(ctx, "charge.captured")
    intent.publish(ctx, "payment_intent.succeeded")
    intent.note(ctx, "payment_intents.capture", charged_minor=amount)
    attempts.schedule_dispute(ctx, charge, methods.find(charge.payment_method) or Method())
    return answer(200, intent.as_json(ctx.base_url))


def cancel(ctx: Context, request: Request) -> Response:
    """POST /v1/payment_intents/{id}/cancel: release the hold. Refused once money moved, or is on its way.

    Of the payments that are `processing` only those can be canceled that the docs name (pm_usBankAccount_processing).
    """
    form = Form(request, frozenset({"cancellation_reason"}))
    reason = form.choice("cancellation_reason", CANCELLATION_REASONS)
    intent = load(ctx.tx, request.segments[2])
    charge = charges.of_intent(ctx.tx, intent)
    stuck = intent.status == "processing" and (methods.find(intent.payment_method or "") or Method()).debit == "never"
    if intent.status not in CANCELABLE and not stuck:
        return _unexpected_state(ctx, intent, "cancel", (*CANCELABLE, "processing"))
    ctx.unschedule(intent.id)
    if charge is not None and stuck:
        charge.change(ctx, cause="cancel", status="failed").publish(ctx, "charge.failed")
    intent = intent.change(
        ctx,
        cause="cancel",
        status="canceled",
        amount_capturable=0,
        cancellation_reason=reason,
        canceled_at=ctx.wall,
    )
    intent.publish(ctx, "payment_intent.canceled")
    intent.note(ctx, "payment_intents.cancel")
    return answer(200, intent.as_json(ctx.base_url))


def slow_seconds(tx: sqlite3.Connection, request: Request) -> float:
    """Return how long the card itself takes with this request, before anything is decided."""
    try:
        form = parse_form(request.body.decode("utf-8"))
    except ValueError:
        return 0.0
    method = form.get("payment_method")
    if request.last == "confirm" and not method:
        row = tx.execute("SELECT payment_method FROM intents WHERE id = ?", (request.segments[2],)).fetchone()
        method = row["payment_method"] if row else None
    attempts_it = request.last == "confirm" or (request.last == "payment_intents" and form.get("confirm") == "true")
    return methods.SLOW_SECONDS if attempts_it and method == methods.SLOW else 0.0


def check_method(token: str | None, *, currency: str, types: list[str], capture_method: str) -> None:
    """Refuse with 400 a payment method that nobody knows, or that cannot pay an intent of this kind."""
    if token is None:
        return
    method = methods.find(token)
    if method is None:
        missing("PaymentMethod", token[:100], "payment_method", status=400)
    if method.is_debit and DEBIT_CURRENCIES[method.type] != currency:
        invalid(
            f"The currency provided ({currency}) is invalid for {method.type}. It supports the following currencies:"
            f" {DEBIT_CURRENCIES[method.type]}.",
            param="payment_method",
            code="payment_method_currency_mismatch",
        )
    if method.type not in types or (method.is_debit and capture_method == "manual"):
        invalid(
            f"The PaymentMethod provided ({method.type}) is not allowed for this PaymentIntent. Please attach a payment"
            f" method of one of the following types: {', '.join(types)}.",
            param="payment_method",
            code="payment_intent_incompatible_payment_method",
        )


def _attempt(ctx: Context, intent: Intent, form: Form, call: str) -> Response:
    automatic = json.loads(intent.extras).get("automatic_payment_methods") or {}
    if (
        ctx.behaviour.redirect_methods
        and intent.return_url is None
        and automatic.get("allow_redirects", "always") == "always"
        and "types_given" not in json.loads(intent.extras)
    ):
        invalid(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of"
            " these payment methods might redirect your customer off of your page, you must provide a `return_url`."
            " If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to"
            " `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and"
            " Payment Intents.",
            param="return_url",
        )
    away = form.choice("off_session", ("true", "false", "one_off", "recurring"), "false") != "false"
    no_action = form.flag("error_on_requires_action")
    return attempts.attempt(ctx, intent, call=call, off_session=away, no_action=no_action)


def _refuse_without_confirm(form: Form) -> None:
    for name in form.fields:
        if name in OF_CONFIRMATION or name.startswith("mandate_data["):
            message = f"The parameter `{name}` can only be used with `confirm=true`."
            invalid(message, param=name)


def _types(form: Form) -> list[str]:
    types = form.array("payment_method_types")
    for kind in types:
        if kind not in METHOD_TYPES:
            message = f"The payment method type provided: {kind[:50]} is invalid. Known are {', '.join(METHOD_TYPES)}."
            invalid(message, param="payment_method_types")
    return types


def _dashboard_types(currency: str) -> list[str]:
    """Return what the account accepts: cards, and the debits of the currency."""
    return ["card", *(kind for kind, only in DEBIT_CURRENCIES.items() if only == currency)]


def _automatic(form: Form) -> dict[str, Any]:
    if form.array("payment_method_types"):
        return {"types_given": True}
    redirects = form.choice("automatic_payment_methods[allow_redirects]", ("always", "never"), "always")
    form.choice("automatic_payment_methods[enabled]", ("true", "false"))
    return {"automatic_payment_methods": {"allow_redirects": redirects, "enabled": True}}


def _extras(form: Form) -> dict[str, Any]:
    return {name: form.text(name) for name in EXTRAS if form.text(name)}


def _unexpected_state(ctx: Context, intent: Intent, verb: str, allowed: tuple[str, ...]) -> Response:
    """Return the 400 for a transition that the state of the intent does not allow."""
    return error_answer(
        400,
        f"You cannot {verb} this PaymentIntent because it has a status of {intent.status}. Only a PaymentIntent with"
        f" one of the following statuses may be changed so: {', '.join(allowed)}.",
        code="payment_intent_unexpected_state",
        payment_intent=intent.as_json(ctx.base_url),
    )
