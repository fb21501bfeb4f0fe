"""The facts of an order that expressions may name, read when asked for (`orders.playbooks.facts` has the types)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Sum

from orders import clock
from orders.models import FraudCheck, Order, Payment, Shipment
from orders.vocabulary import ShipmentStatus


def of_order(order_id: UUID | str) -> dict[str, Any]:
    order = Order.objects.select_related("customer").get(pk=order_id)
    payment = Payment.objects.filter(order=order).first()
    lines = list(order.lines.values_list("product__sku", flat=True))
    now = clock.now()
    return {
        "number": order.number,
        "status": order.status,
        "currency": order.currency,
        "country": order.ship_to_country,
        "source": order.source,
        "failure_type": order.failure_type,
        "customer": order.customer.reference if order.customer else "",
        "is_guest": order.customer_id is None,
        "is_shipped": Shipment.objects.filter(order=order, status=ShipmentStatus.BOOKED).exists(),
        "total_minor": order.total_minor,
        "captured_minor": payment.captured_minor if payment else 0,
        "refunded_minor": payment.refunded_minor if payment else 0,
        "refundable_minor": payment.left_minor if payment else 0,
        "lines": len(lines),
        "pieces": order.lines.aggregate(n=Sum("quantity"))["n"] or 0,
        "score": FraudCheck.objects.filter(order=order).values_list("score", flat=True).first() or 0,
        "hours_since_placed": int((now - order.placed_at).total_seconds() // 3600),
        "hours_in_status": int((now - order.status_since).total_seconds() // 3600),
        "tags": list(order.tags.values_list("tag", flat=True)),
        "skus": sorted(set(lines)),
    }
