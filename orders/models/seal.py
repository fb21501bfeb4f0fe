"""Daily seals over all histories.

A chain of hashes shows a changed row, but whoever can put the triggers to sleep can also write the whole chain anew. A
seal keeps where each chain stood, and its export, kept elsewhere, is what nobody with our database can rewrite.
"""

from django.db import models

from orders import clock
from orders.models.rules import append_only, never_deleted, unchanged
from orders.signing import DIGEST_LENGTH


class HistorySeal(models.Model):
    #: 1, 2, 3 ... so that a removed seal leaves a gap
    sequence = models.PositiveIntegerField(primary_key=True)
    #: the UTC day on which it was made; one each
    day = models.DateField(unique=True)
    #: all orders and all their events at that moment
    order_count = models.PositiveBigIntegerField()
    event_count = models.PositiveBigIntegerField()
    #: orders whose history moved since the seal before; their heads belong to this seal
    head_count = models.PositiveBigIntegerField()
    heads_hash = models.CharField(max_length=64)
    #: over the logs of `SealedLog`; empty in seals of before there were any
    logs_hash = models.CharField(max_length=64, blank=True, db_default="")
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)
    actor = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-sequence"]
        default_permissions = ("view",)
        permissions = [
            ("seal_history", "May seal the history"),
            ("export_historyseal", "May download seals"),
        ]
        triggers = append_only()

    def __str__(self) -> str:
        return f"Seal {self.sequence} of {self.day}"


class SealedHead(models.Model):
    """Where one order's history stood when a seal was made. No foreign key to the order: it outlives a removed one."""

    seal = models.ForeignKey(HistorySeal, on_delete=models.PROTECT, related_name="heads", db_index=False)
    order_id = models.UUIDField()
    order_number = models.CharField(max_length=32)
    #: sequence and hash of the last event
    event_count = models.PositiveIntegerField()
    chain_head = models.CharField(max_length=64)

    class Meta:
        default_permissions = ()
        triggers = append_only()
        constraints = [models.UniqueConstraint(fields=["seal", "order_id"], name="sealed_head_once")]

    def __str__(self) -> str:
        return f"{self.order_number} #{self.event_count}"


class SealedLog(models.Model):
    """What one log said of a span of time when a seal was made: sign-ins, commands, the admin's log and their kin.

    Written by a function of the database (migration 0113), because the worker may not read all that it seals.
    """

    seal = models.ForeignKey(HistorySeal, on_delete=models.PROTECT, related_name="logs", db_index=False)
    log = models.CharField(max_length=40)
    #: rows written from then on, and before `until`
    since = models.DateTimeField()
    until = models.DateTimeField()
    row_count = models.BigIntegerField()
    rows_hash = models.CharField(max_length=64)

    class Meta:
        default_permissions = ()
        triggers = append_only()
        constraints = [models.UniqueConstraint(fields=["seal", "log"], name="sealed_log_once")]

    def __str__(self) -> str:
        return f"{self.log} until {self.until:%Y-%m-%d %H:%M}"


class MaskedLine(models.Model):
    """That an erasure took words out of a row which a seal covers: the hashes of what it was, and of what it is since.

    Written by a function of the owner (`backoffice.mask_function`), and signed by the process that erased.
    """

    #: as `SealedLog` names it
    log = models.CharField(max_length=40)
    row_key = models.CharField(max_length=64)
    #: sha256 of the row as it was sealed, before the first erasure that reached it
    before_hash = models.CharField(max_length=64)
    #: and after the last one
    after_hash = models.CharField(max_length=64)
    #: see `orders.signing`; empty until the process that erased has signed it
    keyed_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True, db_default="")
    at = models.DateTimeField(default=clock.now)

    class Meta:
        default_permissions = ()
        triggers = [unchanged("after_hash", "keyed_digest", "at"), *never_deleted()]
        constraints = [models.UniqueConstraint(fields=["log", "row_key"], name="masked_line_once")]

    def __str__(self) -> str:
        return f"{self.log} {self.row_key}"
