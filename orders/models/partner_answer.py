"""Answers of partners that are kept: for a while as fresh, and longer for when the partner is out of order."""

from django.db import models
from django.db.models import F

from orders import clock
from orders.models.rules import check, one_of, word_field
from orders.vocabulary import PartnerCode


class PartnerAnswer(models.Model):
    #: sha256 of the question as canonical JSON (`orders/services/partner_answers.py`)
    key = models.CharField(max_length=64, primary_key=True)
    partner = word_field(PartnerCode)
    endpoint = models.CharField(max_length=40)
    #: what was asked; no personal data, for rows outlive customers
    parameters = models.JSONField(default=dict)
    #: whatever the partner said; nothing, zero and null are answers too
    body = models.JSONField(null=True)
    fetched_at = models.DateTimeField(default=clock.now)
    #: until then it is used as it is
    fresh_until = models.DateTimeField()
    #: until then it may stand in for an answer that the partner does not give, and says so
    usable_until = models.DateTimeField()
    stale_uses = models.PositiveIntegerField(default=0)
    last_used_stale_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            one_of("partner_answer", "partner", PartnerCode),
            check(
                "partner_answer_times_in_order",
                models.Q(fresh_until__gte=F("fetched_at"), usable_until__gte=F("fresh_until")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.partner} {self.endpoint}"


class QuestionLease(models.Model):
    """Who asks a partner the question just now; a row that is out of its time belongs to nobody."""

    #: of the question, as in `PartnerAnswer`
    key = models.CharField(max_length=64, primary_key=True)
    token = models.UUIDField()
    held_until = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.key} until {self.held_until:%H:%M:%S}"
