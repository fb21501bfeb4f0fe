"""Playbooks, their versions, and the runs that follow them.

A version is a row that never changes: a run names its version and the hash of what it says, so that editing a playbook
changes nothing for runs under way. What a run has done is one row for each step that ran, and these rows are what
counts: a process that lost its memory goes on from them.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.order import Order
from orders.models.rules import check, never_deleted, one_of, unchanged, word_field
from orders.signing import DIGEST_LENGTH
from orders.vocabulary import (
    ENDED_PLAYBOOK_RUNS,
    Channel,
    EventType,
    PlaybookRunStatus,
    PlaybookStepStatus,
    RunTrigger,
    VersionStatus,
)


class Playbook(models.Model):
    slug = models.SlugField(max_length=40, unique=True)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=150)

    class Meta:
        ordering = ["slug"]
        default_permissions = ("view",)
        triggers = never_deleted()

    def __str__(self) -> str:
        return self.slug


class PlaybookVersion(models.Model):
    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="versions")
    #: 1, 2, 3 ... within the playbook
    number = models.PositiveIntegerField()
    #: as `orders.playbooks.definition.Definition` has it
    document = models.JSONField()
    #: sha256 of the canonical document
    hash = models.CharField(max_length=64)
    #: keyed, over the document and who published it when; see `orders.signing`
    keyed_digest = models.CharField(max_length=DIGEST_LENGTH, db_default="")
    title = models.CharField(max_length=100)
    status = word_field(VersionStatus, default=VersionStatus.DRAFT)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    #: who asked for its publication, or first let a shipped version start by itself; runs that nobody starts by hand
    #: act for this person
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["playbook", "-number"]
        default_permissions = ("view",)
        permissions = [
            ("edit_playbook", "May write playbooks"),
            ("publish_playbook", "May publish and retire playbooks"),
        ]
        triggers = [
            unchanged("status", "published_by", "published_at", "keyed_digest"),
            *never_deleted(),
        ]
        constraints = [
            one_of("playbookversion", "status", VersionStatus),
            models.UniqueConstraint(fields=["playbook", "number"], name="playbook_version_once"),
            check(
                "playbook_published_has_time",
                Q(status=VersionStatus.DRAFT, published_at=None)
                | ~Q(status=VersionStatus.DRAFT) & Q(published_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.playbook.slug} v{self.number}"


class PlaybookTrigger(models.Model):
    """Starts the newest published version by itself when something happens to an order."""

    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="event_triggers")
    event = word_field(EventType)
    #: an expression over the order; "true" for every order
    condition = models.CharField(max_length=500, default="true")
    enabled = models.BooleanField(default=True)
    made_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)
    last_fired_at = models.DateTimeField(null=True, blank=True)
    #: why an event that met it started nothing
    last_problem = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ("view",)
        permissions = [("set_trigger", "May say what starts a playbook by itself")]
        constraints = [
            one_of("playbooktrigger", "event", EventType),
            models.UniqueConstraint(fields=["playbook", "event"], name="playbook_trigger_once"),
        ]

    def __str__(self) -> str:
        return f"{self.playbook.slug} on {self.event}"


class PlaybookSchedule(models.Model):
    """Starts the newest published version every so often on the open orders that meet a condition."""

    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="schedules")
    every_hours = models.PositiveSmallIntegerField()
    #: an expression over the order
    condition = models.CharField(max_length=500)
    enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(default=clock.now)
    made_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)
    last_fired_at = models.DateTimeField(null=True, blank=True)
    #: the last order that the round has looked at, with when it was made; empty when the next round is to begin
    cursor = models.CharField(max_length=100, blank=True)
    #: how many runs the last round started
    last_started = models.PositiveIntegerField(default=0)
    last_problem = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["playbook"], name="playbook_schedule_once"),
            check("playbook_schedule_hours", Q(every_hours__gte=1, every_hours__lte=24 * 30)),
        ]

    def __str__(self) -> str:
        return f"{self.playbook.slug} every {self.every_hours} h"


class PlaybookRun(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(PlaybookVersion, on_delete=models.PROTECT, related_name="runs")
    #: the hash of the version when the run began; a run follows nothing else
    version_hash = models.CharField(max_length=64)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="playbook_runs")
    inputs = models.JSONField(default=dict)
    status = word_field(PlaybookRunStatus, default=PlaybookRunStatus.RUNNING)
    trigger = word_field(RunTrigger)
    #: what started it, so that one cause starts one run; empty for runs by hand
    cause = models.CharField(max_length=128, blank=True)
    #: whom the run acts for; their permissions are asked for at every step
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    channel = word_field(Channel)
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(default=clock.now)
    status_since = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    #: why it failed or was cancelled, for people
    message = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        permissions = [
            ("run_playbook", "May start playbooks and answer their questions"),
            ("drive_playbook", "May pause, resume and cancel runs, retry and skip their steps"),
            ("note_order", "May write notes and tags"),
            ("mail_customer", "May mail customers"),
            ("issue_voucher", "May issue and withdraw vouchers"),
            ("change_address", "May correct where an order ships to"),
            ("call_partner", "May call the endpoints that an administrator named"),
        ]
        triggers = [
            unchanged("status", "status_since", "ended_at", "message"),
            *never_deleted(),
        ]
        indexes = [
            models.Index(
                fields=["order"], condition=~Q(status__in=sorted(ENDED_PLAYBOOK_RUNS)), name="playbook_run_open"
            )
        ]
        constraints = [
            one_of("playbookrun", "status", PlaybookRunStatus),
            one_of("playbookrun", "trigger", RunTrigger),
            one_of("playbookrun", "channel", Channel),
            models.UniqueConstraint(fields=["cause"], condition=~Q(cause=""), name="playbook_run_once_by_cause"),
            # Two clicks, one run: the second person is told who was first.
            models.UniqueConstraint(
                fields=["order", "version"],
                condition=~Q(status__in=sorted(ENDED_PLAYBOOK_RUNS)),
                name="playbook_run_one_open",
            ),
            check(
                "playbook_run_ended_has_time",
                Q(ended_at__isnull=False, status__in=sorted(ENDED_PLAYBOOK_RUNS))
                | Q(ended_at=None) & ~Q(status__in=sorted(ENDED_PLAYBOOK_RUNS)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} on {self.order.number}"


class PlaybookStepRun(models.Model):
    """One step that ran, once for each time round a loop; the fence of its effect too."""

    run = models.ForeignKey(PlaybookRun, on_delete=models.PROTECT, related_name="steps")
    #: where it stands: "steps.2#3.body.0" is the first step of the third time round the loop at "steps.2"
    path = models.CharField(max_length=200)
    step_id = models.CharField(max_length=40)
    type = models.CharField(max_length=20)
    status = word_field(PlaybookStepStatus, default=PlaybookStepStatus.RUNNING)
    #: how often it was claimed; only the newest claim may commit
    token = models.PositiveIntegerField(default=0)
    #: attempts that failed since a person last said "retry"
    failures = models.PositiveSmallIntegerField(default=0)
    #: what it was called with, expressions replaced by their values
    parameters = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=500, blank=True)
    #: of a wait or a question
    deadline_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    #: who retried, skipped or answered it last
    decided_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["run", "id"]
        default_permissions = ("view",)
        triggers = never_deleted()
        constraints = [
            one_of("playbooksteprun", "status", PlaybookStepStatus),
            models.UniqueConstraint(fields=["run", "path"], name="playbook_step_once"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.path}"
