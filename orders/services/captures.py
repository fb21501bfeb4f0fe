"""Booking what the gateway has proved to have taken."""

from __future__ import annotations

from orders.models import LedgerTransfer, Order, Payment
from orders.partners.payments import Intent
from orders.services import payment_waits
from orders.vocabulary import LedgerAccount, PaymentStatus


def book(order: Order, payment: Payment, intent: Intent) -> None:
    """The money is with the gateway, and we owe the customer goods for it. The caller holds the order's lock."""
    payment.status, payment.captured_minor = PaymentStatus.CAPTURED, intent.taken_minor
    payment.gateway_reference = intent.id
    waited = payment_waits.end(payment, intent)
    payment.save(update_fields=["status", "captured_minor", "gateway_reference", *waited, "updated_at"])
    LedgerTransfer.objects.create(
        key=f"{order.id}:capture",
        order=order,
        debit_account=LedgerAccount.GATEWAY,
        credit_account=LedgerAccount.CUSTOMER,
        amount_minor=intent.taken_minor,
        currency=order.currency,
    )
