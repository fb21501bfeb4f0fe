"""What people do about a batch: pause, resume, cancel, retry what failed. Each is a row with who, when and why.

The row of the batch is changed at once, under its lock, and its process is only woken: with Temporal away a pause still
binds. Of two people the second hears who was first.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from orders.actor import Actor
from orders.errors import WrongState
from orders.models import Batch, BatchItem, Command
from orders.services import commands, tasks
from orders.services.batches.freezing import LOCK, tell
from orders.services.batches.selecting import require
from orders.services.batches.working import change_status, counts_of, lock_batch
from orders.vocabulary import (
    OPEN_ITEMS,
    TERMINAL_STATUSES,
    BatchAction,
    BatchStatus,
    CommandKind,
    ItemStatus,
    OrderStatus,
    TaskKind,
)

#: what a command says about the task of a batch that paused by itself
ENDS = {
    CommandKind.BATCH_PAUSE: "The batch was paused",
    CommandKind.BATCH_RESUME: "The batch was resumed",
    CommandKind.BATCH_CANCEL: "The batch was cancelled",
    CommandKind.BATCH_RETRY: "What had failed is done again",
}


def pause(batch_id: UUID | str, *, actor: Actor, reason: str) -> Batch:
    """Begin nothing more; what was begun ends first. Raises `Batch.DoesNotExist`, `NotPermitted` or `WrongState`."""
    with transaction.atomic():
        batch = _locked(batch_id, actor)
        if batch.status not in {BatchStatus.PREPARING, BatchStatus.RUNNING}:
            raise _refusal(batch, CommandKind.BATCH_PAUSE)
        batch.note = ""
        change_status(batch, BatchStatus.PAUSING, save=("note",))
        _record(CommandKind.BATCH_PAUSE, batch, actor=actor, reason=reason)
    return batch


def resume(batch_id: UUID | str, *, actor: Actor, reason: str) -> Batch:
    """Go on. What has failed until now does not pause it again. Raises as `pause` does."""
    with transaction.atomic():
        batch = _locked(batch_id, actor)
        if batch.status not in {BatchStatus.PAUSED, BatchStatus.PAUSING}:
            raise _refusal(batch, CommandKind.BATCH_RESUME)
        _go_on(batch)
        _record(CommandKind.BATCH_RESUME, batch, actor=actor, reason=reason)
    return batch


def cancel(batch_id: UUID | str, *, actor: Actor, reason: str) -> Batch:
    """Leave out all that has not begun; what was done stays done. Raises as `pause` does."""
    with transaction.atomic():
        batch = _locked(batch_id, actor)
        if batch.is_ended or batch.status == BatchStatus.CANCELLING:
            raise _refusal(batch, CommandKind.BATCH_CANCEL)
        change_status(batch, BatchStatus.CANCELLING)
        _record(CommandKind.BATCH_CANCEL, batch, actor=actor, reason=reason)
    return batch


def retry_failed(batch_id: UUID | str, *, actor: Actor, reason: str) -> Batch:
    """Do the failed items again, and only those: what a paused batch has not begun stays paused.

    Raises as `pause` does, or when none can be done again.

    An order has one process, ever, so one that failed after this batch had started it is placed again, and the new one
    is started.
    """
    with transaction.atomic():
        batch = _locked(batch_id, actor)
        if batch.status not in {BatchStatus.COMPLETED, BatchStatus.PAUSED}:
            raise _refusal(batch, CommandKind.BATCH_RETRY)
        with connection.cursor() as cursor:
            # A freeze that is under way may choose the same orders.
            cursor.execute(LOCK)
        found = list(retryable(batch).values_list("pk", flat=True))
        if not found:
            raise WrongState("No item failed that can be done again.")
        is_paused = batch.status == BatchStatus.PAUSED
        batch.finished_at = None
        batch.summary = {}
        _go_on(batch, save=("finished_at", "summary"))
        batch.items.filter(pk__in=found).update(
            status=ItemStatus.PENDING, outcome="", error_type="", error_message="", finished_at=None, again=is_paused
        )
        _record(CommandKind.BATCH_RETRY, batch, actor=actor, reason=reason)
    return batch


def retryable(batch: Batch) -> QuerySet[BatchItem]:
    """Failed items whose order another batch does not work on, and is not cancelled or completed meanwhile."""
    elsewhere = BatchItem.objects.filter(order=OuterRef("order"), status__in=sorted(OPEN_ITEMS))
    again = batch.items.filter(~Exists(elsewhere), status=ItemStatus.FAILED)
    if batch.action == BatchAction.START:
        # One that failed is placed again.
        over = sorted(TERMINAL_STATUSES - {OrderStatus.FAILED})
        again = again.exclude(order__status__in=over).exclude(placed_as__status__in=over)
    return again


def _locked(batch_id: UUID | str, actor: Actor) -> Batch:
    batch = lock_batch(batch_id)
    require(BatchAction(batch.action), actor)
    return batch


def _go_on(batch: Batch, *, save: tuple[str, ...] = ()) -> None:
    batch.items.filter(again=True).update(again=False)
    counts = counts_of(batch)
    batch.failed_before = counts[ItemStatus.FAILED]
    batch.ended_before = counts[ItemStatus.FAILED] + counts[ItemStatus.DONE]
    batch.note = ""
    change_status(batch, BatchStatus.RUNNING, save=("failed_before", "ended_before", "note", *save))


def _record(kind: CommandKind, batch: Batch, *, actor: Actor, reason: str) -> None:
    """Write the command and wake the process. Whoever steers a batch that paused by itself has seen to it."""
    resolution = f"{ENDS[kind]}: {reason}"
    tasks.close_if_open(TaskKind.BATCH_PAUSED, batch, resolution=resolution, actor=actor)
    commands.record(kind, None, actor=actor, reason=reason, done=f"The batch is {batch.status}.", batch=batch)
    tell(batch)


def _refusal(batch: Batch, wanted: CommandKind) -> WrongState:
    """Names who was first, and when, where somebody was."""
    last = Command.objects.filter(batch=batch, order=None).order_by("-created_at").first()
    by = f", by {last.actor} at {commands.moment(last)}" if last and last.kind == wanted else ""
    return WrongState(f"The batch is {batch.status} already{by}." if by else f"The batch is {batch.status}.")
