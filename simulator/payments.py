"""The payment gateway: Stripe's payment intents, as far as an order back office needs them.

It keeps Stripe's states and its refusals, because the adapter under test is the official client: a gateway that were
kinder than Stripe would let a double capture or a late cancel pass here and fail with real money.

    payment method                              at confirmation
    pm_card_visa, pm_card_mastercard            succeeds
    pm_card_slow                                succeeds after 1.5 s, its key in flight meanwhile
    pm_card_chargeDeclined                      402 card_declined / generic_decline
    pm_card_chargeDeclinedInsufficientFunds     402 card_declined / insufficient_funds
    pm_card_chargeDeclinedFraudulent            402 card_declined / fraudulent
    pm_card_chargeDeclinedExpiredCard           402 expired_card / expired_card
    pm_seeded_decline_<percent>                 402 for that share of orders, always the same ones for one --seed
    anything else                               400 resource_missing, already when the intent is created

Stripe's newer spelling pm_card_visa_chargeDeclined... is known too.
"""

import re
import sqlite3
import time
from typing import Any

from simulator.books import Intent, add_metadata, load
from simulator.faults import FaultBook
from simulator.store import record
from simulator.stripe_forms import Form, dump, error_answer, invalid, missing, missing_parameter
from simulator.wire import Request, Response, answer, draw, new_id, parse_form

SLOW_SECONDS = 1.5
GOOD_CARDS = frozenset({"pm_card_visa", "pm_card_mastercard", "pm_card_slow"})
DECLINES = {  # token: (code, decline code, sentence)
    "pm_card_chargeDeclined": ("card_declined", "generic_decline", "Your card was declined."),
    "pm_card_chargeDeclinedInsufficientFunds": (
        "card_declined",
        "insufficient_funds",
        "Your card has insufficient funds.",
    ),
    "pm_card_chargeDeclinedFraudulent": ("card_declined", "fraudulent", "Your card was declined."),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", "expired_card", "Your card has expired."),
}
SEEDED = re.compile(r"pm_seeded_decline_(100|[0-9]{1,2})")
CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
CANCELLATION_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
# Accepted and without effect here; `expand` is not among them, because an answer that does not expand would be a lie.
WITHOUT_EFFECT = frozenset(
    {
        "automatic_payment_methods[enabled]",
        "automatic_payment_methods[allow_redirects]",
        "confirmation_method",
        "error_on_requires_action",
        "off_session",
        "payment_method_types[0]",
        "receipt_email",
        "return_url",
        "statement_descriptor",
        "statement_descriptor_suffix",
    }
)
CREATE_FIELDS = WITHOUT_EFFECT | {
    "amount",
    "currency",
    "payment_method",
    "capture_method",
    "confirm",
    "metadata",
    "description",
}
CONFIRM_FIELDS = WITHOUT_EFFECT | {"payment_method"}


def create(tx: sqlite3.Connection, request: Request, faults: FaultBook, seed: str) -> Response:
    """POST /v1/payment_intents: amount (minor units), currency, payment_method?, capture_method?, confirm?, ...

    With confirm=true the payment is attempted at once; a decline then answers 402 and the intent exists all the same.
    """
    form = Form(request, CREATE_FIELDS)
    amount = form.amount("amount") or missing_parameter("amount")
    currency, method, metadata = form.currency("currency"), form.text("payment_method"), form.metadata()
    confirmed = form.flag("confirm")
    if method is None and confirmed:
        missing_parameter("payment_method")
    check_method(method)
    capture_method = form.choice("capture_method", CAPTURE_METHODS, "automatic")
    intent_id = new_id("pi")
    cursor = tx.execute(
        "INSERT INTO intents (id, order_ref, amount, currency, capture_method, payment_method, status, description,"
        " metadata, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            intent_id,
            metadata.get("order", ""),
            amount,
            currency,
            capture_method,
            method,
            "requires_confirmation" if method else "requires_payment_method",
            form.text("description"),
            dump(metadata),
            int(time.time()),
        ),
    )
    add_metadata(tx, int(cursor.lastrowid or 0), metadata)
    intent = load(tx, intent_id)
    note(tx, request, intent, "payment_intents.create")
    return _attempt(tx, request, faults, seed, intent) if confirmed else answer(200, intent.as_json())


def confirm(tx: sqlite3.Connection, request: Request, faults: FaultBook, seed: str) -> Response:
    """POST /v1/payment_intents/{id}/confirm: attempt the payment, with another payment_method if one is given."""
    form = Form(request, CONFIRM_FIELDS)
    intent = load(tx, request.segments[2])
    method = form.text("payment_method")
    check_method(method)
    if intent.status not in ("requires_payment_method", "requires_confirmation"):
        return unexpected_state(intent, "confirm")
    if method is not None:
        intent = intent.change(tx, payment_method=method, status="requires_confirmation")
    if intent.payment_method is None:
        return error_answer(
            400,
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
            payment_intent=intent.as_json(),
        )
    return _attempt(tx, request, faults, seed, intent)


