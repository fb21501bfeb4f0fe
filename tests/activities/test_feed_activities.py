"""The shells of a feed's phases: they heartbeat their cursor and leave when told to."""

import pytest
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import ActivityEnvironment

from orders.models import Order
from orders.vocabulary import Channel, FeedStatus
from temporal_app.activities import feeds as activities
from temporal_app.payloads import AbandonFeed, FeedInput
from tests.orders.feed_files import csv_of, receive, row

pytestmark = pytest.mark.django_db


@pytest.fixture
def beats() -> list[int]:
    return []


@pytest.fixture
def environment(beats: list[int]) -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.on_heartbeat = beats.append
    return environment


def test_the_phases_import_a_feed_and_heartbeat_on_the_way(environment: ActivityEnvironment, beats: list[int]) -> None:
    feed = FeedInput(feed_id=str(receive(csv_of(row("1"), row("2"))).id))
    phases = (activities.validate_feed, activities.transform_feed, activities.store_feed)
    statuses = [environment.run(phase, feed) for phase in phases]
    assert statuses == [FeedStatus.VALIDATING, FeedStatus.TRANSFORMING, FeedStatus.COMPLETED]
    assert beats[0] == 3
    assert len(beats) == 3
    event = Order.objects.get(reference="1").events.get()
    assert (event.actor, event.channel) == ("feed import", Channel.FEED)
    assert event.workflow_id


def test_a_cancelled_phase_stops_at_its_next_chunk(environment: ActivityEnvironment) -> None:
    feed = receive(csv_of(row("1")))
    environment.cancel()
    with pytest.raises(CancelledError):
        environment.run(activities.validate_feed, FeedInput(feed_id=str(feed.id)))
    assert environment.run(activities.abandon_feed, AbandonFeed(feed_id=str(feed.id), message="Stopped.")) == "failed"
    feed.refresh_from_db()
    assert feed.failure_message == "Stopped."


def test_a_phase_on_a_worker_that_leaves_can_be_retried_elsewhere(environment: ActivityEnvironment) -> None:
    feed = receive(csv_of(row("1")))
    environment.worker_shutdown()
    with pytest.raises(ApplicationError) as caught:
        environment.run(activities.validate_feed, FeedInput(feed_id=str(feed.id)))
    assert not caught.value.non_retryable
    assert feed.rows.count() == 1
