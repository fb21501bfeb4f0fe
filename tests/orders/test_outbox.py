"""The outbox and its relay: nothing lost, nothing overtaken, nothing delivered by two at once."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from pytest_django.fixtures import Settings
from temporalio.service import RPCError, RPCStatusCode

from orders import outbox
from orders.models import Order, OutboxMessage
from orders.vocabulary import OrderStatus, Topic
from temporal_app import relay
from tests.factories import make_order
from tests.orders.connections import PATIENCE, connections

A, B = "order:a", "order:b"


def publish(aggregate: str = A, **body: Any) -> int:
    """Publish and commit; answers the row's number."""
    with transaction.atomic():
        message = outbox.publish(Topic.START_ORDER, aggregate=aggregate, body=body)
    # For PostgreSQL a test is one transaction, in which no time passes between the commit and the claim.
    OutboxMessage.objects.filter(pk=message.pk).update(available_at=F("available_at") - timedelta(minutes=1))
    return message.pk


def claimed(limit: int = 20) -> list[int]:
    return [message.id for message in outbox.claim(limit)]


def let_time_pass(seconds: float) -> None:
    """Every lease and delay moves into the past; no test waits for a clock."""
    OutboxMessage.objects.update(available_at=F("available_at") - timedelta(seconds=seconds))


@pytest.mark.django_db
def test_claimed_row_carries_what_was_published() -> None:
    number = publish(A, number="SO-1", nested={"pieces": 3})

    (message,) = outbox.claim(20)

    assert message == outbox.Message(
        id=number, topic=Topic.START_ORDER, aggregate=A, body={"number": "SO-1", "nested": {"pieces": 3}}, attempts=1
    )


def publish_bulk(aggregate: str, **body: Any) -> int:
    with transaction.atomic():
        message = outbox.publish(Topic.START_ORDER, aggregate=aggregate, body=body, bulk=True)
    OutboxMessage.objects.filter(pk=message.pk).update(available_at=F("available_at") - timedelta(hours=1))
    return message.pk


@pytest.mark.django_db
def test_a_message_that_somebody_waits_for_overtakes_thousands_that_nobody_does() -> None:
    bulk = [publish_bulk(f"order:{number}") for number in range(5)]
    urgent = [publish(A), publish(B)]
    assert sorted(claimed(2)) == urgent
    assert sorted(claimed(4)) == bulk[:4]


@pytest.mark.django_db
def test_bulk_starts_leave_only_while_few_orders_are_under_way(settings: Settings) -> None:
    settings.BULK_ORDERS_UNDER_WAY = 3
    busy = make_order(started=True)
    Order.objects.filter(pk=busy.pk).update(status=OrderStatus.CHARGING)
    OutboxMessage.objects.all().delete()
    starts = []
    for _ in range(4):
        order = make_order()
        Order.objects.filter(pk=order.pk).update(status=OrderStatus.QUEUED)
        starts.append(publish_bulk(f"order:{order.pk}", order_id=str(order.pk)))
    urgent = publish(A)
    first = claimed()
    assert first == [urgent, *starts[:2]]
    for number in first:
        outbox.mark_delivered(number)
    # Temporal has been told of them, and no worker has begun.
    assert claimed() == []
    Order.objects.filter(status=OrderStatus.CHARGING).update(status=OrderStatus.COMPLETED, closed_at=timezone.now())
    assert claimed() == starts[2:3]
    # They are not counted for ever, should no worker take them.
    OutboxMessage.objects.exclude(delivered_at=None).update(delivered_at=timezone.now() - timedelta(minutes=2))
    assert claimed() == starts[3:]


@pytest.mark.django_db
def test_a_command_on_an_order_takes_its_bulk_start_along() -> None:
    others = [publish_bulk(f"order:{number}") for number in range(3)]
    start = publish_bulk(A)
    command = publish(A)
    assert claimed(1) == [start]
    outbox.mark_delivered(start)
    assert claimed(1) == [command]
    assert claimed() == others


@pytest.mark.django_db
def test_rolled_back_change_leaves_nothing_to_deliver() -> None:
    with transaction.atomic():
        outbox.publish(Topic.START_ORDER, aggregate=A, body={})
        transaction.set_rollback(True)

    assert claimed() == []


