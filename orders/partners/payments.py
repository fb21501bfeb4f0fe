"""The payment gateway, through the official `stripe` client.

Money moves in two calls: an intent is created (nothing moves), its id is stored under the fence, and only then it is
confirmed. So an attempt that lost its claim cannot move money, and an undo can cancel the intent at the gateway, after
which a late confirm is refused there. One call with an idempotency key cannot give that: the key stops a second charge,
not a first one that comes too late.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any, TypeVar

import stripe
from django.conf import settings

from orders.errors import DomainError, PartnerUnavailable, PaymentDeclined
from orders.partners.breaker import observed
from orders.vocabulary import PartnerCode

T = TypeVar("T")
#: states in which the gateway may still be asked to cancel
CANCELLABLE = frozenset({"requires_payment_method", "requires_confirmation", "requires_capture", "requires_action"})


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A payment as the gateway sees it."""

    id: str
    #: Stripe's words: requires_confirmation, requires_payment_method, succeeded, canceled, ...
    status: str
    amount_minor: int


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


class RefundRefused(DomainError):
    """The gateway does not give this money back."""


class Declined(PaymentDeclined):
    """The payment was declined."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


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


def find_for_order(order: str) -> list[Intent]:
    """All intents that carry the order's id: the look-up when the answer to `create_intent` was lost."""
    return _call_raw(
        lambda: [
            _intent(found)
            for found in client()
            .v1.payment_intents.search({"query": f"metadata['order']:'{order}'", "limit": 100})
            .data
        ]
    )


def confirm(intent_id: str, *, key: str) -> Intent:
    """Move the money. Raises `Declined` when the card says no, `PartnerUnavailable` when the outcome is unknown."""
    return _call(lambda: client().v1.payment_intents.confirm(intent_id, {}, {"idempotency_key": key}))


def cancel(intent_id: str, *, key: str) -> Intent:
    """Cancel an intent that has not moved money; answers its state, which is `succeeded` if a confirm came first."""
    try:
        return _call(lambda: client().v1.payment_intents.cancel(intent_id, {}, {"idempotency_key": key}))
    except UnexpectedState:
        return retrieve(intent_id)


def refund(intent_id: str, *, amount_minor: int, key: str, order: str, refund: str = "") -> str:
    """Give money back; answers the refund's id. The same `key` never refunds twice.

    `refund` is our own name of it, for `find_refund`. Raises `RefundRefused` when the gateway will never do it.
    """
    metadata = {"order": order, "refund": refund} if refund else {"order": order}
    return _call_raw(
        lambda: (
            client()
            .v1.refunds.create(
                {"payment_intent": intent_id, "amount": amount_minor, "metadata": metadata},
                {"idempotency_key": key},
            )
            .id
        )
    )


def find_refund(intent_id: str, refund: str) -> str:
    """The id of the refund that carries our name, or "": the look-up when an answer was lost.

    Keys are forgotten after a day; what was done is not.
    """
    return _call_raw(
        lambda: next(
            (
                str(found.id)
                for found in client().v1.refunds.list({"payment_intent": intent_id, "limit": 100}).auto_paging_iter()
                if found.metadata is not None and found.metadata.to_dict().get("refund") == refund
            ),
            "",
        )
    )


@dataclass(frozen=True, kw_only=True)
class BookedIntent:
    """A payment in the gateway's own list."""

    id: str
    #: the order it was made for, as the gateway remembers it
    order: str
    status: str
    received_minor: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class BookedRefund:
    id: str
    order: str
    amount_minor: int


def intents_between(since: datetime, until: datetime) -> Iterator[list[BookedIntent]]:
    """All payments that the gateway made between the two moments, page by page."""
    for page in _pages(lambda asked: client().v1.payment_intents.list(asked), since, until):
        yield [_booked(found) for found in page]


