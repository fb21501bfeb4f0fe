"""Payments and the ledger.

A ledger row moves one amount from one account to another, so an unbalanced entry cannot be written at all: it has no
representation. (The transfer model of TigerBeetle; a header with separate debit and credit lines would need a deferred
trigger to say the same.)
"""

from django.db import models
from django.db.models import F, Q

from orders.models.order import Order
from orders.models.rules import append_only, check, one_of, word_field
from orders.vocabulary import Currency, LedgerAccount, PaymentStatus


class Payment(models.Model):
    """What we know of the money of an order at the gateway."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="payment")
    status = word_field(PaymentStatus, default=PaymentStatus.PENDING)
    amount_minor = models.BigIntegerField()
    currency = word_field(Currency)
    captured_minor = models.BigIntegerField(default=0)
    refunded_minor = models.BigIntegerField(default=0)
    #: asked for and not ended: refunds under way and refunds that are owed
    refunding_minor = models.BigIntegerField(default=0)
    #: the gateway's id of the payment intent; money can move only after this is stored under the fence
    gateway_reference = models.CharField(max_length=128, blank=True)
    refund_reference = models.CharField(max_length=128, blank=True)
    #: what the intent was made with; an order that names another one wants it changed before money moves
    payment_method = models.CharField(max_length=128, blank=True)
    #: counts the payment methods; part of the keys at the gateway, so that a new intent is never the old one
    generation = models.PositiveSmallIntegerField(default=1)
    decline_code = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            one_of("payment", "status", PaymentStatus),
            one_of("payment", "currency", Currency),
            check("payment_captured_within_amount", Q(captured_minor__gte=0, captured_minor__lte=F("amount_minor"))),
            check(
                "payment_refund_within_capture",
                Q(
                    refunded_minor__gte=0,
                    refunding_minor__gte=0,
                    refunded_minor__lte=F("captured_minor") - F("refunding_minor"),
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order.number} {self.status}"

    @property
    def left_minor(self) -> int:
        """What may still be refunded."""
        return self.captured_minor - self.refunded_minor - self.refunding_minor


class LedgerTransfer(models.Model):
    """One double-entry booking: `amount_minor` from `credit_account` to `debit_account`. Append-only."""

    #: business key `<order id>:<what>`; a second booking of the same thing is refused
    key = models.CharField(max_length=128, unique=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="transfers")
    debit_account = word_field(LedgerAccount)
    credit_account = word_field(LedgerAccount)
    amount_minor = models.BigIntegerField()
    currency = word_field(Currency)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ("view",)
        triggers = append_only()
        constraints = [
            one_of("transfer", "debit_account", LedgerAccount),
            one_of("transfer", "credit_account", LedgerAccount),
            one_of("transfer", "currency", Currency),
            check("transfer_amount_positive", Q(amount_minor__gt=0)),
            check("transfer_two_accounts", ~Q(debit_account=F("credit_account"))),
        ]

    def __str__(self) -> str:
        return f"{self.credit_account} -> {self.debit_account} {self.amount_minor}"
