"""The activities of a feed import: one for each phase, minutes long, told to stop at every chunk.

They heartbeat with the phase's cursor, so that Temporal notices a killed worker within seconds. The next attempt does
not read that cursor: what the phase wrote is the cursor, and unlike a heartbeat it was committed with the work.
"""

from dataclasses import replace

from temporalio import activity

from orders.services import feeds
from orders.vocabulary import Channel, FeedStatus
from temporal_app.activities import context
from temporal_app.errors import translated_errors
from temporal_app.payloads import AbandonFeed, FeedInput

ACTOR = "feed import"


@activity.defn(no_thread_cancel_exception=True)
def validate_feed(feed: FeedInput) -> FeedStatus:
    with translated_errors():
        return feeds.validate(feed.feed_id, beat=beat)


@activity.defn(no_thread_cancel_exception=True)
def transform_feed(feed: FeedInput) -> FeedStatus:
    with translated_errors():
        return feeds.transform(feed.feed_id, beat=beat)


@activity.defn(no_thread_cancel_exception=True)
def store_feed(feed: FeedInput) -> FeedStatus:
    with translated_errors():
        # The orders come through the feed's door, whatever process carries them.
        actor = replace(context.engine_actor(ACTOR), channel=Channel.FEED)
        return feeds.store(feed.feed_id, actor=actor, beat=beat)


@activity.defn(no_thread_cancel_exception=True)
def abandon_feed(feed: AbandonFeed) -> FeedStatus:
    """End the import as failed, unless it has ended before."""
    with translated_errors():
        return feeds.abandon(feed.feed_id, feed.message)


def beat(cursor: int) -> None:
    context.beat(cursor, what="import")
