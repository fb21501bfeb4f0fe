"""Payments and the ledger.

A ledger row moves one amount from one account to another, so an unbalanced entry cannot be written at all: it has no
representation. (The transfer model of TigerBeetle; a header with separate debit and credit lines would need a deferred
trigger to say the same.)
"""

import uuid

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from orders import clock
from orders.models.order import Order
from orders.models.rules import (
    ChangedAt,
    append_only,
    check,
    never_deleted,
    one_of,
    one_of_or_empty,
    unchanged,
    word_field,
)
from orders.vocabulary import (
    CLOSED_DISPUTES,
    OPEN_DISPUTES,
    Currency,
    DisputeStatus,
    EventSource,
    LedgerAccount,
    PaymentStatus,
    PaymentWait,
)


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
    #: taken back by the customer's bank, as long as a dispute is open or when it is lost
    disputed_minor = models.BigIntegerField(default=0, db_default=0)
    #: the gateway's own word for the payment when it was last asked
    gateway_status = models.CharField(max_length=40, blank=True, default="", db_default="")
    #: whom the payment waits for; empty while nobody has to act
    waits_for = word_field(PaymentWait, blank=True, default="", db_default="")
    waiting_since = models.DateTimeField(null=True, blank=True)
    #: when the wait ends: the payment is cancelled (customer), or staff get a task (bank)
    wait_until = models.DateTimeField(null=True, blank=True)
    #: where the customer confirms the payment
    action_url = models.CharField(max_length=2_000, blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = ChangedAt()

    class Meta:
        default_permissions = ("view",)
        # Of what the gateway names by its own id, to find the order.
        indexes = [
            models.Index(
                fields=["gateway_reference"], condition=~Q(gateway_reference=""), name="payment_gateway_reference"
            )
        ]
        constraints = [
            one_of("payment", "status", PaymentStatus),
            one_of("payment", "currency", Currency),
            one_of_or_empty("payment", "waits_for", PaymentWait),
            check("payment_wait_has_begun", Q(waits_for="") ^ Q(waiting_since__isnull=False)),
            check("payment_disputed_within_capture", Q(disputed_minor__gte=0, disputed_minor__lte=F("captured_minor"))),
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
        """What may still be refunded. Of disputed money nothing is left: the bank has it."""
        return max(self.captured_minor - self.refunded_minor - self.refunding_minor - self.disputed_minor, 0)


class LedgerTransfer(models.Model):
    """One double-entry booking: `amount_minor` from `credit_account` to `debit_account`. Append-only."""

    #: business key `<order id>:<what>`; a second booking of the same thing is refused
    key = models.CharField(max_length=128, unique=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="transfers")
    debit_account = word_field(LedgerAccount)
    credit_account = word_field(LedgerAccount)
    amount_minor = models.BigIntegerField()
    currency = word_field(Currency)
    created_at = models.DateTimeField(default=clock.now, editable=False)

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


class Dispute(models.Model):
    """A payment that the customer's bank questions, as the gateway tells of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="disputes")
    #: the gateway's id of the dispute
    gateway_reference = models.CharField(max_length=128, unique=True)
    amount_minor = models.BigIntegerField()
    currency = word_field(Currency)
    #: the bank's word: fraudulent, product_not_received, ...
    reason = models.CharField(max_length=64)
    status = word_field(DisputeStatus)
    #: the gateway's own word for it when it was last asked
    gateway_status = models.CharField(max_length=40)
    #: what the bank holds back at the moment, by the ledger
    withdrawn_minor = models.BigIntegerField(default=0)
    opened_at = models.DateTimeField()
    #: until when the gateway takes evidence
    evidence_due_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-opened_at", "-id"]
        default_permissions = ("view",)
        triggers = never_deleted()
        constraints = [
            one_of("dispute", "status", DisputeStatus),
            one_of("dispute", "currency", Currency),
            check("dispute_amount_positive", Q(amount_minor__gt=0)),
            check("dispute_withdrawn_within_amount", Q(withdrawn_minor__gte=0, withdrawn_minor__lte=F("amount_minor"))),
            check(
                "dispute_closed_has_time",
                (Q(closed_at=None) | ~Q(status__in=sorted(OPEN_DISPUTES)))
                & (Q(closed_at__isnull=False) | ~Q(status__in=sorted(CLOSED_DISPUTES))),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order.number} {self.status}"


class GatewayEvent(models.Model):
    """What the gateway told us of a payment: stored once, by its own id, before it is answered.

    It holds ids and no contents: what is true is read from the gateway when the event is carried out.
    """

    #: the gateway's id of the event
    id = models.CharField(max_length=128, primary_key=True)
    type = models.CharField(max_length=80)
    #: the payment intent that it is about; empty when it is about none that we can name
    payment_reference = models.CharField(max_length=128, blank=True, default="")
    #: the refund, dispute or intent that it is about
    object_reference = models.CharField(max_length=128, blank=True, default="")
    source = word_field(EventSource)
    #: when it happened, by the gateway's clock
    created_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    handled_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["-received_at", "-id"]
        default_permissions = ("view",)
        triggers = [*never_deleted(), unchanged("handled_at", "outcome")]
        constraints = [one_of("gateway_event", "source", EventSource)]
        indexes = [
            models.Index(
                fields=["payment_reference", "received_at"],
                condition=Q(handled_at=None),
                name="gateway_event_waiting",
            ),
            models.Index(fields=["-received_at", "-id"], name="gateway_event_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"
