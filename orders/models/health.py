"""What the landing page says about the machinery, kept in the database so that the page needs nobody else to answer."""

from django.db import models
from django.db.models import Q, Value

from orders.models.rules import check, one_of, word_field
from orders.vocabulary import BreakerState, PartnerCode


class PartnerHealth(models.Model):
    """The last answers of a partner, as all workers saw them."""

    partner = word_field(PartnerCode, primary_key=True)
    last_ok_at = models.DateTimeField(null=True, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    #: failures since the last good answer
    failures_in_a_row = models.PositiveIntegerField(default=0)
    #: whose calls failed since the last good answer, at most three: one order's trouble is no outage
    failed_subjects = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)
    #: the circuit breaker (`orders/partners/breaker.py`)
    state = word_field(BreakerState, default=BreakerState.CLOSED)
    #: since when calls are refused; null while closed
    opened_at = models.DateTimeField(null=True, blank=True)
    #: when one call may try; in half-open, when the lease of the one that tries ends
    next_try_at = models.DateTimeField(null=True, blank=True)
    #: failed tries since it opened, the one that opened it included; the back-off grows with it
    failed_tries = models.PositiveIntegerField(default=0)
    #: one more with each change of state; the result of a call that began before is no news
    generation = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions = ("view",)
        permissions = [("drive_breaker", "Can stop, probe and resume the calls of a partner")]
        constraints = [
            one_of("partner_health", "partner", PartnerCode),
            one_of("partner_health", "state", BreakerState),
            check("partner_health_closed", ~Q(state=BreakerState.CLOSED) | Q(opened_at=None, next_try_at=None)),
            check(
                "partner_health_open",
                ~Q(state__in=[BreakerState.OPEN, BreakerState.HALF_OPEN])
                | Q(opened_at__isnull=False, next_try_at__isnull=False),
            ),
            check("partner_health_held", ~Q(state=BreakerState.HELD) | Q(opened_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.partner)


class ServiceBeat(models.Model):
    """A process of ours says that it lives, and whether it reaches Temporal."""

    identity = models.CharField(max_length=120, primary_key=True)
    service = models.CharField(max_length=40)
    at = models.DateTimeField()
    temporal_ok_at = models.DateTimeField(null=True, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    #: activities that it took in the last minute, and those of them that failed because of us
    taken = models.PositiveIntegerField(default=0, db_default=0)
    failed = models.PositiveIntegerField(default=0, db_default=0)
    #: by how much the process's own clock is ahead of the database's, negative behind; null when it did not say
    clock_ahead_seconds = models.FloatField(null=True, blank=True)
    #: why it takes no work; empty for one that does
    stopped = models.CharField(max_length=300, blank=True, default="", db_default="")

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.identity
