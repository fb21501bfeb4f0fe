"""Actions that were refused: who tried what, where, and how often.

A forged request that only gets a 403 leaves nothing behind, and nobody learns that somebody tries doors. Rows are
counted up within an hour instead of added, so that a flood of refusals cannot fill the disk.
"""

import pgtrigger
from django.conf import settings
from django.db import models

from orders.models.rules import check, never_deleted, one_of, word_field
from orders.vocabulary import Channel


class RefusedAction(models.Model):
    #: the UTC hour that `times` counts in
    hour = models.DateTimeField()
    #: a username, or "(not signed in)", which no username can be
    actor = models.CharField(max_length=150)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True)
    channel = word_field(Channel)
    #: name of a command in `orders.access`, or of the page or call where it is none
    action = models.CharField(max_length=100)
    #: what the action was about, as the address or the form names it
    subject = models.CharField(max_length=100, blank=True)
    permission = models.CharField(max_length=100, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    #: of the first time
    address = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    times = models.PositiveBigIntegerField(default=1)

    class Meta:
        default_permissions = ("view",)
        triggers = [
            pgtrigger.ReadOnly(name="only_counted_up", exclude=["times", "last_at"]),
            *never_deleted(),
        ]
        constraints = [
            models.UniqueConstraint(fields=["hour", "actor", "channel", "action", "subject"], name="refusal_once"),
            one_of("refusal", "channel", Channel),
            check("refusal_counts", models.Q(times__gte=1)),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}"
