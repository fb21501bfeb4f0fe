"""What the landing page says about the machinery, kept in the database so that the page needs nobody else to answer."""

from django.db import models

from orders.models.rules import one_of, word_field
from orders.vocabulary import PartnerCode


class PartnerHealth(models.Model):
    """The last answers of a partner, as all workers saw them."""

    partner = word_field(PartnerCode, primary_key=True)
    last_ok_at = models.DateTimeField(null=True, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    #: failures since the last good answer
    failures_in_a_row = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ("view",)
        constraints = [one_of("partner_health", "partner", PartnerCode)]

    def __str__(self) -> str:
        return str(self.partner)


class ServiceBeat(models.Model):
    """A process of ours says that it lives, and whether it reaches Temporal."""

    identity = models.CharField(max_length=120, primary_key=True)
    service = models.CharField(max_length=40)
    at = models.DateTimeField()
    temporal_ok_at = models.DateTimeField(null=True, blank=True)
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.identity
