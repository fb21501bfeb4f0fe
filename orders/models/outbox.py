"""The transactional outbox: what Temporal must be told, written with the change it tells of.

Telling Temporal after the commit loses orders when the process dies in between; telling it before starts work on orders
that were rolled back. A row here is committed together with the change and stays until Temporal has accepted it.
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from orders import clock
from orders.models.rules import check, one_of, word_field
from orders.vocabulary import Topic


class OutboxMessage(models.Model):
    topic = word_field(Topic)
    #: unit of ordering, for example `order:<uuid>`: messages of one aggregate leave one after the other
    aggregate = models.CharField(max_length=128)
    body = models.JSONField(default=dict)
    #: one of thousands that nobody waits for: it leaves after everything else, and only while few orders are under way
    bulk = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    #: when it is to leave: at once, or at the hour that it waits for; it is late only after that
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveIntegerField(default=0)
    #: not to be claimed before; serves as back-off after a failure and as lease while a relay works on the row
    available_at = models.DateTimeField(db_default=Now())
    last_error = models.CharField(max_length=500, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    #: when it was given up: Temporal refuses it for good, or has no such process; what is younger may leave
    parked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ("view",)
        permissions = [("decode_payloads", "May read decrypted what Temporal stores")]
        indexes = [
            # Both are read by the relay's claim only; they stay as small as the backlog.
            models.Index(fields=["available_at", "id"], condition=Q(delivered_at=None), name="outbox_pending"),
            models.Index(fields=["id"], condition=Q(delivered_at=None, bulk=True), name="outbox_pending_bulk"),
            # Who was told of lately: for the bulk lane, and for orders that have just left it.
            models.Index(
                fields=["delivered_at"], condition=Q(topic=Topic.START_ORDER.value), name="outbox_delivered_starts"
            ),
            models.Index(fields=["parked_at"], condition=Q(parked_at__isnull=False), name="outbox_parked"),
            models.Index(fields=["aggregate", "id"], condition=Q(delivered_at=None), name="outbox_pending_aggregate"),
        ]
        constraints = [
            one_of("outbox", "topic", Topic),
            check("outbox_parked_says_why", Q(parked_at=None) | Q(delivered_at=None) & ~Q(last_error="")),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.aggregate}"
