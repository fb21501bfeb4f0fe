"""The outbox: nothing lost, nothing overtaken, nothing claimed by two at once."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction

from orders import outbox
from orders.connections import parameters
from orders.models import OutboxMessage
from orders.vocabulary import Topic
from tests.orders.connections import PATIENCE, connections
from tests.orders.outbox_rows import A, B, claimed, let_time_pass, publish


@pytest.mark.django_db
def test_claimed_row_carries_what_was_published() -> None:
    number = publish(A, number="SO-1", nested={"pieces": 3})

    (message,) = outbox.claim(20)

    assert message == outbox.Message(
        id=number, topic=Topic.START_ORDER, aggregate=A, body={"number": "SO-1", "nested": {"pieces": 3}}, attempts=1
    )


@pytest.mark.django_db
def test_a_message_that_fails_again_and_again_does_not_keep_a_younger_one_waiting() -> None:
    failing, younger = publish(A), publish(B)
    (message,) = outbox.claim(1)
    assert message.id == failing
    outbox.postpone(message, "UNAVAILABLE", delay=timedelta())
    let_time_pass(1)
    assert claimed(1) == [younger]


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
    with psycopg.connect(**parameters(), autocommit=True) as listener:
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
