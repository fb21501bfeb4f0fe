"""One trouble with one cause, however many orders stand still for it.

A hundred tasks that say the same hide the one that says something else. What was opened for the same cause carries the
incident; staff see the incident, with how many and how much, and it closes when the last has gone on.
"""

import uuid

from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.rules import check, never_deleted


class Incident(models.Model):
    """Open from the first of a cause; staff hear of it from the second on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    #: the kind of trouble, the step and the error, without any value that names a person or an order
    cause = models.CharField(max_length=250)
    #: what is wrong, for people
    says = models.CharField(max_length=500)
    created_at = models.DateTimeField(default=clock.now)
    #: since when staff see it as one
    told_at = models.DateTimeField(null=True, blank=True)
    #: the most that stood still for it at a time
    most = models.PositiveIntegerField(default=0)
    closed_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        permissions = [("decide_incident", "May decide for all that an incident is about")]
        triggers = never_deleted()
        constraints = [
            models.UniqueConstraint(fields=["cause"], condition=Q(closed_at=None), name="incident_one_open"),
            check("incident_says_what", ~Q(cause="") & ~Q(says="")),
            check("incident_closed_says_how", Q(closed_at=None) ^ ~Q(resolution="")),
        ]

    def __str__(self) -> str:
        return self.says
