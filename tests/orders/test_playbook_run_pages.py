"""The pages of runs: start one on an order, see what it does and why it waits, drive it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from orders.models import PlaybookRun, PlaybookStepRun
from orders.playbook_sentences import Facts, OpenStep, standing
from orders.services.playbooks import following, running
from orders.vocabulary import ENDED_PLAYBOOK_RUNS, PlaybookEnding, PlaybookRunStatus, PlaybookStepStatus
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving, playbooks
from tests.orders.playbooks import note, tag
from tests.orders.staff import VIEW_ORDER, signed_in

pytestmark = pytest.mark.django_db
ASK = {"type": "ask", "id": "question", "question": "Go on?", "options": ["yes", "no"], "default": "no"}
VIEW_RUN = "orders.view_playbookrun"


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(playbooks.chief().user)  # type: ignore[arg-type]
    return client


def page(client: Client, run: PlaybookRun) -> str:
    answer = client.get(reverse("orders:playbook-run", args=[run.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def give(client: Client, run: PlaybookRun, verb: str, **form: str) -> str:
    answer = client.post(reverse(f"orders:playbook-{verb}", args=[run.pk]), form, follow=True)
    assert answer.status_code in {200, 400, 409}
    return answer.content.decode()


def fail(run: PlaybookRun, path: str = "steps.0") -> None:
    """The step has used its attempts, and its run waits for a person."""
    step = run.steps.create(path=path, step_id="first", type="activity", status=PlaybookStepStatus.RUNNING)
    following.fail(str(run.pk), path, "The carrier says no", actor=TEST_ACTOR)
    step.refresh_from_db()
    assert step.status == PlaybookStepStatus.FAILED


def test_a_playbook_is_chosen_asked_about_and_run(browser: Client) -> None:
    order = make_order()
    wanted = [{"name": "word", "label": "Word for the note"}, {"name": "times", "type": "int", "default": 3}]
    playbooks.published(note("first", "=inputs.word"), inputs=wanted)
    where = reverse("orders:playbook-start", args=[order.number])

    assert f"{where}?playbook=test" in browser.get(where).content.decode()
    assert "Word for the note" in browser.get(where, {"playbook": "test"}).content.decode()
    told = browser.post(where, {"playbook": "test", "input-word": "hello", "input-times": "", "reason": "She asked"})

    run = PlaybookRun.objects.get()
    assert told.headers["Location"] == reverse("orders:playbook-run", args=[run.pk])
    assert (run.order, run.inputs, run.reason) == (order, {"word": "hello", "times": 3}, "She asked")
    runs = browser.get(reverse("orders:playbook-runs", args=[order.number])).content.decode()
    assert str(run.pk) in runs
    assert (
        reverse("orders:playbook-runs", args=[order.number]) in browser.get(f"/orders/{order.number}/").content.decode()
    )


def test_a_second_click_is_told_that_it_runs_already(browser: Client) -> None:
    order = make_order()
    playbooks.start(order, note("first"))

    told = browser.post(
        reverse("orders:playbook-start", args=[order.number]), {"playbook": "test", "reason": "Twice"}
    ).content.decode()

    assert "runs on order" in told
    assert "started by chief" in told
    assert 'value="Twice"' in told
    assert PlaybookRun.objects.count() == 1


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"playbook": "test"}, "This field is required."),
        ({"playbook": "test", "reason": "Why", "input-times": "x"}, "Enter a whole number."),
        ({"playbook": "test", "reason": "Why\x00", "input-times": "1"}, "Null characters are not allowed."),
        ({"playbook": "nothing", "reason": "Why"}, "There is no published playbook nothing."),
        ({"playbook": "te\x00st"}, "This field is required."),
        ({"reason": "Why"}, "Run a playbook on"),
    ],
)
def test_what_cannot_be_run_is_said(browser: Client, form: dict[str, str], says: str) -> None:
    order = make_order()
    playbooks.published(note("first"), inputs=[{"name": "times", "type": "int"}])

    told = browser.post(reverse("orders:playbook-start", args=[order.number]), form)

    assert told.status_code == 200
    assert says in told.content.decode()
    assert not PlaybookRun.objects.exists()


def test_the_page_tells_what_the_run_follows_also_after_an_edit(browser: Client) -> None:
    run = playbooks.start(make_order(), note("first"))
    assert "is published since" not in page(browser, run)

    playbooks.published(note("other"))

    shown = page(browser, run)
    assert "Version 2 is published since; this run keeps to the one that it began with." in shown
    assert run.version_hash in shown
    assert run.order.number in shown


def test_a_failed_step_shows_its_error_on_the_picture_and_is_retried_or_left_out(browser: Client) -> None:
    run = playbooks.start(make_order(), note("first", title="Write it down"), tag("second"))
    fail(run)

    shown = page(browser, run)
    assert "Write it down failed, and a person must decide" in shown
    assert "bo-kind-activity bo-step-failed" in shown
    assert "An agent or a lead can try the step again" in shown
    assert "Leave it out" in shown

    assert "the step is tried again" in give(browser, run, "retry", path="steps.0", reason="It was a hiccup")
    assert "only a step that has failed" in give(browser, run, "skip", path="steps.0", reason="Too late")
    run.refresh_from_db()
    assert run.status == PlaybookRunStatus.RUNNING


def test_a_question_is_answered_once_and_the_second_person_is_told(browser: Client) -> None:
    run = playbooks.start(make_order(), ASK)
    following.settle(str(run.pk), "steps.0", actor=TEST_ACTOR)
    assert "Waits for an answer: Go on?" in page(browser, run)

    assert "your answer is recorded" in give(browser, run, "answer", path="steps.0", option="yes")
    following.settle(str(run.pk), "steps.0", actor=TEST_ACTOR)
    assert "This was answered with yes by chief" in give(browser, run, "answer", path="steps.0", option="no")
    assert PlaybookStepRun.objects.get().result["answer"] == "yes"


def test_a_run_is_paused_resumed_and_cancelled(browser: Client) -> None:
    run = playbooks.start(make_order(), note("first"))

    assert "Paused since" in give(browser, run, "pause", reason="Wait")
    assert "is paused since" in give(browser, run, "pause", reason="Wait")
    assert "goes on" in give(browser, run, "resume", reason="Go")
    assert "Undoing since" in give(browser, run, "cancel", reason="Enough")
    assert "Nothing was done. Reason" in give(browser, run, "cancel")


def test_only_what_the_reader_may_do_is_offered() -> None:
    run = playbooks.start(make_order(), note("first"))
    fail(run)
    for verbs, permissions in (((), ()), (("retry", "skip", "pause", "cancel"), ("orders.drive_playbook",))):
        client = signed_in(VIEW_ORDER, VIEW_RUN, *permissions, name=f"reader-{len(permissions)}")
        shown = page(client, run)
        offered = {
            verb
            for verb in ("retry", "skip", "pause", "resume", "cancel", "answer")
            if reverse(f"orders:playbook-{verb}", args=[run.pk]) in shown
        }
        assert offered == set(verbs)


def test_the_part_that_polls_answers_304_and_stops_at_the_end(browser: Client) -> None:
    run = playbooks.start(make_order(), note("first"))
    running.pause(run.pk, actor=playbooks.chief(), reason="wait")
    PlaybookRun.objects.filter(pk=run.pk).update(status_since="2020-01-01T00:00:00Z")
    live = reverse("orders:playbook-run-live", args=[run.pk])

    first = browser.get(live)
    assert browser.get(live, headers={"If-None-Match": first["ETag"]}).status_code == 304
    following.end(str(run.pk), PlaybookEnding.COMPLETED, message="", actor=TEST_ACTOR)
    last = browser.get(live, headers={"If-None-Match": first["ETag"]})
    assert last.status_code == 286
    assert "Completed" in last.content.decode()
    assert "hx-get" not in page(browser, run).split('id="run-live"')[1][:200]


def test_a_finished_order_without_open_runs_asks_no_more(browser: Client) -> None:
    order = driving.drive(make_order())
    where = reverse("orders:playbook-runs", args=[order.number])
    assert browser.get(where).status_code == 286

    playbooks.start(order, note("first"))

    assert browser.get(where).status_code == 200


def test_questions_of_a_sub_playbook_are_answered_on_the_page_of_the_run(browser: Client) -> None:
    playbooks.published(ASK, slug="inner")
    sub = {"type": "sub_playbook", "id": "sub", "playbook": "inner", "version": 1}
    run = playbooks.start(make_order(), sub, slug="outer")
    following.settle(str(run.pk), "steps.0/steps.0", actor=TEST_ACTOR)

    assert 'value="steps.0/steps.0"' in page(browser, run)
    assert "your answer is recorded" in give(browser, run, "answer", path="steps.0/steps.0", option="yes")


def test_what_is_none_is_not_found(browser: Client) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    assert browser.get(f"/orders/playbook-runs/{nobody}/").status_code == 404
    assert browser.get(f"/orders/playbook-runs/{nobody}/live/").status_code == 404
    assert browser.post(f"/orders/playbook-runs/{nobody}/pause/", {"reason": "Why"}).status_code == 404
    assert browser.get("/orders/SO-0/playbook/").status_code == 404
    assert browser.get("/orders/SO-0/playbook/runs/").status_code == 404
    assert browser.get("/orders/SO%00/playbook/").status_code == 404


def test_a_path_that_is_none_of_the_runs_is_told(browser: Client) -> None:
    run = playbooks.start(make_order(), ASK)
    for path in ("steps.9", "../etc", "x" * 200):
        assert "has run no step" in give(browser, run, "retry", path=path, reason="Why")
        assert "asks nothing at" in give(browser, run, "answer", path=path, option="yes")


NOW = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
SINCE = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def open_step(status: str, **more: Any) -> OpenStep:
    facts = {"type": "activity", "title": "Write", **more}
    return OpenStep(status=PlaybookStepStatus(status), since=SINCE, **facts)


@pytest.mark.parametrize(
    ("status", "steps", "says"),
    [
        ("running", [], "Running since 12:00:00: going on to its next step"),
        ("running", [open_step("running")], "Running since 12:00:00: Write"),
        ("running", [open_step("running", failures=2)], "Write: attempt 2 failed, and it is tried again by itself"),
        (
            "running",
            [open_step("waiting", type="wait", deadline_at=datetime(2026, 1, 1, 13, 1, tzinfo=UTC))],
            "Write: waits until 13:01:00",
        ),
        ("pausing", [], "Pausing since 12:00:00: the step that is under way ends first"),
        ("undoing", [open_step("failed")], "Undoing stands still: Write could not be taken back"),
        ("failed", [], "Failed 1 min ago"),
    ],
)
def test_the_sentence_says_what_and_since_when(status: str, steps: list[OpenStep], says: str) -> None:
    assert standing(Facts(now=NOW, since=SINCE, status=PlaybookRunStatus(status), steps=tuple(steps))).headline == says


@pytest.mark.parametrize("status", [one for one in PlaybookRunStatus if one not in ENDED_PLAYBOOK_RUNS])
def test_the_sentence_of_a_run_is_the_same_while_nothing_happens(status: PlaybookRunStatus) -> None:
    """Else every look at the page would be answered with the whole page."""
    tomorrow = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
    steps = (
        open_step("waiting", type="ask", question="Sure?", default="no", deadline_at=tomorrow),
        open_step("failed"),
    )
    said = {
        standing(Facts(now=NOW + timedelta(seconds=later), since=SINCE, status=status, steps=steps)).headline
        + standing(Facts(now=NOW + timedelta(seconds=later), since=SINCE, status=status, steps=steps)).why
        for later in (0, 1, 59)
    }
    assert len(said) == 1


def test_somebody_who_may_not_do_what_a_playbook_does_is_told_so_on_the_page() -> None:
    order = make_order()
    playbooks.published(note("first"))
    browser = signed_in("orders.view_order", "orders.run_playbook", "orders.view_playbook", name="nobody")
    told = browser.post(reverse("orders:playbook-start", args=[order.number]), {"playbook": "test", "reason": "Why"})
    assert told.status_code == 200
    assert "orders.note_order" in told.content.decode()
    assert not PlaybookRun.objects.exists()


def test_the_sentence_says_that_the_engine_is_away() -> None:
    facts = Facts(now=NOW, since=SINCE, status=PlaybookRunStatus.RUNNING, engine_trouble="No worker has been seen yet.")
    assert standing(facts).headline == "Waiting for the engine, which is not running"
