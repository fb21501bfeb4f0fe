"""Refunds, batches, imports and every other kind of run against what Temporal says of their processes."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from orders.actor import person, system
from orders.models import Finding, OrderEvent, OutboxMessage, Refund, StaffTask, SweepProgress, SystemEvent
from orders.services import exports, resolving, reviving, tasks
from orders.services.run_kinds import KINDS
from orders.services.sweeping import runs
from orders.services.sweeping.runs import Asked, Seen
from orders.vocabulary import (
    Channel,
    FindingKind,
    RefundStatus,
    RunKind,
    RunState,
    SweepPart,
    TaskKind,
    TaskLevel,
    TaskStatus,
    Topic,
)
from tests.factories import make_order
from tests.orders.open_runs import A_MINUTE, MAKE, delivered, told
from tests.orders.staff import make_user
from tests.orders.test_runs_invariants import MAKE as ENDED
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
SWEEPER = system("sweeper")
EVERY_KIND = pytest.mark.parametrize("kind", MAKE, ids=str)
TERMINATED = "it was terminated at Temporal"


def open_run(kind: RunKind) -> Any:
    """One of which Temporal has been told, a minute ago."""
    row = MAKE[kind]()
    delivered()
    age(kind, row)
    return row


def age(kind: RunKind, row: Any) -> None:
    """It was made a minute ago; some tables have a trigger that refuses the change."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            f"UPDATE {row._meta.db_table} SET {KINDS[kind].made_at} = %s WHERE id = %s",
            [timezone.now() - A_MINUTE, row.pk],
        )
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def seen(kind: RunKind, row: Any, state: RunState, says: str = "") -> Seen:
    return Seen(kind=kind, key=KINDS[kind].key(row), state=state, says=says)


def settle(kind: RunKind, row: Any, state: RunState, says: str = "") -> int:
    return runs.settle([seen(kind, row, state, says)], actor=SWEEPER)


def finding(kind: RunKind, row: Any) -> Finding:
    return Finding.objects.get(reference=reviving.reference(kind, KINDS[kind].key(row)))


def lead() -> Any:
    return person(make_user("orders.work_task", "orders.work_lead_task", name="lea"), Channel.ADMIN)


# --- the question -----------------------------------------------------------------------------------------------------
@EVERY_KIND
def test_an_open_run_is_asked_about_once_temporal_was_told_of_it(kind: RunKind) -> None:
    row = MAKE[kind]()
    age(kind, row)
    assert [one for one in runs.question() if one.kind is kind] == [], "its start waits to be told"
    delivered()
    assert [one for one in runs.question() if one.kind is kind] == [Asked(kind=kind, key=KINDS[kind].key(row))]


def test_a_run_that_was_made_just_now_is_not_asked_about() -> None:
    MAKE[RunKind.EXPORT]()
    delivered()
    assert runs.question() == []


def test_many_runs_are_asked_about_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PAGE", 2)
    everything = {str(open_run(RunKind.EXPORT).pk) for _ in range(3)}
    first, second = runs.question(), runs.question()
    assert (len(first), len(second)) == (2, 1)
    assert {one.key for one in [*first, *second]} == everything
    assert runs.question() == first, "it begins anew after the last page"


def test_a_sweep_that_temporal_did_not_answer_looks_late() -> None:
    before = timezone.now() - timedelta(hours=1)
    SweepProgress.objects.create(part=SweepPart.RUNS, ran_at=before)
    runs.question()
    assert SweepProgress.objects.get(part=SweepPart.RUNS).ran_at == before
    runs.settle([], skipped="Temporal did not answer", actor=SWEEPER)
    row = SweepProgress.objects.get(part=SweepPart.RUNS)
    assert row.ran_at > before
    assert row.skipped == "Temporal did not answer"


# --- the answers ------------------------------------------------------------------------------------------------------
@EVERY_KIND
@pytest.mark.parametrize("state", [RunState.BROKEN, RunState.MISSING])
def test_a_run_whose_process_is_gone_is_started_again_as_it_was_first(kind: RunKind, state: RunState) -> None:
    row = MAKE[kind]()
    *_, first = told()
    delivered()

    assert settle(kind, row, state, TERMINATED) == 1
    assert settle(kind, row, state, TERMINATED) == 0, "its start waits already"

    assert told() == [first]
    found = finding(kind, row)
    assert (found.kind, found.repair, found.resolved_at) == (FindingKind.RUN_ENDED, "it is started again", None)
    assert TERMINATED in found.says
    assert SystemEvent.objects.get().error_type == "ProcessGone"
    assert not StaffTask.objects.exists(), "nobody need do anything"
    delivered()
    settle(kind, row, RunState.RUNNING)
    assert finding(kind, row).resolved_at is not None


