"""Waiting for an import: it ends when nothing moves, explains silence, and outlives its database."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from orders.models import FeedDocument, FeedImport, Order, OutboxMessage, ServiceBeat
from orders.services import feeds
from orders.services.feeds import waiting
from orders.vocabulary import FeedStatus, OrderStatus
from tests.orders.feed_files import csv_of, imported, quiet, receive, row, run

pytestmark = pytest.mark.django_db


class Waiter:
    """Somebody who follows; a pause takes no time, and each one runs the next of `events`."""

    def __init__(self, *events: object) -> None:
        self.events = list(events)
        self.now = 0.0
        self.seen: list[feeds.Progress] = []
        self.remarks: list[str] = []

    def pause(self, seconds: float) -> None:
        self.now += seconds
        if self.events:
            self.events.pop(0)()  # type: ignore[operator]

    def follow(self, feed: FeedImport, *, with_orders: bool = False, timeout: float | None = 600) -> feeds.Progress:
        return feeds.follow(
            feed.id,
            with_orders=with_orders,
            on_progress=self.seen.append,
            on_remark=self.remarks.append,
            timeout=timeout,
            pause=self.pause,
            clock=lambda: self.now,
        )


def test_following_ends_with_the_import() -> None:
    feed = receive(csv_of(row("1")))
    waiter = Waiter(lambda: run(feed))
    assert waiter.follow(feed).status == FeedStatus.COMPLETED
    assert [progress.status for progress in waiter.seen] == [FeedStatus.RECEIVED, FeedStatus.COMPLETED]


@pytest.mark.parametrize("rest", [OrderStatus.IN_REVIEW, OrderStatus.ON_HOLD])
def test_with_orders_it_goes_on_until_each_is_closed_or_needs_a_person(rest: OrderStatus) -> None:
    feed = imported(row("1"), row("2"), process=True)
    waiter = Waiter(
        lambda: Order.objects.filter(reference="1").update(status=OrderStatus.COMPLETED, closed_at=timezone.now()),
        lambda: Order.objects.filter(reference="2").update(
            status=rest, resume_status=OrderStatus.CHARGING if rest is OrderStatus.ON_HOLD else ""
        ),
    )
    end = waiter.follow(feed, with_orders=True)
    assert [progress.moving_orders for progress in waiter.seen] == [2, 1, 0]
    assert end.orders == {OrderStatus.COMPLETED: 1, rest: 1}


def test_a_database_that_goes_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = imported(row("1"))
    plain, failures = waiting.progress, [OperationalError("gone"), OperationalError("gone")]

    def sometimes(feed_id: object) -> feeds.Progress:
        if failures:
            raise failures.pop()
        return plain(feed_id)

    monkeypatch.setattr(waiting, "progress", sometimes)
    monkeypatch.setattr(waiting.connection, "close", lambda: None)
    waiter = Waiter()
    assert waiter.follow(feed).is_ended
    assert waiter.remarks == ["The database does not answer; waiting for it."]


def test_a_follower_whose_time_is_over_leaves() -> None:
    with pytest.raises(feeds.TimedOut):
        Waiter().follow(receive(csv_of(row("1"))), timeout=5)


def test_a_minute_of_silence_is_explained() -> None:
    waiter = Waiter()
    with pytest.raises(feeds.TimedOut):
        waiter.follow(receive(csv_of(row("1"))), timeout=130)
    assert (
        waiter.remarks
        == ["Nothing has moved for a minute. No worker runs. Start one: ./dev up, or manage.py run_worker."] * 2
    )


def test_the_reason_for_silence_is_the_first_thing_that_is_missing() -> None:
    feed = receive(csv_of(row("1")))
    now = timezone.now()
    beat = ServiceBeat.objects.create(identity="w", service="worker", at=now - timedelta(hours=1))
    assert "No worker runs" in feeds.why_quiet(feed.id)
    ServiceBeat.objects.filter(pk=beat.pk).update(at=now)
    assert "Temporal does not answer" in feeds.why_quiet(feed.id)
    ServiceBeat.objects.filter(pk=beat.pk).update(temporal_ok_at=now)
    assert "has not taken the import from the outbox" in feeds.why_quiet(feed.id)
    OutboxMessage.objects.update(delivered_at=now)
    assert "orders under way: none" in feeds.why_quiet(feed.id)


def test_figures_are_asked_for_until_the_database_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting.connection, "close", lambda: None)
    failures = [OperationalError("gone"), OperationalError("gone")]
    waiter = Waiter()

    def read() -> str:
        if failures:
            raise failures.pop()
        return "figures"

    assert feeds.patiently(read, on_remark=waiter.remarks.append, pause=waiter.pause) == "figures"
    assert len(waiter.remarks) == 1


def test_the_pace_counts_what_the_phase_has_done_and_not_what_was_rejected_before() -> None:
    feed = receive(csv_of(row("1"), row("2", price="0"), row("3"), row("4")))
    assert feeds.progress(feed.pk).pace(timezone.now()) == (0.0, None)
    feeds.validate(feed.pk, beat=quiet)
    feeds.transform(feed.pk, beat=quiet)
    since = timezone.now() - timedelta(seconds=10)
    FeedImport.objects.filter(pk=feed.pk).update(status=FeedStatus.STORING, phase_since=since)
    FeedDocument.objects.filter(feed=feed, reference="2").update(stored_at=since - timedelta(seconds=1))
    FeedDocument.objects.filter(feed=feed, reference="1").update(stored_at=timezone.now())
    FeedImport.objects.filter(pk=feed.pk).update(documents_stored=2)
    assert feeds.progress(feed.pk).pace(since + timedelta(seconds=10)) == (0.1, 20.0)


def test_the_minutes_of_an_import_are_counted_with_their_gaps() -> None:
    feed = imported(row("1"), row("2"), row("3"))
    assert feeds.per_minute(receive(csv_of(row("9"))))["labels"] == []
    start = timezone.now().replace(second=30)
    FeedDocument.objects.filter(feed=feed, reference="1").update(stored_at=start - timedelta(minutes=2))
    FeedDocument.objects.exclude(reference="1").update(stored_at=start)
    Order.objects.filter(reference="1").update(status=OrderStatus.COMPLETED, closed_at=start + timedelta(minutes=1))
    chart = feeds.per_minute(feed)
    assert (chart["received"], chart["completed"]) == ([1, 0, 2, 0], [0, 0, 0, 1])
