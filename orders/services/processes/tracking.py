"""Asking the carrier where the parcels are that have not arrived: those first that were not asked for the longest time.

A night is too short for all of them when there are many. So a run asks a bounded number, each parcel keeps when it was
asked last, and the next run begins with those that this one did not come to. A parcel that has arrived is not asked
any more.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice

from django.conf import settings
from django.db.models import F, Q, QuerySet

from orders import clock
from orders.amounts import counted
from orders.errors import CarrierRejected, RequestRefused
from orders.models import Shipment
from orders.partners import breaker, carrier
from orders.services import tracking
from orders.services.processes.pacing import Pace, add
from orders.vocabulary import DifferenceKind, PartnerCode, ShipmentStatus, TrackingStatus

#: a parcel that is older is lost; it is not asked for every night
STILL_TRAVELLING = timedelta(days=30)
CHUNK = 20
#: figures that are no status
COUNTS = frozenset({"parcels", "differences", "left"})


def refresh_tracking(pace: Pace) -> str:
    """Raises `PartnerUnavailable` when the carrier does not answer; what was asked before is kept."""
    room = settings.DAY_END_PARCELS - int(pace.step.figures.get("parcels", 0))
    # Once for the attempt: sorting all of them again for each chunk would cost more than asking.
    order = F("tracking_updated_at").asc(nulls_first=True)
    waiting = iter(list(_unasked(pace).order_by(order, "pk").values_list("pk", flat=True)[: max(room, 0)]))
    while chunk := list(islice(waiting, CHUNK)):
        _ask(pace, list(Shipment.objects.filter(pk__in=chunk).order_by("pk")))
    left = _unasked(pace).count()
    if left:
        with pace.chunk() as step:
            step.figures["left"] = left
    figures = pace.step.figures
    told = ", ".join(f"{figures[word]} {word.replace('_', ' ')}" for word in sorted(figures) if word not in COUNTS)
    rest = f" {counted(left, 'parcel')} are left for the next run, which begins with them." if left else ""
    return f"{counted(figures.get('parcels', 0), 'parcel')} asked for{f': {told}' if told else ''}.{rest}"


def _unasked(pace: Pace) -> QuerySet[Shipment]:
    """Parcels that have not arrived, as far as we know, and that this run has not asked for.

    The carrier of ours knows nothing of one that a person booked elsewhere.
    """
    run = pace.run
    return Shipment.objects.filter(
        Q(tracking_updated_at=None) | Q(tracking_updated_at__lt=run.created_at),
        status=ShipmentStatus.BOOKED,
        by_hand=False,
        created_at__gt=run.covers_until - STILL_TRAVELLING,
        created_at__lte=run.covers_until,
    ).exclude(tracking_status=TrackingStatus.DELIVERED)


def _ask(pace: Pace, parcels: list[Shipment]) -> None:
    found = {}
    for parcel in parcels:
        with breaker.attempt(PartnerCode.CARRIER, subject=str(parcel.order_id)):
            found[parcel] = _status(pace, parcel)
        pace.rest()
    with pace.chunk(parcels=len(parcels)) as step:
        Shipment.objects.filter(pk__in=[parcel.pk for parcel in parcels]).update(tracking_updated_at=clock.now())
        for parcel, status in found.items():
            add(step, status, 1)
            if status in {"unknown", ShipmentStatus.CANCELLED}:
                says = f"We have parcel {parcel.reference} as booked, the carrier as {status}."
                pace.differs(DifferenceKind.SHIPMENT, parcel.reference, says, order_id=parcel.order_id)
                add(step, "differences", 1)


def _status(pace: Pace, parcel: Shipment) -> str:
    """In the carrier's words; "unknown" when it does not know the parcel. What moved is learned event by event."""
    try:
        booking = carrier.find(parcel.reference)
        if booking is None:
            return "unknown"
        if booking.status in set(TrackingStatus) and booking.status != parcel.tracking_status:
            tracking.learn(parcel.reference, carrier.track(parcel.reference), actor=pace.actor)
    except (CarrierRejected, RequestRefused):
        return "unknown"
    return booking.status
