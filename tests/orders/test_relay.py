"""The relay: every message arrives, in the order of its aggregate, and none waits for another aggregate's."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.utils import timezone
from temporalio.service import RPCError, RPCStatusCode

from orders import outbox
from orders.models import OutboxMessage
from orders.vocabulary import Topic
from temporal_app import relay
from tests.factories import make_order
from tests.orders.connections import PATIENCE
from tests.orders.outbox_rows import A, B, let_time_pass, publish
from tests.orders.relaying import Temporal, new_relay, relay_once


@pytest.fixture
def temporal(monkeypatch: pytest.MonkeyPatch, db: None) -> Temporal:
    stand_in = Temporal()
    monkeypatch.setitem(relay.DELIVER, Topic.START_ORDER, stand_in.deliver)
    return stand_in


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
    assert OutboxMessage.objects.get(aggregate=A).last_error.startswith("Refused: INVALID_ARGUMENT")


def test_message_that_cannot_even_be_read_does_not_stop_the_relay(temporal: Temporal) -> None:
    publish(A, unknown="field")
    publish(B, number="good")

    assert relay_once() == 2

    assert temporal.delivered == ["good"]
    assert OutboxMessage.objects.get(aggregate=A).last_error == "Refused: KeyError: 'number'"


async def until_delivered(running: relay.Relay, temporal: Temporal, numbers: list[str]) -> None:
    """The relay's own loop, as far as the test needs it."""
    async with asyncio.timeout(PATIENCE):
        while temporal.delivered != numbers:
            if not await running.begin_due():
                await running.sleep()


def test_a_call_that_hangs_delays_no_other_aggregate(temporal: Temporal) -> None:
    temporal.hung = {"slow"}
    publish(A, number="slow")
    follower = publish(A, number="follower")

    async def look() -> None:
        running = new_relay()
        async with asyncio.timeout(PATIENCE):
            assert await running.begin_due() == 1
        for number in ("first", "second", "third"):
            await sync_to_async(publish)(B, number=number)
        await until_delivered(running, temporal, ["first", "second", "third"])
        assert len(running.under_way) == 1, "the slow one still waits for its answer"
        for task in running.under_way:
            task.cancel()

    async_to_sync(look)()
    assert OutboxMessage.objects.get(pk=follower).delivered_at is None, "nothing overtakes within an aggregate"


def test_a_relay_whose_places_are_all_taken_claims_nothing_that_it_cannot_carry(
    temporal: Temporal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "AT_ONCE", 2)
    temporal.hung = {"slow"}
    for aggregate in (A, B):
        publish(aggregate, number="slow")
    third = publish("order:c", number="third")

    async def look() -> None:
        running = new_relay()
        assert [await running.begin_due(), await running.begin_due()] == [2, 0]
        slow = next(iter(running.under_way))
        slow.cancel()
        await until_delivered(running, temporal, ["third"])
        for task in running.under_way:
            task.cancel()

    async_to_sync(look)()
    assert OutboxMessage.objects.get(pk=third).attempts == 1


def test_a_call_is_given_up_before_its_lease_ends_and_tried_again_when_it_can_arrive_no_more(
    temporal: Temporal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert relay.BUDGET + relay.RPC_TIMEOUT < outbox.LEASE
    monkeypatch.setattr(relay, "BUDGET", timedelta(milliseconds=1))
    temporal.hung = {"slow"}
    publish(A, number="slow")
    before = timezone.now()

    assert relay_once() == 1

    row = OutboxMessage.objects.get()
    assert (row.delivered_at, row.last_error) == (None, "TimeoutError: Temporal did not answer in time.")
    assert row.available_at >= before + relay.RPC_TIMEOUT - timedelta(seconds=1)


def test_a_relay_that_is_stopped_first_ends_what_is_on_its_way(
    temporal: Temporal, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(A, number="SO-1")

    async def until_stopped() -> None:
        running = new_relay()
        ending = asyncio.Event()

        async def listen() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ending.set()

        async def answer_late(client: object, body: dict[str, Any]) -> None:
            running.stop.set()
            await ending.wait()
            await temporal.deliver(client, body)

        async def no_other_sweeps(client: object, known: set[str]) -> tuple[str, ...]:
            return ()

        running.listen = listen  # type: ignore[method-assign]
        monkeypatch.setattr(relay, "other_sweeps", no_other_sweeps)
        monkeypatch.setitem(relay.DELIVER, Topic.START_ORDER, answer_late)
        async with asyncio.timeout(PATIENCE):
            await running.run()
        assert not running.under_way

    async_to_sync(until_stopped)()
    assert OutboxMessage.objects.get().delivered_at is not None
