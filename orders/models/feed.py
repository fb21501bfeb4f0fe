"""Order feeds: a received file, its rows, and the documents (invoices) that the rows make up.

Rows are staged in the database because an invoice's rows need not stand together in the file, and because a crash must
resume where it stopped instead of starting the file again.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.credit import CreditNote
from orders.models.data_key import FileKey
from orders.models.feed_layout import FeedLayout
from orders.models.order import Order
from orders.models.rules import check, one_of, word_field
from orders.vocabulary import DocumentKind, FeedFormat, FeedStatus, RejectReason


class FeedImportManager(models.Manager["FeedImport"]):
    """Leaves the file's bytes where they are: a list of imports must not load every file that was ever received."""

    def get_queryset(self) -> models.QuerySet[FeedImport]:
        return super().get_queryset().defer("content")


class FeedImport(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    layout = models.CharField(max_length=40)
    #: the version of a layout that staff made; none for the one in code
    layout_version = models.ForeignKey(FeedLayout, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    #: of the file as it was sent; the content is always CSV
    format = word_field(FeedFormat, default=FeedFormat.CSV)
    #: in encrypted blocks (`orders.services.feeds.keeping`), uncompressed, so that a slice is read without the whole
    content = models.BinaryField()
    #: of the content; none when the file is gone, and of one that an earlier version was still reading
    key = models.OneToOneField(FileKey, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    #: when file and rows are deleted; none before the import has ended
    file_until = models.DateTimeField(null=True, blank=True)
    file_gone_at = models.DateTimeField(null=True, blank=True)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    status = word_field(FeedStatus, default=FeedStatus.RECEIVED)
    #: the phase to which a paused import returns
    resume_status = word_field(FeedStatus, blank=True, default="")
    #: when the present phase began; rates are measured from here
    phase_since = models.DateTimeField(null=True, blank=True)
    #: stop before anything is stored, until a person commits
    dry_run = models.BooleanField(default=False)
    #: the import whose rejected rows this file mends
    follows = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="follow_ups")
    failure_message = models.CharField(max_length=500, blank=True)
    #: make unknown products, each with this many pieces received
    create_products = models.BooleanField(default=False)
    initial_stock = models.BigIntegerField(default=0)
    #: start every order of the file
    process = models.BooleanField(default=False)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True)
    actor = models.CharField(max_length=150)
    #: lines of the file without its header; a cell with line breaks counts for more than one
    rows_expected = models.BigIntegerField(default=0)
    rows_read = models.BigIntegerField(default=0)
    documents_found = models.BigIntegerField(default=0)
    documents_stored = models.BigIntegerField(default=0)
    #: orders and credit notes this import made; what was there already is not counted
    created_orders = models.BigIntegerField(default=0)
    created_credit_notes = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = FeedImportManager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["file_until"], name="feed_file_to_go", condition=Q(file_gone_at=None))]
        # Also for `document.feed`: following a link must not load the file either.
        base_manager_name = "objects"
        default_permissions = ("view",)
        permissions = [("import_feed", "May import order feeds")]
        constraints = [
            one_of("feed", "status", FeedStatus),
            one_of("feed", "format", FeedFormat),
            check("feed_file_gone", Q(file_gone_at=None) | Q(content=b"", key=None)),
            check("feed_resumes_from_pause", Q(status=FeedStatus.PAUSED) ^ Q(resume_status="")),
        ]

    def __str__(self) -> str:
        return self.name


class FeedDocument(models.Model):
    """One invoice of the file and what it turned out to be."""

    feed = models.ForeignKey(FeedImport, on_delete=models.CASCADE, related_name="documents")
    reference = models.CharField(max_length=128)
    #: orders before credit notes, then in the order of the file; the store step's cursor
    position = models.BigIntegerField()
    kind = word_field(DocumentKind)
    reject_reason = word_field(RejectReason, blank=True, default="")
    reject_detail = models.CharField(max_length=500, blank=True)
    total_minor = models.BigIntegerField(default=0)
    line_count = models.PositiveIntegerField(default=0)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="feed_documents")
    credit_note = models.ForeignKey(CreditNote, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    stored_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["feed", "reference"], name="feed_document_once"),
            models.UniqueConstraint(fields=["feed", "position"], name="feed_document_position"),
            one_of("feed_document", "kind", DocumentKind),
        ]

    def __str__(self) -> str:
        return self.reference


class FeedRow(models.Model):
    """One row of the file, read; `error` says what does not parse. Raw text is kept for the bad ones only."""

    feed = models.ForeignKey(FeedImport, on_delete=models.CASCADE, related_name="rows")
    #: line of the file, the header being 1
    line = models.BigIntegerField()
    reference = models.CharField(max_length=128)
    sku = models.CharField(max_length=64, blank=True)
    description = models.CharField(max_length=200, blank=True)
    quantity = models.BigIntegerField(null=True, blank=True)
    unit_price = models.DecimalField(max_digits=18, decimal_places=4, null=True, blank=True)
    invoiced_at = models.DateTimeField(null=True, blank=True)
    customer_reference = models.CharField(max_length=64, blank=True)
    country = models.CharField(max_length=80, blank=True)
    error = models.CharField(max_length=300, blank=True)
    #: the same by column: [{"column": ..., "message": ...}]; for the bad ones only
    problems = models.JSONField(null=True, blank=True)
    raw = models.JSONField(null=True, blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["feed", "line"], name="feed_row_line")]
        indexes = [models.Index(fields=["feed", "reference", "line"], name="feed_row_by_reference")]

    def __str__(self) -> str:
        return f"line {self.line}"
