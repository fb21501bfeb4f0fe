"""Refunds of completed orders: what goes back, why, under which key, and what became of it."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.approval import Approval
from orders.models.order import Order
from orders.models.returns import ReturnCase
from orders.models.rules import check, never_deleted, one_of, word_field
from orders.vocabulary import ENDED_REFUNDS, MOVING_REFUNDS, OPEN_REFUNDS, Channel, Currency, RefundStatus


class Refund(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="refunds")
    amount_minor = models.BigIntegerField()
    currency = word_field(Currency)
    reason = models.CharField(max_length=500)
    #: the idempotency key of the gateway, stored before its first call; a new one when a refused refund is tried again
    key = models.CharField(max_length=128, unique=True)
    tries = models.PositiveSmallIntegerField(default=1)
    #: the fence: minted by each attempt's claim, and only the newest attempt may call or commit
    token = models.PositiveIntegerField(default=0)
    status = word_field(RefundStatus, default=RefundStatus.REQUESTED)
    #: who asked for it last, and is asked for the permission again before it is sent; none for a program of ours
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    #: who asked for it first, and against whose limit of a day it counts; `requested_by` changes when others retry it
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    actor = models.CharField(max_length=150)
    channel = word_field(Channel)
    #: the two people, where it takes two
    approval = models.OneToOneField(Approval, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    #: the return whose pieces it pays for, if any
    return_case = models.ForeignKey(ReturnCase, on_delete=models.PROTECT, null=True, blank=True, related_name="refunds")
    gateway_reference = models.CharField(max_length=128, blank=True)
    #: raised when a look-up proved that nothing was done and the gateway keeps a failure under the key; part of it
    key_generation = models.PositiveIntegerField(default=1, db_default=1)
    #: given back at the gateway by somebody, and not through us
    outside = models.BooleanField(default=False, db_default=False)
    #: the gateway's own word for it when it was last asked
    gateway_status = models.CharField(max_length=40, blank=True, default="", db_default="")
    #: the gateway's refusal, or how a person gave the money back
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        triggers = never_deleted()
        constraints = [
            one_of("refund", "status", RefundStatus),
            one_of("refund", "currency", Currency),
            one_of("refund", "channel", Channel),
            check("refund_amount_positive", Q(amount_minor__gt=0)),
            check("refund_done_has_reference", ~Q(status=RefundStatus.DONE) | ~Q(gateway_reference="")),
            check(
                "refund_ended_has_time",
                (Q(finished_at=None) | ~Q(status__in=sorted(OPEN_REFUNDS)))
                & (Q(finished_at__isnull=False) | ~Q(status__in=sorted(ENDED_REFUNDS))),
            ),
            # Two clicks, one refund: the second person is told who was first.
            models.UniqueConstraint(
                fields=["order"], condition=Q(status__in=sorted(MOVING_REFUNDS)), name="refund_one_open"
            ),
            # One return is paid for once, also when the refund before it has ended.
            models.UniqueConstraint(
                fields=["return_case"], condition=~Q(status=RefundStatus.DROPPED), name="refund_one_for_a_return"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order.number} {self.amount_minor} {self.status}"