@pytest.mark.parametrize("name", ENDED)
def test_a_run_that_has_ended_meanwhile_is_left_alone(name: str, partners: Http) -> None:
    row, kind = ENDED[name](), RunKind(name)
    delivered()
    for state in RunState:
        assert settle(kind, row, state) == 0
    assert told() == []


def test_what_was_found_of_a_run_goes_with_its_end() -> None:
    export = open_run(RunKind.EXPORT)
    settle(RunKind.EXPORT, export, RunState.WEDGED)
    exports.write(export.pk, beat=lambda _: None)
    [asked] = runs.question()
    assert asked.key == str(export.pk), "it is asked about as long as the finding stands"
    settle(RunKind.EXPORT, export, RunState.CLOSED)
    assert finding(RunKind.EXPORT, export).resolution == "It has ended."
    assert StaffTask.objects.get().status == TaskStatus.DONE


def test_a_run_that_waits_to_be_told_something_is_left_to_the_next_sweep() -> None:
    row = MAKE[RunKind.EXPORT]()
    waiting = told()
    assert settle(RunKind.EXPORT, row, RunState.BROKEN, TERMINATED) == 0
    assert not Finding.objects.exists()
    assert told() == waiting


def test_many_that_are_gone_are_one_system_event() -> None:
    rows = [open_run(RunKind.EXPORT) for _ in range(3)]
    runs.settle([seen(RunKind.EXPORT, row, RunState.MISSING) for row in rows], actor=SWEEPER)
    assert SystemEvent.objects.get().message == "The export: 3 processes in trouble. Temporal does not know it."
    assert len(told()) == 3


def test_a_process_that_ends_again_and_again_is_given_to_a_lead() -> None:
    row = open_run(RunKind.EXPORT)
    settle(RunKind.EXPORT, row, RunState.BROKEN, TERMINATED)
    delivered()
    Finding.objects.update(first_seen_at=timezone.now() - timedelta(minutes=11))

    assert settle(RunKind.EXPORT, row, RunState.BROKEN, TERMINATED) == 0

    assert told() == []
    task = StaffTask.objects.get()
    assert (task.kind, task.level, task.subject) == (TaskKind.RUN, TaskLevel.LEAD, f"export:{row.pk}")
    assert "ended each time" in task.says


# --- a row that may be older than Temporal ----------------------------------------------------------------------------
KEEPS_ITS_END = [kind for kind in MAKE if not KINDS[kind].looks_again]


@pytest.mark.parametrize("kind", KEEPS_ITS_END, ids=str)
def test_a_process_that_ended_with_a_result_is_not_started_again_unless_a_lead_says_so(kind: RunKind) -> None:
    row = open_run(kind)
    first = OutboxMessage.objects.order_by("-pk").first()
    assert first is not None

    assert settle(kind, row, RunState.CLOSED) == 0, "row and process end one after the other"
    assert settle(kind, row, RunState.CLOSED) == 1
    assert settle(kind, row, RunState.CLOSED) == 0

    assert told() == []
    task = StaffTask.objects.get()
    assert "ended with a result" in task.says
    resolving.resolve(task.pk, note="I looked: nothing of it was done", actor=lead())
    [(topic, aggregate, body)] = told()
    assert (topic, aggregate) == (first.topic, first.aggregate)
    assert body["again"] is True


def test_an_end_that_was_seen_once_and_then_not_is_no_end() -> None:
    row = open_run(RunKind.EXPORT)
    settle(RunKind.EXPORT, row, RunState.CLOSED)
    settle(RunKind.EXPORT, row, RunState.RUNNING)
    assert settle(RunKind.EXPORT, row, RunState.CLOSED) == 0


