"""Pause, resume and cancel: at any moment, by anybody who may, and nothing is done twice or lost."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.errors import WrongState
from orders.models import Command, CreditNote, FeedImport, Order, OrderLine, OutboxMessage
from orders.services import feeds
from orders.services.feeds import staging, storing, transforming
from orders.vocabulary import CommandKind, FeedStatus, Topic
from tests.orders.feed_files import CLI, IMPORTER, csv_of, quiet, receive, row

pytestmark = pytest.mark.django_db
PAUSE, RESUME, CANCEL = CommandKind.IMPORT_PAUSE, CommandKind.IMPORT_RESUME, CommandKind.IMPORT_CANCEL
INVOICES = 9
ROWS = [
    *(
        row(str(number), sku=f"S{line}", quantity=number + line, at=f"2010-12-0{number} 10:00:00")
        for number in range(1, INVOICES)
        for line in range(3)
    ),
    row("C9", quantity=-1, sku="S1", at="2010-12-09 10:00:00"),
    row("10", quantity=-4),
]


class Killed(Exception):
    """The worker died here."""


def tell(feed: FeedImport, kind: CommandKind) -> FeedImport:
    return feeds.tell(feed.pk, kind, actor=CLI, reason="Lunch")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "CHUNK", 4)
    monkeypatch.setattr(transforming, "PAGE", 5)
    monkeypatch.setattr(storing, "CHUNK_DOCUMENTS", 2)


def phases(feed: FeedImport, beat: Callable[[int], None]) -> FeedStatus:
    """What one round of the workflow does."""
    status = feeds.validate(feed.pk, beat=beat)
    for phase in (feeds.transform, lambda pk, beat: feeds.store(pk, actor=IMPORTER, beat=beat)):
        if status in {FeedStatus.PAUSED, FeedStatus.CANCELLED, FeedStatus.FAILED}:
            return status
        status = phase(feed.pk, beat=beat)
    return status


def facts(feed: FeedImport) -> dict[str, object]:
    figures = feeds.figures(feed)
    figures.pop("seconds")
    return {
        **figures,
        "rows": feed.rows.count(),
        "orders": sorted(Order.objects.values_list("reference", "total_minor", "line_count", "event_count")),
        "lines": OrderLine.objects.count(),
        "notes": sorted(CreditNote.objects.values_list("number", "order__reference")),
        "starts": OutboxMessage.objects.filter(topic=Topic.START_ORDER).count(),
    }


@pytest.mark.parametrize("phase", ["validate", "transform", "store"])
def test_a_pause_stops_the_running_phase_at_its_next_chunk_and_nothing_is_written(phase: str) -> None:
    feed = receive(csv_of(*ROWS))
    before = {"validate": (), "transform": ("validate",), "store": ("validate", "transform")}[phase]
    for earlier in before:
        getattr(feeds, earlier)(feed.pk, beat=quiet)
    options = {"actor": IMPORTER} if phase == "store" else {}
    written: list[dict[str, object]] = []

    def pause(cursor: int) -> None:
        tell(feed, PAUSE)
        written.append(facts(feed))

    assert getattr(feeds, phase)(feed.pk, beat=pause, **options) == FeedStatus.PAUSED
    assert len(written) == 1
    assert facts(feed) == written[0]
    assert phases(feed, quiet) == FeedStatus.PAUSED
    assert facts(feed) == written[0]
    tell(feed, RESUME)
    assert phases(feed, quiet) == FeedStatus.COMPLETED
    assert facts(feed)["rows"] == len(ROWS)
    assert [command.kind for command in feed.commands.order_by("created_at")][1:] == [PAUSE, RESUME]


def test_only_what_may_wake_a_waiting_process_is_told_to_temporal() -> None:
    feed = receive(csv_of(*ROWS))
    tell(feed, PAUSE)
    assert not OutboxMessage.objects.filter(topic=Topic.TELL_FEED_IMPORT).exists()
    tell(feed, RESUME)
    assert OutboxMessage.objects.get(topic=Topic.TELL_FEED_IMPORT).aggregate == f"feed:{feed.pk}"


def test_what_was_stored_before_a_cancellation_stays_and_nothing_follows() -> None:
    feed = receive(csv_of(*ROWS))
    feeds.validate(feed.pk, beat=quiet)
    feeds.transform(feed.pk, beat=quiet)
    status = feeds.store(feed.pk, actor=IMPORTER, beat=lambda cursor: tell(feed, CANCEL) and None)
    assert status == FeedStatus.CANCELLED
    assert Order.objects.count() == 2
    assert phases(feed, quiet) == FeedStatus.CANCELLED
    feed.refresh_from_db()
    assert (feed.created_orders, feed.failure_message) == (2, "Cancelled by test: Lunch")
    assert feed.finished_at is not None
    assert Command.objects.get(pk=feed.pk).outcome == "Cancelled by test: Lunch"


@pytest.mark.parametrize(
    ("given_before", "kind"),
    [((), RESUME), ((PAUSE,), PAUSE), ((CANCEL,), PAUSE), ((CANCEL,), CANCEL), ((), CommandKind.IMPORT_COMMIT)],
)
def test_what_makes_no_sense_now_is_refused_and_leaves_no_command(
    given_before: tuple[CommandKind, ...], kind: CommandKind
) -> None:
    feed = receive(csv_of(*ROWS))
    for earlier in given_before:
        tell(feed, earlier)
    count = Command.objects.count()
    with pytest.raises(WrongState):
        tell(feed, kind)
    assert Command.objects.count() == count


def test_a_paused_import_whose_process_was_terminated_can_end_as_failed() -> None:
    feed = receive(csv_of(*ROWS))
    tell(feed, PAUSE)
    assert feeds.abandon(feed.pk, "The import was cancelled.") == FeedStatus.FAILED


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, object]:
    return {}


@settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(moments=st.lists(st.sampled_from(["pause", "kill", "cancel", "none", "none"]), max_size=25))
def test_whatever_happens_between_two_chunks_nothing_is_doubled_or_lost(
    undisturbed: dict[str, object], moments: list[str]
) -> None:
    with transaction.atomic():
        if not undisturbed:
            with transaction.atomic():
                feed = receive(csv_of(*ROWS), process=True)
                assert phases(feed, quiet) == FeedStatus.COMPLETED
                undisturbed.update(facts(feed))
                transaction.set_rollback(True)
        feed = receive(csv_of(*ROWS), process=True)
        status = disturbed(feed, iter(moments))
        found = facts(feed)
        if status is FeedStatus.COMPLETED:
            assert found == undisturbed
        else:
            assert status is FeedStatus.CANCELLED
            # Whole orders only, each once, and the counters are those of what is there.
            assert set(found["orders"]) <= set(undisturbed["orders"])  # type: ignore[call-overload]
            feed.refresh_from_db()
            assert feed.created_orders == Order.objects.count() == found["starts"]
            assert found["lines"] == sum(order.line_count for order in Order.objects.all())
        transaction.set_rollback(True)


def disturbed(feed: FeedImport, moments: Iterator[str]) -> FeedStatus:
    """Run the import to its end while `moments` happen, one at each chunk."""

    def beat(cursor: int) -> None:
        match next(moments, "none"):
            case "pause":
                # While an attempt only skips what is staged, a pause may stand already.
                with suppress(WrongState):
                    tell(feed, PAUSE)
            case "cancel":
                with suppress(WrongState):
                    tell(feed, CANCEL)
            case "kill":
                raise Killed

    for _ in range(60):
        try:
            status = phases(feed, beat)
        except Killed:
            continue
        if status is not FeedStatus.PAUSED:
            return status
        tell(feed, RESUME)
    raise AssertionError("The import never ended.")
