"""A queue without a worker is an alarm within a minute: on the landing page, in the list, and over the API."""

import json
from datetime import datetime, timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from orders.models import QueueState
from orders.selectors import findings
from orders.selectors import health as selectors
from orders.services import health
from tests.orders.api_calls import token_client
from tests.orders.staff import signed_in

pytestmark = pytest.mark.django_db
KNOWN = ("orders", "batches", "partners")
MINUTE = timedelta(minutes=1)


def beats(*polled: str) -> None:
    """A worker that knows all queues says that it polls these."""
    health.beat("worker 1@a", "worker", timezone.now(), ", ".join(polled))
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
