"""Processes through the API and the admin: what is answered, what is shown, and what strangers send."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orders.models import Command, OutboxMessage, ProcessRun
from orders.polling import STOP_POLLING
from orders.services import processes
from orders.vocabulary import ProcessStatus
from tests.factories import TEST_ACTOR
from tests.orders.api_calls import assert_problem, new_key, token_client
from tests.orders.process_runs import defined, drive, started
from tests.orders.staff import signed_in

pytestmark = pytest.mark.django_db
BODY = {"definition": "day_end_close", "reason": "The day is over"}
PERMISSIONS = ("orders.run_process", "orders.view_processrun")


@pytest.fixture
def client() -> Client:
    return token_client("run_process", "view_processrun")


def post(client: Client, address: str, body: Any, **headers: str) -> HttpResponse:
    return client.post(address, json.dumps(body), content_type="application/json", headers=headers)


def test_a_start_is_answered_with_the_run_and_its_steps(client: Client) -> None:
    answer = post(client, "/api/processes/", BODY)
    told = json.loads(answer.content)
    assert answer.status_code == 202
    assert answer["Location"].endswith(f"/api/process-runs/{told['id']}/")
    assert (told["status"], told["progress"], len(told["steps"])) == ("running", 0, 5)
    listed = client.get("/api/process-runs/").json()["results"]
    assert [row["id"] for row in listed] == [told["id"]]


def test_the_same_key_starts_one_run_and_a_second_start_is_a_409_that_names_the_first(client: Client) -> None:
    key = new_key()
    first = post(client, "/api/processes/", BODY, **{"Idempotency-Key": key})
    again = post(client, "/api/processes/", BODY, **{"Idempotency-Key": key})
    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")
    assert_problem(post(client, "/api/processes/", BODY), 409, None, "was started by", "UTC")
    assert ProcessRun.objects.count() == 1


def test_pause_resume_and_cancel_answer_how_the_run_stands(client: Client) -> None:
    run = started()
    for verb, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        answer = post(client, f"/api/process-runs/{run.pk}/{verb}/", {"reason": "x"})
        assert (answer.status_code, json.loads(answer.content)["status"]) == (200, status)
    assert_problem(post(client, f"/api/process-runs/{run.pk}/pause/", {"reason": "x"}), 409, None, "is cancelled since")


BAD: list[tuple[Any, str]] = [
    ({"reason": "x"}, "definition"),
    ({**BODY, "definition": "night_shift"}, "definition"),
    ({**BODY, "definition": 1}, "definition"),
    ({"definition": "day_end_close"}, "reason"),
    ({**BODY, "reason": ""}, "reason"),
    ({**BODY, "reason": "x" * 501}, "reason"),
    ({**BODY, "reason": "a\x00b"}, "reason"),
    ({**BODY, "business_day": "yesterday"}, "business_day"),
    ({**BODY, "business_day": "2026-02-30"}, "business_day"),
    ({**BODY, "business_day": "2001-01-01"}, "business_day"),
    ({**BODY, "business_day": "9999-12-31"}, "business_day"),
    ({**BODY, "business_day": 20260101}, "business_day"),
    ({**BODY, "status": "completed"}, "status"),
    ({**BODY, "steps": []}, "steps"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
def test_bad_input_names_its_field_and_starts_nothing(client: Client, body: Any, field: str) -> None:
    assert_problem(post(client, "/api/processes/", body), 400, field)
    assert not ProcessRun.objects.exists()
    assert not OutboxMessage.objects.exists()
    assert not Command.objects.exists()


def test_a_run_that_is_not_there_is_a_404(client: Client) -> None:
    nowhere = "/api/process-runs/00000000-0000-4000-8000-000000000001/"
    assert_problem(client.get(nowhere), 404)
    assert_problem(post(client, f"{nowhere}pause/", {"reason": "x"}), 404)
    run = started()
    assert_problem(post(client, f"/api/process-runs/{run.pk}/pause/", {"reason": "x", "step": 1}), 400, "step")


def test_the_page_shows_the_strip_of_steps_and_the_buttons_that_fit() -> None:
    run = started()
    browser = signed_in(*PERMISSIONS)
    page = browser.get(reverse("admin:orders_processrun_change", args=[run.pk])).content.decode()
    for words in ("Settle captures", "Send summary", "0 % of the steps have ended", 'value="pause"', 'value="cancel"'):
        assert words in page
    assert 'value="resume"' not in page

    drive_address = reverse("admin:orders_processrun_drive", args=[run.pk])
    followed = browser.post(drive_address, {"do": "pause", "reason": "Wait"}, follow=True).content.decode()
    assert "You paused it: no further step begins." in followed
    assert "Paused since" in followed
    assert 'value="resume"' in followed
    assert ProcessRun.objects.get().status == ProcessStatus.PAUSED
    for bad in ({"do": "pause"}, {"do": "explode", "reason": "x"}, {"do": "pause", "reason": "x\x00"}):
        browser.post(drive_address, bad)
    assert Command.objects.filter(kind__in=["process_pause", "process_cancel"]).count() == 1


def test_the_live_part_is_silent_while_nothing_changes_and_ends_with_the_run() -> None:
    with defined(lambda pace: "Done."):
        run = started()
        browser, live = signed_in(*PERMISSIONS), reverse("admin:orders_processrun_live", args=[run.pk])
        first = browser.get(live)
        assert first.status_code == 200
        assert browser.get(live, headers={"If-None-Match": first["ETag"]}).status_code == 304
        processes.pause(run.pk, actor=TEST_ACTOR, reason="Wait")
        assert browser.get(live, headers={"If-None-Match": first["ETag"]}).status_code == 200
        processes.resume(run.pk, actor=TEST_ACTOR, reason="On")
        drive(run)
    assert browser.get(live).status_code == STOP_POLLING


def test_a_run_is_started_by_a_form_that_says_what_is_wrong_with_it() -> None:
    browser, address = signed_in(*PERMISSIONS), reverse("admin:orders_processrun_start")
    late = {**BODY, "business_day": (timezone.now() + timedelta(days=2)).date().isoformat()}
    assert "last 31 days" in browser.post(address, late).content.decode()
    good = {**BODY, "business_day": timezone.now().date().isoformat()}
    assert browser.post(address, good).status_code == 302
    assert "was started by olivia" in browser.post(address, good).content.decode()
    assert ProcessRun.objects.get().actor == "olivia"


def test_the_page_of_an_incomplete_run_does_not_say_that_nothing_differs() -> None:
    run = started()
    processes.cancel(run.pk, actor=TEST_ACTOR, reason="No")
    page = signed_in(*PERMISSIONS).get(reverse("admin:orders_processrun_change", args=[run.pk])).content.decode()
    assert "where no difference was found, there may be some" in page
    assert "None were found in what was compared." in page


def test_whoever_may_only_look_gets_no_buttons() -> None:
    run = started()
    browser = signed_in("orders.view_processrun")
    page = browser.get(reverse("admin:orders_processrun_change", args=[run.pk])).content.decode()
    assert 'value="pause"' not in page
    assert browser.get(reverse("admin:orders_processrun_start")).status_code == 403
