"""Where a parcel is: what the carrier tells is kept event by event, and the parcel only ever moves forward.

A carrier tells all events again each time, late ones after newer ones, and its answers may arrive in any order. So the
status is worked out from all events that were ever told, and never taken from the newest answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.models import Shipment, TrackingEvent
from orders.partners import breaker, carrier
from orders.partners.carrier import TrackingNews
from orders.vocabulary import EventType, PartnerCode, TrackingStatus
from orders.wording import status_word


def refresh(reference: str, *, actor: Actor) -> TrackingStatus:
    """Ask the carrier. Raises `Shipment.DoesNotExist`, `CarrierRejected` (final) or `PartnerUnavailable` (retry)."""
    with breaker.attempt(PartnerCode.CARRIER, subject=reference):
        news = carrier.track(reference)
    return learn(reference, news, actor=actor)


def learn(reference: str, news: Sequence[TrackingNews], *, actor: Actor) -> TrackingStatus:
    """Add what is new; a change of the parcel's status is a line of its order's history."""
    with transaction.atomic():
        order = history.lock_order(Shipment.objects.values_list("order_id", flat=True).get(reference=reference))
        shipment = Shipment.objects.get(reference=reference)
        TrackingEvent.objects.bulk_create(
            [TrackingEvent(shipment=shipment, event_id=told.event_id, status=told.status, at=told.at) for told in news],
            ignore_conflicts=True,
        )
        before, shipment.tracking_updated_at = shipment.tracking_status, clock.now()
        shipment.tracking_status = _standing(shipment.tracking_events.all())
        shipment.save(update_fields=["tracking_status", "tracking_updated_at"])
        if shipment.tracking_status != before:
            history.record(
                order,
                EventType.TRACKING_UPDATED,
                actor=actor,
                reason=f"The carrier says: {status_word(shipment.tracking_status).lower()}",
                data={"tracking_number": shipment.tracking_number, "tracking_status": shipment.tracking_status},
            )
    return TrackingStatus(shipment.tracking_status)


def _standing(events: Iterable[TrackingEvent]) -> TrackingStatus:
    """The same for the same events, in whatever order they came."""
    moved = [event for event in events if event.status != TrackingStatus.BOOKED]
    if not moved:
        return TrackingStatus.BOOKED
    if any(event.status == TrackingStatus.DELIVERED for event in moved):
        return TrackingStatus.DELIVERED
    # Of two at one moment the exception counts: a person should look.
    return TrackingStatus(max(moved, key=lambda event: (event.at, event.status == TrackingStatus.EXCEPTION)).status)
