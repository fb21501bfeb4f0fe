"""Reservations and shipments: what an order holds in the warehouse and what left it."""

from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.catalogue import Product
from orders.models.order import Order
from orders.models.rules import append_only, check, one_of, word_field
from orders.vocabulary import ReservationStatus, ShipmentStatus, TrackingStatus


class Reservation(models.Model):
    """Pieces of one product that one order holds; one row for each product of the order."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="reservations")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    quantity = models.BigIntegerField()
    status = word_field(ReservationStatus, default=ReservationStatus.HELD)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "product"], name="reservation_once"),
            one_of("reservation", "status", ReservationStatus),
            check("reservation_quantity_positive", Q(quantity__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.status}"


class Shipment(models.Model):
    """A booked parcel. `reference` is our key at the carrier, known before the first call."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="shipments")
    reference = models.CharField(max_length=128, unique=True)
    status = word_field(ShipmentStatus, default=ShipmentStatus.BOOKED)
    carrier = models.CharField(max_length=64, blank=True)
    tracking_number = models.CharField(max_length=64, blank=True)
    label_url = models.URLField(blank=True)
    #: booked by a person elsewhere: the carrier of ours has the reference as cancelled
    by_hand = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    #: where the parcel is, as the carrier's events say (`orders/services/tracking.py`)
    tracking_status = word_field(TrackingStatus, default=TrackingStatus.BOOKED)
    #: when the carrier was asked last
    tracking_updated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            one_of("shipment", "status", ShipmentStatus),
            one_of("shipment", "tracking_status", TrackingStatus),
        ]
        indexes = [
            models.Index(
                fields=["reference"],
                condition=Q(status=ShipmentStatus.BOOKED) & ~Q(tracking_status=TrackingStatus.DELIVERED),
                name="shipment_on_its_way",
            )
        ]

    def __str__(self) -> str:
        return self.tracking_number or self.reference


class TrackingEvent(models.Model):
    """One event of a parcel as the carrier told it; told again, it is no news. Append-only."""

    shipment = models.ForeignKey(Shipment, on_delete=models.PROTECT, related_name="tracking_events")
    #: the carrier's own name of the event
    event_id = models.CharField(max_length=64)
    status = word_field(TrackingStatus)
    #: when it happened, by the carrier's clock
    at = models.DateTimeField()
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["at", "id"]
        default_permissions = ("view",)
        triggers = append_only()
        constraints = [
            models.UniqueConstraint(fields=["shipment", "event_id"], name="tracking_event_once"),
            one_of("tracking_event", "status", TrackingStatus),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.event_id}"
