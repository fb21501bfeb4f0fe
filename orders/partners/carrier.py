"""The carrier: shipments are booked under a reference of ours, so that booking twice is one parcel.

`cancel` also works for a booking that never arrived: the carrier remembers the reference and refuses it later. Without
that, a booking that was under way while the order was undone would send goods to nobody.
"""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests
from django.conf import settings

from orders.errors import CarrierRejected, PartnerUnavailable, ShipmentRefused
from orders.partners.breaker import observed
from orders.vocabulary import PartnerCode, TrackingStatus

#: the carrier's words for an address that it does not serve: the customer can choose another one
ADDRESS_REFUSALS = frozenset({"country_not_served"})
TRACKING_WORDS = {word.value: word for word in TrackingStatus}
_local = threading.local()


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

    Raises `CarrierRejected` for a final no, `PartnerUnavailable` when the outcome is unknown.
    """
    return _booking(
        _call("PUT", f"/carrier/shipments/{reference}", {"order": order, "country": country, "pieces": pieces})
    )


def find(reference: str) -> Booking | None:
    """The booking under our reference, if the carrier has one."""
    found = _call("GET", f"/carrier/shipments/{reference}", missing_ok=True)
    return _booking(found) if found else None


def track(reference: str) -> list[TrackingNews]:
    """Every event of the parcel so far, in no order that we rely on. Raises `PartnerUnavailable`, `CarrierRejected`."""
    told = _call("GET", f"/carrier/shipments/{reference}/tracking")
    try:
        return [
            TrackingNews(
                event_id=str(event["id"])[:64],
                # A word of the carrier that we do not know is for a person to look at.
                status=TRACKING_WORDS.get(event["status"], TrackingStatus.EXCEPTION),
                at=datetime.fromtimestamp(event["at"], UTC),
            )
            for event in told["events"]
        ]
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise PartnerUnavailable("The carrier gave an answer that cannot be read.") from error


def cancel(reference: str, *, order: str) -> Booking:
    """Cancel the booking, now and for every later attempt to make it."""
    return _booking(_call("POST", f"/carrier/shipments/{reference}/cancel", {"order": order}))


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


def _call(method: str, path: str, body: dict[str, Any] | None = None, *, missing_ok: bool = False) -> dict[str, Any]:
    with observed(PartnerCode.CARRIER):
        try:
            answer = _session().request(
                method, f"{settings.CARRIER_URL}{path}", json=body, timeout=settings.PARTNER_TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            raise PartnerUnavailable(f"The carrier did not answer: {type(error).__name__}.") from error
        if answer.status_code == 404 and missing_ok:
            return {}
        if answer.status_code >= 500 or answer.status_code in {408, 425, 429}:
            raise PartnerUnavailable(f"The carrier answered {answer.status_code}.")
        if answer.status_code >= 400:
            code, says = _refusal(answer)
            raise (CarrierRejected if code in ADDRESS_REFUSALS else ShipmentRefused)(f"The carrier refused: {says}")
        told: dict[str, Any] = answer.json()
        return told


def _refusal(answer: requests.Response) -> tuple[str, str]:
    """Its code, and its words."""
    try:
        error = answer.json()["error"]
        return str(error.get("code")), str(error.get("message") or error.get("code"))[:300]
    except (ValueError, KeyError, AttributeError):
        return "", f"status {answer.status_code}"
