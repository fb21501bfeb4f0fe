"""Retry now, pause, resume: offered while a step fails, told to Temporal, honest when they come too late."""

import pytest
from django.urls import reverse
from django.utils import timezone

from orders.actor import person
from orders.errors import NotPermitted, WrongState
from orders.models import Command, Order, OutboxMessage, Step
from orders.outbox import Message
from orders.services import cancelling, health, payments, process, stepping
from orders.vocabulary import Channel, CommandKind, CommandStatus, EventType, FailureType, Topic
from temporal_app import relay
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.staff import VIEW_ORDER, make_user, signed_in

pytestmark = pytest.mark.django_db
DRIVE = "orders.drive_step"


@pytest.fixture(autouse=True)
def worker() -> None:
    health.beat("worker 1@test", service="worker", reached_temporal=True, detail="orders")


def failing() -> Order:
    """The gateway answers 503; the charge is tried again."""
    return driving.drive(make_order(), gateway=driving.outage())


def retry(order: Order) -> Command:
    return stepping.retry(order.number, actor=TEST_ACTOR, reason="The gateway is back")


def pause(order: Order) -> Command:
    return stepping.pause(order.number, actor=TEST_ACTOR, reason="The gateway is down")


def resume(order: Order) -> Command:
    return stepping.resume(order.number, actor=TEST_ACTOR, reason="It is back")


def delivered(command: Command, *, taken: bool) -> Command:
    """What the relay does when Temporal has answered."""
    row = OutboxMessage.objects.get(topic=Topic.DRIVE_STEP, body__command_id=str(command.pk))
    message = Message(id=row.pk, topic=Topic.DRIVE_STEP, aggregate=row.aggregate, body=row.body, attempts=1)
    relay.accepted(message, taken)
    command.refresh_from_db()
    return command


def charge(order: Order) -> None:
    with driving.partners():
        payments.charge(str(order.pk), actor=TEST_ACTOR)


@pytest.mark.parametrize(
    ("give", "kind", "event"),
    [
        (retry, CommandKind.STEP_RETRY, EventType.STEP_RETRY_ASKED),
        (pause, CommandKind.STEP_PAUSE, EventType.STEP_PAUSED),
        (lambda order: (pause(order), resume(order))[1], CommandKind.STEP_RESUME, EventType.STEP_RESUMED),
    ],
    ids=["retry", "pause", "resume"],
)
def test_a_command_is_recorded_told_and_in_the_history(give, kind, event) -> None:  # type: ignore[no-untyped-def]
    order = failing()
    command = give(order)
    assert (command.kind, command.step, command.status) == (kind, "charge", CommandStatus.ACCEPTED)
    message = OutboxMessage.objects.latest("pk")
    assert (message.topic, message.body) == (
        Topic.DRIVE_STEP,
        {"command_id": str(command.pk), "order_id": str(order.pk), "kind": kind, "step": "charge"},
    )
    told = order.events.latest("sequence")
    assert (told.type, told.reason, told.step) == (event, command.reason, "charge")


def test_the_outcome_of_a_retry_is_kept() -> None:
    command = delivered(retry(failing()), taken=True)
    assert (command.status, command.outcome) == (CommandStatus.DONE, "The next attempt was made at once.")
    assert not OutboxMessage.objects.filter(delivered_at=None, topic=Topic.DRIVE_STEP).exists()


@pytest.mark.parametrize("taken", [True, False])
def test_a_command_that_comes_after_the_step_says_that_it_had_succeeded(taken: bool) -> None:
    order = failing()
    command = retry(order)
    charge(order)
    delivered(command, taken=taken)
    assert command.status == CommandStatus.DONE
    assert command.outcome.startswith("Already succeeded ")
    told = order.events.latest("sequence")
    assert (told.type, told.reason) == (EventType.STEP_LEFT_ALONE, f"{command.outcome} Nothing was done.")
    events = order.events.count()
    stepping.settle(command.pk, taken=taken, actor=TEST_ACTOR)
    assert order.events.count() == events, "The second delivery of the message must change nothing."


def test_a_command_that_temporal_cannot_obey_is_closed_and_says_so() -> None:
    command = delivered(pause(failing()), taken=False)
    assert command.outcome == "Temporal had no such step to drive; it goes on by itself."


