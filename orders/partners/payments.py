"""The payment gateway, through the official `stripe` client: payments and refunds.

Money moves in two calls: an intent is created (nothing moves), its id is stored under the fence, and only then it is
confirmed. So an attempt that lost its claim cannot move money, and an undo can cancel the intent at the gateway, after
which a late confirm is refused there. One call with an idempotency key cannot give that: the key stops a second charge,
not a first one that comes too late.

What the gateway says of a payment is a closed set (https://docs.stripe.com/payments/paymentintents/lifecycle). A word
that is not in it proves nothing, so nothing is booked on it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

import stripe
from django.conf import settings

from orders.errors import DomainError, PartnerBusy, PartnerFailed, PartnerUnavailable, PaymentDeclined, RequestRefused
from orders.partners import statuses
from orders.partners.breaker import observed
from orders.vocabulary import PartnerCode

T = TypeVar("T")


class PaymentState(StrEnum):
    """Every state of a payment that the gateway publishes."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    CANCELED = "canceled"
    SUCCEEDED = "succeeded"
    UNKNOWN = "unknown"  # ours: a word that is none of these


#: the gateway may still be asked to cancel: no money has moved, and none is on its way
CANCELLABLE = frozenset(
    {
        PaymentState.REQUIRES_PAYMENT_METHOD,
        PaymentState.REQUIRES_CONFIRMATION,
        PaymentState.REQUIRES_CAPTURE,
        PaymentState.REQUIRES_ACTION,
    }
)
#: the payment can take no money any more
ENDED = frozenset({PaymentState.SUCCEEDED, PaymentState.CANCELED})


class RefundState(StrEnum):
    """Every state of a refund that the gateway publishes."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"  # ours: a word that is none of these


#: the money did not go back, or came back to us
NOT_GIVEN_BACK = frozenset({RefundState.FAILED, RefundState.CANCELED})


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A payment as the gateway sees it."""

    id: str
    #: the gateway's own word; `state` is what it means
    status: str
    amount_minor: int
    #: what was taken; None where a caller names only a state, and then all or nothing of `amount_minor`
    received_minor: int | None = None
    #: where the customer confirms the payment, if the bank asks for it
    action_url: str = ""
    #: why the last attempt failed, in the gateway's word and in its sentence
    error_code: str = ""
    error_message: str = ""
    currency: str = ""

    @property
    def state(self) -> PaymentState:
        return PaymentState(self.status) if self.status in set(PaymentState) else PaymentState.UNKNOWN

    @property
    def taken_minor(self) -> int:
        """What the gateway took, in minor units."""
        if self.received_minor is not None:
            return self.received_minor
        return self.amount_minor if self.state is PaymentState.SUCCEEDED else 0

    @property
    def is_paid(self) -> bool:
        """The one proof of money: the gateway says so, and took exactly what was asked for."""
        return self.state is PaymentState.SUCCEEDED and self.taken_minor == self.amount_minor


@dataclass(frozen=True, kw_only=True)
class GatewayRefund:
    """A refund as the gateway sees it."""

    id: str
    #: the gateway's own word; `state` is what it means
    status: str
    amount_minor: int
    payment: str = ""
    #: our own name of it, if it is one of ours
    name: str = ""
    #: the order that it was made for, as the gateway remembers it
    order: str = ""
    failure_reason: str = ""

    @property
    def state(self) -> RefundState:
        return RefundState(self.status) if self.status in set(RefundState) else RefundState.UNKNOWN


#: the gateway's words for a refund that it will not make, however often it is asked
REFUND_REFUSALS = frozenset(
    {
        "amount_too_large",
        "balance_insufficient",
        "charge_already_refunded",
        "charge_disputed",
        "charge_not_refundable",
    }
)
#: the gateway's words for a request that another one of ours holds up; it did nothing
BUSY = frozenset({"idempotency_key_in_use", "lock_timeout", "rate_limit"})


class RefundRefused(DomainError):
    """The gateway does not give this money back."""


