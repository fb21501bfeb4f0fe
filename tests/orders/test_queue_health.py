"""A queue without a worker is an alarm within a minute: on the landing page, in the list, and over the API."""

import json
from datetime import datetime, timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from orders.models import QueueState, ScheduleState
from orders.selectors import findings
from orders.selectors import health as selectors
from orders.services import health
from orders.wording import Tone
from tests.orders.api_calls import token_client
from tests.orders.staff import signed_in

pytestmark = pytest.mark.django_db
KNOWN = ("orders", "batches", "partners")
MINUTE = timedelta(minutes=1)


def beats(*polled: str) -> None:
    """A worker that knows all queues says that it polls these."""
    health.beat("worker 1@a", "worker", True, ", ".join(polled))
    health.serve(polled, KNOWN)


def alarms(at: datetime) -> list[str]:
    return [queue.name for queue, _ in selectors.unserved(at)]


def test_a_queue_that_no_worker_polls_is_told_within_a_minute_and_the_others_are_not() -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        beats(*KNOWN)
        assert alarms(timezone.now()) == []
        for _ in range(12):
            clock.shift(timedelta(seconds=5))
            beats("orders", "partners")
        assert timezone.now() - start == MINUTE
        assert alarms(timezone.now()) == ["batches"]
        assert selectors.unserved()[0][1] == start
        lines = {line.name: line for line in selectors.machinery(selectors.outbox_backlog(), findings.sweep_health())}
        assert (lines["Queues"].word, lines["Queues"].detail) == (
            "No worker",
            "batches has no worker for 1 min: its work waits",
        )
        beats("batches")
        assert alarms(timezone.now()) == []


def test_a_queue_that_was_never_polled_is_told_since_it_is_known() -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        beats("orders", "batches")
        clock.shift(MINUTE)
        beats("orders", "batches")
        assert [(queue.name, since) for queue, since in selectors.unserved()] == [("partners", start)]


def test_all_queues_are_told_when_the_last_worker_is_gone() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        beats(*KNOWN)
        clock.shift(MINUTE)
        assert alarms(timezone.now()) == sorted(KNOWN)


def test_the_landing_page_the_list_and_the_api_say_it() -> None:
    QueueState.objects.create(name="batches", known_since=timezone.now() - MINUTE)
    health.serve(["orders"], ["orders"])
    health.note_backlog("batches", pollers=0, backlog=1234, oldest_seconds=75.0)

    landing = signed_in("orders.view_queuestate").get("/admin/").content.decode()
    assert "No worker polls the queue batches" in landing
    assert "run_worker --queue batches" in landing
    page = signed_in("orders.view_queuestate", name="bob").get(reverse("admin:orders_queuestate_changelist"))
    for words in ("No worker for 1 min", "Served", "1,234", "1 min", "never"):
        assert words in page.content.decode()
    answer = json.loads(token_client("view_queuestate").get("/api/health/").content)
    assert answer["ok"] is False
    assert [(row["name"], bool(row["unserved_since"]), row["backlog"]) for row in answer["queues"]] == [
        ("batches", True, 1234),
        ("orders", False, None),
    ]
    assert "Queues" in {part["name"] for part in answer["parts"] if not part["ok"]}


def test_whoever_may_not_see_queues_is_not_told() -> None:
    QueueState.objects.create(name="batches", known_since=timezone.now() - MINUTE)
    assert "No worker polls" not in signed_in("orders.view_order").get("/admin/").content.decode()
    assert token_client("view_order").get("/api/health/").status_code == 403


def test_temporal_is_asked_by_one_worker_at_a_time() -> None:
    beats("orders")
    assert not health.asked_lately(timedelta(seconds=10))
    health.note_backlog("orders", pollers=1, backlog=0, oldest_seconds=0.0)
    assert health.asked_lately(timedelta(seconds=10))


# --- what is served and yet stands still ------------------------------------------------------------------------------
def line(name: str) -> tuple[str, str, str]:
    lines = {one.name: one for one in selectors.machinery(selectors.outbox_backlog(), findings.sweep_health())}
    return lines[name].tone, lines[name].word, lines[name].detail


def api_is_ok() -> bool:
    answer = token_client("view_queuestate").get("/api/health/")
    return bool(json.loads(answer.content)["ok"])


def test_a_message_that_waits_for_more_than_a_minute_in_a_queue_is_an_alarm() -> None:
    beats(*KNOWN)
    health.note_backlog("orders", pollers=1, backlog=84, oldest_seconds=59)
    assert line("Queues")[1] == "Served"
    health.note_backlog("orders", pollers=1, backlog=84, oldest_seconds=461)
    assert line("Queues") == (Tone.TROUBLE, "Behind", "84 messages in orders, the oldest for 7 min")
    assert not api_is_ok()
    QueueState.objects.update(asked_at=timezone.now() - 2 * MINUTE)
    assert line("Queues")[1] == "Served", "what Temporal said long ago says nothing of now"


def test_a_worker_that_fails_most_of_what_it_takes_is_an_alarm() -> None:
    health.beat("worker 1@a", "worker", True, "orders", taken=10, failed=5)
    assert line("Worker")[1] == "Running"
    health.beat("worker 2@a", "worker", True, "orders", taken=4, failed=4)
    assert line("Worker")[1] == "Running", "a few say nothing"
    health.beat("worker 2@a", "worker", True, "orders", taken=10, failed=6)
    assert line("Worker") == (Tone.TROUBLE, "Failing", "worker 2@a failed 6 of 10 activities in a minute")
    assert not api_is_ok()


def schedule(*, due_in: timedelta, **more: object) -> None:
    ScheduleState.objects.update_or_create(
        name="backoffice:history-seal",
        defaults={
            "summary": "Nightly seal",
            "next_run_at": timezone.now() + due_in,
            "seen_at": timezone.now(),
            **more,
        },
    )


def test_a_schedule_that_did_not_start_its_run_is_an_alarm_and_a_paused_one_is_not() -> None:
    schedule(due_in=MINUTE)
    assert line("Schedules")[1:] == ("In time", "1 schedule, none is late")
    schedule(due_in=-2 * MINUTE)
    assert line("Schedules") == (Tone.TROUBLE, "Late", "Nightly seal is due since 2 min, and was not started")
    assert not api_is_ok()
    schedule(due_in=-2 * MINUTE, paused=True, paused_by="lea")
    assert line("Schedules") == (Tone.WAITING, "Paused", "Nightly seal is paused by lea")
