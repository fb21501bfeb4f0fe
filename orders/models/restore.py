"""What a database that was restored from a backup does not have as Temporal and the partners have it."""

import uuid

from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.rules import check, never_deleted, one_of, one_of_or_empty, word_field
from orders.vocabulary import RestoreDecision, RestoreKind


class RestoreDifference(models.Model):
    """One thing that differs, until a lead has decided about it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = word_field(RestoreKind)
    #: the order's id, or the kind and the key of a run; the row itself may be missing
    reference = models.CharField(max_length=160)
    #: the order's number, or the reference
    name = models.CharField(max_length=160)
    found_at = models.DateTimeField(default=clock.now)
    #: when the partners were asked about an order, and what they have of it
    asked_at = models.DateTimeField(null=True, blank=True)
    payment_reference = models.CharField(max_length=128, blank=True)
    #: what the payment is of, and what the gateway has taken of it
    amount_minor = models.BigIntegerField(default=0)
    taken_minor = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3, blank=True)
    has_parcel = models.BooleanField(default=False)
    decision = word_field(RestoreDecision, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["found_at", "id"]
        default_permissions = ("view",)
        permissions = [("decide_restore", "May decide what becomes of what a restored database does not have")]
        triggers = never_deleted()
        constraints = [
            one_of("restore_difference", "kind", RestoreKind),
            one_of_or_empty("restore_difference", "decision", RestoreDecision),
            models.UniqueConstraint(fields=["reference"], condition=Q(decision=""), name="restore_difference_one_open"),
            check(
                "restore_difference_decided_by_somebody",
                Q(decision="", decided_at=None, decided_by="", note="")
                | ~Q(decision="") & Q(decided_at__isnull=False) & ~Q(decided_by="") & ~Q(note=""),
            ),
        ]

    def __str__(self) -> str:
        return self.name
