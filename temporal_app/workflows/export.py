"""One export, from frozen orders to a file; and the round that asks for planned ones and deletes old files.

Rows never travel through Temporal: the activity reads and writes the database, part by part, and may be killed at any
moment. A person cancels in the database, and the activity finds that before its next part; an export that was ended at
Temporal must say so in its row, or its page would say "running" for ever.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import ExportStatus
    from temporal_app import policies
    from temporal_app.activities import exports as activities
    from temporal_app.payloads import AbandonExport, ExportInput, ExportResult, ExportRoundResult
    from temporal_app.workflows.feed_import import message_of
    from temporal_app.workflows.saga import is_saga_failure, shielded


@workflow.defn
class ExportWorkflow:
    @workflow.run
    async def run(self, export: ExportInput) -> ExportResult:
        try:
            status = await workflow.execute_activity(
                activities.write_export, export, **policies.long_export("Write the file")
            )
        except (Exception, asyncio.CancelledError) as error:
            if not is_saga_failure(error):
                raise
            status = await shielded(self.abandon(export, error))
            if is_cancelled_exception(error) and status is not ExportStatus.COMPLETED:
                raise
        return ExportResult(export_id=export.export_id, status=status)

    async def abandon(self, export: ExportInput, error: BaseException) -> ExportStatus:
        message = "Its process was cancelled at Temporal." if is_cancelled_exception(error) else message_of(error)
        return await workflow.execute_activity(
            activities.abandon_export,
            AbandonExport(export_id=export.export_id, message=message),
            **policies.long_export("Close the export as failed"),
        )


@workflow.defn
class ExportRoundWorkflow:
    @workflow.run
    async def run(self) -> ExportRoundResult:
        expired = await workflow.execute_activity(
            activities.expire_exports, **policies.round_of_exports("Delete files whose days are over")
        )
        asked = await workflow.execute_activity(
            activities.ask_for_planned_exports, **policies.round_of_exports("Ask for planned exports")
        )
        return ExportRoundResult(expired=expired, asked=asked)
