"""One order feed, from received file to stored orders: validate, transform, store.

A file that nobody can read ends as a completed workflow whose result says so, because the sender must act and not the
engine. A paused import, and a dry run that was checked, wait here for a signal that only wakes: what a person decided
stands in the database, where the next phase reads it. Rows never travel through Temporal: each phase reads and writes
the database and may be killed at any moment.
"""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import FeedStatus
    from temporal_app import policies
    from temporal_app.activities import feeds as activities
    from temporal_app.payloads import AbandonFeed, FeedInput, FeedResult
    from temporal_app.workflows.saga import is_saga_failure, raise_if_cancelled, shielded
    from temporal_app.workflows.waits import Wakes, is_long

#: a phase answers with one of these when a person must act before it can go on
WAITING = frozenset({FeedStatus.PAUSED, FeedStatus.CHECKED})
ENDED = frozenset({FeedStatus.COMPLETED, FeedStatus.FAILED, FeedStatus.CANCELLED, FeedStatus.DISCARDED})


@workflow.defn
class FeedImportWorkflow:
    @workflow.init
    def __init__(self, feed: FeedInput) -> None:
        self.wakes = Wakes()

    @workflow.signal
    def look_again(self, *given: Any) -> None:
        """A person told the import something; what it was stands in the database."""
        self.wakes.come(given)

    @workflow.run
    async def run(self, feed: FeedInput) -> FeedResult:
        try:
            status = await self.import_feed(feed)
        except (Exception, asyncio.CancelledError) as error:
            if not is_saga_failure(error):
                raise
            status = await shielded(self.abandon(feed, error))
            if is_cancelled_exception(error) and status is not FeedStatus.COMPLETED:
                raise
        return FeedResult(feed_id=feed.feed_id, status=status)

    async def import_feed(self, feed: FeedInput) -> FeedStatus:
        while True:
            told = self.wakes.told
            status = await self.phases(feed)
            # A history that was recorded before imports could wait never gets here with such a status.
            if status not in WAITING:
                return status
            await self.wakes.next(told)
            if is_long(self.wakes.told):
                raise_if_cancelled()
                workflow.continue_as_new(feed)

    async def phases(self, feed: FeedInput) -> FeedStatus:
        """All of them, also after a wait: each answers at once what it has done before."""
        status = await workflow.execute_activity(
            activities.validate_feed, feed, **policies.long_import("Read the rows")
        )
        if status in ENDED | WAITING:
            return status
        raise_if_cancelled()
        status = await workflow.execute_activity(
            activities.transform_feed, feed, **policies.long_import("Group the rows into invoices")
        )
        if status in ENDED | WAITING:
            return status
        raise_if_cancelled()
        return await workflow.execute_activity(
            activities.store_feed, feed, **policies.long_import("Store orders and credit notes")
        )

    async def abandon(self, feed: FeedInput, error: BaseException) -> FeedStatus:
        """Tell the row that the import will not go on; without this its page would say "storing" for ever."""
        message = "The import was cancelled." if is_cancelled_exception(error) else message_of(error)
        return await workflow.execute_activity(
            activities.abandon_feed,
            AbandonFeed(feed_id=feed.feed_id, message=message),
            **policies.long_import("Close the import as failed"),
        )


def message_of(error: BaseException) -> str:
    """What the innermost error says: an ActivityError itself says no more than "Activity task failed"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(getattr(error, "message", "") or error)[:500]
