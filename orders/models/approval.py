"""Commands that wait for a second person.

One person alone must not be able to give what a stolen session or a slip of the finger would cost most. What the second
person sees is what will happen: the parameters cannot be edited, and a keyed digest is verified before they are used.
"""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q

from orders import clock
from orders.models.rules import append_only, check, never_deleted, one_of, word_field
from orders.signing import DIGEST_LENGTH
from orders.vocabulary import ApprovalStatus, Channel

#: columns that say what became of a request; the others stay as they were written
DECISION = ["status", "decided_by", "decided_at", "decision", "decided_digest"]


class Approval(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    #: name of a command in `orders.access`
    command = models.CharField(max_length=40)
    #: what it is about, such as a SKU or an order's number; one request waits for each
    subject = models.CharField(max_length=100)
    #: what will happen, in words for whoever decides
    says = models.CharField(max_length=500)
    parameters = models.JSONField()
    #: keyed, over all that was asked for; see `orders.signing`
    asked_digest = models.CharField(max_length=DIGEST_LENGTH, db_default="")
    reason = models.CharField(max_length=500)
    channel = word_field(Channel)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(default=clock.now, editable=False)
    expires_at = models.DateTimeField()
    status = word_field(ApprovalStatus, default=ApprovalStatus.WAITING)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    #: why the second person decided so, or why it came to nothing
    decision = models.CharField(max_length=500, blank=True)
    #: keyed, over who agreed to what and when; empty unless two people agreed
    decided_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True, db_default="")

    class Meta:
        default_permissions = ("view",)
        permissions = [("decide_approval", "Can approve or decline what a colleague asked for")]
        triggers = [
            pgtrigger.ReadOnly(name="asked_once", exclude=DECISION),
            *never_deleted(),
        ]
        constraints = [
            one_of("approval", "status", ApprovalStatus),
            one_of("approval", "channel", Channel),
            check("approval_by_two_people", Q(decided_by=None) | ~Q(decided_by=F("requested_by"))),
            check(
                "approval_names_who_decided",
                ~Q(status__in=[ApprovalStatus.DONE, ApprovalStatus.DECLINED])
                | Q(decided_by__isnull=False, decided_at__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["command", "subject"], condition=Q(status=ApprovalStatus.WAITING), name="approval_one_waiting"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.command} {self.subject}"


class ApprovalMaker(models.Model):
    """Somebody who made an automated act happen, and so is no second person for what it asks for."""

    approval = models.ForeignKey(Approval, on_delete=models.PROTECT, related_name="makers")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    #: what they did, after "You": "published refund_all v2"
    part = models.CharField(max_length=200)

    class Meta:
        default_permissions = ("view",)
        triggers = append_only()
        constraints = [models.UniqueConstraint(fields=["approval", "user"], name="approval_maker_once")]

    def __str__(self) -> str:
        return f"{self.user} {self.part}"