def capture(tx: sqlite3.Connection, request: Request, faults: FaultBook) -> Response:
    """POST /v1/payment_intents/{id}/capture: take amount_to_capture, or all; the rest of the hold is released."""
    form = Form(request, frozenset({"amount_to_capture"}))
    intent = load(tx, request.segments[2])
    amount = form.amount("amount_to_capture") or intent.amount_capturable
    if intent.status != "requires_capture":
        return unexpected_state(intent, "capture")
    if amount > intent.amount_capturable:
        invalid(
            f"The amount to capture ({amount}) is greater than the amount that can be captured"
            f" ({intent.amount_capturable}).",
            param="amount_to_capture",
            code="amount_too_large",
        )
    if faults.declines(tx, "payments", "payment_intents.capture", facts(request, intent)):
        return error_answer(400, "The authorisation behind this charge has expired.", code="charge_expired_for_capture")
    intent = intent.change(tx, status="succeeded", amount_capturable=0, amount_received=amount)
    note(tx, request, intent, "payment_intents.capture", charged_minor=amount)
    return answer(200, intent.as_json())


def cancel(tx: sqlite3.Connection, request: Request) -> Response:
    """POST /v1/payment_intents/{id}/cancel: release the hold. Refused once the intent succeeded or was canceled."""
    form = Form(request, frozenset({"cancellation_reason"}))
    reason = form.choice("cancellation_reason", CANCELLATION_REASONS)
    intent = load(tx, request.segments[2])
    if intent.status in ("succeeded", "canceled"):
        return unexpected_state(intent, "cancel")
    intent = intent.change(
        tx, status="canceled", amount_capturable=0, cancellation_reason=reason, canceled_at=int(time.time())
    )
    note(tx, request, intent, "payment_intents.cancel")
    return answer(200, intent.as_json())


def check_method(token: str | None) -> None:
    """Refuse with 400 resource_missing a payment method that is not in the table above."""
    if token is not None and token not in GOOD_CARDS and _plain(token) not in DECLINES and not SEEDED.fullmatch(token):
        missing("PaymentMethod", token[:100], "payment_method", status=400)


def settling_seconds(tx: sqlite3.Connection, request: Request) -> float:
    """Return how long the card itself takes with this request, before anything is decided."""
    form = _lenient_form(request)
    method = form.get("payment_method")
    if request.last == "confirm" and not method:
        row = tx.execute("SELECT payment_method FROM intents WHERE id = ?", (request.segments[2],)).fetchone()
        method = row["payment_method"] if row else None
    attempts = request.last == "confirm" or (request.last == "payment_intents" and form.get("confirm") == "true")
    return SLOW_SECONDS if attempts and method == "pm_card_slow" else 0.0


def facts(request: Request, intent: Intent) -> dict[str, str]:
    """Return what fault rules can match about this call."""
    known = {
        "order": intent.order_ref,
        "payment_intent": intent.id,
        "currency": intent.currency,
        "payment_method": intent.payment_method or "",
    }
    return known | ({"idempotency_key": request.idempotency_key} if request.idempotency_key else {})


def note(tx: sqlite3.Connection, request: Request, intent: Intent, operation: str, charged_minor: int = 0) -> None:
    """Write an effect on an intent into the log of operations."""
    record(
        tx,
        partner="payments",
        operation=operation,
        order=intent.order_ref,
        object_id=intent.id,
        key=request.idempotency_key,
        currency=intent.currency,
        charged_minor=charged_minor,
    )


def unexpected_state(intent: Intent, verb: str) -> Response:
    """Return the 400 for a transition that the state of the intent does not allow."""
    return error_answer(
        400,
        f"You cannot {verb} this PaymentIntent because it has a status of {intent.status}.",
        code="payment_intent_unexpected_state",
        payment_intent=intent.as_json(),
    )


def _attempt(tx: sqlite3.Connection, request: Request, faults: FaultBook, seed: str, intent: Intent) -> Response:
    call = "confirm" if request.last == "confirm" else "create"
    charge = new_id("ch")
    refusal = _refusal(intent, seed)
    if refusal is None and faults.declines(tx, "payments", f"payment_intents.{call}", facts(request, intent)):
        refusal = DECLINES["pm_card_chargeDeclined"]
    if refusal is not None:
        code, decline_code, message = refusal
        error: dict[str, Any] = {"type": "card_error", "code": code, "decline_code": decline_code, "message": message}
        error["charge"] = charge
        # As at Stripe, a declined intent forgets its card: the next confirmation must bring one.
        intent = intent.change(
            tx,
            status="requires_payment_method",
            payment_method=None,
            latest_charge=charge,
            last_payment_error=dump(error),
        )
        note(tx, request, intent, "payment_intents.decline")
        return answer(402, {"error": error | {"payment_intent": intent.as_json()}})
    manual = intent.capture_method == "manual"
    intent = intent.change(
        tx,
        status="requires_capture" if manual else "succeeded",
        latest_charge=charge,
        last_payment_error=None,
        amount_capturable=intent.amount if manual else 0,
        amount_received=0 if manual else intent.amount,
    )
    operation = "payment_intents.authorize" if manual else "payment_intents.charge"
    note(tx, request, intent, operation, charged_minor=intent.amount_received)
    return answer(200, intent.as_json())


def _refusal(intent: Intent, seed: str) -> tuple[str, str, str] | None:
    token = intent.payment_method or ""
    seeded = SEEDED.fullmatch(token)
    if seeded:
        unlucky = draw(seed, "decline", intent.order_ref) * 100 < int(seeded[1])
        return DECLINES["pm_card_chargeDeclined"] if unlucky else None
    return DECLINES.get(_plain(token))


def _plain(token: str) -> str:
    return token.replace("pm_card_visa_chargeDeclined", "pm_card_chargeDeclined", 1)


def _lenient_form(request: Request) -> dict[str, str]:
    try:
        return parse_form(request.body.decode("utf-8"))
    except ValueError:
        return {}