def test_what_the_gateway_told_is_looked_at_again_after_an_end() -> None:
    row = open_run(RunKind.GATEWAY_PAYMENT)
    assert settle(RunKind.GATEWAY_PAYMENT, row, RunState.CLOSED) == 1
    assert [topic for topic, *_ in told()] == [Topic.GATEWAY_EVENT]


# --- wedged -----------------------------------------------------------------------------------------------------------
@EVERY_KIND
def test_a_wedged_process_opens_a_task_that_is_closed_when_it_goes_on(kind: RunKind) -> None:
    row = open_run(kind)
    assert settle(kind, row, RunState.WEDGED, "Attempt 7.") == 1
    assert told() == [], "it goes on by itself when the code is mended"
    assert finding(kind, row).kind == FindingKind.RUN_WEDGED
    assert StaffTask.objects.get().status == TaskStatus.OPEN
    assert SystemEvent.objects.get().error_type == "WorkflowTaskFailed"

    settle(kind, row, RunState.RUNNING)

    assert StaffTask.objects.get().status == TaskStatus.DONE
    assert finding(kind, row).resolved_at is not None


def test_a_wedged_process_that_somebody_ends_is_started_again() -> None:
    row = open_run(RunKind.IMPORT)
    settle(RunKind.IMPORT, row, RunState.WEDGED)
    settle(RunKind.IMPORT, row, RunState.BROKEN, TERMINATED)
    assert [topic for topic, *_ in told()] == [Topic.START_FEED_IMPORT]
    assert StaffTask.objects.get().status == TaskStatus.DONE


# --- single kinds -----------------------------------------------------------------------------------------------------
def test_a_refused_refund_waits_for_a_person_with_or_without_a_process() -> None:
    refund = open_run(RunKind.REFUND)
    Refund.objects.filter(pk=refund.pk).update(status=RefundStatus.REFUSED)
    assert runs.question() == []
    assert settle(RunKind.REFUND, refund, RunState.BROKEN) == 0


def test_the_task_of_a_refund_names_its_order() -> None:
    refund = open_run(RunKind.REFUND)
    settle(RunKind.REFUND, refund, RunState.WEDGED)
    assert refund.order.number in StaffTask.objects.get().says


def test_a_notice_is_asked_about_under_the_process_of_its_newest_asking() -> None:
    notice = open_run(RunKind.NOTICE)
    type(notice).objects.filter(pk=notice.pk).update(tries=2)
    [asked] = runs.question()
    assert asked.key == f"{notice.pk}:2"
    older = Seen(kind=RunKind.NOTICE, key=str(notice.pk), state=RunState.BROKEN)
    assert runs.settle([older], actor=SWEEPER) == 0, "the process of an earlier asking may be gone"
    assert runs.settle([Seen(kind=RunKind.NOTICE, key=asked.key, state=RunState.BROKEN)], actor=SWEEPER) == 1
    assert told()[0][2]["tries"] == 2


def test_playbooks_that_an_event_starts_are_started_when_temporal_tells_of_an_ended_process() -> None:
    event = OrderEvent.objects.filter(order=make_order()).first()
    assert event is not None
    assert settle(RunKind.ORDER_EVENT, event, RunState.BROKEN, TERMINATED) == 1
    assert told() == [(Topic.FIRE_TRIGGERS, f"order-event:{event.pk}", {"event_id": event.pk})]
    delivered()
    settle(RunKind.ORDER_EVENT, event, RunState.CLOSED)
    assert finding(RunKind.ORDER_EVENT, event).resolved_at is not None


def test_an_id_that_is_none_of_ours_is_nothing() -> None:
    for kind in MAKE:
        assert runs.settle([Seen(kind=kind, key="../../etc", state=RunState.BROKEN)], actor=SWEEPER) == 0
    assert told() == []


def test_a_task_that_two_sweeps_open_at_once_is_one() -> None:
    with transaction.atomic():
        first = tasks.open_task(TaskKind.RUN, "export:1", level=TaskLevel.LEAD, says="Gone", actor=SWEEPER)
    with pytest.MonkeyPatch.context() as patch, transaction.atomic():
        answers = iter([None, first])
        patch.setattr(tasks, "_open", lambda kind, about: next(answers))
        assert tasks.open_task(TaskKind.RUN, "export:1", level=TaskLevel.LEAD, says="Gone", actor=SWEEPER) == first
    assert StaffTask.objects.count() == 1
