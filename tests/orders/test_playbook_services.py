"""Saving, publishing, starting and simulating playbooks; what a person may do with a run, and who comes second."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.utils import DatabaseError

from orders.actor import person
from orders.errors import InvalidInput, NotPermitted, RunPaused, StaleAttempt, StepVoided, WrongState
from orders.models import Notice, OrderEvent, OrderTag, OutboxMessage, PlaybookRun, PlaybookVersion, Voucher
from orders.playbooks.examples import EXAMPLES
from orders.playbooks.validation import InvalidPlaybook, parse
from orders.services import deciding
from orders.services.playbooks import actions, following, publishing, running, simulating, taking_back
from orders.vocabulary import (
    Channel,
    PlaybookEnding,
    PlaybookRunStatus,
    PlaybookStepStatus,
    Topic,
    VersionStatus,
)
from tests.factories import TEST_ACTOR, make_order
from tests.orders.playbooks import chief, document, note, published, start, tag
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db


def act(run: PlaybookRun, path: str) -> None:
    following.execute(str(run.pk), path, actor=TEST_ACTOR)


def step(run: PlaybookRun, path: str) -> Any:
    return run.steps.get(path=path)


def fresh(run: PlaybookRun) -> PlaybookRun:
    return PlaybookRun.objects.get(pk=run.pk)


def test_each_save_is_a_new_version_that_nobody_can_change() -> None:
    first = publishing.save("care", document(note("a")), actor=chief())
    again = publishing.save("care", document(note("a")), actor=chief())
    second = publishing.save("care", document(note("a", "other words")), actor=chief())
    assert (first.pk, second.number) == (again.pk, 2)
    with pytest.raises(DatabaseError), transaction.atomic():
        PlaybookVersion.objects.filter(pk=first.pk).update(document={})


def test_a_playbook_that_breaks_a_rule_is_not_stored() -> None:
    with pytest.raises(InvalidPlaybook):
        publishing.save("care", document(note("a"), note("a")), actor=chief())
    with pytest.raises(InvalidInput, match="letters"):
        publishing.save("No Slug", document(note("a")), actor=chief())
    assert not PlaybookVersion.objects.exists()


def test_two_people_publish_and_the_second_must_be_another_one() -> None:
    version = publishing.save("care", document(note("a")), actor=chief())
    approval = publishing.publish("care", 1, actor=chief(), reason="ready")
    with pytest.raises(NotPermitted):
        deciding.approve(approval.pk, actor=chief())
    deciding.approve(approval.pk, actor=chief("second"))
    version.refresh_from_db()
    assert version.status == VersionStatus.PUBLISHED
    with pytest.raises(WrongState, match="published already"):
        publishing.publish("care", 1, actor=chief(), reason="again")


def test_nobody_publishes_or_runs_what_they_may_not_do_themselves() -> None:
    publishing.save("care", document(tag("a")), actor=chief())
    author = person(make_user("orders.publish_playbook", name="author"), Channel.ADMIN)
    with pytest.raises(NotPermitted, match="note_order"):
        publishing.publish("care", 1, actor=author, reason="ready")
    order = make_order()
    published(tag("b"), slug="other")
    runner = person(make_user("orders.run_playbook", name="runner"), Channel.ADMIN)
    with pytest.raises(NotPermitted, match="note_order"):
        running.start(order.number, "other", actor=runner, reason="go")
    assert not PlaybookRun.objects.exists()


def test_a_run_asks_for_the_permission_again_at_every_step() -> None:
    user = User.objects.create_superuser("leaving")
    published(tag("a", attempts=1))
    run = running.start(make_order().number, "test", actor=person(user, Channel.ADMIN), reason="go")
    User.objects.filter(pk=user.pk).update(is_superuser=False)
    with pytest.raises(Exception, match="note_order"):
        act(run, "steps.0")
    assert not OrderTag.objects.exists()


def test_one_playbook_runs_once_on_an_order_and_the_second_person_is_told() -> None:
    order = make_order()
    run = start(order, note("a"))
    with pytest.raises(WrongState, match="started by chief"):
        running.start(order.number, "test", actor=chief("second"), reason="me too")
    with pytest.raises(IntegrityError), transaction.atomic():
        PlaybookRun.objects.create(
            version=run.version, version_hash="x", order=order, trigger="hand", started_by=run.started_by, channel="cli"
        )
    assert OutboxMessage.objects.filter(topic=Topic.START_PLAYBOOK).count() == 1


@pytest.mark.parametrize(
    ("given", "words"), [({}, "It is needed"), ({"n": "x"}, "not of the type int"), ({"n": 1, "m": 2}, "no such input")]
)
def test_inputs_are_judged_before_anything_starts(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidPlaybook, match=words):
        _start_with(given)
    assert not PlaybookRun.objects.exists()


def _start_with(given: dict[str, Any]) -> None:
    published(note("a"), inputs=[{"name": "n", "type": "int"}])
    running.start(make_order().number, "test", actor=chief(), reason="test", inputs=given)


def test_a_run_follows_its_version_whatever_is_published_since() -> None:
    order = make_order()
    run = start(order, note("a", "first"))
    published(note("a", "second"))
    act(run, "steps.0")
    assert OrderEvent.objects.get(type="order.note_added").reason == "first"
    plan = following.load(str(run.pk))
    assert plan.done == ["steps.0"]


def test_a_step_happens_once_however_often_it_is_executed() -> None:
    voucher = {"type": "activity", "id": "v", "activity": "issue_voucher"}
    run = start(make_order(), {**voucher, "parameters": {"amount_minor": 500, "reason": "sorry"}})
    for _ in range(3):
        act(run, "steps.0")
    assert Voucher.objects.count() == 1
    assert step(run, "steps.0").result == {"code": Voucher.objects.get().code}


def test_an_attempt_that_lost_its_claim_commits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(make_order(), tag("a"))
    plain = actions.carry_out

    def overtaken(*args: Any, **more: Any) -> Any:
        monkeypatch.setattr(actions, "carry_out", plain)
        return plain(*args, **more)

    def prepare(*args: Any, **more: Any) -> None:
        # Another attempt claims and finishes the step while this one is on its way.
        monkeypatch.setattr(actions, "prepare", lambda *a, **m: None)
        act(run, "steps.0")

    monkeypatch.setattr(actions, "carry_out", overtaken)
    monkeypatch.setattr(actions, "prepare", prepare)
    with pytest.raises(Exception, match="lost its claim"):
        act(run, "steps.0")
    assert OrderEvent.objects.filter(type="order.tag_added").count() == 1


def test_an_attempt_that_the_engine_gave_up_commits_nothing_although_its_step_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = start(make_order(), tag("a"))

    def given_up(*args: Any, **more: Any) -> None:
        assert following.fail(str(run.pk), "steps.0", "It took too long.", actor=TEST_ACTOR) == "park"
        running.retry(run.pk, "steps.0", actor=chief(), reason="again")

    with monkeypatch.context() as late:
        late.setattr(actions, "prepare", given_up)
        with pytest.raises(StaleAttempt):
            act(run, "steps.0")
    assert (step(run, "steps.0").status, OrderTag.objects.count()) == (PlaybookStepStatus.RUNNING, 0)
    act(run, "steps.0")
    assert OrderTag.objects.count() == 1


def test_an_undo_that_the_engine_gave_up_takes_nothing_back_although_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = start(make_order(), tag("a"))
    act(run, "steps.0")
    running.cancel(run.pk, actor=chief(), reason="enough")
    taking_back.begin_undo(str(run.pk), message="", actor=TEST_ACTOR)

    def given_up(*args: Any, **more: Any) -> None:
        taking_back.fail_undo(str(run.pk), "steps.0", "It took too long.", actor=TEST_ACTOR)
        running.retry(run.pk, "steps.0", actor=chief(), reason="again")

    with monkeypatch.context() as late:
        late.setattr(actions, "prepare", given_up)
        with pytest.raises(StaleAttempt):
            taking_back.undo(str(run.pk), "steps.0", actor=TEST_ACTOR)
    assert (step(run, "steps.0").status, OrderTag.objects.count()) == (PlaybookStepStatus.UNDOING, 1)
    taking_back.undo(str(run.pk), "steps.0", actor=TEST_ACTOR)
    assert OrderTag.objects.count() == 0


def test_a_paused_run_begins_no_step_and_a_resumed_one_does() -> None:
    run = start(make_order(), tag("a"))
    running.pause(run.pk, actor=chief(), reason="wait")
    with pytest.raises(RunPaused):
        act(run, "steps.0")
    assert (fresh(run).status, OrderTag.objects.count()) == (PlaybookRunStatus.PAUSED, 0)
    with pytest.raises(WrongState, match="paused since"):
        running.pause(run.pk, actor=chief("second"), reason="me too")
    running.resume(run.pk, actor=chief(), reason="go")
    act(run, "steps.0")
    assert OrderTag.objects.count() == 1


def test_a_cancelled_run_begins_no_step_and_undoes_what_was_done_in_reverse() -> None:
    run = start(make_order(), tag("a", "one"), tag("b", "two"), note("c"))
    act(run, "steps.0")
    act(run, "steps.1")
    running.cancel(run.pk, actor=chief(), reason="enough")
    with pytest.raises(StepVoided):
        act(run, "steps.2")
    taking_back.begin_undo(str(run.pk), message="", actor=TEST_ACTOR)
    order_of_undo = []
    while (path := taking_back.next_undo(str(run.pk))) is not None:
        order_of_undo.append(path)
        taking_back.undo(str(run.pk), path, actor=TEST_ACTOR)
        taking_back.undo(str(run.pk), path, actor=TEST_ACTOR)
    assert order_of_undo == ["steps.1", "steps.0"]
    assert following.end(str(run.pk), PlaybookEnding.CANCELLED, message="", actor=TEST_ACTOR) == "cancelled"
    assert OrderTag.objects.count() == 0
    with pytest.raises(WrongState, match="cancelled since"):
        running.cancel(run.pk, actor=chief(), reason="again")


def failing(step_id: str = "a", **more: Any) -> dict[str, Any]:
    release = {"type": "activity", "id": step_id, "activity": "release_order", "parameters": {"reason": "x"}}
    return {**release, **more}


def test_a_step_fails_after_its_attempts_and_a_person_retries_or_skips_it() -> None:
    run = start(make_order(), failing(attempts=2))
    for words in ("nobody holds it", "nobody holds it"):
        with pytest.raises(Exception, match=words):
            act(run, "steps.0")
    assert following.fail(str(run.pk), "steps.0", "nobody holds it", actor=TEST_ACTOR) == "park"
    assert fresh(run).status == PlaybookRunStatus.PARKED
    running.retry(run.pk, "steps.0", actor=chief(), reason="again")
    assert (step(run, "steps.0").failures, fresh(run).status) == (0, PlaybookRunStatus.RUNNING)
    following.fail(str(run.pk), "steps.0", "again", actor=TEST_ACTOR)
    with pytest.raises(InvalidInput, match="left out"):
        running.skip(run.pk, "steps.0", actor=chief(), reason=" ")
    running.skip(run.pk, "steps.0", actor=chief(), reason="by hand")
    assert step(run, "steps.0").status == PlaybookStepStatus.SKIPPED
    with pytest.raises(WrongState, match="skipped, decided by chief"):
        running.retry(run.pk, "steps.0", actor=chief("second"), reason="no")


@pytest.mark.parametrize(("how", "status"), [("stop", "given_up"), ("continue", "given_up"), ("park", "failed")])
def test_a_failure_does_what_the_step_says(how: str, status: str) -> None:
    run = start(make_order(), failing(attempts=1, on_failure=how))
    with pytest.raises(Exception, match="nobody"):
        act(run, "steps.0")
    assert following.fail(str(run.pk), "steps.0", "no", actor=TEST_ACTOR) == how
    assert step(run, "steps.0").status == status


def ask(**more: Any) -> dict[str, Any]:
    question = {"type": "ask", "id": "q", "question": "Sure?", "options": ["yes", "no"], "default": "no"}
    return {**question, **more}


def test_a_question_takes_one_answer_of_its_options_and_the_second_person_is_told() -> None:
    run = start(make_order(), ask())
    assert not following.settle(str(run.pk), "steps.0", actor=TEST_ACTOR).closed
    with pytest.raises(InvalidInput, match="none of yes, no"):
        running.answer(run.pk, "steps.0", option="maybe", actor=chief())
    running.answer(run.pk, "steps.0", option="yes", actor=chief())
    assert following.settle(str(run.pk), "steps.0", actor=TEST_ACTOR).closed
    with pytest.raises(WrongState, match="answered with yes by chief"):
        running.answer(run.pk, "steps.0", option="no", actor=chief("second"))


def test_nobody_answers_in_time_and_the_default_counts() -> None:
    run = start(make_order(), ask(deadline_seconds=60))
    following.settle(str(run.pk), "steps.0", actor=TEST_ACTOR)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_playbooksteprun SET deadline_at = now() - interval '1 second'")
    assert following.settle(str(run.pk), "steps.0", actor=TEST_ACTOR).closed
    assert step(run, "steps.0").result["answer"] == "no"


def test_an_evaluation_that_has_no_value_fails_the_step_and_not_the_run() -> None:
    run = start(make_order(), note("a", "=string(order.total_minor / order.score)", attempts=3))
    with pytest.raises(Exception, match="divide by zero"):
        act(run, "steps.0")
    assert fresh(run).status == PlaybookRunStatus.RUNNING


def test_a_simulation_shows_the_way_and_writes_nothing() -> None:
    order = make_order()
    before = _counts()
    wanted = document(
        {
            "type": "conditional",
            "id": "big",
            "condition": "order.total_minor > 1000",
            "then": [note("yes", '="total " + string(order.total_minor)')],
            "otherwise": [note("no")],
        },
        ask(),
        {"type": "loop", "id": "l", "most": 5, "condition": "loop.number <= 2", "body": [note("r")]},
    )
    actor = chief()
    before = _counts()
    found = simulating.simulate(wanted, order.number, actor=actor, answers={"q": "yes"})
    assert found.complete
    assert [(line.step, line.holds) for line in found.lines] == [
        ("big", True),
        ("yes", None),
        ("q", None),
        ("l", True),
        ("r", None),
        ("l", True),
        ("r", None),
        ("l", False),
    ]
    assert found.lines[1].parameters == {"text": "total 2000"}
    assert _counts() == before


def _counts() -> dict[str, int]:
    from django.apps import apps

    return {model.__name__: model._default_manager.count() for model in apps.get_app_config("orders").get_models()}


@pytest.mark.parametrize("slug", EXAMPLES)
def test_a_shipped_example_is_a_playbook_and_can_be_simulated(slug: str) -> None:
    definition = parse(EXAMPLES[slug])
    order = make_order()
    given = {one.name: 60 if one.type == "int" else "GB" for one in definition.inputs}
    found = simulating.simulate(EXAMPLES[slug], order.number, actor=chief(), inputs=given)
    assert found.complete, found.lines[-1]
    assert found.lines
    assert not OutboxMessage.objects.filter(topic=Topic.START_PLAYBOOK).exists()


def test_the_catalogue_and_the_work_name_the_same_things() -> None:
    from orders.playbooks.catalogue import CATALOGUE

    assert set(actions.WORK) == set(CATALOGUE)
    assert set(actions.PREPARE) == {name for name, entry in CATALOGUE.items() if entry.calls_out}
    assert all(entry.undone_by in {"", *CATALOGUE} for entry in CATALOGUE.values())


def test_a_path_that_is_none_of_the_runs_is_refused() -> None:
    run = start(make_order(), note("a"))
    with pytest.raises(WrongState, match="has run no step"):
        running.retry(run.pk, "steps.7", actor=chief(), reason="x")


def test_a_mail_is_queued_once_and_says_why_when_it_is_not(settings: Any) -> None:
    mail = {"type": "activity", "id": "m", "activity": "mail_customer"}
    mail["parameters"] = {"subject": "Hello\nBcc: x", "text": "We are sorry"}
    settings.EMAIL_HOST = ""
    run = start(make_order(), mail, slug="first")
    act(run, "steps.0")
    assert step(run, "steps.0").result == {"queued": False, "why_not": "Not sent: no mail server is configured."}
    settings.EMAIL_HOST = "mail.example"
    order = make_order()
    run = start(order, mail, slug="second")
    act(run, "steps.0")
    act(run, "steps.0")
    notice = Notice.objects.get(order=order)
    assert notice.subject == "Hello Bcc: x"
    assert (notice.status == "queued") is step(run, "steps.0").result["queued"]
