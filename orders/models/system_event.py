"""What went wrong with the system itself, for whoever runs it: where, how often, and the root cause in a sentence.

A log line is read by nobody. A row stays in a list until a person has said that they saw it.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.incident import Incident
from orders.models.order import Order
from orders.models.rules import check, never_deleted


class SystemEvent(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="system_events")
    #: of the request that started the order's process; empty when a feed or a command line did
    request_id = models.CharField(max_length=64, blank=True)
    workflow_id = models.CharField(max_length=200)
    run_id = models.CharField(max_length=64, blank=True)
    #: the activity, or the step of the order, that failed; empty when it was the workflow itself
    #: what else was written down for the same cause
    incident = models.ForeignKey(
        Incident, on_delete=models.PROTECT, null=True, blank=True, related_name="system_events"
    )
    #: when the order of an incident had gone on
    over_at = models.DateTimeField(null=True, blank=True)
    activity = models.CharField(max_length=100, blank=True)
    attempt = models.PositiveIntegerField(null=True, blank=True)
    error_type = models.CharField(max_length=64)
    #: the root cause; never a value of a row
    message = models.CharField(max_length=500)
    times = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=clock.now)
    last_at = models.DateTimeField(default=clock.now)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    #: what was found out
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        permissions = [("acknowledge_systemevent", "May acknowledge system events")]
        triggers = never_deleted()
        constraints = [
            # The same trouble of the same process is counted, not listed a thousand times.
            models.UniqueConstraint(
                fields=["workflow_id", "activity", "error_type"],
                condition=Q(acknowledged_at=None),
                name="system_event_one_open",
            ),
            check("system_event_says_what", ~Q(error_type="") & ~Q(message="") & ~Q(workflow_id="")),
            check(
                "system_event_acknowledged_by_somebody",
                Q(acknowledged_at=None, acknowledged_by=None, note="")
                | Q(acknowledged_at__isnull=False, acknowledged_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.error_type} {self.workflow_id}"
