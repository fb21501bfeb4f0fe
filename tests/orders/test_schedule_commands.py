"""Schedules as people drive them: each command is a row and a message, and what workers saw is told with its age."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from orders import outbox
from orders.actor import Actor, person
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Command, OutboxMessage, ScheduleState
from orders.services import scheduling
from orders.vocabulary import Channel, CommandStatus, Topic
from temporal_app.relay import accepted
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.staff import make_user, signed_in

pytestmark = pytest.mark.django_db
NAME = "backoffice:day-end-close"
BOTH = ("orders.drive_schedule", "orders.view_schedulestate")


@pytest.fixture
def lead() -> Actor:
    see()
    return person(make_user(*BOTH, name="lea"), Channel.ADMIN)


def see(*, note: str = "", **more: Any) -> ScheduleState:
    scheduling.note(NAME, paused=bool(note), pause_note=note, **{"summary": "Day-end close", **more})
    return ScheduleState.objects.get(pk=NAME)


def delivered(*, taken: bool = True) -> Command:
    """The relay hands the oldest message over; answers its command."""
    row = OutboxMessage.objects.get(delivered_at=None)
    # Claimed by hand: by the clock of the database a row is due after the transaction that a test is.
    message = outbox.Message(
        id=row.pk, topic=Topic(row.topic), aggregate=row.aggregate, body=row.body, attempts=row.attempts
    )
    accepted(message, taken)
    return Command.objects.get(pk=message.body["command_id"])


def test_a_command_is_a_row_and_a_message_and_ends_when_temporal_took_it(lead: Actor) -> None:
    scheduling.pause(NAME, actor=lead, reason="Stock-taking")
    message = OutboxMessage.objects.get()
    assert (message.topic, message.aggregate) == (Topic.DRIVE_SCHEDULE, f"schedule:{NAME}")
    assert (message.body["schedule"], message.body["note"]) == (NAME, "Paused by lea: Stock-taking")
    assert Command.objects.get().status == CommandStatus.ACCEPTED
    command = delivered()
    assert (command.status, command.outcome, command.subject) == ("done", "Temporal has paused it.", NAME)


def test_a_command_that_temporal_could_not_do_says_so(lead: Actor) -> None:
    scheduling.run_now(NAME, actor=lead, reason="Now")
    assert delivered(taken=False).outcome == "Temporal does not have this schedule."


def test_who_paused_and_why_is_read_from_what_temporal_remembers() -> None:
    ours = see(note="Paused by lea: Stock-taking: the cellar")
    assert (ours.paused_by, ours.pause_reason) == ("lea", "Stock-taking: the cellar")
    theirs = see(note="because")
    assert (theirs.paused_by, theirs.pause_reason) == (scheduling.SOMEBODY_ELSE, "because")
    resumed = see()
    assert (resumed.paused, resumed.paused_by, resumed.pause_reason) == (False, "", "")


def test_a_second_one_hears_who_was_first_and_when(lead: Actor) -> None:
    scheduling.pause(NAME, actor=lead, reason="Stock-taking")
    with pytest.raises(WrongState, match=r"asked for by lea at .* UTC and is on its way"):
        scheduling.pause(NAME, actor=lead, reason="Again")
    delivered()
    see(note="Paused by lea: Stock-taking")
    with pytest.raises(WrongState, match="is paused already, by lea: Stock-taking"):
        scheduling.pause(NAME, actor=lead, reason="Again")


def test_what_is_not_paused_is_not_resumed_unless_a_pause_is_on_its_way(lead: Actor) -> None:
    with pytest.raises(WrongState, match="is not paused"):
        scheduling.resume(NAME, actor=lead, reason="Go")
    scheduling.pause(NAME, actor=lead, reason="Wait")
    scheduling.resume(NAME, actor=lead, reason="Go")
    assert [message.body["kind"] for message in OutboxMessage.objects.order_by("pk")] == [
        "schedule_pause",
        "schedule_resume",
    ]


def test_two_open_commands_of_one_kind_for_one_subject_cannot_be_written(lead: Actor) -> None:
    scheduling.run_now(NAME, actor=lead, reason="Now")
    with pytest.raises(IntegrityError, match="command_one_standing_subject"), transaction.atomic():
        Command.objects.create(kind="schedule_run", subject=NAME, actor="x", channel="cli", reason="x")
    Command.objects.create(kind="schedule_run", subject="backoffice:other", actor="x", channel="cli", reason="x")


@pytest.mark.parametrize(
    ("since", "until", "field"),
    [(-1, -2, "until"), (-1, -1, "until"), (-1, 1, "until"), (-33, -1, "since")],
)
def test_a_backfill_has_bounds(lead: Actor, since: int, until: int, field: str) -> None:
    now = timezone.now()
    with pytest.raises(InvalidInput) as refusal:
        scheduling.backfill(
            NAME, since=now + timedelta(days=since), until=now + timedelta(days=until), actor=lead, reason="x"
        )
    assert refusal.value.field == field
    assert not OutboxMessage.objects.exists()


def test_whoever_lacks_the_permission_drives_nothing() -> None:
    see()
    nobody = person(make_user("orders.view_schedulestate", name="nobody"), Channel.ADMIN)
    with pytest.raises(NotPermitted):
        scheduling.pause(NAME, actor=nobody, reason="No")
    assert not OutboxMessage.objects.exists()


def test_a_schedule_that_nobody_has_seen_for_a_day_is_forgotten() -> None:
    see()
    ScheduleState.objects.create(name="backoffice:gone", seen_at=timezone.now() - timedelta(days=2))
    scheduling.forget_old()
    assert [row.name for row in ScheduleState.objects.all()] == [NAME]


def test_the_list_shows_how_it_stands_and_how_old_that_is() -> None:
    see(note="Paused by lea: Stock-taking", last_result="completed", last_run_at=timezone.now())
    page = signed_in(*BOTH).get(reverse("admin:orders_schedulestate_changelist")).content.decode()
    for words in ("Day-end close", "Paused", "lea: Stock-taking", "Completed", "data-ago", "Run now", "Backfill"):
        assert words in page


def test_the_api_lists_and_drives() -> None:
    see()
    client = token_client("view_schedulestate", "drive_schedule")
    listed = client.get("/api/schedules/").json()
    assert [(row["name"], row["paused"]) for row in listed] == [(NAME, False)]
    span = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-03T00:00:00Z"}
    for verb, more in (("pause", {}), ("resume", {}), ("run", {}), ("backfill", span)):
        answer = client.post(
            f"/api/schedules/{NAME}/{verb}/", json.dumps({"reason": "x", **more}), content_type="application/json"
        )
        assert answer.status_code == 202, answer.content
    assert OutboxMessage.objects.count() == 4


BAD: list[tuple[str, str, dict[str, Any], int, str]] = [
    (NAME, "pause", {}, 400, "reason"),
    (NAME, "pause", {"reason": "x", "until": "2026-01-01T00:00:00Z"}, 400, "until"),
    (NAME, "run", {"reason": "x\x00"}, 400, "reason"),
    (NAME, "backfill", {"reason": "x"}, 400, "since"),
    (NAME, "backfill", {"reason": "x", "since": "yesterday", "until": "2026-01-01T00:00:00Z"}, 400, "since"),
    (NAME, "backfill", {"reason": "x", "since": "2026-01-01T00:00:00Z", "until": "2025-01-01T00:00:00Z"}, 400, "until"),
    (NAME, "backfill", {"reason": "x", "since": "2025-01-01T00:00:00Z", "until": "2025-05-01T00:00:00Z"}, 400, "since"),
    ("backoffice:nothing", "pause", {"reason": "x"}, 404, ""),
    ("theirs", "pause", {"reason": "x"}, 404, ""),
]


@pytest.mark.parametrize(("name", "verb", "body", "status", "field"), BAD)
def test_bad_input_is_refused_and_stores_nothing(
    name: str, verb: str, body: dict[str, Any], status: int, field: str
) -> None:
    see()
    client = token_client("drive_schedule")
    answer = client.post(f"/api/schedules/{name}/{verb}/", json.dumps(body), content_type="application/json")
    assert_problem(answer, status, field or None)
    assert not OutboxMessage.objects.exists()
    assert not Command.objects.exists()
