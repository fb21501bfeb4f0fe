"""The daily random sample of shipped orders, and what staff found when they checked them.

A sample that somebody chose says what they wanted to hear. The row of the day is written once, with its orders, so a
second draw of the same day changes nothing.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from orders import clock
from orders.models.order import Order
from orders.models.rules import append_only, check, never_deleted, one_of, word_field
from orders.vocabulary import QualityStatus


class QualitySample(models.Model):
    #: the UTC day on which the orders were completed
    day = models.DateField(primary_key=True)
    #: of how many it was drawn
    shipped = models.PositiveIntegerField()
    drawn = models.PositiveIntegerField()
    run_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-day"]
        default_permissions = ("view",)
        triggers = append_only()
        constraints = [check("quality_sample_within", Q(drawn__lte=F("shipped")))]

    def __str__(self) -> str:
        return f"Sample of {self.day}"


class QualityCheck(models.Model):
    """One shipped order that a person looks at."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sample = models.ForeignKey(QualitySample, on_delete=models.PROTECT, related_name="checks")
    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="quality_check")
    status = word_field(QualityStatus, default=QualityStatus.TO_CHECK)
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    checked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        permissions = [("check_quality", "May say whether shipped orders passed their quality check")]
        triggers = never_deleted()
        indexes = [models.Index(fields=["-created_at", "-id"], name="quality_newest")]
        constraints = [
            one_of("quality", "status", QualityStatus),
            check(
                "quality_whoever_checked_says_what",
                Q(status=QualityStatus.TO_CHECK, checked_by=None, checked_at=None, note="")
                | ~Q(status=QualityStatus.TO_CHECK)
                & Q(checked_by__isnull=False, checked_at__isnull=False)
                & ~Q(note=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order.number} {self.status}"
