"""Freezing a selection: one INSERT ... SELECT, so that a hundred thousand orders are frozen while the click waits.

Freezes wait for each other: of two that choose the same order one gets it and the other leaves it out, with the reason.
"""

from __future__ import annotations

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce

from orders import outbox
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Batch, BatchItem
from orders.services import commands, open_work
from orders.services.batches.actions import ACTIONS
from orders.services.batches.playbooks import ChosenPlaybook, require_playbook
from orders.services.batches.selecting import Seen, added_up, judged, require, too_many
from orders.services.selection import Selection
from orders.vocabulary import (
    DEFAULT_AUTO_PAUSE_PERCENT,
    MAX_BATCH_ORDERS,
    OPEN_BATCHES,
    BatchAction,
    CommandKind,
    Exclusion,
    ItemStatus,
    Topic,
)

LOCK = "SELECT pg_advisory_xact_lock(hashtext('backoffice.batch_freeze'))"
FREEZE = """
    INSERT INTO orders_batchitem
        (batch_id, position, order_id, status, outcome, error_type, error_message, former_status, tries, finished_at)
    SELECT %s, row_number() OVER (ORDER BY chosen.created_at, chosen.id), chosen.id,
        CASE WHEN chosen.left_out = '' THEN %s ELSE %s END, chosen.left_out, '', '', '', 0,
        CASE WHEN chosen.left_out = '' THEN NULL ELSE now() END
    FROM ({selection}) AS chosen
"""


class Drifted(WrongState):
    """The selection is not any more what was shown."""


def create(
    selection: Selection,
    action: BatchAction,
    *,
    actor: Actor,
    reason: str,
    seen: Seen | None = None,
    auto_pause_percent: int = DEFAULT_AUTO_PAUSE_PERCENT,
    undo_of: Batch | None = None,
    playbook: ChosenPlaybook | None = None,
) -> Batch:
    """Freeze the selection and ask for its processing; answers at once.

    Raises `NotPermitted`, `InvalidInput` (nothing to do, too large), `InvalidPlaybook` naming an input of the playbook,
    `WrongState` for a person who has too many batches under way, or `Drifted` when it is not what `seen` says.
    """
    require(action, actor)
    version, inputs = require_playbook(action, playbook, actor)
    user = actor.user if actor.user is not None and actor.user.pk else None
    with transaction.atomic():
        if undo_of is None:
            under_way = Batch.objects.filter(status__in=OPEN_BATCHES)
            open_work.require_place("batches", under_way, most=settings.BATCHES_OPEN_PER_PERSON, actor=actor)
        with connection.cursor() as cursor:
            cursor.execute(LOCK)
        batch = Batch.objects.create(
            action=action,
            playbook=version,
            inputs=inputs,
            reason=reason[:500],
            requested_by=user,  # type: ignore[misc]
            actor=actor.name,
            channel=actor.channel,
            selection=dict(selection.asked),
            auto_pause_percent=auto_pause_percent,
            undo_of=undo_of,
        )
        _insert(batch, selection, action, undo_of)
        frozen, excluded = _frozen(batch)
        batch.item_count, batch.sums = frozen.count + sum(excluded.values()), dict(frozen.sums)
        if batch.item_count > MAX_BATCH_ORDERS:
            raise too_many(batch.item_count)
        if seen is not None and (seen.count, dict(seen.sums)) != (frozen.count, dict(frozen.sums)):
            raise Drifted(
                f"The selection has changed since it was shown: {seen.count} orders then, {frozen.count} now, or "
                "another sum. Look again and confirm."
            )
        if not frozen.count:
            raise InvalidInput("filter", "No order is left to act on: every selected one is left out.")
        batch.save(update_fields=["item_count", "sums"])
        tell(batch)
        commands.record(
            CommandKind.BATCH_UNDO if undo_of else CommandKind.BATCH_RUN,
            None,
            actor=actor,
            reason=reason,
            done=f"{version or ACTIONS[action].title}: {frozen.count} orders",
            batch=batch,
        )
    return batch


def tell(batch: Batch) -> None:
    """Start the batch's process, or wake it; in the transaction of the change."""
    body = {"batch_id": str(batch.pk), "mode": ACTIONS[BatchAction(batch.action)].mode}
    outbox.publish(Topic.RUN_BATCH, aggregate=f"batch:{batch.pk}", body=body)


def _insert(batch: Batch, selection: Selection, action: BatchAction, undo_of: Batch | None) -> None:
    # The limit keeps a selection that is too large from filling the disk before it is refused.
    chosen = judged(selection.orders, action, undo_of).values("id", "created_at", "left_out")[: MAX_BATCH_ORDERS + 1]
    sql, parameters = chosen.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            FREEZE.format(selection=sql), [batch.pk, ItemStatus.PENDING.value, ItemStatus.SKIPPED.value, *parameters]
        )


def _frozen(batch: Batch) -> tuple[Seen, dict[Exclusion, int]]:
    groups = (
        BatchItem.objects.filter(batch=batch)
        .values("outcome", "order__currency")
        .annotate(n=Count("pk"), sum=Coalesce(Sum("order__total_minor"), 0))
        .order_by()
    )
    return added_up({**row, "left_out": row["outcome"], "currency": row["order__currency"]} for row in groups)
