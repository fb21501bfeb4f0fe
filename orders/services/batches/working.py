"""What the process of a batch asks before every piece of work, and how each item gets its result.

The order of locks is batch, items, orders: whoever holds the batch's row decides, and a pause that was committed is
seen by everything that begins after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import Count, QuerySet

from orders import clock
from orders.actor import Actor, person, system
from orders.models import Batch, BatchItem
from orders.services import tasks
from orders.services.batches.actions import ACTIONS
from orders.services.batches.selecting import require
from orders.vocabulary import (
    AUTO_PAUSE_AFTER,
    BatchAction,
    BatchStatus,
    Channel,
    Exclusion,
    ItemStatus,
    TaskKind,
    TaskLevel,
    Verdict,
)

VERDICTS = {
    BatchStatus.RUNNING: Verdict.GO,
    BatchStatus.PAUSING: Verdict.STOP,
    BatchStatus.CANCELLING: Verdict.STOP,
    BatchStatus.PAUSED: Verdict.STILL,
    BatchStatus.CANCELLED: Verdict.ENDED,
    BatchStatus.COMPLETED: Verdict.ENDED,
}
SAVE_RESULTS = """
    UPDATE orders_batchitem AS item
    SET status = new.status, outcome = new.outcome, error_type = new.error_type, error_message = new.error_message,
        former_status = new.former_status, tries = item.tries + new.tries,
        started_at = coalesce(item.started_at, now()), finished_at = CASE WHEN new.ended THEN clock_timestamp() END
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::bool[])
        AS new(id, status, outcome, error_type, error_message, former_status, tries, ended)
    WHERE item.id = new.id
"""


@dataclass(frozen=True, kw_only=True)
class Where:
    """The run that acts, for the history."""

    workflow_id: str = ""
    run_id: str = ""
    attempt: int | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one item."""

    status: ItemStatus
    outcome: str = ""
    error_type: str = ""
    error_message: str = ""
    former_status: str = ""


def done(outcome: str, *, former: str, detail: str = "") -> Result:
    return Result(status=ItemStatus.DONE, outcome=outcome, error_message=detail[:500], former_status=former)


def failed(error_type: str, message: str, *, former: str) -> Result:
    return Result(
        status=ItemStatus.FAILED, error_type=error_type[:40], error_message=message[:500], former_status=former
    )


def lock_batch(batch_id: UUID | str) -> Batch:
    return Batch.objects.select_for_update().get(pk=batch_id)


def judge(batch: Batch) -> Verdict:
    """Move the locked batch on as far as its items and commands say, and answer what may be done now."""
    counts = counts_of(batch)
    pending, running = counts[ItemStatus.PENDING], counts[ItemStatus.RUNNING]
    if batch.status == BatchStatus.PREPARING:
        batch.started_at = clock.now()
        _move(batch, BatchStatus.RUNNING, save=("started_at",))
    if batch.status == BatchStatus.RUNNING and pending and _too_many_failures(batch, counts):
        _pause_by_itself(batch)
    if batch.status == BatchStatus.CANCELLING:
        _skip_the_rest(batch)
        pending = 0
    if not running and batch.status != BatchStatus.PREPARING and not batch.is_ended:
        if batch.status == BatchStatus.CANCELLING:
            _end(batch, BatchStatus.CANCELLED)
        elif not pending:
            _end(batch, BatchStatus.COMPLETED)
        elif batch.status == BatchStatus.PAUSING:
            _move(batch, BatchStatus.PAUSED)
        elif batch.status == BatchStatus.RUNNING and not due(batch).exists():
            batch.items.filter(again=True).update(again=False)
            batch.note = "What had failed was done again; the rest is paused as before."
            _move(batch, BatchStatus.PAUSED, save=("note",))
    return VERDICTS[BatchStatus(batch.status)]


def due(batch: Batch) -> QuerySet[BatchItem]:
    """The items that wait to be done, by position; while failed ones of a paused batch are done again, only those."""
    pending = batch.items.filter(status=ItemStatus.PENDING).order_by("position")
    return pending.filter(again=True) if batch.items.filter(again=True).exists() else pending


def counts_of(batch: Batch) -> dict[ItemStatus, int]:
    found = dict(batch.items.order_by().values_list("status").annotate(n=Count("pk")))
    return {status: found.get(status, 0) for status in ItemStatus}


