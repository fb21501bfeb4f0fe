"""Asking for an export: one INSERT ... SELECT freezes the orders while the click waits, however many they are."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import QuerySet

from orders import outbox
from orders.actor import Actor
from orders.amounts import number
from orders.errors import InvalidInput
from orders.models import Export, ExportPlan, FileKey, Order
from orders.services import commands, open_work
from orders.services.selection import Selection
from orders.vocabulary import EXPORT_PART_ORDERS, CommandKind, ExportFormat, ExportStatus, Topic

FREEZE = """
    INSERT INTO orders_exportpart (export_id, position, order_ids)
    SELECT %s, (place - 1) / %s + 1, array_agg(id ORDER BY place)
    FROM (SELECT chosen.id, row_number() OVER (ORDER BY chosen.created_at, chosen.id) AS place
          FROM ({selection}) AS chosen) AS placed
    GROUP BY 2
"""


def request(
    selection: Selection, format: ExportFormat, *, actor: Actor, reason: str, plan: ExportPlan | None = None
) -> Export:
    """Freeze the selection and ask for its file; answers at once.

    Raises `NotPermitted`, `InvalidInput` that names the limit when too many orders match, or that none does, and
    `WrongState` for a person who has too many exports under way; a plan's are bounded by its rhythm.
    """
    actor.require("orders.export_orders")
    actor.require("orders.view_order")
    if not reason.strip():
        raise InvalidInput("reason", "Say what the file is for: it is what an auditor reads.")
    user = actor.user if actor.user is not None and actor.user.pk else None
    with transaction.atomic():
        if plan is None:
            under_way = Export.objects.filter(plan=None, status__in=(ExportStatus.QUEUED, ExportStatus.RUNNING))
            open_work.require_place("exports", under_way, most=settings.EXPORTS_OPEN_PER_PERSON, actor=actor)
        export = Export.objects.create(
            format=format,
            reason=reason[:500],
            requested_by=user,  # type: ignore[misc]
            actor=actor.name,
            channel=actor.channel,
            selection=dict(selection.asked),
            plan=plan,
            key=FileKey.saved(),
        )
        export.row_count = _freeze(export, selection.orders)
        if export.row_count > settings.EXPORT_MAX_ROWS:
            limit = number(settings.EXPORT_MAX_ROWS)
            raise InvalidInput("filter", f"More than {limit} orders match; one export takes {limit} at most.")
        if not export.row_count:
            raise InvalidInput("filter", "No order matches.")
        export.save(update_fields=["row_count"])
        outbox.publish(Topic.RUN_EXPORT, aggregate=f"export:{export.pk}", body={"export_id": str(export.pk)})
        commands.record(
            CommandKind.EXPORT,
            None,
            actor=actor,
            reason=reason,
            done=f"{number(export.row_count)} orders as {format}",
            export=export,
            export_plan=plan,
        )
    return export


def _freeze(export: Export, orders: QuerySet[Order]) -> int:
    # The limit keeps a selection that is too large from filling the disk before it is refused.
    chosen = orders.order_by("created_at", "id").values("id", "created_at")[: settings.EXPORT_MAX_ROWS + 1]
    try:
        sql, parameters = chosen.query.sql_with_params()
    except EmptyResultSet:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(FREEZE.format(selection=sql), [export.pk, EXPORT_PART_ORDERS, *parameters])
        cursor.execute(
            "SELECT coalesce(sum(cardinality(order_ids)), 0) FROM orders_exportpart WHERE export_id = %s", [export.pk]
        )
        return int(cursor.fetchone()[0])
