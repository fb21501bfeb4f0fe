"""Events of the payment gateway: stored once by their id before they are answered, then carried out payment by payment.

An event only says that something happened; what is true is read from the gateway by `orders.services.settlement`. So
an event that comes twice, late or after a younger one changes nothing, and one that never comes is read from the
gateway's list (`orders.services.sweeping.events`).
"""

from __future__ import annotations

import hashlib

from django.db import IntegrityError, transaction

from orders import clock, outbox
from orders.actor import Actor
from orders.errors import RequestRefused
from orders.models import GatewayEvent, Order, Payment
from orders.partners.gateway_events import TYPES, Told
from orders.services import settlement
from orders.vocabulary import EventSource, Topic

#: events that one look carries out; the next look follows at once
AT_ONCE = 500
LONGEST_AGGREGATE = 128


def receive(told: Told, source: EventSource) -> bool:
    """Store the event and have it carried out; False when we know it already, or do nothing about its type."""
    if told.type not in TYPES:
        return False
    try:
        with transaction.atomic():
            outcome = _known_already(told)
            nothing = {"handled_at": clock.now(), "outcome": outcome} if outcome else {}
            GatewayEvent(
                id=told.id,
                type=told.type,
                payment_reference=told.payment,
                object_reference=told.object_id,
                source=source,
                created_at=told.created_at,
                **nothing,
            ).save(force_insert=True)
            if not outcome:
                look_again(told.payment)
    except IntegrityError:
        # Two deliveries at once: the database takes one.
        return False
    return True


def _known_already(told: Told) -> str:
    """Why nothing has to be looked at, or empty.

    A payment tells of each of its states, of which an order that simply pays knows all by the answers to its own calls.
    A look would cost as much as the charge. A payment that waits is another matter, and so is money of an order that
    has ended.
    """
    if not told.payment:
        return "It names no payment."
    if not told.type.startswith("payment_intent."):
        return ""
    payment = Payment.objects.filter(gateway_reference=told.payment).select_related("order").first()
    if payment is None:
        # The id is stored before the payment can take money; one that no order of ours has is found by the books.
        return "No payment of ours waits for it."
    if payment.captured_minor or not (payment.waits_for or payment.order.is_terminal):
        return "The order knows it from the gateway's own answers."
    return ""


def look_again(reference: str) -> None:
    """Have the gateway's books of that payment read. In the transaction of the caller."""
    outbox.publish(Topic.GATEWAY_EVENT, aggregate=aggregate(reference), body={"payment": reference})


def look_at_end(order: Order) -> None:
    """The order ends: what the gateway told meanwhile and could not be booked before is booked now, and not in an hour.

    In the transaction that ends it.
    """
    reference = Payment.objects.filter(order=order).values_list("gateway_reference", flat=True).first()
    if not reference:
        return
    untold = GatewayEvent.objects.filter(payment_reference=reference, handled_at=None)
    if untold.exists() or order.disputes.exists():
        look_again(reference)


def aggregate(reference: str) -> str:
    """What orders the messages of one payment."""
    name = f"gateway-payment:{reference}"
    if len(name) <= LONGEST_AGGREGATE:
        return name
    return f"gateway-payment:{hashlib.sha256(reference.encode()).hexdigest()}"


def carry_out(reference: str, *, actor: Actor) -> bool:
    """Bring our books of the payment to the gateway's; False when something must be looked at again later.

    Raises `PartnerUnavailable` (retry).
    """
    waiting = GatewayEvent.objects.filter(payment_reference=reference, handled_at=None).order_by("received_at", "id")
    # Read before the gateway is: what comes meanwhile is carried out by the next look.
    ids = list(waiting.values_list("id", flat=True)[:AT_ONCE])
    try:
        settled = settlement.settle_payment(reference, actor=actor, told_by=ids[0] if ids else "")
    except RequestRefused as error:
        settled = settlement.Settled(is_whole=True, says=str(error))
    if settled.is_whole:
        done = {"handled_at": clock.now(), "outcome": settled.says[:200]}
        GatewayEvent.objects.filter(pk__in=ids, handled_at=None).update(**done)
    return settled.is_whole