def acting(batch: Batch, where: Where) -> Actor:
    """Whoever asked for the batch, if they still may do this. Raises `NotPermitted`."""
    place: dict[str, Any] = {"workflow_id": where.workflow_id, "run_id": where.run_id, "attempt": where.attempt}
    if batch.requested_by_id is None:
        actor = system(batch.actor, Channel(batch.channel), **place)
    else:
        # Read anew: a user object remembers its permissions.
        user = get_user_model().objects.get(pk=batch.requested_by_id)
        actor = replace(person(user, Channel(batch.channel)), **place)
    require(BatchAction(batch.action), actor)
    return actor


def save_results(results: Iterable[tuple[BatchItem, Result]], *, tries: int = 1) -> None:
    """Write them in one statement, in the transaction of what was done."""
    rows = [
        (
            item.pk,
            str(result.status),
            result.outcome,
            result.error_type,
            result.error_message,
            result.former_status,
            tries,
            result.status not in {ItemStatus.PENDING, ItemStatus.RUNNING},
        )
        for item, result in results
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(SAVE_RESULTS, [list(column) for column in zip(*rows, strict=True)])


def summarise(batch_id: UUID | str) -> dict[str, int]:
    """Store the counts of an ended batch, and answer them."""
    with transaction.atomic():
        batch = lock_batch(batch_id)
        counts = {status.value: count for status, count in counts_of(batch).items() if count}
        reasons = (
            batch.items.filter(status=ItemStatus.FAILED).order_by().values_list("error_type").annotate(n=Count("pk"))
        )
        batch.summary = {"counts": counts, "failures": dict(reasons)}
        batch.save(update_fields=["summary"])
    return counts


def stop_by_engine(batch_id: UUID | str) -> None:
    """Somebody cancelled the process at Temporal: what has not begun never will, and the row says so."""
    with transaction.atomic():
        batch = lock_batch(batch_id)
        if batch.is_ended:
            return
        batch.note = "Its process was cancelled at Temporal; orders that were begun go on by themselves."
        _move(batch, BatchStatus.CANCELLING, save=("note",))
        tasks.close_if_open(TaskKind.BATCH_PAUSED, batch, resolution=batch.note, actor=system("batch"))
        _skip_the_rest(batch)
        for item in batch.items.filter(status=ItemStatus.RUNNING):
            save_results([(item, done("Begun, then left alone", former=item.former_status))], tries=0)
        _end(batch, BatchStatus.CANCELLED)


def change_status(batch: Batch, status: BatchStatus, *, save: tuple[str, ...] = ()) -> None:
    """For commands: the batch's row is locked by the caller."""
    _move(batch, status, save=save)


def _too_many_failures(batch: Batch, counts: dict[ItemStatus, int]) -> bool:
    failures = counts[ItemStatus.FAILED] - batch.failed_before
    ended = counts[ItemStatus.DONE] + counts[ItemStatus.FAILED] - batch.ended_before
    if not batch.auto_pause_percent or ended < AUTO_PAUSE_AFTER or failures * 100 < batch.auto_pause_percent * ended:
        return False
    batch.note = (
        f"Paused by itself: {failures} of {ended} failed, which is {batch.auto_pause_percent} % or more. "
        "Mend the cause, then resume."
    )
    return True


def _pause_by_itself(batch: Batch) -> None:
    """Somebody must look: whoever asked for the batch, or another lead."""
    _move(batch, BatchStatus.PAUSING, save=("note",))
    title = ACTIONS[BatchAction(batch.action)].title
    tasks.open_task(
        TaskKind.BATCH_PAUSED,
        batch,
        level=TaskLevel.LEAD,
        says=f"Batch “{title}” of {batch.item_count} orders. {batch.note}",
        actor=system("batch"),
        owner_id=batch.requested_by_id,
    )


def _skip_the_rest(batch: Batch) -> None:
    batch.items.filter(status=ItemStatus.PENDING).update(
        status=ItemStatus.SKIPPED, outcome=Exclusion.BATCH_CANCELLED, finished_at=clock.now()
    )


def _move(batch: Batch, status: BatchStatus, *, save: tuple[str, ...] = ()) -> None:
    batch.status, batch.status_since = status, clock.now()
    batch.save(update_fields=["status", "status_since", *save])


def _end(batch: Batch, status: BatchStatus) -> None:
    batch.finished_at = clock.now()
    _move(batch, status, save=("finished_at",))
