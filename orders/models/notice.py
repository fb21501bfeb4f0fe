"""Mail to customers about their orders: what is sent, and what became of it.

The text is made when it is sent and stored nowhere, and neither is the address: both are personal data.
"""

import uuid

from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.order import Order
from orders.models.rules import check, never_deleted, one_of, word_field
from orders.vocabulary import ENDED_NOTICES, UNSENT_NOTICES, NoticeKind, NoticeStatus


class Notice(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="notices")
    kind = word_field(NoticeKind)
    #: what a message says, and what it was asked for, once; a notice of another kind is written when it is sent
    subject = models.CharField(max_length=120, blank=True, default="")
    text = models.CharField(max_length=2_000, blank=True, default="")
    key = models.CharField(max_length=260, blank=True, default="")
    status = word_field(NoticeStatus, default=NoticeStatus.QUEUED)
    #: how often it was asked for; each has a process of its own
    tries = models.PositiveSmallIntegerField(default=1)
    #: the fence: minted by each attempt's claim, and only the newest attempt may mark it
    attempts = models.PositiveIntegerField(default=0)
    #: why it was not sent, or why the newest attempt failed
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        permissions = [("send_notice", "May send a notice to a customer again")]
        triggers = never_deleted()
        constraints = [
            one_of("notice", "kind", NoticeKind),
            one_of("notice", "status", NoticeStatus),
            models.UniqueConstraint(
                fields=["order", "kind"], condition=~Q(kind=NoticeKind.MESSAGE), name="notice_once"
            ),
            models.UniqueConstraint(fields=["key"], condition=~Q(key=""), name="notice_message_once"),
            check(
                "notice_message_says_something",
                Q(kind=NoticeKind.MESSAGE) & ~Q(subject="") & ~Q(text="") & ~Q(key="")
                | ~Q(kind=NoticeKind.MESSAGE) & Q(subject="", text="", key=""),
            ),
            check(
                "notice_ended_has_time",
                (Q(finished_at=None) | ~Q(status=NoticeStatus.QUEUED))
                & (Q(finished_at__isnull=False) | ~Q(status__in=sorted(ENDED_NOTICES))),
            ),
            check("notice_unsent_says_why", ~Q(status__in=sorted(UNSENT_NOTICES)) | ~Q(note="")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.order.number} {self.status}"
