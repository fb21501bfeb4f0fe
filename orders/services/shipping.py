"""Booking the shipment of an order, and taking the booking back."""

from django.db.models import Sum

from orders import failpoints, fence, history
from orders.actor import Actor
from orders.errors import CarrierRejected, PartnerUnavailable, RequestRefused, ShipmentRefused, StaleAttempt
from orders.models import Command, Order, Shipment
from orders.partners import breaker, carrier
from orders.services import commands, outcomes, parking, predecessors, stock, tasks
from orders.services.commands import require_free_way
from orders.services.process import note_retry
from orders.vocabulary import (
    CommandKind,
    EventType,
    PartnerCode,
    ReservationStatus,
    ShipmentStatus,
    StepName,
    StepStatus,
    TaskKind,
    TaskLevel,
)


def ship(order_id: str, *, actor: Actor) -> None:
    """Book the order's shipment and let its reserved pieces leave the stock.

    Raises `OnHold` (waits for a person), `CancelAsked` or `CarrierRejected` (final), `PartnerUnavailable` (retry),
    `RequestRefused` (parked), `StepMissing` (not due: unpaid, not approved), `StepVoided` or `StaleAttempt` (not ours
    any more).
    """
    held = fence.claim(order_id, StepName.SHIP)
    if held.is_done:
        return
    require_free_way(order_id)
    with fence.progress(held):
        order = history.lock_order(order_id)
        predecessors.require_due(order, held.name)
    skip = commands.standing(order_id, CommandKind.STEP_SKIP)
    if skip is not None and _is_cancelled(held, skip, actor=actor):
        _settle_by_hand(held, skip, actor=actor)
        return
    pieces = order.lines.aggregate(pieces=Sum("quantity"))["pieces"]
    try:
        with breaker.attempt(PartnerCode.CARRIER, subject=order_id):
            booking = None if held.is_first else carrier.find(held.key)
            if booking is None:
                fence.check(held)
                failpoints.reach(held.key, held.token, "call")
                booking = carrier.book(held.key, order=order_id, country=order.ship_to_country, pieces=pieces)
    except PartnerUnavailable as error:
        note_retry(held, error, actor=actor)
        raise
    except RequestRefused as error:
        parking.park(held, error, actor=actor)
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
    with fence.progress(held):
        # Before the order: a booking that is being committed holds its step and waits for the order.
        shipped = fence.void(order_id, StepName.SHIP) is StepStatus.DONE
        predecessors.require_due(history.lock_order(order_id), held.name)
    try:
        with breaker.attempt(PartnerCode.CARRIER, subject=order_id):
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
    except RequestRefused as error:
        parking.park(held, error, actor=actor)
        raise
    failpoints.reach(held.key, held.token, "effect")
    with fence.commit(held, {}):
        order = history.lock_order(order_id)
        by_hand = order.shipments.filter(by_hand=True).first()
        if by_hand is not None:
            _have_it_stopped(order, by_hand, actor=actor)
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
        if commands.standing(order.pk, CommandKind.STEP_SKIP) is not None:
            # Somebody booked it by hand meanwhile: ours is cancelled by the next attempt, or two parcels leave.
            raise StaleAttempt("A person skipped the booking while it was made; the next attempt cancels it.")
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
        parking.mended(held, order, actor=actor)


def _is_cancelled(held: fence.Claim, skip: Command, *, actor: Actor) -> bool:
    """Have the carrier cancel our reference for good; False when it has the parcel, and the skip comes too late."""
    try:
        with breaker.attempt(PartnerCode.CARRIER, subject=held.order_id):
            carrier.cancel(held.key, order=held.order_id)
    except PartnerUnavailable as error:
        note_retry(held, error, actor=actor)
        raise
    except RequestRefused as error:
        parking.park(held, error, actor=actor)
        raise
    except CarrierRejected:
        with fence.progress(held):
            order = history.lock_order(held.order_id)
            commands.leave_alone(order, skip, "The carrier has taken the shipment already.", actor=actor)
        return False
    failpoints.reach(held.key, held.token, "effect")
    return True


def _settle_by_hand(held: fence.Claim, skip: Command, *, actor: Actor) -> None:
    with fence.commit(held, skip.details):
        order = history.lock_order(held.order_id)
        pieces = stock.move_reserved(order, to=ReservationStatus.CONSUMED)
        Shipment.objects.create(order=order, reference=held.key, by_hand=True, **skip.details)
        history.record(
            order,
            EventType.SHIPPED,
            actor=actor,
            reason=f"Booked by hand by {skip.actor}: {skip.reason}",
            step=held.name,
            data={**skip.details, "pieces": pieces, "by_hand": True},
        )
        commands.finish(Command.objects.filter(pk=skip.pk), "Our own booking is cancelled at the carrier.")
        parking.mended(held, order, actor=actor, skipped=True)


def _have_it_stopped(order: Order, shipment: Shipment, *, actor: Actor) -> None:
    """We cannot cancel what a person booked."""
    tasks.open_task(
        TaskKind.RECALL_BY_HAND,
        order,
        level=TaskLevel.AGENT,
        says=f"Cancel {shipment.tracking_number} at {shipment.carrier}: it was booked by hand, the order is undone.",
        actor=actor,
    )
