"""What the payment gateway tells of itself: signed events, and its list of them for those that nobody brought.

The signature covers the bytes that were sent (https://docs.stripe.com/webhooks#verify-official-libraries), so it is
checked before anything is parsed. Of an event only ids and times are taken: what is true is read from the gateway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import stripe

from orders.errors import DomainError, InvalidInput
from orders.partners.gateway_books import PAGE
from orders.partners.payments import call, client

#: an older or younger signature may be one that somebody has recorded
TOLERANCE = timedelta(minutes=5)
#: ids of the gateway; nothing else may become a key of ours
ID = re.compile(r"[A-Za-z0-9_]{1,128}")
#: what we do something about; the gateway's list takes twenty types at most
TYPES = frozenset(
    {
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "charge.refunded",
        "charge.refund.updated",
        "refund.created",
        "refund.failed",
        "refund.updated",
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
    }
)


class SignatureRefused(DomainError):
    """The signature is not the gateway's."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """An event of the gateway: ids and times, and no contents."""

    id: str
    type: str
    #: the payment intent; "" when the event names none
    payment: str
    #: the refund, dispute, charge or intent that it is about
    object_id: str
    created_at: datetime


def verify(body: bytes, header: str, secrets: Sequence[str], *, now: datetime) -> None:
    """Raise `SignatureRefused` unless one of the secrets signed exactly these bytes within the last five minutes."""
    if not header:
        raise SignatureRefused("The header is missing.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SignatureRefused("The body is not UTF-8, so nobody can have signed it.") from error
    if not any(_signed(text, header, secret) for secret in secrets):
        raise SignatureRefused("No secret of ours made this signature.")
    # The signature holds, so the header is one that the gateway wrote.
    moment = datetime.fromtimestamp(int(header.split("t=")[1].split(",")[0]), UTC)
    if abs(now - moment) > TOLERANCE:
        minutes = int(TOLERANCE.total_seconds() // 60)
        raise SignatureRefused(f"It was signed at {moment:%Y-%m-%d %H:%M:%S} UTC; {minutes} minutes may lie between.")


def read_event(tree: Any) -> Told:
    """The event in a parsed body. Raises `InvalidInput` naming the field."""
    if not isinstance(tree, Mapping) or tree.get("object") != "event":
        raise InvalidInput("object", 'This is no event: "object" must be "event".')
    about = tree.get("data")
    found = about.get("object") if isinstance(about, Mapping) else None
    if not isinstance(found, Mapping):
        raise InvalidInput("data.object", "The event is about nothing.")
    kind, created = tree.get("type"), tree.get("created")
    if not isinstance(kind, str) or not 1 <= len(kind) <= 80:
        raise InvalidInput("type", "A type of 1 to 80 characters is needed.")
    if not isinstance(created, int) or isinstance(created, bool) or not 0 <= created < 2**33:
        raise InvalidInput("created", "Seconds since 1970 are needed.")
    return Told(
        id=_id(tree.get("id"), "id"),
        type=kind,
        payment=_payment(kind, found),
        object_id=_id(found.get("id"), "data.object.id"),
        created_at=datetime.fromtimestamp(created, UTC),
    )


def events_between(since: datetime, until: datetime) -> Iterator[list[Told]]:
    """The gateway's own list of what we do something about, page by page. Raises `PartnerUnavailable`."""
    asked: dict[str, Any] = {
        "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())},
        "types": sorted(TYPES),
        "limit": PAGE,
    }
    while True:
        page = call(partial(_page, asked))
        yield [read_event(found.to_dict()) for found in page.data]
        if not page.has_more:
            return
        asked = {**asked, "starting_after": page.data[-1].id}


def _page(asked: Any) -> Any:
    return client().v1.events.list(asked)


def _signed(text: str, header: str, secret: str) -> bool:
    if not header.isascii():
        # The comparison in constant time takes ASCII only.
        return False
    try:
        return bool(stripe.WebhookSignature.verify_header(text, header, secret))
    except stripe.SignatureVerificationError:
        return False


def _payment(kind: str, found: Mapping[str, Any]) -> str:
    named = found.get("id") if kind.startswith("payment_intent.") else found.get("payment_intent")
    # It may be the object instead of its id.
    named = named.get("id") if isinstance(named, Mapping) else named
    return "" if named is None else _id(named, "data.object.payment_intent")


def _id(value: Any, field: str) -> str:
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise InvalidInput(field, "It must be an id of the gateway: 1 to 128 letters, digits and underscores.")
    return value
