"""Holds and pauses that end by themselves: at their hour or later, once, and only while they stand."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import IntegrityError, connection
from django.db.models import F
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders import outbox
from orders.errors import InvalidInput
from orders.models import Command, Order, OutboxMessage
from orders.selectors import health
from orders.services import cancelling, ending, holding, invariants, payments, stepping
from orders.services.health import beat
from orders.vocabulary import CommandKind, CommandStatus, EventType, OrderStatus, Topic
from temporal_app import relay
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.staff import VIEW_ORDER, signed_in

pytestmark = pytest.mark.django_db
IN_AN_HOUR = timedelta(hours=1)


def soon() -> datetime:
    return timezone.now() + IN_AN_HOUR


def held(*, make: Callable[[], Order] = make_prepared_order) -> Order:
    order = make()
    holding.hold(order.number, actor=TEST_ACTOR, reason="Call back at noon", until=soon())
    return order


def paused() -> Order:
    order = driving.drive(make_order(), gateway=driving.outage())
    stepping.pause(order.number, actor=TEST_ACTOR, reason="They repair it", minutes=60)
    return order


def hour_comes(*, late: timedelta = timedelta()) -> None:
    """The hour is over; `late` is how long no relay ran after it."""
    past = IN_AN_HOUR + late + timedelta(seconds=1)
    waiting = OutboxMessage.objects.filter(topic=Topic.COMMAND_OVER)
    waiting.update(due_at=F("due_at") - past, available_at=F("available_at") - past)


def due(topic: Topic) -> list[outbox.Message]:
    OutboxMessage.objects.filter(due_at__lte=timezone.now()).update(available_at=timezone.now() - IN_AN_HOUR)
    return [message for message in outbox.claim(50) if message.topic == topic]


def end(order: Order) -> None:
    """What the relay does with what is due; Temporal may be away meanwhile."""
    for message in due(Topic.COMMAND_OVER):
        relay.OBEYED_HERE[message.topic](message.body)
        outbox.mark_delivered(message.id)
    order.refresh_from_db()


def command(order: Order, kind: CommandKind) -> Command:
    return order.commands.get(kind=kind)


def test_nothing_ends_before_its_hour_and_what_waits_is_not_late() -> None:
    order = held()
    assert due(Topic.COMMAND_OVER) == []
    assert health.outbox_backlog().pending == 2, "The start and the hold; the end is not due."
    OutboxMessage.objects.exclude(topic=Topic.COMMAND_OVER).delete()
    assert list(invariants.outbox_is_empty()) == []
    assert command(order, CommandKind.HOLD).status == CommandStatus.ACCEPTED


def test_what_waits_for_its_hour_holds_up_nothing_that_the_order_is_told() -> None:
    order = held()
    OutboxMessage.objects.filter(topic=Topic.START_ORDER).update(delivered_at=timezone.now())
    holding.release(order.number, actor=TEST_ACTOR, reason="Sooner")
    assert [message.body["kind"] for message in due(Topic.TELL_ORDER)] == ["hold"], "One at a time, and no wait."


@pytest.mark.parametrize("late", [timedelta(), timedelta(days=2)], ids=["at its hour", "two days without a relay"])
def test_a_hold_is_released_at_its_hour_and_the_process_is_told(late: timedelta) -> None:
    order = held()
    holding.settle(order.pk, actor=TEST_ACTOR)
    hour_comes(late=late)
    end(order)
    assert order.status == OrderStatus.CHARGING
    ended = command(order, CommandKind.HOLD)
    assert (ended.status, ended.outcome.startswith("Released by clock: It was to last until")) == ("done", True)
    told = order.events.latest("sequence")
    assert (told.type, told.actor) == (EventType.RELEASED, "clock")
    assert OutboxMessage.objects.latest("pk").body["kind"] == CommandKind.RELEASE


def test_an_order_that_nobody_started_goes_back_to_where_it_was() -> None:
    order = held(make=make_order)
    hour_comes()
    end(order)
    assert order.status == OrderStatus.PLACED


def test_a_pause_is_over_at_its_hour_and_the_step_goes_on() -> None:
    order = paused()
    hour_comes()
    end(order)
    ended = command(order, CommandKind.STEP_PAUSE)
    assert (ended.status, ended.outcome.startswith("Its time was over.")) == (CommandStatus.DONE, True)
    assert (order.events.latest("sequence").type, command(order, CommandKind.STEP_RESUME).actor) == (
        EventType.STEP_RESUMED,
        "clock",
    )
    message = OutboxMessage.objects.latest("pk")
    assert (message.topic, message.body["kind"], message.body["step"]) == (Topic.DRIVE_STEP, "step_resume", "charge")


@pytest.mark.parametrize(
    ("make", "take_back"),
    [
        (held, lambda order: holding.release(order.number, actor=TEST_ACTOR, reason="Sooner")),
        (paused, lambda order: stepping.resume(order.number, actor=TEST_ACTOR, reason="Sooner")),
        (paused, lambda order: driving.undo(order, "cancelled", "x")),
    ],
    ids=["released", "resumed", "undone"],
)
def test_what_was_taken_back_before_its_hour_stays_as_it_is(make, take_back) -> None:  # type: ignore[no-untyped-def]
    order = make()
    take_back(order)
    hour_comes()
    events = order.events.count()
    end(order)
    assert order.events.count() == events
    assert not order.commands.filter(actor="clock").exists()


def test_a_new_hold_is_not_ended_by_the_hour_of_the_old_one() -> None:
    order = held()
    holding.release(order.number, actor=TEST_ACTOR, reason="Sooner")
    hour_comes()
    holding.hold(order.number, actor=TEST_ACTOR, reason="Again")
    end(order)
    assert order.commands.filter(kind=CommandKind.HOLD, status=CommandStatus.ACCEPTED).count() == 1


def test_a_step_that_ended_meanwhile_is_not_resumed() -> None:
    order = paused()
    with driving.partners():
        payments.charge(str(order.pk), actor=TEST_ACTOR)
    hour_comes()
    end(order)
    assert command(order, CommandKind.STEP_PAUSE).outcome.startswith("Already succeeded")
    assert not order.commands.filter(kind=CommandKind.STEP_RESUME).exists()


def test_it_is_delivered_twice_and_ends_once() -> None:
    order = held()
    given = command(order, CommandKind.HOLD)
    for _ in range(2):
        ending.end(given.pk, actor=TEST_ACTOR)
    assert order.events.filter(type=EventType.RELEASED).count() == 1


def test_a_cancellation_that_stands_is_not_touched_by_the_end_of_the_hold() -> None:
    order = held()
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Recalled")
    hour_comes()
    end(order)
    assert command(order, CommandKind.CANCEL).status == CommandStatus.ACCEPTED


def test_the_relay_ends_it_without_asking_temporal(monkeypatch: pytest.MonkeyPatch) -> None:
    order = held()
    (message,) = OutboxMessage.objects.filter(topic=Topic.COMMAND_OVER)
    monkeypatch.setattr(relay.Relay, "in_thread", in_this_thread)
    alone = relay.Relay.__new__(relay.Relay)
    body = outbox.Message(
        id=message.pk, topic=Topic.COMMAND_OVER, aggregate=message.aggregate, body=message.body, attempts=1
    )
    # There is no client at all.
    assert async_to_sync(alone.carry)(body) is None
    assert command(order, CommandKind.HOLD).status == CommandStatus.DONE


async def in_this_thread(self: relay.Relay, work, *arguments, waits=False):  # type: ignore[no-untyped-def]
    return await sync_to_async(work)(*arguments)


def test_a_pause_without_a_length_gets_the_one_of_the_settings(settings: Settings) -> None:
    settings.STEP_PAUSE_MINUTES = 5
    order = driving.drive(make_order(), gateway=driving.outage())
    given = stepping.pause(order.number, actor=TEST_ACTOR, reason="They repair it")
    assert given.until is not None
    assert given.until - timezone.now() <= timedelta(minutes=5)


@pytest.mark.parametrize("minutes", [0, -1, 7 * 24 * 60 + 1])
def test_too_long_a_pause_names_the_limit(minutes: int) -> None:
    order = driving.drive(make_order(), gateway=driving.outage())
    with pytest.raises(InvalidInput, match="is not within 1 to 10080 minutes"):
        stepping.pause(order.number, actor=TEST_ACTOR, reason="No", minutes=minutes)


@pytest.mark.parametrize("ahead", [timedelta(minutes=-1), timedelta(days=91)])
def test_a_hold_ends_in_the_future_and_within_the_limit(ahead: timedelta) -> None:
    order = make_order()
    with pytest.raises(InvalidInput, match="within 90 days"):
        holding.hold(order.number, actor=TEST_ACTOR, reason="No", until=timezone.now() + ahead)
    assert not order.commands.exists()


def test_only_holds_and_pauses_end_by_themselves() -> None:
    order = make_prepared_order()
    given = cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Recalled")
    with pytest.raises(IntegrityError, match="command_that_ends"), connection.cursor() as cursor:
        cursor.execute("UPDATE orders_command SET until = now() WHERE id = %s", [given.pk])


def test_the_page_says_until_when_and_takes_it() -> None:
    order = make_prepared_order()
    client = signed_in(VIEW_ORDER, "orders.hold_order")
    page = reverse("orders:page", args=[order.number])
    assert 'name="until"' in client.get(page).content.decode()
    until = soon()
    client.post(
        reverse("orders:hold", args=[order.number]), {"reason": "Noon", "until": until.strftime("%Y-%m-%dT%H:%M")}
    )
    assert f"until a person releases it, or {until:%d %b %H:%M} UTC." in client.get(page).content.decode()


def test_the_page_pauses_for_so_many_minutes() -> None:
    beat("worker 1@test", service="worker", reached_temporal=True, detail="orders")
    order = driving.drive(make_order(), gateway=driving.outage())
    client = signed_in(VIEW_ORDER, "orders.drive_step")
    page = reverse("orders:page", args=[order.number])
    assert 'name="minutes"' in client.get(page).content.decode()
    client.post(reverse("orders:step-pause", args=[order.number]), {"reason": "Repair", "minutes": "30"})
    until = command(order, CommandKind.STEP_PAUSE).until
    assert until is not None
    assert timedelta(minutes=29) < until - timezone.now() <= timedelta(minutes=30)
    assert f"or {until:%d %b %H:%M} UTC." in client.get(page).content.decode()


def test_the_api_takes_both_and_names_the_limit() -> None:
    order = driving.drive(make_order(), gateway=driving.outage())
    client = token_client("view_order", "drive_step", "hold_order")

    def post(path: str, **body: object):  # type: ignore[no-untyped-def]
        return client.post(
            f"/api/orders/{order.number}/{path}/", {"reason": "Why", **body}, content_type="application/json"
        )

    assert_problem(post("step/pause", minutes=10_081), 400, "minutes", "10080")
    assert_problem(post("step/pause", minutes="60"), 400, "minutes")
    assert_problem(post("hold", until="tomorrow"), 400, "until")
    assert_problem(post("hold", until="2001-01-01T00:00:00Z"), 400, "until", "within 90 days")
    paused_until = post("step/pause", minutes=10).json()["until"]
    assert paused_until > timezone.now().isoformat()
    assert post("hold", until=soon().isoformat()).status_code == 202
