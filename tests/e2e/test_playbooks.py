"""Playbooks on the real servers: every kind of step, a failure that waits for a person, an undo, a killed worker."""

import pytest

from orders.models import OrderEvent, OrderTag, PlaybookRun, PlaybookStepRun
from orders.services.playbooks import running
from orders.vocabulary import PlaybookRunStatus, PlaybookStepStatus
from tests.e2e.engine import Engine, eventually
from tests.factories import make_order
from tests.orders import playbooks
from tests.orders.playbooks import note, tag

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def status_of(run: PlaybookRun) -> str:
    return PlaybookRun.objects.values_list("status", flat=True).get(pk=run.pk)


def until(run: PlaybookRun, status: PlaybookRunStatus) -> None:
    eventually(lambda: status_of(run) == status, what=f"{status}")


def notes(run: PlaybookRun) -> list[str]:
    return list(OrderEvent.objects.filter(order=run.order, type="order.note_added").values_list("reason", flat=True))


def test_every_kind_of_step_runs_to_its_end(running_engine: Engine) -> None:
    playbooks.published(note("inner", '="inner " + inputs.word'), slug="other", inputs=[{"name": "word"}])
    run = playbooks.start(
        make_order(),
        tag("mark"),
        {
            "type": "conditional",
            "id": "check",
            "condition": '"vip" in order.tags && results.mark.done',
            "then": [note("yes", '="total " + string(order.total_minor)')],
            "otherwise": [note("no")],
        },
        {"type": "parallel", "id": "both", "branches": [[note("left", "left")], [note("right", "right")]]},
        {"type": "loop", "id": "rounds", "most": 3, "body": [note("round", '="round " + string(loop.number)')]},
        {"type": "wait", "id": "pause", "seconds": 1},
        {"type": "ask", "id": "question", "question": "Go on?", "options": ["yes", "no"], "default": "no"},
        {
            "type": "sub_playbook",
            "id": "sub",
            "playbook": "other",
            "version": 1,
            "inputs": {"word": "=results.question.answer"},
        },
    )
    asked = PlaybookStepRun.objects.filter(run=run, type="ask", status=PlaybookStepStatus.WAITING)
    eventually(asked.exists, what="the question")
    running.answer(run.pk, "steps.5", option="yes", actor=playbooks.chief())
    until(run, PlaybookRunStatus.COMPLETED)
    found = notes(run)
    assert sorted(found[1:3]) == ["left", "right"]
    assert [found[0], *found[3:]] == ["total 2000", "round 1", "round 2", "round 3", "inner yes"]


def test_a_step_that_failed_waits_for_a_person_and_a_cancelled_run_is_undone_in_reverse(running_engine: Engine) -> None:
    release = {"type": "activity", "id": "release", "activity": "release_order", "attempts": 1}
    run = playbooks.start(
        make_order(),
        tag("first", "one"),
        tag("second", "two"),
        {**release, "parameters": {"reason": "nobody holds it"}},
    )
    until(run, PlaybookRunStatus.PARKED)
    assert "nobody holds it" in PlaybookStepRun.objects.get(run=run, path="steps.2").error
    assert OrderTag.objects.count() == 2
    running.cancel(run.pk, actor=playbooks.chief(), reason="enough")
    until(run, PlaybookRunStatus.CANCELLED)
    undone = OrderEvent.objects.filter(type="order.tag_removed").order_by("sequence").values_list("reason", flat=True)
    assert list(undone) == ["two", "one"]


def test_a_worker_that_is_killed_loses_nothing_and_does_nothing_twice(running_engine: Engine) -> None:
    # A step that dies with the worker is tried again after its timeout, which is as long as we wait unless it says so.
    body = [note("round", '="round " + string(loop.number)', timeout_seconds=5)]
    run = playbooks.start(make_order(), {"type": "loop", "id": "rounds", "most": 60, "body": body}, tag("last"))
    eventually(lambda: len(notes(run)) >= 5, what="some rounds")
    running_engine.kill_worker()
    assert status_of(run) == PlaybookRunStatus.RUNNING
    running_engine.start_worker()
    until(run, PlaybookRunStatus.COMPLETED)
    assert notes(run) == [f"round {number}" for number in range(1, 61)]
