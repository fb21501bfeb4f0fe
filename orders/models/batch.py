"""Batches: a selection of orders that was frozen at the click, and what became of each of them.

Without the frozen rows, "all that match this filter" would mean something else in every minute of an hour-long batch,
and nobody could say afterwards which orders it was about.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from orders import clock
from orders.models.order import Order
from orders.models.rules import check, never_deleted, one_of, word_field
from orders.vocabulary import (
    DEFAULT_AUTO_PAUSE_PERCENT,
    ENDED_BATCHES,
    ENDED_ITEMS,
    OPEN_ITEMS,
    BatchAction,
    BatchStatus,
    Channel,
    ItemStatus,
)


class Batch(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    action = word_field(BatchAction)
    reason = models.CharField(max_length=500)
    #: asked for the permissions again before every piece of work; none for a program of ours
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    actor = models.CharField(max_length=150)
    channel = word_field(Channel)
    status = word_field(BatchStatus, default=BatchStatus.PREPARING)
    status_since = models.DateTimeField(default=clock.now)
    #: why it stands, or ended early, when no person said so
    note = models.CharField(max_length=500, blank=True)
    #: what runs on each order, and what it was told; for that action only
    playbook = models.ForeignKey("PlaybookVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    inputs = models.JSONField(default=dict, blank=True)
    #: how the orders were chosen, as it was asked; for people, never applied again
    selection = models.JSONField(default=dict, blank=True)
    #: items, those that are left out included
    item_count = models.PositiveIntegerField(default=0)
    #: currency -> minor units of the orders that are not left out
    sums = models.JSONField(default=dict, blank=True)
    #: the share of failures, in per cent, at which it pauses by itself; 0 for never
    auto_pause_percent = models.PositiveSmallIntegerField(default=DEFAULT_AUTO_PAUSE_PERCENT)
    #: what had ended and failed when a person let it go on: these do not pause it again
    ended_before = models.PositiveIntegerField(default=0)
    failed_before = models.PositiveIntegerField(default=0)
    #: the batch whose work this one takes back
    undo_of = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by")
    #: counts at the end, made by its process
    summary = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        permissions = [("run_batch", "May run, pause, resume, cancel, retry and undo batches")]
        verbose_name_plural = "batches"
        triggers = never_deleted()
        constraints = [
            one_of("batch", "action", BatchAction),
            one_of("batch", "status", BatchStatus),
            one_of("batch", "channel", Channel),
            check("batch_names_its_playbook", Q(playbook=None) ^ Q(action=BatchAction.PLAYBOOK)),
            check("batch_has_reason", ~Q(reason="") & ~Q(actor="")),
            check("batch_auto_pause_is_percent", Q(auto_pause_percent__lte=100)),
            check("batch_ended_has_time", Q(finished_at=None) ^ Q(status__in=sorted(ENDED_BATCHES))),
            check("batch_undoes_another", Q(undo_of=None) | ~Q(undo_of=F("id"))),
        ]

    def __str__(self) -> str:
        return f"{self.action} of {self.item_count} orders"

    @property
    def is_ended(self) -> bool:
        return self.status in ENDED_BATCHES


class BatchItem(models.Model):
    # No index of its own: three others begin with it.
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="items", db_index=False)
    #: 1, 2, 3 ... within the batch
    position = models.PositiveIntegerField()
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="batch_items")
    #: the new order, once "retry failed" had to place the ended one again
    placed_as = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    status = word_field(ItemStatus, default=ItemStatus.PENDING)
    #: in a few words that many items share, so that a page can group them
    outcome = models.CharField(max_length=200, blank=True)
    error_type = models.CharField(max_length=40, blank=True)
    #: down to the root cause, for people
    error_message = models.CharField(max_length=500, blank=True)
    #: the order's status before the action touched it
    former_status = models.CharField(max_length=40, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    #: one of the failed items of a paused batch that are done again, while all others wait
    again = models.BooleanField(default=False, db_default=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["batch", "position"]
        default_permissions = ("view",)
        triggers = never_deleted()
        indexes = [
            models.Index(fields=["batch", "status", "position"], name="batch_item_by_status"),
            models.Index(fields=["batch", "finished_at"], name="batch_item_finished"),
            models.Index(fields=["batch"], condition=Q(again=True), name="batch_item_again"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["batch", "position"], name="batch_item_position"),
            models.UniqueConstraint(fields=["batch", "order"], name="batch_item_order"),
            # Two batches that work on one order at once would each undo what the other did.
            models.UniqueConstraint(
                fields=["order"], condition=Q(status__in=sorted(OPEN_ITEMS)), name="batch_item_one_open"
            ),
            one_of("batch_item", "status", ItemStatus),
            check(
                "batch_item_ended_has_time",
                (Q(finished_at=None) | ~Q(status__in=sorted(OPEN_ITEMS)))
                & (Q(finished_at__isnull=False) | ~Q(status__in=sorted(ENDED_ITEMS))),
            ),
            check("batch_item_failed_says_why", Q(error_type="") ^ Q(status=ItemStatus.FAILED)),
        ]

    def __str__(self) -> str:
        return f"{self.position} {self.status}"

    @property
    def at_work(self) -> Order:
        """The order that is started: the frozen one, or the newest that was placed again instead of it."""
        return self.placed_as or self.order
