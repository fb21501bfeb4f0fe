"""Commands that people and programs gave, and the saved answers of idempotent requests."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.batch import Batch
from orders.models.customer import Customer
from orders.models.export import Export, ExportPlan
from orders.models.order import Order
from orders.models.rules import check, one_of, word_field
from orders.vocabulary import Channel, CommandKind, CommandStatus, StepName

#: kinds of which one at a time may stand on an order, until it is obeyed, taken back, or the order ends
STANDING_KINDS = [
    CommandKind.HOLD,
    CommandKind.CANCEL,
    CommandKind.STEP_PAUSE,
    CommandKind.STEP_SKIP,
    CommandKind.PAYMENT_METHOD,
]
#: kinds that may end by themselves
ENDING_KINDS = [CommandKind.HOLD, CommandKind.STEP_PAUSE]


class Command(models.Model):
    """Who asked for what, why, and what became of it. Signals to a workflow carry its id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = word_field(CommandKind)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="commands")
    #: the step that it drives; empty for every other command
    step = word_field(StepName, blank=True, default="")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, null=True, blank=True, related_name="commands")
    #: what it is about where that is no order: the id of a process run, the name of a schedule
    subject = models.CharField(max_length=128, blank=True, default="")
    #: the import that it is about
    feed = models.ForeignKey("FeedImport", on_delete=models.PROTECT, null=True, blank=True, related_name="commands")
    #: the batch that it is about, or that gave it to the order
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="commands")
    #: the export, or the plan of exports, that it is about
    export = models.ForeignKey(Export, on_delete=models.PROTECT, null=True, blank=True, related_name="commands")
    export_plan = models.ForeignKey(
        ExportPlan, on_delete=models.PROTECT, null=True, blank=True, related_name="commands"
    )
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True)
    actor = models.CharField(max_length=150)
    channel = word_field(Channel)
    #: of the web request that gave it; empty at the command line and for feeds
    request_id = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=500)
    #: when a hold or a pause ends by itself
    until = models.DateTimeField(null=True, blank=True)
    #: what a skipped shipment was booked by hand as: carrier and tracking_number
    details = models.JSONField(default=dict, blank=True)
    status = word_field(CommandStatus, default=CommandStatus.ACCEPTED)
    outcome = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            one_of("command", "kind", CommandKind),
            one_of("command", "status", CommandStatus),
            one_of("command", "channel", Channel),
            models.UniqueConstraint(
                fields=["customer"], condition=Q(kind=CommandKind.ERASE_CUSTOMER), name="command_one_erasure"
            ),
            # One order, one start, ever: the guard that outlives Temporal's retention.
            models.UniqueConstraint(fields=["order"], condition=Q(kind=CommandKind.START), name="command_one_start"),
            # Two clicks, one standing command: the second person is told who was first.
            models.UniqueConstraint(
                fields=["order", "kind"],
                condition=Q(kind__in=STANDING_KINDS, status=CommandStatus.ACCEPTED),
                name="command_one_standing",
            ),
            check("command_that_ends", Q(until=None) | Q(kind__in=ENDING_KINDS)),
            # Two clicks, one run of a schedule.
            models.UniqueConstraint(
                fields=["subject", "kind"],
                condition=Q(status=CommandStatus.ACCEPTED) & ~Q(subject=""),
                name="command_one_standing_subject",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.actor}"


class IdempotencyRecord(models.Model):
    """The answer given to an Idempotency-Key, so that a client may retry until it hears one.

    `locked_until` is a lease: a process that dies while answering must not leave the key "in flight" for ever.
    """

    key = models.CharField(max_length=255)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    route = models.CharField(max_length=200)
    #: sha256 of method, path and body
    request_hash = models.CharField(max_length=64)
    locked_until = models.DateTimeField(null=True, blank=True)
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    body = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.key