@pytest.mark.django_db
def test_publishing_outside_of_a_transaction_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction.get_connection(), "in_atomic_block", False)
    with pytest.raises(RuntimeError, match="needs the transaction"):
        outbox.publish(Topic.START_ORDER, aggregate=A, body={})
    monkeypatch.undo()

    assert not OutboxMessage.objects.exists()


@pytest.mark.django_db
def test_second_message_of_an_order_waits_until_the_first_is_delivered() -> None:
    first, second = publish(A), publish(A)

    assert claimed() == [first]
    assert claimed() == []
    outbox.mark_delivered(first)
    assert claimed() == [second]


@pytest.mark.django_db
def test_failed_message_holds_back_its_followers_and_nobody_else() -> None:
    first, follower, other = publish(A), publish(A), publish(B)
    message = outbox.claim(1)[0]
    assert message.id == first

    outbox.postpone(message, "UNAVAILABLE: no answer", delay=timedelta(minutes=1))

    assert claimed() == [other]
    let_time_pass(61)
    assert claimed() == [first, other]
    outbox.mark_delivered(first)
    assert claimed() == [follower]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "planner", [[], ["enable_hashjoin", "enable_mergejoin", "enable_hashagg", "enable_sort", "enable_material"]]
)
def test_claim_takes_no_more_than_it_was_asked_for_and_the_oldest_first(planner: list[str]) -> None:
    # Without these ways, PostgreSQL joins by nested loops, and ran the choice of rows again for every row.
    with connection.cursor() as cursor:
        for way in planner:
            cursor.execute(f"SET LOCAL {way} = off")
    numbers = [publish(f"order:{index}") for index in range(5)]

    assert claimed(2) == numbers[:2]
    assert claimed(2) == numbers[2:4]
    assert claimed(2) == numbers[4:]


@pytest.mark.django_db
def test_lease_of_a_relay_that_died_passes_to_the_next() -> None:
    number = publish()
    assert claimed() == [number]

    let_time_pass(outbox.LEASE.total_seconds() - 1)
    assert claimed() == []
    let_time_pass(1)
    (message,) = outbox.claim(20)
    assert (message.id, message.attempts) == (number, 2)


@pytest.mark.django_db
def test_delivered_row_never_comes_again_and_forgets_its_error() -> None:
    publish()
    (message,) = outbox.claim(20)
    outbox.postpone(message, "UNAVAILABLE", delay=timedelta())
    outbox.mark_delivered(message.id)
    let_time_pass(3600)

    assert claimed() == []
    row = OutboxMessage.objects.get()
    assert (row.last_error, row.delivered_at is None) == ("", False)


@pytest.mark.django_db
def test_relay_that_lost_its_lease_cannot_bring_a_delivered_row_back() -> None:
    publish()
    (message,) = outbox.claim(20)
    outbox.mark_delivered(message.id)

    outbox.postpone(message, "too late", delay=timedelta())

    assert OutboxMessage.objects.get().last_error == ""


@pytest.mark.django_db
def test_long_error_is_cut_and_not_refused() -> None:
    publish()
    (message,) = outbox.claim(20)

    outbox.postpone(message, "x" * 10_000, delay=timedelta())

    assert len(OutboxMessage.objects.get().last_error) == 500


# --- Several connections ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_row_that_another_relay_is_claiming_is_skipped_not_waited_for() -> None:
    first, second = publish(A), publish(B)

    with connections(1) as others, transaction.atomic():
        assert claimed(1) == [first]
        assert others.begin(claimed).result(PATIENCE) == [second]


@pytest.mark.django_db(transaction=True)
def test_follower_is_not_taken_while_another_relay_claims_its_elder() -> None:
    first, _ = publish(A), publish(A)

    with connections(1) as others, transaction.atomic():
        assert claimed(1) == [first]
        assert others.begin(claimed).result(PATIENCE) == []


