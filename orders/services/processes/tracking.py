"""Asking the carrier where the booked parcels are, one after the other, from where the last attempt ended."""

from __future__ import annotations

from datetime import timedelta

from orders.amounts import counted
from orders.errors import CarrierRejected
from orders.models import Shipment
from orders.partners import breaker, carrier
from orders.services.processes.pacing import Pace, add
from orders.vocabulary import DifferenceKind, PartnerCode, ShipmentStatus

#: a parcel that is older is lost or delivered; it is not asked for every night
STILL_TRAVELLING = timedelta(days=30)
CHUNK = 20


def refresh_tracking(pace: Pace) -> str:
    """Raises `PartnerUnavailable` when the carrier does not answer; what was asked before is kept."""
    travelling = Shipment.objects.filter(
        status=ShipmentStatus.BOOKED,
        created_at__gt=pace.run.covers_until - STILL_TRAVELLING,
        created_at__lte=pace.run.covers_until,
    ).order_by("pk")
    while True:
        parcels = list(travelling.filter(pk__gt=int(pace.step.cursor or 0))[:CHUNK])
        if not parcels:
            break
        found = {}
        with breaker.attempt(PartnerCode.CARRIER):
            for parcel in parcels:
                found[parcel] = _status(parcel)
                pace.rest()
        with pace.chunk(str(parcels[-1].pk), parcels=len(parcels)) as step:
            for parcel, status in found.items():
                add(step, status, 1)
                if status in {"unknown", ShipmentStatus.CANCELLED}:
                    says = f"We have parcel {parcel.reference} as booked, the carrier as {status}."
                    pace.differs(DifferenceKind.SHIPMENT, parcel.reference, says, order_id=parcel.order_id)
                    add(step, "differences", 1)
    figures = pace.step.figures
    told = ", ".join(
        f"{figures[word]} {word.replace('_', ' ')}"
        for word in sorted(figures)
        if word not in {"parcels", "differences"}
    )
    return f"{counted(figures.get('parcels', 0), 'parcel')} asked for{f': {told}' if told else ''}."


def _status(parcel: Shipment) -> str:
    """In the carrier's words; "unknown" when it does not know the parcel."""
    try:
        booking = carrier.find(parcel.reference)
    except CarrierRejected:
        return "unknown"
    return booking.status if booking else "unknown"
