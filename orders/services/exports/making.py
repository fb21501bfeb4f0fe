"""Making the file: part by part, each committed by itself, so that a crash costs one part at most.

A part is read and written without any lock; it is stored under the export's, while that still runs. An attempt that was
believed dead and wakes up late finds the part stored, or the export ended, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F

from orders import clock, keyring
from orders.actor import Actor
from orders.errors import WrongState
from orders.models import Export, ExportPart
from orders.services import commands
from orders.services.exports import columns, formats
from orders.vocabulary import CommandKind, ExportFormat, ExportStatus

#: called with the number of the next part, where the work may be stopped; may raise
Beat = Callable[[int], None]


def write(export_id: UUID | str, *, beat: Beat) -> ExportStatus:
    """Write the parts that are missing, then close the export; answers how it stands then."""
    Export.objects.filter(pk=export_id, status=ExportStatus.QUEUED).update(
        status=ExportStatus.RUNNING, started_at=clock.now()
    )
    export = Export.objects.select_related("key").get(pk=export_id)
    missing = ExportPart.objects.filter(export=export, content=None).order_by("position")
    for position in list(missing.values_list("position", flat=True)):
        beat(position)
        part = ExportPart.objects.defer("content").filter(export=export, position=position).first()
        if part is None:
            break  # it was cancelled
        rows = columns.read(part.order_ids)
        content = formats.rows(ExportFormat(export.format), rows)
        if not _store(part, _sealed(export, part, content), len(rows)):
            break
    return _complete(export_id)


def cancel(export_id: UUID | str, *, actor: Actor, reason: str) -> Export:
    """Make no more of it, and forget what was made. Raises `Export.DoesNotExist`, `NotPermitted` or `WrongState`."""
    actor.require("orders.export_orders")
    with transaction.atomic():
        export = lock(export_id)
        if export.is_ended:
            raise WrongState(f"The export is {export.status} already.")
        end(export, ExportStatus.CANCELLED, f"Cancelled by {actor.name}: {reason}")
        commands.record(
            CommandKind.EXPORT_CANCEL,
            None,
            actor=actor,
            reason=reason,
            done=f"{export.rows_written} of {export.row_count} rows were written, and are deleted.",
            export=export,
        )
    return export


def abandon(export_id: UUID | str, message: str) -> ExportStatus:
    """End it without a file, unless it has ended before; `message` is for people."""
    with transaction.atomic():
        export = lock(export_id)
        if not export.is_ended:
            end(export, ExportStatus.FAILED, message)
    return ExportStatus(export.status)


def lock(export_id: UUID | str) -> Export:
    return Export.objects.select_for_update(of=("self",)).select_related("key").get(pk=export_id)


def end(export: Export, status: ExportStatus, note: str = "") -> None:
    """End a locked export, or let a whole one expire; its parts are deleted unless it is completed now."""
    export.status, export.note = status, note[:500]
    export.finished_at = export.finished_at or clock.now()
    key = export.key
    if status is ExportStatus.COMPLETED:
        export.expires_at = export.finished_at + timedelta(days=settings.EXPORT_KEEP_DAYS)
    else:
        ExportPart.objects.filter(export=export).delete()
        export.key = None
    export.save(update_fields=["status", "note", "finished_at", "expires_at", "key"])
    if key is not None and export.key is None:
        key.delete()


def content_of(export: Export, part: ExportPart) -> bytes:
    """The piece of the file that a part holds. Raises `keyring.Unreadable`."""
    stored = bytes(part.content or b"")
    if export.key is None:  # begun by a version that did not encrypt
        return stored
    count, size = keyring.blocks_in(len(stored)), keyring.SEALED_BLOCK_BYTES
    return b"".join(
        keyring.decrypt_block(
            export.key.secret,
            stored[number * size : (number + 1) * size],
            place=_place(export, part),
            number=number,
            count=count,
        )
        for number in range(count)
    )


def _sealed(export: Export, part: ExportPart, content: bytes) -> bytes:
    if export.key is None:
        return content
    return keyring.encrypt_blocks(export.key.secret, content, place=_place(export, part))


def _place(export: Export, part: ExportPart) -> str:
    return f"orders_exportpart.content of {export.pk}, part {part.position}"


def _store(part: ExportPart, content: bytes, rows: int) -> bool:
    """False when the export has ended meanwhile."""
    with transaction.atomic():
        if lock(part.export_id).is_ended:
            return False
        if ExportPart.objects.filter(pk=part.pk, content=None).update(content=content):
            Export.objects.filter(pk=part.export_id).update(rows_written=F("rows_written") + rows)
    return True


def _complete(export_id: UUID | str) -> ExportStatus:
    with transaction.atomic():
        export = lock(export_id)
        if not export.is_ended:
            end(export, ExportStatus.COMPLETED)
    return ExportStatus(export.status)
