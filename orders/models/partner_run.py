"""A list of calls to one partner, and what became of each: one row a call, so that nothing can be dropped unseen."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.rules import check, never_deleted, one_of, word_field
from orders.vocabulary import ENDED_CALLS, ENDED_RUNS, Channel, PartnerCallStatus, PartnerCode, PartnerRunStatus


class PartnerRun(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    partner = word_field(PartnerCode)
    status = word_field(PartnerRunStatus, default=PartnerRunStatus.RUNNING)
    #: none for a program of ours
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    actor = models.CharField(max_length=150)
    channel = word_field(Channel)
    reason = models.CharField(max_length=500)
    #: calls in the list; how many are done or failed is counted from them
    total = models.PositiveIntegerField(default=0)
    #: why it ended early
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        permissions = [("run_partner_calls", "May refresh what partners tell us, and cancel that")]
        triggers = never_deleted()
        constraints = [
            one_of("partner_run", "partner", PartnerCode),
            one_of("partner_run", "status", PartnerRunStatus),
            one_of("partner_run", "channel", Channel),
            check(
                "partner_run_ended_has_time",
                (Q(finished_at=None) | ~Q(status=PartnerRunStatus.RUNNING))
                & (Q(finished_at__isnull=False) | ~Q(status__in=sorted(ENDED_RUNS))),
            ),
            # Two clicks, one run: the second person is told who was first.
            models.UniqueConstraint(
                fields=["partner"], condition=Q(status=PartnerRunStatus.RUNNING), name="partner_run_one_running"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.partner} {self.created_at:%d %b %H:%M}"


class PartnerCall(models.Model):
    """One call of a run."""

    run = models.ForeignKey(PartnerRun, on_delete=models.PROTECT, related_name="calls")
    #: what is asked about: a shipment's reference, a currency, a country
    subject = models.CharField(max_length=128)
    status = word_field(PartnerCallStatus, default=PartnerCallStatus.PENDING)
    #: how often the partner was asked, or would have been but for its breaker
    attempts = models.PositiveIntegerField(default=0)
    #: unanswered ones while the partner answered others; many of them are a failure for good
    failures = models.PositiveIntegerField(default=0)
    #: of the newest failure: its type, and the sentence of its root cause
    error_type = models.CharField(max_length=40, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    #: what the partner said
    outcome = models.CharField(max_length=200, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        default_permissions = ("view",)
        triggers = never_deleted()
        constraints = [
            one_of("partner_call", "status", PartnerCallStatus),
            models.UniqueConstraint(fields=["run", "subject"], name="partner_call_once"),
            check("partner_call_failed_says_why", ~Q(status=PartnerCallStatus.FAILED) | ~Q(error_type="")),
            check(
                "partner_call_ended_has_time",
                (Q(finished_at=None) | ~Q(status=PartnerCallStatus.PENDING))
                & (Q(finished_at__isnull=False) | ~Q(status__in=sorted(ENDED_CALLS))),
            ),
        ]
        indexes = [models.Index(fields=["run", "status", "id"], name="partner_call_by_status")]

    def __str__(self) -> str:
        return self.subject
