"""Booking the shipment of an order, and taking the booking back."""

from django.db.models import Sum

from orders import failpoints, fence, history
from orders.actor import Actor
from orders.errors import CarrierRejected, PartnerUnavailable, ShipmentRefused
from orders.models import Order, Shipment
from orders.partners import breaker, carrier
from orders.services import outcomes, stock
from orders.services.commands import require_free_way
from orders.services.process import note_retry
from orders.vocabulary import EventType, PartnerCode, ReservationStatus, ShipmentStatus, StepName, StepStatus


def ship(order_id: str, *, actor: Actor) -> None:
    """Book the order's shipment and let its reserved pieces leave the stock.

    Raises `OnHold` (waits for a person), `CancelAsked` or `CarrierRejected` (final),
    `PartnerUnavailable` (retry), `StepVoided` or `StaleAttempt` (not ours any more).
    """
    held = fence.claim(order_id, StepName.SHIP)
    if held.is_done:
        return
    require_free_way(order_id)
    order = Order.objects.get(pk=order_id)
    pieces = order.lines.aggregate(pieces=Sum("quantity"))["pieces"]
    try:
        with breaker.attempt(PartnerCode.CARRIER):
            booking = None if held.is_first else carrier.find(held.key)
            if booking is None:
                fence.check(held)
                failpoints.reach(held.key, held.token, "call")
                booking = carrier.book(held.key, order=order_id, country=order.ship_to_country, pieces=pieces)
    except PartnerUnavailable as error:
        note_retry(held, error, actor=actor)
        raise
    if booking.status == ShipmentStatus.CANCELLED:
        raise ShipmentRefused("The carrier has this shipment as cancelled.")
    failpoints.reach(held.key, held.token, "effect")
    _settle(held, booking, actor=actor)


def undo_ship(order_id: str, *, actor: Actor) -> None:
    """Undo of `ship`: cancel the booking, made or still on its way, and put the pieces back, held for the order."""
    held = fence.claim(order_id, StepName.RECALL)
    if held.is_done:
        return
    shipped = fence.void(order_id, StepName.SHIP) is StepStatus.DONE
    try:
        with breaker.attempt(PartnerCode.CARRIER):
            carrier.cancel(fence.step_key(order_id, StepName.SHIP), order=order_id)
    except CarrierRejected as error:
        # A parcel that has left cannot be cancelled; this is retried until staff have acted.
        note_retry(held, error, actor=actor)
        outcomes.parcel_left(held, error, actor=actor)
        raise
    except PartnerUnavailable as error:
        note_retry(held, error, actor=actor)
        outcomes.ask_a_person_when_late(held, error, actor=actor)
        raise
    failpoints.reach(held.key, held.token, "effect")
    with fence.commit(held, {}):
        order = history.lock_order(order_id)
        pieces = outcomes.take_shipment_back(order) if shipped else 0
        history.record(
            order,
            EventType.SHIPMENT_UNDONE,
            actor=actor,
            reason="The shipment was cancelled at the carrier" if shipped else "No shipment was booked or will be",
            step=held.name,
            data={"pieces": pieces},
        )
        outcomes.heard(order, actor=actor)


def _settle(held: fence.Claim, booking: carrier.Booking, *, actor: Actor) -> None:
    with fence.commit(held, {"tracking_number": booking.tracking_number}):
        order = history.lock_order(held.order_id)
        pieces = stock.move_reserved(order, to=ReservationStatus.CONSUMED)
        Shipment.objects.create(
            order=order,
            reference=held.key,
            carrier=booking.carrier,
            tracking_number=booking.tracking_number,
            label_url=booking.label_url,
        )
        history.record(
            order,
            EventType.SHIPPED,
            actor=actor,
            reason="The carrier took the shipment",
            step=held.name,
            data={"carrier": booking.carrier, "tracking_number": booking.tracking_number, "pieces": pieces},
        )
