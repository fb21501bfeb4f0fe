"""How steps and runs of playbooks end: attempts that are late, ends that meet a cancellation, undo that begins anew."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from orders.errors import DomainError, PartnerUnavailable, RequestRefused, StepFailed, StepVoided, WrongState
from orders.models import OrderTag, PlaybookRun, Voucher
from orders.services.playbooks import actions, following, running, taking_back
from orders.vocabulary import PlaybookEnding, PlaybookRunStatus, PlaybookStepStatus
from tests.factories import TEST_ACTOR, make_order
from tests.orders.playbooks import chief, note, start, tag

pytestmark = pytest.mark.django_db


def act(run: PlaybookRun, path: str) -> None:
    following.execute(str(run.pk), path, actor=TEST_ACTOR)


def fresh(run: PlaybookRun) -> PlaybookRun:
    return PlaybookRun.objects.get(pk=run.pk)


def statuses(run: PlaybookRun) -> dict[str, str]:
    return dict(run.steps.order_by("path").values_list("path", "status"))


def end(run: PlaybookRun, ending: PlaybookEnding) -> PlaybookRunStatus:
    return following.end(str(run.pk), ending, message="", actor=TEST_ACTOR)


def begin_undo(run: PlaybookRun) -> None:
    taking_back.begin_undo(str(run.pk), message="", actor=TEST_ACTOR)


def undo_all(run: PlaybookRun) -> list[str]:
    done = []
    while (path := taking_back.next_undo(str(run.pk))) is not None:
        taking_back.undo(str(run.pk), path, actor=TEST_ACTOR)
        done.append(path)
    return done


@pytest.mark.parametrize("late_by", [-1.0, 1.0])
def test_an_attempt_that_took_too_long_counts_and_one_that_was_only_overtaken_does_not(
    monkeypatch: pytest.MonkeyPatch, late_by: float
) -> None:
    run = start(make_order(), tag("a", attempts=1, timeout_seconds=5))
    moments = itertools.chain([0.0], itertools.repeat(5 + late_by))
    monkeypatch.setattr("time.monotonic", lambda: next(moments))

    def overtaken(*_: Any, **__: Any) -> None:
        run.steps.update(token=7)

    monkeypatch.setattr(actions, "prepare", overtaken)
    with pytest.raises(Exception, match="lost its claim"):
        act(run, "steps.0")
    monkeypatch.undo()
    if late_by < 0:
        act(run, "steps.0")
        assert statuses(run) == {"steps.0": "done"}
    else:
        with pytest.raises(StepFailed, match="longer than 5 seconds"):
            act(run, "steps.0")
        assert not OrderTag.objects.exists()


@pytest.mark.parametrize(
    ("error", "raised"), [(RequestRefused("wrong"), StepFailed), (PartnerUnavailable("not now"), PartnerUnavailable)]
)
def test_a_request_that_is_refused_as_wrong_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, error: DomainError, raised: type[DomainError]
) -> None:
    run = start(make_order(), tag("a", attempts=5))

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(actions, "prepare", fail)
    with pytest.raises(raised, match=str(error)):
        act(run, "steps.0")


def test_no_attempt_is_made_after_the_last_one_although_nobody_heard_that_it_was_the_last() -> None:
    run = start(make_order(), tag("a", attempts=2))
    following._claim(str(run.pk), "steps.0")
    run.steps.update(failures=2, error="twice")
    with pytest.raises(StepFailed, match="twice"):
        act(run, "steps.0")


def test_a_cancellation_that_comes_before_the_end_is_obeyed() -> None:
    run = start(make_order(), tag("a"))
    act(run, "steps.0")
    running.cancel(run.pk, actor=chief(), reason="stop")
    with pytest.raises(StepVoided):
        end(run, PlaybookEnding.COMPLETED)
    begin_undo(run)
    assert undo_all(run) == ["steps.0"]
    assert end(run, PlaybookEnding.CANCELLED) == PlaybookRunStatus.CANCELLED


def test_a_run_that_has_ended_is_not_undone_by_a_process_that_begins_anew() -> None:
    run = start(make_order(), tag("a"))
    act(run, "steps.0")
    end(run, PlaybookEnding.COMPLETED)
    begin_undo(run)
    assert undo_all(run) == []
    assert end(run, PlaybookEnding.CANCELLED) == PlaybookRunStatus.COMPLETED
    assert statuses(run) == {"steps.0": "done"}


def test_a_run_that_stops_leaves_no_step_open() -> None:
    run = start(
        make_order(),
        {
            "type": "parallel",
            "id": "both",
            "branches": [
                [tag("a")],
                [{"type": "ask", "id": "q", "question": "?", "options": ["yes", "no"], "default": "no"}],
                [note("parked")],
            ],
        },
    )
    run_id = str(run.pk)
    act(run, "steps.0.branches.0.0")
    following.settle(run_id, "steps.0.branches.1.0", actor=TEST_ACTOR)
    following.fail(run_id, "steps.0.branches.2.0", "no", actor=TEST_ACTOR)
    end(run, PlaybookEnding.STOPPED)
    assert list(statuses(run).values()) == ["done", "given_up", "given_up"]


def test_a_step_that_failed_cannot_be_retried_once_its_run_is_cancelled() -> None:
    """A retry would be taken for one of its undo, and take back what never happened."""
    run = start(make_order(), tag("a"), tag("b", "two"))
    following._claim(str(run.pk), "steps.0")
    following.fail(str(run.pk), "steps.0", "no", actor=TEST_ACTOR)
    running.cancel(run.pk, actor=chief(), reason="stop")
    with pytest.raises(WrongState, match="given_up"):
        running.retry(run.pk, "steps.0", actor=chief("second"), reason="again")
    assert taking_back.next_undo(str(run.pk)) is None


def test_a_step_that_fails_after_its_run_was_cancelled_waits_for_nobody() -> None:
    run = start(make_order(), tag("a"))
    following._claim(str(run.pk), "steps.0")
    running.cancel(run.pk, actor=chief(), reason="stop")
    following.fail(str(run.pk), "steps.0", "no", actor=TEST_ACTOR)
    assert statuses(run) == {"steps.0": "given_up"}
    assert taking_back.next_undo(str(run.pk)) is None


def test_an_undo_that_waits_for_a_person_still_does_when_the_process_begins_anew() -> None:
    run = start(make_order(), tag("a"))
    act(run, "steps.0")
    running.cancel(run.pk, actor=chief(), reason="stop")
    begin_undo(run)
    run.steps.update(status=PlaybookStepStatus.UNDOING)
    taking_back.fail_undo(str(run.pk), "steps.0", "no", actor=TEST_ACTOR)
    begin_undo(run)
    assert statuses(run) == {"steps.0": "failed"}
    running.retry(run.pk, "steps.0", actor=chief(), reason="again")
    assert undo_all(run) == ["steps.0"]
    assert not OrderTag.objects.exists()


def test_an_undo_knows_what_its_step_did() -> None:
    voucher: dict[str, Any] = {"type": "activity", "id": "v", "activity": "issue_voucher"}
    voucher["parameters"] = {"amount_minor": 500, "reason": "sorry"}
    undo = {"activity": "withdraw_voucher", "parameters": {"code": "=results.v.code", "reason": "not sorry"}}
    run = start(make_order(), {**voucher, "undo": undo})
    act(run, "steps.0")
    running.cancel(run.pk, actor=chief(), reason="stop")
    begin_undo(run)
    assert undo_all(run) == ["steps.0"]
    assert not Voucher.objects.filter(withdrawn_at=None).exists()


def test_an_undo_has_all_its_attempts_whatever_its_step_has_used(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(make_order(), tag("a", attempts=2))
    act(run, "steps.0")
    run.steps.update(failures=1)
    running.cancel(run.pk, actor=chief(), reason="stop")
    begin_undo(run)

    def refuse(*_: Any, **__: Any) -> None:
        raise PartnerUnavailable("not now")

    monkeypatch.setattr(actions, "prepare", refuse)
    with pytest.raises(PartnerUnavailable):
        taking_back.undo(str(run.pk), "steps.0", actor=TEST_ACTOR)
    with pytest.raises(StepFailed):
        taking_back.undo(str(run.pk), "steps.0", actor=TEST_ACTOR)
