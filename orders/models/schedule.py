"""What Temporal's schedules and task queues were seen to be: written by workers, read by pages.

A page that asked Temporal itself would hang when Temporal does, which is when people look. So each row says how old it
is.
"""

from django.db import models


class ScheduleState(models.Model):
    """One schedule of ours, as a worker last saw it. What stands here is seen, not commanded."""

    #: its id in Temporal; begins with our prefix
    name = models.CharField(max_length=128, primary_key=True)
    summary = models.CharField(max_length=200, blank=True)
    next_run_at = models.DateTimeField(null=True, blank=True)
    last_run_at = models.DateTimeField(null=True, blank=True)
    last_result = models.CharField(max_length=200, blank=True)
    last_workflow_id = models.CharField(max_length=200, blank=True)
    paused = models.BooleanField(default=False)
    paused_by = models.CharField(max_length=150, blank=True)
    pause_reason = models.CharField(max_length=500, blank=True)
    #: runs that were not made: nobody could start them in time, or the one before was still running
    missed = models.PositiveIntegerField(default=0)
    #: which code wrote it last: a worker of another version leaves it as that one wrote it
    written = models.CharField(max_length=64, blank=True, default="", db_default="")
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        default_permissions = ("view",)
        permissions = [("drive_schedule", "May pause, resume, run and backfill schedules")]

    def __str__(self) -> str:
        return self.name


class QueueState(models.Model):
    """One task queue: who polled it last, and what waits in it."""

    name = models.CharField(max_length=64, primary_key=True)
    #: since when a worker of ours knows the queue
    known_since = models.DateTimeField()
    #: when a living worker last said that it polls the queue; never, when null
    served_at = models.DateTimeField(null=True, blank=True)
    #: what Temporal said, and when it was asked
    pollers = models.PositiveIntegerField(null=True, blank=True)
    backlog = models.PositiveBigIntegerField(null=True, blank=True)
    #: how long the oldest task waits
    oldest_seconds = models.FloatField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name