class Declined(PaymentDeclined):
    """The payment was declined."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class UnexpectedState(Exception):
    """The intent is not in the state that the call needs; somebody else moved it."""


@cache
def client() -> stripe.StripeClient:
    """One client a process; it keeps a connection for each thread."""
    return stripe.StripeClient(
        settings.STRIPE_API_KEY,
        base_addresses={"api": settings.PAYMENTS_URL},
        # Retrying is the workflow's business: it looks up what happened first.
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=settings.PARTNER_TIMEOUT_SECONDS),
    )


# --- Payments ---------------------------------------------------------------------------------------------------------
def create_intent(*, key: str, order: str, amount_minor: int, currency: str, payment_method: str) -> Intent:
    """Make an unconfirmed intent; the same `key` gives the same intent. Raises `PaymentDeclined` for a bad method."""
    return _call(
        lambda: client().v1.payment_intents.create(
            {
                "amount": amount_minor,
                "currency": currency.lower(),
                "payment_method": payment_method,
                "metadata": {"order": order},
            },
            {"idempotency_key": key},
        )
    )


def retrieve(intent_id: str) -> Intent:
    """What the gateway knows of the intent."""
    return _call(lambda: client().v1.payment_intents.retrieve(intent_id))


def find_for_order(order: str, *, since: datetime) -> list[Intent]:
    """All intents that carry the order's id, made since then: the look-up when the answer to `create_intent` was lost.

    By the gateway's list and not by its search, which lags by a minute, in an outage by more
    (https://docs.stripe.com/search#data-freshness): a payment that it does not show yet would be made twice.
    """
    asked: Any = {"created": {"gte": int((since - CLOCKS_DIFFER).timestamp())}, "limit": 100}
    return call(
        lambda: [
            _intent(found)
            for found in client().v1.payment_intents.list(asked).auto_paging_iter()
            if order_of(found) == order
        ]
    )


#: so far the gateway's clock may be behind ours
CLOCKS_DIFFER = timedelta(minutes=5)


def confirm(intent_id: str, *, key: str) -> Intent:
    """Ask for the money. Raises `Declined` when the card says no, `PartnerUnavailable` when the outcome is unknown."""
    # With an address to come back to the gateway gives a link, and not only data for a program in the browser.
    back: Any = {"return_url": settings.PAYMENT_RETURN_URL} if settings.PAYMENT_RETURN_URL else {}
    return _call(lambda: client().v1.payment_intents.confirm(intent_id, back, {"idempotency_key": key}))


def cancel(intent_id: str, *, key: str) -> Intent:
    """Cancel an intent that has not moved money; answers its state, which is `succeeded` if a confirm came first."""
    try:
        return _call(lambda: client().v1.payment_intents.cancel(intent_id, {}, {"idempotency_key": key}))
    except UnexpectedState:
        return retrieve(intent_id)


# --- Refunds ----------------------------------------------------------------------------------------------------------
def refund(intent_id: str, *, amount_minor: int, key: str, order: str, refund: str = "") -> GatewayRefund:
    """Give money back; the same `key` never refunds twice. What became of it is its `state`, and may change later.

    `refund` is our own name of it, for `find_refund`. Raises `RefundRefused` when the gateway will never do it.
    """
    metadata = {"order": order, "refund": refund} if refund else {"order": order}
    return call(
        lambda: as_refund(
            client().v1.refunds.create(
                {"payment_intent": intent_id, "amount": amount_minor, "metadata": metadata},
                {"idempotency_key": key},
            )
        )
    )


def refunds_of(intent_id: str) -> list[GatewayRefund]:
    """Every refund of the payment, those that failed too, the newest first."""
    return call(
        lambda: [
            as_refund(found)
            for found in client().v1.refunds.list({"payment_intent": intent_id, "limit": 100}).auto_paging_iter()
        ]
    )


def find_refund(intent_id: str, refund: str) -> GatewayRefund | None:
    """The refund that carries our name and did not fail: the look-up when an answer was lost.

    Keys are forgotten after a day; what was done is not.
    """
    return next((r for r in refunds_of(intent_id) if r.name == refund and r.state not in NOT_GIVEN_BACK), None)


def find_whole_refund(intent: Intent) -> GatewayRefund | None:
    """The refund that gave all of the intent back: the look-up when the gateway forgot our key."""
    found = (r for r in refunds_of(intent.id) if r.amount_minor == intent.taken_minor)
    return next((r for r in found if r.state not in NOT_GIVEN_BACK), None)


def refunded_minor(intent_id: str) -> int:
    """How much of the intent went back, or is on its way back, by the gateway's own books."""
    return sum(r.amount_minor for r in refunds_of(intent_id) if r.state not in NOT_GIVEN_BACK)


# --- One call ---------------------------------------------------------------------------------------------------------
def call(ask: Callable[[], T]) -> T:
    """Run one call and sort its errors: a final answer, a request of ours that is wrong, or no clear answer.

    The three classes follow https://docs.stripe.com/error-low-level.
    """
    with observed(PartnerCode.PAYMENTS):
        try:
            return ask()
        except stripe.CardError as error:
            # The reason of the card's bank (insufficient_funds) says more than "card_declined".
            told = (error.json_body or {}).get("error", {}) if isinstance(error.json_body, dict) else {}
            code = told.get("decline_code") or error.code or "declined"
            raise Declined(code, error.user_message or "The payment was declined.") from error
        except stripe.RateLimitError as error:
            raise _busy(error) from error
        except stripe.IdempotencyError as error:
            if error.http_status == 409:
                raise _busy(error) from error
            raise RequestRefused("The payment gateway knows our key with other parameters.") from error
        except stripe.InvalidRequestError as error:
            if error.code in BUSY:
                raise _busy(error) from error
            if error.code in REFUND_REFUSALS:
                raise RefundRefused(f"The payment gateway refuses the refund: {error.code}.") from error
            if error.code == "payment_intent_unexpected_state":
                raise UnexpectedState(str(error)) from error
            if error.param == "payment_method":
                # Not the gateway's sentence, which repeats the token: ours ends in Temporal's history.
                code = error.code or "invalid_method"
                raise Declined(code, f"The payment gateway does not know this payment method ({code}).") from error
            raise RequestRefused(f"The payment gateway refuses our request: {_reason(error)}.") from error
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            # Our key is wrong, for every order alike: nothing moved, and nothing will until somebody mends it.
            raise PartnerUnavailable(f"The payment gateway refused our key: {type(error).__name__}.") from error
        except stripe.APIConnectionError as error:
            raise PartnerUnavailable(f"The payment gateway did not answer: {type(error).__name__}.") from error
        except stripe.StripeError as error:
            if error.http_status == 409 or error.http_status in statuses.BUSY:
                raise _busy(error) from error
            # Without a status the answer could not be read.
            sorted_out = statuses.error_of("The payment gateway", error.http_status) if error.http_status else None
            raise sorted_out or PartnerFailed("The payment gateway gave an answer that cannot be read.") from error


def order_of(found: Any) -> str:
    """The order that an object of the gateway names, or ""."""
    return _metadata(found).get("order", "")


def as_refund(found: Any) -> GatewayRefund:
    """A refund of the gateway's as ours."""
    return GatewayRefund(
        id=str(found.id),
        status=str(found.status),
        amount_minor=int(found.amount),
        payment=str(getattr(found, "payment_intent", None) or ""),
        name=_metadata(found).get("refund", ""),
        order=_metadata(found).get("order", ""),
        failure_reason=str(getattr(found, "failure_reason", None) or ""),
    )


def _busy(error: stripe.StripeError) -> PartnerBusy:
    after = str((error.headers or {}).get("retry-after", ""))
    # At least a second: a key that is in flight is asked for again at once otherwise.
    return statuses.busy("The payment gateway asks us to come back in a moment.", after, usual=statuses.SHORTEST_WAIT)


def _reason(error: stripe.InvalidRequestError) -> str:
    return " ".join(
        word for word in (error.code or "invalid_request", f"({error.param})" if error.param else "") if word
    )


def _metadata(found: Any) -> dict[str, str]:
    return dict(found.metadata.to_dict()) if getattr(found, "metadata", None) is not None else {}


def _intent(found: Any) -> Intent:
    error, action = getattr(found, "last_payment_error", None), getattr(found, "next_action", None)
    redirect = getattr(action, "redirect_to_url", None)
    return Intent(
        id=found.id,
        status=found.status,
        amount_minor=found.amount,
        # What it does not say it did not take.
        received_minor=int(getattr(found, "amount_received", None) or 0),
        action_url=str(getattr(redirect, "url", None) or ""),
        error_code=str(getattr(error, "decline_code", None) or getattr(error, "code", None) or ""),
        error_message=str(getattr(error, "message", None) or ""),
        currency=str(getattr(found, "currency", None) or ""),
    )


def _call(ask: Callable[[], Any]) -> Intent:
    return call(lambda: _intent(ask()))
