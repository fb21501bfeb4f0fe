"""What the sweep found, what was done about it, and where the sweep stands.

Without these rows a sweep would find the same trouble every half minute as if it were new, and nobody could tell
trouble that went away by itself from trouble that was repaired.
"""

import uuid

from django.db import models
from django.db.models import F, Q, Value

from orders import clock
from orders.models.order import Order
from orders.models.rules import check, never_deleted, one_of, word_field
from orders.vocabulary import FindingKind, SweepPart


class Finding(models.Model):
    """Trouble of one kind with one order, from the sweep that saw it first to the one that saw it no more."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = word_field(FindingKind)
    #: none where it is about money at the gateway that belongs to no order of ours
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="findings")
    #: the gateway's id of what it is about, or the kind and the key of a run, where it is about no order
    reference = models.CharField(max_length=160, blank=True, default="", db_default="")
    #: the gateway's payments that were seen with it, to be asked about until it is gone
    payments = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)
    #: what is wrong, for people
    says = models.CharField(max_length=500)
    first_seen_at = models.DateTimeField(default=clock.now)
    last_seen_at = models.DateTimeField(default=clock.now)
    #: what the sweep did about it by itself; empty when a person must act
    repair = models.CharField(max_length=200, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    #: how it ended
    resolution = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-first_seen_at", "-id"]
        default_permissions = ("view",)
        triggers = never_deleted()
        indexes = [
            models.Index(fields=["kind", "order"], condition=Q(resolved_at=None), name="finding_open"),
            models.Index(fields=["-first_seen_at", "-id"], name="finding_newest"),
        ]
        constraints = [
            one_of("finding", "kind", FindingKind),
            models.UniqueConstraint(fields=["order", "kind"], condition=Q(resolved_at=None), name="finding_one_open"),
            models.UniqueConstraint(
                fields=["reference"], condition=Q(resolved_at=None, order=None), name="finding_one_open_of_reference"
            ),
            check("finding_about_one_thing", Q(order=None) ^ Q(reference="")),
            check("finding_seen_in_order", Q(last_seen_at__gte=F("first_seen_at"))),
            check("finding_resolved_says_how", Q(resolved_at=None) ^ ~Q(resolution="")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.order.number if self.order else self.reference}"


class Recovery(models.Model):
    """One order = one run, ever; this row is the recorded exception: a second run that undoes, or finishes."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT, primary_key=True, related_name="recovery")
    #: the run that ended from outside; empty when no run had taken the order up
    ended_run_id = models.CharField(max_length=64, blank=True)
    #: the newest run that undoes; empty until it begins
    run_id = models.CharField(max_length=64, blank=True)
    #: a lead decided that the order, whose parcel was booked, is completed instead
    finishes = models.BooleanField(default=False, db_default=False)
    why = models.CharField(max_length=500)
    asked_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ("view",)
        verbose_name_plural = "recoveries"
        triggers = never_deleted()
        constraints = [check("recovery_says_why", ~Q(why=""))]

    def __str__(self) -> str:
        return f"Recovery of {self.order.number}"


class SweepProgress(models.Model):
    """When a part of the sweep ran last, what it could not look at, and where the next one goes on."""

    part = word_field(SweepPart, primary_key=True)
    ran_at = models.DateTimeField(default=clock.now)
    looked_at = models.PositiveIntegerField(default=0)
    #: why it looked at less than it should; empty when nothing was left out
    skipped = models.CharField(max_length=300, blank=True)
    #: where the next one begins among the open orders, and among the closed ones; empty for the beginning
    cursor = models.CharField(max_length=100, blank=True)
    closed_cursor = models.CharField(max_length=100, blank=True)
    #: where each look at each list of the gateway goes on (`orders/services/sweeping/walking.py`)
    places = models.JSONField(default=dict, db_default=Value({}, models.JSONField()), blank=True)
    #: ids of closed orders that the cursor has passed without a last word about their process
    again = models.JSONField(default=list, blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [one_of("sweep_progress", "part", SweepPart)]

    def __str__(self) -> str:
        return str(self.part)
