"""Exports: which orders were asked for, the parts of their file, and the plans that ask by themselves.

The file lives in PostgreSQL, in parts: the worker that makes it and the web server that hands it out may be two
machines, and a part that was committed is never made again. Without the ids that each part freezes, "all failed orders"
would mean something else in the second minute than in the first.
"""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from orders import clock
from orders.models.data_key import FileKey
from orders.models.rules import check, never_deleted, one_of, word_field
from orders.vocabulary import (
    ENDED_EXPORTS,
    MAX_PLAN_HOURS,
    OPEN_EXPORTS,
    WHOLE_EXPORTS,
    Channel,
    ExportFormat,
    ExportStatus,
)


class ExportPlan(models.Model):
    """A filter with an hour: it asks for an export of its own every so often."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    format = word_field(ExportFormat)
    #: as `orders.selectors.filtering` takes it; applied anew each time
    filter = models.JSONField(default=dict, blank=True)
    #: one of the two: every so many hours, or every day at this time (UTC)
    every_hours = models.PositiveSmallIntegerField(null=True, blank=True)
    daily_at = models.TimeField(null=True, blank=True)
    paused = models.BooleanField(default=False)
    next_at = models.DateTimeField()
    #: exports are asked for in their name, with the permissions that they hold then
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    last_at = models.DateTimeField(null=True, blank=True)
    #: why the last round made no export; empty when it did
    last_problem = models.CharField(max_length=500, blank=True)
    #: rounds that found the export before them still being made
    skipped = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["name"]
        default_permissions = ("view",)
        permissions = [("plan_exports", "May plan exports that run by themselves")]
        triggers = never_deleted()
        constraints = [
            one_of("export_plan", "format", ExportFormat),
            check("export_plan_has_name", ~Q(name="")),
            check("export_plan_one_rhythm", Q(every_hours=None) ^ Q(daily_at=None)),
            check(
                "export_plan_hours_within", Q(every_hours=None) | Q(every_hours__gte=1, every_hours__lte=MAX_PLAN_HOURS)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Export(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    format = word_field(ExportFormat)
    status = word_field(ExportStatus, default=ExportStatus.QUEUED)
    #: why it ended without a file, when it did
    note = models.CharField(max_length=500, blank=True)
    reason = models.CharField(max_length=500)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    actor = models.CharField(max_length=150)
    channel = word_field(Channel)
    #: how the orders were chosen, as it was asked; for people, never applied again
    selection = models.JSONField(default=dict, blank=True)
    plan = models.ForeignKey(ExportPlan, on_delete=models.PROTECT, null=True, blank=True, related_name="exports")
    row_count = models.PositiveIntegerField(default=0)
    rows_written = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    #: of its parts; none when they are deleted, and of a file that an earlier version began
    key = models.OneToOneField(FileKey, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    #: the file is kept until then
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        permissions = [("export_orders", "May export orders and download exports")]
        triggers = never_deleted()
        indexes = [
            models.Index(fields=["expires_at"], name="export_to_expire", condition=Q(status=ExportStatus.COMPLETED))
        ]
        constraints = [
            one_of("export", "format", ExportFormat),
            one_of("export", "status", ExportStatus),
            one_of("export", "channel", Channel),
            check("export_has_reason", ~Q(reason="") & ~Q(actor="")),
            check("export_rows_within", Q(rows_written__lte=F("row_count"))),
            # No half of a file is ever called complete.
            check("export_whole_when_completed", ~Q(status__in=sorted(WHOLE_EXPORTS)) | Q(rows_written=F("row_count"))),
            check("export_ended_has_time", Q(finished_at=None) ^ Q(status__in=sorted(ENDED_EXPORTS))),
            check("export_kept_until", Q(expires_at=None) ^ Q(status__in=sorted(WHOLE_EXPORTS))),
            # A plan whose last export is still being made does not pile up a second one.
            models.UniqueConstraint(
                fields=["plan"], condition=Q(status__in=sorted(OPEN_EXPORTS)), name="export_one_open_of_plan"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.row_count} orders as {self.format}"

    @property
    def is_ended(self) -> bool:
        return self.status in ENDED_EXPORTS

    @property
    def file_name(self) -> str:
        """Made by us from our own words: what people typed has no place in a header."""
        return f"orders-{self.created_at:%Y%m%d-%H%M}-{str(self.pk)[:8]}.{self.format}"


class ExportPart(models.Model):
    """A thousand orders of an export: which ones, and, once they are written, their piece of the file."""

    # No index of its own: the constraint begins with it.
    export = models.ForeignKey(Export, on_delete=models.PROTECT, related_name="parts", db_index=False)
    #: 1, 2, 3 ... within the export
    position = models.PositiveIntegerField()
    #: frozen when the export was asked for, in the order of the file
    order_ids = ArrayField(models.UUIDField())
    #: in encrypted blocks, with the key of the export
    content = models.BinaryField(null=True)

    class Meta:
        default_permissions = ()
        triggers = [
            pgtrigger.Protect(
                name="written_once", operation=pgtrigger.Update, condition=pgtrigger.Q(old__content__isnull=False)
            ),
            pgtrigger.Protect(
                name="frozen",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("export", "position", "order_ids"),
            ),
        ]
        constraints = [models.UniqueConstraint(fields=["export", "position"], name="export_part_position")]

    def __str__(self) -> str:
        return f"part {self.position}"
