"""Runs of long processes, and where each of their steps stands.

The rows are the authority: a pause or a cancellation holds from the moment its row is committed, and Temporal is only
told to look. A run that lived in a workflow alone would show "running" through a pause, and forget a cancellation that
came while it was paused.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from orders import clock
from orders.models.order import Order
from orders.models.rules import append_only, check, never_deleted, one_of, word_field
from orders.vocabulary import (
    DAY_STAYS_OPEN,
    ENDED_PROCESS_STATUSES,
    ENDED_PROCESS_STEPS,
    Channel,
    DifferenceKind,
    OnFailure,
    ProcessName,
    ProcessStatus,
    ProcessStepName,
    ProcessStepStatus,
)


class ProcessRun(models.Model):
    """One run of a process for one business day."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    definition = word_field(ProcessName)
    business_day = models.DateField()
    #: what it is about: what happened after `covers_from` and until `covers_until`; runs follow each other without gaps
    covers_from = models.DateTimeField()
    covers_until = models.DateTimeField()
    status = word_field(ProcessStatus, default=ProcessStatus.RUNNING)
    status_since = models.DateTimeField(default=clock.now)
    #: who asked for the last change of status, and why
    status_by = models.CharField(max_length=150)
    status_reason = models.CharField(max_length=500)
    #: none for a schedule
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    actor = models.CharField(max_length=150)
    channel = word_field(Channel)
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        permissions = [("run_process", "May start, pause, resume and cancel processes such as the day-end close")]
        triggers = never_deleted()
        constraints = [
            one_of("process", "definition", ProcessName),
            one_of("process", "status", ProcessStatus),
            one_of("process", "channel", Channel),
            check("process_covers_something", Q(covers_from__lt=F("covers_until"))),
            check(
                "process_ended_has_time",
                Q(finished_at__isnull=False, status__in=sorted(ENDED_PROCESS_STATUSES))
                | Q(finished_at=None) & ~Q(status__in=sorted(ENDED_PROCESS_STATUSES)),
            ),
            # Two clicks, or a click and the schedule: the second is told who was first.
            models.UniqueConstraint(
                fields=["definition", "business_day"],
                condition=~Q(status__in=sorted(DAY_STAYS_OPEN)),
                name="process_once_a_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.definition} {self.business_day:%Y-%m-%d}"


class ProcessStep(models.Model):
    """A step of a run, as it was configured when the run started."""

    run = models.ForeignKey(ProcessRun, on_delete=models.PROTECT, related_name="steps")
    position = models.PositiveSmallIntegerField()
    name = word_field(ProcessStepName)
    on_failure = word_field(OnFailure)
    #: pause between the end of the step before and the beginning of this one
    delay_seconds = models.PositiveIntegerField(default=0)
    status = word_field(ProcessStepStatus, default=ProcessStepStatus.PENDING)
    #: when its delay is over
    due_at = models.DateTimeField(null=True, blank=True)
    #: the fence: minted by each attempt, and only the newest may note progress or an end
    token = models.PositiveIntegerField(default=0)
    #: how far it is, committed with what was done; the next attempt goes on from here
    cursor = models.CharField(max_length=128, blank=True)
    #: what it counted so far
    figures = models.JSONField(default=dict)
    #: in a sentence, when it has ended
    outcome = models.CharField(max_length=500, blank=True)
    #: why the last attempt failed
    error = models.CharField(max_length=500, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["run", "position"]
        default_permissions = ("view",)
        triggers = never_deleted()
        constraints = [
            models.UniqueConstraint(fields=["run", "position"], name="process_step_position"),
            models.UniqueConstraint(
                fields=["run"], condition=Q(status=ProcessStepStatus.RUNNING), name="process_step_one_at_a_time"
            ),
            one_of("process_step", "name", ProcessStepName),
            one_of("process_step", "on_failure", OnFailure),
            one_of("process_step", "status", ProcessStepStatus),
            check(
                "process_step_ended_says_how",
                Q(finished_at__isnull=False, status__in=sorted(ENDED_PROCESS_STEPS)) & ~Q(outcome="")
                | Q(finished_at=None, outcome="") & ~Q(status__in=sorted(ENDED_PROCESS_STEPS)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.status}"


class ProcessDifference(models.Model):
    """Something in the books that does not agree, found by a run. Append-only."""

    run = models.ForeignKey(ProcessRun, on_delete=models.PROTECT, related_name="differences")
    kind = word_field(DifferenceKind)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    #: what it is about, by the name that both sides know
    reference = models.CharField(max_length=128)
    says = models.CharField(max_length=500)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["id"]
        default_permissions = ("view",)
        triggers = append_only()
        constraints = [
            one_of("process_difference", "kind", DifferenceKind),
            # An attempt that was killed and its successor find the same thing: one row.
            models.UniqueConstraint(fields=["run", "kind", "reference"], name="process_difference_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"