@pytest.mark.django_db(transaction=True)
def test_many_relays_together_claim_every_row_once() -> None:
    numbers = [publish(f"order:{index}") for index in range(60)]

    def drain() -> list[int]:
        mine: list[int] = []
        while batch := claimed(3):
            mine += batch
        return mine

    with connections(6) as others:
        drained = [relay_.result(PATIENCE) for relay_ in [others.begin(drain) for _ in range(6)]]

    assert sorted(number for batch in drained for number in batch) == numbers


@pytest.fixture
def listening(transactional_db: None) -> Iterator[psycopg.Connection]:
    with psycopg.connect(**relay.connection_parameters(), autocommit=True) as listener:
        listener.execute(f"LISTEN {outbox.CHANNEL}")
        yield listener


def test_relays_are_woken_at_the_commit_and_not_before(listening: psycopg.Connection) -> None:
    with transaction.atomic():
        outbox.publish(Topic.START_ORDER, aggregate=A, body={})
        outbox.publish(Topic.START_ORDER, aggregate=B, body={})
        # A round trip of the listener: what had been sent before it would have arrived with its answer.
        listening.execute("SELECT 1")
        assert list(listening.notifies(timeout=0)) == []
    assert len(list(listening.notifies(timeout=PATIENCE, stop_after=1))) == 1


# --- The relay --------------------------------------------------------------------------------------------------------


class Temporal:
    """Stands in for the starter: keeps what was delivered, and raises what it was told to."""

    def __init__(self) -> None:
        self.delivered: list[str] = []
        self.errors: list[Exception] = []

    async def deliver(self, client: object, body: dict[str, Any]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.delivered.append(body["number"])


@pytest.fixture
def temporal(monkeypatch: pytest.MonkeyPatch, db: None) -> Temporal:
    stand_in = Temporal()
    monkeypatch.setitem(relay.DELIVER, Topic.START_ORDER, stand_in.deliver)
    return stand_in


def relay_once() -> int:
    """One look of a relay at the outbox; answers how many rows it claimed."""

    async def look() -> int:
        running = relay.Relay(None, asyncio.Event())  # type: ignore[arg-type]
        # In the test's own thread, and so in its transaction.
        running.in_thread = sync_to_async(lambda work, *arguments: work(*arguments))  # type: ignore[method-assign]
        return await running.deliver_due()

    return async_to_sync(look)()


def test_relay_delivers_a_started_order_once(temporal: Temporal) -> None:
    order = make_order(started=True)
    let_time_pass(60)

    assert [relay_once(), relay_once()] == [1, 0]

    assert temporal.delivered == [order.number]
    assert OutboxMessage.objects.get().delivered_at is not None


def test_relay_keeps_the_order_of_messages_of_one_aggregate(temporal: Temporal) -> None:
    for number in ("first", "second", "third"):
        publish(A, number=number)

    assert [relay_once() for _ in range(4)] == [1, 1, 1, 0]

    assert temporal.delivered == ["first", "second", "third"]


def test_message_is_kept_and_tried_again_while_temporal_is_away(temporal: Temporal) -> None:
    publish(A, number="SO-1")
    temporal.errors = [RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")]

    assert [relay_once(), relay_once()] == [1, 0]
    row = OutboxMessage.objects.get()
    assert (row.delivered_at, row.last_error) == (None, "UNAVAILABLE: connection refused")
    assert row.available_at < timezone.now() + timedelta(seconds=6)

    let_time_pass(6)
    assert relay_once() == 1
    assert temporal.delivered == ["SO-1"]


def test_message_that_temporal_refuses_stays_visible_and_does_not_stop_the_others(temporal: Temporal) -> None:
    publish(A, number="bad")
    temporal.errors = [RPCError("search attribute is not defined", RPCStatusCode.INVALID_ARGUMENT, b"")]
    assert relay_once() == 1
    publish(B, number="good")

    assert relay_once() == 1

    assert temporal.delivered == ["good"]
    assert OutboxMessage.objects.get(aggregate=A).last_error.startswith("INVALID_ARGUMENT")


def test_message_that_cannot_even_be_read_does_not_stop_the_relay(temporal: Temporal) -> None:
    publish(A, unknown="field")
    publish(B, number="good")

    assert relay_once() == 2

    assert temporal.delivered == ["good"]
    assert OutboxMessage.objects.get(aggregate=A).last_error == "KeyError: 'number'"
