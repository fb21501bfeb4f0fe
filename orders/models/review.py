"""The fraud rules, what they said of an order, and the case that a person decides.

Rules are versions: a change is a new row, so that a score of last month can be explained by the rules of last month.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from orders import clock
from orders.models.approval import Approval
from orders.models.order import Order
from orders.models.rules import append_only, check, never_deleted, one_of, word_field
from orders.models.typed_words import TypedField, TypedRows
from orders.vocabulary import ReviewStatus


class FraudRules(models.Model):
    """One version of the rules; the newest one counts. Points of all rules that hit are added up."""

    version = models.AutoField(primary_key=True)
    #: a total above this many minor units, whatever the currency, is a hit
    total_over_minor = models.BigIntegerField(default=500_000)
    total_points = models.PositiveSmallIntegerField(default=60)
    #: a line of this many pieces or more is a hit, counted once
    line_pieces = models.PositiveIntegerField(default=1_000)
    line_points = models.PositiveSmallIntegerField(default=40)
    guest_points = models.PositiveSmallIntegerField(default=20)
    #: the partner's score (0 to 100) from which it is a hit; a hit counts its score as points
    partner_hit_from = models.PositiveSmallIntegerField(default=90)
    #: an order of this many points or more needs a review
    suspicious_from = models.PositiveSmallIntegerField(default=60)
    #: hours that a reviewer has before the case goes to the lead, and then the lead before the default verdict counts
    review_hours = models.PositiveSmallIntegerField(default=24)
    escalation_hours = models.PositiveSmallIntegerField(default=24)
    #: what happens when nobody decides
    default_verdict = word_field(ReviewStatus, default=ReviewStatus.REJECTED)
    #: approving an order of more than this many minor units takes two people
    second_person_over_minor = models.BigIntegerField(default=2_000_000)
    made_by = models.CharField(max_length=150, default="backoffice")
    reason = TypedField(max_length=500, default="The rules that the product comes with")
    #: the two people; none for what the product comes with, and for versions of before two people were needed
    approval = models.OneToOneField(Approval, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=clock.now)

    objects = TypedRows.as_manager()

    class Meta:
        ordering = ["-version"]
        default_permissions = ("view", "add")
        verbose_name = verbose_name_plural = "fraud rules"
        triggers = append_only()
        constraints = [
            check("fraud_default_is_a_verdict", Q(default_verdict__in=[ReviewStatus.APPROVED, ReviewStatus.REJECTED])),
            check("fraud_partner_score_within", Q(partner_hit_from__lte=100)),
            check("fraud_hours_positive", Q(review_hours__gte=1, escalation_hours__gte=1)),
        ]

    def __str__(self) -> str:
        return f"Version {self.version}"


class FraudCheck(models.Model):
    """What the rules and the partner said of one order. Append-only."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="fraud_check")
    rules = models.ForeignKey(FraudRules, on_delete=models.PROTECT, related_name="+")
    score = models.PositiveIntegerField()
    suspicious = models.BooleanField()
    #: the rules that hit: [{"rule": ..., "points": ..., "says": ...}]
    hits = models.JSONField(default=list)
    #: null when a person skipped the partner
    partner_score = models.PositiveSmallIntegerField(null=True)
    partner_reasons = models.JSONField(default=list)
    #: when the partner was asked; null when it was not
    partner_asked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        default_permissions = ("view",)
        triggers = append_only()
        constraints = [
            check("fraud_partner_asked_or_skipped", ~Q(partner_score=None) ^ Q(partner_asked_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.order.number}: {self.score}"


class ReviewCase(models.Model):
    """One order that a person must decide before money moves."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="review")
    status = word_field(ReviewStatus, default=ReviewStatus.OPEN)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    opened_at = models.DateTimeField(default=clock.now)
    #: when the case goes to the lead, or, after that, when the default verdict counts
    deadline_at = models.DateTimeField()
    escalated_at = models.DateTimeField(null=True, blank=True)
    #: what the reviewer wants to know of the customer or a colleague
    question = models.CharField(max_length=500, blank=True)
    needs_second = models.BooleanField(default=False)
    first_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    first_at = models.DateTimeField(null=True, blank=True)
    #: the person whose verdict counts; none when nobody decided in time
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["deadline_at", "id"]
        default_permissions = ("view",)
        permissions = [
            ("decide_review", "May claim review cases, ask, and decide them"),
            ("extend_review", "May give a review case more time"),
        ]
        triggers = never_deleted()
        indexes = [models.Index(fields=["deadline_at"], condition=Q(status=ReviewStatus.OPEN), name="review_open")]
        constraints = [
            one_of("review", "status", ReviewStatus),
            check("review_decided_has_time", Q(status=ReviewStatus.OPEN) | Q(decided_at__isnull=False)),
            # Two people means two people, superusers included.
            check(
                "review_two_people",
                ~Q(status=ReviewStatus.APPROVED, needs_second=True)
                | Q(first_by__isnull=False, decided_by__isnull=False) & ~Q(first_by=F("decided_by")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order.number} {self.status}"