def refunds_between(since: datetime, until: datetime) -> Iterator[list[BookedRefund]]:
    """All refunds that the gateway made between the two moments, page by page."""
    for page in _pages(lambda asked: client().v1.refunds.list(asked), since, until):
        yield [BookedRefund(id=found.id, order=_order_of(found), amount_minor=found.amount) for found in page]


def find_booked(intent_id: str) -> BookedIntent | None:
    """One payment as the list would show it; None when the gateway does not know it."""

    def ask() -> BookedIntent | None:
        try:
            return _booked(client().v1.payment_intents.retrieve(intent_id))
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                return None
            raise

    return _call_raw(ask)


def _pages(ask: Callable[[Any], Any], since: datetime, until: datetime) -> Iterator[list[Any]]:
    asked: dict[str, Any] = {"created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())}, "limit": 100}
    while True:
        page = _call_raw(partial(ask, asked))
        yield page.data
        if not page.has_more:
            return
        asked = {**asked, "starting_after": page.data[-1].id}


def _booked(found: Any) -> BookedIntent:
    return BookedIntent(
        id=found.id,
        order=_order_of(found),
        status=found.status,
        received_minor=found.amount_received,
        currency=found.currency,
    )


def _order_of(found: Any) -> str:
    return str(found.metadata.to_dict().get("order", "")) if found.metadata is not None else ""


def find_whole_refund(intent: Intent) -> str:
    """The id of the refund that gave all of the intent back, or "": the look-up when the gateway forgot our key."""
    return _call_raw(
        lambda: next(
            (
                str(found.id)
                for found in client().v1.refunds.list({"payment_intent": intent.id, "limit": 100}).auto_paging_iter()
                if found.amount == intent.amount_minor and found.status != "failed"
            ),
            "",
        )
    )


def refunded_minor(intent_id: str) -> int:
    """How much of the intent went back, or is on its way back, by the gateway's own books."""
    return _call_raw(
        lambda: sum(
            int(found.amount)
            for found in client().v1.refunds.list({"payment_intent": intent_id, "limit": 100}).auto_paging_iter()
            if found.status not in {"failed", "canceled"}
        )
    )


class UnexpectedState(Exception):
    """The intent is not in the state that the call needs; somebody else moved it."""


def _intent(found: Any) -> Intent:
    return Intent(id=found.id, status=found.status, amount_minor=found.amount)


def _call(ask: Callable[[], Any]) -> Intent:
    return _intent(_call_raw(ask))


def _call_raw(ask: Callable[[], T]) -> T:
    """Run one call and sort its errors: declined is final, everything without a clear answer is unknown."""
    with observed(PartnerCode.PAYMENTS):
        try:
            return ask()
        except stripe.CardError as error:
            # The reason of the card's bank (insufficient_funds) says more than "card_declined".
            told = (error.json_body or {}).get("error", {}) if isinstance(error.json_body, dict) else {}
            code = told.get("decline_code") or error.code or "declined"
            raise Declined(code, error.user_message or "The payment was declined.") from error
        except stripe.InvalidRequestError as error:
            if error.code in REFUND_REFUSALS:
                raise RefundRefused(f"The payment gateway refuses the refund: {error.code}.") from error
            if error.code == "payment_intent_unexpected_state":
                raise UnexpectedState(str(error)) from error
            if error.param == "payment_method":
                # Not the gateway's sentence, which repeats the token: ours ends in Temporal's history.
                code = error.code or "invalid_method"
                raise Declined(code, f"The payment gateway does not know this payment method ({code}).") from error
            # Our request is wrong, which is not the customer's fault: it is retried, and seen among the failing steps.
            raise PartnerUnavailable(f"The payment gateway refused our request: {error.code}.") from error
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            # Our key is wrong: nothing moved, and nothing will until somebody mends the configuration.
            raise PartnerUnavailable(f"The payment gateway refused our key: {type(error).__name__}.") from error
        except stripe.StripeError as error:
            raise PartnerUnavailable(f"The payment gateway did not answer: {type(error).__name__}.") from error
