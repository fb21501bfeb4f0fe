"""Handing the file out, and deleting it when its days are over: each download leaves a row, and so does each end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction

from orders import clock
from orders.actor import Actor
from orders.amounts import counted, number
from orders.errors import WrongState
from orders.models import Export, ExportPart, Order
from orders.services import commands
from orders.services.exports import formats
from orders.services.exports.making import content_of, end, lock
from orders.vocabulary import OPEN_EXPORTS, CommandKind, ExportFormat, ExportStatus


@dataclass(frozen=True, kw_only=True)
class Download:
    name: str
    content_type: str
    pieces: Iterator[bytes]


def download(export_id: UUID | str, *, actor: Actor) -> Download:
    """The file, piece by piece. Raises `Export.DoesNotExist`, `NotPermitted`, or `WrongState` when there is none."""
    actor.require("orders.export_orders")
    actor.require("orders.view_order")
    with transaction.atomic():
        export = lock(export_id)
        if is_over(export):
            raise WrongState(f"The file was kept until {export.expires_at:%d %b %Y, %H:%M} UTC. Export it again.")
        if export.status != ExportStatus.COMPLETED:
            raise WrongState(f"The export is {export.status}: there is no file.")
        positions = list(export.parts.order_by("position").values_list("position", flat=True))
        commands.record(
            CommandKind.EXPORT_DOWNLOAD,
            None,
            actor=actor,
            reason=export.reason,
            done=f"{number(export.row_count)} rows as {export.format}",
            export=export,
        )
    return Download(
        name=export.file_name,
        content_type=formats.CONTENT_TYPES[ExportFormat(export.format)],
        pieces=formats.file(ExportFormat(export.format), _parts(export, positions)),
    )


def is_over(export: Export) -> bool:
    """Whether the file's days are over, deleted or not yet."""
    return export.expires_at is not None and (export.status == ExportStatus.EXPIRED or export.expires_at <= clock.now())


def expire() -> int:
    """Delete the files whose days are over; answers how many."""
    due = Export.objects.filter(status=ExportStatus.COMPLETED, expires_at__lte=clock.now())
    ids = list(due.values_list("pk", flat=True))
    return sum(_delete(pk, f"Deleted after {counted(settings.EXPORT_KEEP_DAYS, 'day')}.") for pk in ids)


def forget(orders: list[Order]) -> int:
    """Delete what was exported of these orders: their customer is being erased. In the transaction of the erasure."""
    holding = ExportPart.objects.filter(order_ids__overlap=[order.pk for order in orders]).values("export")
    found = list(Export.objects.select_for_update(of=("self",)).select_related("key").filter(pk__in=holding))
    for export in found:
        status = ExportStatus.CANCELLED if export.status in OPEN_EXPORTS else ExportStatus.EXPIRED
        end(export, status, "Deleted because a customer in it was erased. Export it again.")
    return len(found)


def _delete(export_id: UUID, note: str) -> bool:
    with transaction.atomic():
        export = lock(export_id)
        if export.status != ExportStatus.COMPLETED:
            return False
        end(export, ExportStatus.EXPIRED, note)
    return True


def _parts(export: Export, positions: list[int]) -> Iterator[bytes]:
    """One question for each part, without a transaction that a slow client would keep open."""
    for position in positions:
        # A part that was deleted meanwhile breaks the download off; a shorter file would look like the whole.
        part = ExportPart.objects.only("content", "position").get(export=export, position=position)
        yield content_of(export, part)