@pytest.mark.parametrize("give", [retry, pause, resume])
def test_nothing_is_offered_or_taken_when_no_step_fails(give) -> None:  # type: ignore[no-untyped-def]
    order = failing()
    charge(order)
    with pytest.raises(WrongState, match=r"no step is failing. Taking the payment: already succeeded .* ago"):
        give(order)
    with pytest.raises(WrongState, match="no step is failing"):
        give(make_order(started=True))
    assert not OutboxMessage.objects.filter(topic=Topic.DRIVE_STEP).exists()


def test_a_second_click_is_told_who_was_first() -> None:
    order = failing()
    first = retry(order)
    with pytest.raises(WrongState, match=rf"told to try again already, by test at {first.created_at:%Y-%m-%d %H:%M}"):
        retry(order)
    delivered(first, taken=True)
    retry(order)


def test_a_paused_step_is_resumed_and_not_paused_or_retried() -> None:
    order = failing()
    paused = delivered(pause(order), taken=True)
    assert paused.status == CommandStatus.ACCEPTED, "A pause stands until somebody resumes the step."
    for give in (pause, retry):
        with pytest.raises(WrongState, match="is paused already, by test at"):
            give(order)
    resume(order)
    paused.refresh_from_db()
    assert (paused.status, paused.outcome) == (CommandStatus.DONE, "Resumed by test: It is back")
    with pytest.raises(WrongState, match="nobody paused"):
        resume(order)


def test_a_pause_that_is_over_keeps_its_outcome_whatever_becomes_of_the_next_one() -> None:
    order = failing()
    first = pause(order)
    resume(order)
    first.refresh_from_db()
    before = (first.outcome, first.finished_at)
    pause(order)
    stepping.resume(order.number, actor=TEST_ACTOR, reason="It is back for good")
    first.refresh_from_db()
    assert (first.outcome, first.finished_at) == before


def test_the_page_shows_who_paused_the_step_and_why_and_offers_to_resume_it() -> None:
    order = failing()
    client = signed_in(VIEW_ORDER, DRIVE)

    def page() -> str:
        return client.get(reverse("orders:page", args=[order.number])).content.decode()

    assert "Retry now" in page()
    assert "Pause step" in page()
    given = client.post(reverse("orders:step-pause", args=[order.number]), {"reason": "The gateway is down"})
    assert given.status_code == 302
    shown = page()
    assert "attempt 1 failed, a person paused it." in shown
    assert "The gateway is down." in shown
    assert "Resume step" in shown
    assert "command-step-retry" not in shown
    charge(order)
    assert "Paused by" not in page(), "The step is over, and its pause with it."
    assert "Resume step" not in page()


def test_whoever_may_not_drive_steps_is_not_offered_it() -> None:
    order = failing()
    shown = signed_in(VIEW_ORDER).get(reverse("orders:page", args=[order.number])).content.decode()
    assert "Pause step" not in shown
    viewer = person(make_user(VIEW_ORDER, name="other"), Channel.API)
    for service in (stepping.retry, stepping.pause, stepping.resume):
        with pytest.raises(NotPermitted):
            service(order.number, actor=viewer, reason="No")
    assert not Command.objects.filter(kind__startswith="step").exists()


def test_a_paused_order_can_be_cancelled_and_its_pause_ends_with_the_undo() -> None:
    order = failing()
    paused = pause(order)
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Recalled")
    process.begin_undo(str(order.pk), failure_type=FailureType.CANCELLED, message="", actor=TEST_ACTOR)
    paused.refresh_from_db()
    assert (paused.status, paused.outcome) == (CommandStatus.DONE, "The order is being undone.")


def test_an_undo_that_fails_is_driven_too() -> None:
    order = failing()
    process.begin_undo(str(order.pk), failure_type=FailureType.CANCELLED, message="", actor=TEST_ACTOR)
    Step.objects.create(
        key=f"{order.pk}:refund", order=order, name="refund", claimed_at=timezone.now(), last_error="503"
    )
    assert retry(order).step == "refund"


def test_the_api_gives_the_commands_and_names_the_refusal() -> None:
    order = failing()
    client = token_client("view_order", "drive_step")
    acts = {act["command"]: act for act in client.get(f"/api/orders/{order.number}/why/").json()["can_act"]}
    assert acts["step-retry"]["yours"]
    body = {"data": {"reason": "Down"}, "content_type": "application/json"}
    given = client.post(f"/api/orders/{order.number}/step/pause/", **body)
    assert (given.status_code, given.json()["kind"]) == (202, "step_pause")
    assert_problem(client.post(acts["step-retry"]["link"], **body), 409, None, "is paused already")
    assert_problem(client.post("/api/orders/SO-0/step/retry/", **body), 404)
