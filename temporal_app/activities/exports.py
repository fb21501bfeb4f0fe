"""The activities of exports: the file of one, minutes long, and the two short looks of the round.

The file's activity heartbeats with the number of the next part, so that Temporal notices a killed worker within
seconds. The next attempt does not read that number: the parts that are stored are the cursor.
"""

from functools import partial

from temporalio import activity

from orders.services import exports, feeds
from orders.vocabulary import ExportStatus
from temporal_app.activities.context import beat
from temporal_app.errors import translated_errors
from temporal_app.payloads import AbandonExport, ExportInput


@activity.defn(no_thread_cancel_exception=True)
def write_export(export: ExportInput) -> ExportStatus:
    with translated_errors():
        return exports.write(export.export_id, beat=partial(beat, what="export"))


@activity.defn(no_thread_cancel_exception=True)
def abandon_export(export: AbandonExport) -> ExportStatus:
    """End the export as failed, unless it has ended before."""
    with translated_errors():
        return exports.abandon(export.export_id, export.message)


@activity.defn(no_thread_cancel_exception=True)
def expire_exports() -> int:
    """Delete the files whose days are over, of exports and of imports."""
    with translated_errors():
        return exports.expire() + feeds.expire()


@activity.defn(no_thread_cancel_exception=True)
def ask_for_planned_exports() -> int:
    with translated_errors():
        return exports.run_due()
