"""The carrier: shipments are booked under a reference of ours, so that booking twice is one parcel.

`cancel` also works for a booking that never arrived: the carrier remembers the reference and refuses it later. Without
that, a booking that was under way while the order was undone would send goods to nobody.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import requests
from django.conf import settings

from orders.errors import CarrierRejected, PartnerFailed, PartnerUnavailable, ShipmentRefused
from orders.partners import statuses
from orders.partners.breaker import observed
from orders.vocabulary import PartnerCode, TrackingStatus

#: the carrier's words for an address that it does not serve: the customer can choose another one
ADDRESS_REFUSALS = frozenset({"country_not_served"})
#: its words for a shipment that it does not book, cancel or know; any other 4xx says that our request is wrong
REFUSALS = ADDRESS_REFUSALS | {"booking_refused", "cancelled", "already_in_transit", "not_found"}
TRACKING_WORDS = {word.value: word for word in TrackingStatus}
T = TypeVar("T")
_local = threading.local()


class Unknown(ShipmentRefused):
    """The carrier has no shipment under this reference."""


@dataclass(frozen=True, kw_only=True)
class Booking:
    """A shipment as the carrier sees it."""

    reference: str
    status: str
    carrier: str
    tracking_number: str
    label_url: str


@dataclass(frozen=True, kw_only=True)
class TrackingNews:
    """One event of a parcel, as the carrier tells it."""

    event_id: str
    status: TrackingStatus
    at: datetime


def book(reference: str, *, order: str, country: str, pieces: int) -> Booking:
    """Book a shipment; the same reference gives the same booking.

    Raises `CarrierRejected` for a final no, `PartnerUnavailable` when the outcome is unknown, `RequestRefused`.
    """
    asked = {"order": order, "country": country, "pieces": pieces}
    return _call("PUT", f"/carrier/shipments/{reference}", asked, read=_booking)


def find(reference: str) -> Booking | None:
    """The booking under our reference, if the carrier has one."""
    try:
        return _call("GET", f"/carrier/shipments/{reference}", read=_booking)
    except Unknown:
        return None


def track(reference: str) -> list[TrackingNews]:
    """Every event of the parcel so far, in no order that we rely on. Raises `PartnerUnavailable`, `CarrierRejected`."""
    return _call("GET", f"/carrier/shipments/{reference}/tracking", read=_news)


def cancel(reference: str, *, order: str) -> Booking:
    """Cancel the booking, now and for every later attempt to make it."""
    return _call("POST", f"/carrier/shipments/{reference}/cancel", {"order": order}, read=_booking)


def _news(body: dict[str, Any]) -> list[TrackingNews]:
    return [
        TrackingNews(
            event_id=str(event["id"])[:64],
            # A word of the carrier that we do not know is for a person to look at.
            status=TRACKING_WORDS.get(event["status"], TrackingStatus.EXCEPTION),
            at=datetime.fromtimestamp(event["at"], UTC),
        )
        for event in body["events"]
    ]


def _booking(body: dict[str, Any]) -> Booking:
    return Booking(
        reference=body["reference"],
        status=body["status"],
        carrier=body.get("carrier") or "",
        tracking_number=body.get("tracking_number") or "",
        label_url=body.get("label_url") or "",
    )


def _session() -> requests.Session:
    # requests.Session is not safe across threads; each worker thread keeps its own connection.
    session: requests.Session | None = getattr(_local, "session", None)
    if session is None:
        session = _local.session = requests.Session()
    return session


def _call(method: str, path: str, body: dict[str, Any] | None = None, *, read: Callable[[dict[str, Any]], T]) -> T:
    """One call, and what `read` makes of its answer. Raises `Unknown` for a reference that the carrier has not."""
    with observed(PartnerCode.CARRIER):
        try:
            answer = _session().request(
                method, f"{settings.CARRIER_URL}{path}", json=body, timeout=settings.PARTNER_TIMEOUT_SECONDS
            )
        except requests.RequestException as silence:
            raise PartnerUnavailable(f"The carrier did not answer: {type(silence).__name__}.") from silence
        status = answer.status_code
        told = statuses.told(answer)
        if 400 <= status < 500 and told.code in REFUSALS:
            raise _refusal_of(told.code)(f"The carrier refused: {told.words}")
        error = statuses.error_of(
            "The carrier", status, says=told.words, retry_after=answer.headers.get("Retry-After", "")
        )
        if error is not None:
            raise error
        try:
            return read(answer.json())
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as unreadable:
            raise PartnerFailed("The carrier gave an answer that cannot be read.") from unreadable


def _refusal_of(code: str) -> type[CarrierRejected]:
    if code == "not_found":
        return Unknown
    return CarrierRejected if code in ADDRESS_REFUSALS else ShipmentRefused
