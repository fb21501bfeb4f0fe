"""Orders against what Temporal says of their processes: repaired, noted, or left alone."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders import history
from orders.actor import Actor, person, system
from orders.errors import InvalidInput
from orders.models import Finding, Incident, Order, OutboxMessage, Recovery, StaffTask, SweepProgress, SystemEvent
from orders.services import holding, incident_decisions, incidents, payments, recovering, resolving, shipping
from orders.services.reviving import AGAIN
from orders.services.sweeping import findings, processes
from orders.services.sweeping.processes import Seen
from orders.vocabulary import (
    Channel,
    EventType,
    FailureType,
    FindingKind,
    IncidentDecision,
    OrderStatus,
    RecoveryDecision,
    RunState,
    SweepPart,
    TaskKind,
    Topic,
)
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
SWEEPER = system("sweeper")


def quiet(order: Order) -> Order:
    """It has stood still for a minute, and Temporal was told everything."""
    OutboxMessage.objects.update(delivered_at=timezone.now())
    Order.objects.filter(pk=order.pk).update(status_since=timezone.now() - timedelta(minutes=1))
    order.refresh_from_db()
    return order


def under_way() -> Order:
    return quiet(make_prepared_order())


def settle(order: Order, state: RunState, says: str = "") -> int:
    return processes.settle([Seen(order_id=str(order.pk), state=state, says=says)], actor=SWEEPER)


def told(topic: Topic) -> list[str]:
    """Numbers of the orders of which Temporal is told this now."""
    rows = OutboxMessage.objects.filter(topic=topic, delivered_at=None).order_by("id")
    return [row.body["number"] for row in rows]


def kinds(order: Order) -> list[str]:
    return list(Finding.objects.filter(order=order, resolved_at=None).values_list("kind", flat=True))


# --- the question -----------------------------------------------------------------------------------------------------
def test_orders_in_process_are_asked_about_and_others_are_not() -> None:
    moving, held = under_way(), under_way()
    holding.hold(held.number, actor=TEST_ACTOR, reason="Wait")
    quiet(held)
    make_order()
    put_aside = make_order()
    holding.hold(put_aside.number, actor=TEST_ACTOR, reason="Nobody started it")
    quiet(put_aside)
    assert set(processes.question().in_process) == {str(moving.pk), str(held.pk)}


def test_an_order_that_moved_just_now_or_waits_to_be_told_is_not_asked_about() -> None:
    fresh = under_way()
    Order.objects.filter(pk=fresh.pk).update(status_since=timezone.now())
    waiting = quiet(make_order(started=True))
    OutboxMessage.objects.filter(aggregate=f"order:{waiting.pk}").update(delivered_at=None)
    assert processes.question().in_process == ()


def test_many_orders_are_asked_about_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PAGE", 2)
    everything = {str(under_way().pk) for _ in range(3)}
    first, second = processes.question().in_process, processes.question().in_process
    assert (len(first), len(second)) == (2, 1)
    assert {*first, *second} == everything
    assert processes.question().in_process == first, "it begins anew after the last page"


def closed_lately(*, seconds: int = 60) -> Order:
    order = driving.drive(make_order())
    Order.objects.filter(pk=order.pk).update(closed_at=timezone.now() - timedelta(seconds=seconds))
    order.refresh_from_db()
    return order


def from_an_hour_ago() -> None:
    """The sweep is at what was closed an hour ago."""
    SweepProgress.objects.update_or_create(
        part=SweepPart.PROCESSES, defaults={"closed_cursor": (timezone.now() - timedelta(hours=1)).isoformat()}
    )


def test_closed_orders_are_asked_about_once_from_the_first_sweep_on() -> None:
    driving.drive(make_order())
    assert processes.question().closed == (), "what was closed before is not gone through"
    from_an_hour_ago()
    closed = closed_lately()
    assert processes.question().closed == (str(closed.pk),)
    processes.settle([], actor=SWEEPER)
    assert processes.question().closed == ()


def test_a_closed_order_of_which_nothing_was_heard_is_asked_about_again() -> None:
    from_an_hour_ago()
    closed = closed_lately()
    assert processes.question().closed == (str(closed.pk),)
    # This sweep was given up; the next one is not answered.
    assert processes.question().closed == (str(closed.pk),)
    processes.settle([], skipped="Temporal did not answer", unanswered=[str(closed.pk)], actor=SWEEPER)
    assert processes.question().closed == (str(closed.pk),)
    processes.settle([], actor=SWEEPER)
    assert processes.question().closed == ()


def test_the_cursor_waits_while_too_many_closed_orders_wait_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MOST_AGAIN", 1)
    from_an_hour_ago()
    first = closed_lately(seconds=60)
    processes.question()
    second = closed_lately(seconds=30)
    SweepProgress.objects.update(closed_cursor=first.closed_at.isoformat())
    assert processes.question().closed == (str(first.pk),)
    processes.settle([], actor=SWEEPER)
    assert processes.question().closed == (str(second.pk),)


# --- the answers ------------------------------------------------------------------------------------------------------
def test_a_terminated_order_is_given_to_a_recovery_run_once() -> None:
    order = under_way()
    assert settle(order, RunState.BROKEN, "it was terminated at Temporal") == 1
    assert settle(order, RunState.BROKEN) == 0
    assert told(Topic.RECOVER_ORDER) == [order.number]
    recovery = Recovery.objects.get(order=order)
    assert (recovery.ended_run_id, recovery.asked_by) == (f"run-{order.pk}", "sweeper")
    found = Finding.objects.get(order=order)
    assert "terminated" in found.says
    assert found.repair == "another run undoes the order"
    assert order.events.filter(type=EventType.RECOVERY_BEGUN).count() == 1
    assert not StaffTask.objects.exists()
    # From now on the recovery run is asked about.
    quiet(order)
    assert processes.question().recovering == (str(order.pk),)


def test_a_recovery_run_that_was_ended_too_is_started_again() -> None:
    order = under_way()
    settle(order, RunState.BROKEN)
    quiet(order)
    assert settle(order, RunState.BROKEN) == 0
    assert settle(order, RunState.BROKEN) == 0, "told once, not with each sweep"
    assert told(Topic.RECOVER_ORDER) == [order.number]


def test_a_recovery_that_ended_before_the_database_was_restored_is_started_again() -> None:
    order = under_way()
    settle(order, RunState.BROKEN)
    quiet(order)
    OutboxMessage.objects.all().delete()
    settle(order, RunState.CLOSED)
    again = OutboxMessage.objects.get(topic=Topic.RECOVER_ORDER)
    assert again.body[AGAIN] is True, "Temporal has that run with a result, and would start no other one"


def test_a_start_that_temporal_never_heard_of_is_handed_over_again() -> None:
    order = quiet(make_order(started=True))
    assert settle(order, RunState.MISSING) == 1
    assert told(Topic.START_ORDER) == [order.number]
    assert kinds(order) == [FindingKind.PROCESS_LOST]
    assert order.events.filter(type=EventType.START_REDELIVERED).exists()
    quiet(order)
    settle(order, RunState.RUNNING)
    assert kinds(order) == []
    assert order.events.filter(type=EventType.FINDING_RESOLVED).exists()


def test_a_process_that_temporal_has_lost_is_undone_and_not_begun_a_second_time() -> None:
    order = under_way()
    settle(order, RunState.MISSING)
    assert (told(Topic.RECOVER_ORDER), told(Topic.START_ORDER)) == ([order.number], [])


def test_an_order_that_ended_meanwhile_is_no_finding() -> None:
    order = quiet(driving.drive(make_order()))
    for state in (RunState.MISSING, RunState.BROKEN, RunState.CLOSED):
        assert settle(order, state) == 0
    assert not Finding.objects.exists()
    assert not Recovery.objects.exists()


def test_an_order_that_moved_meanwhile_is_left_to_the_next_sweep() -> None:
    order = under_way()
    Order.objects.filter(pk=order.pk).update(status_since=timezone.now())
    assert settle(order, RunState.BROKEN) == 0
    assert not Recovery.objects.exists()


def test_an_order_that_is_not_ours_is_no_finding() -> None:
    stranger = Seen(order_id="0191f0a0-0000-7000-8000-000000000000", state=RunState.BROKEN)
    assert processes.settle([stranger], actor=SWEEPER) == 0


def test_no_answer_of_temporal_is_no_finding_and_is_said() -> None:
    under_way()
    processes.question()
    assert processes.settle([], skipped="Temporal did not answer", actor=SWEEPER) == 0
    assert not Finding.objects.exists()
    assert SweepProgress.objects.get(part=SweepPart.PROCESSES).skipped == "Temporal did not answer"


def test_too_many_at_once_wait_for_a_lead_who_can_have_each_undone(settings: Settings) -> None:
    settings.SWEEP_REPAIRS_AT_ONCE = 1
    orders = [under_way(), under_way()]
    seen = [Seen(order_id=str(order.pk), state=RunState.BROKEN, says="it was terminated") for order in orders]
    assert processes.settle(seen, actor=SWEEPER) == 2
    assert told(Topic.RECOVER_ORDER) == []
    tasks = StaffTask.objects.filter(kind=TaskKind.PROCESS_ENDED)
    assert {task.order_id for task in tasks} == {order.pk for order in orders}
    # Fewer are left: what waits for a person still does.
    assert processes.settle(seen[:1], actor=SWEEPER) == 0
    assert told(Topic.RECOVER_ORDER) == []

    resolving.resolve(tasks.get(order=orders[0]).pk, note="By mistake", actor=lead())

    assert told(Topic.RECOVER_ORDER) == [orders[0].number]
    assert "olivia" in Recovery.objects.get().why


def shipped() -> Order:
    order = make_prepared_order()
    with driving.partners():
        payments.charge(str(order.pk), actor=SWEEPER)
        shipping.ship(str(order.pk), actor=SWEEPER)
    return quiet(order)


@pytest.mark.parametrize("state", [RunState.BROKEN, RunState.MISSING, RunState.CLOSED])
def test_what_has_shipped_is_never_undone_unasked(state: RunState) -> None:
    order = shipped()
    assert settle(order, state, "it was terminated at Temporal") == 1
    assert settle(order, state, "it was terminated at Temporal") == 0
    assert told(Topic.RECOVER_ORDER) == []
    task = StaffTask.objects.get(order=order)
    assert (task.kind, task.level) == (TaskKind.PROCESS_ENDED, "lead")
    assert "parcel was booked" in task.says

    with pytest.raises(InvalidInput, match="finished or undone"):
        resolving.resolve(task.pk, note="Delivered, says the carrier", actor=lead())
    assert not Recovery.objects.exists()


@pytest.mark.parametrize("decision", RecoveryDecision)
def test_a_lead_has_what_was_shipped_finished_or_undone(decision: RecoveryDecision) -> None:
    order = shipped()
    settle(order, RunState.BROKEN)
    task = StaffTask.objects.get(order=order)
    resolving.resolve(task.pk, note="The carrier says so", decision=decision, actor=lead())
    assert told(Topic.RECOVER_ORDER) == [order.number]
    recovery = Recovery.objects.get()
    assert recovery.finishes is (decision is RecoveryDecision.FINISH)
    assert ("finished" if recovery.finishes else "undone") in recovery.why
    assert Finding.objects.get(order=order).repair.startswith("a recovery run")
    undoes = recovering.adopt(str(order.pk), run_id="recovery", actor=SWEEPER)
    order.refresh_from_db()
    assert undoes is (decision is RecoveryDecision.UNDO)
    assert order.status == (OrderStatus.UNDOING if undoes else OrderStatus.COMPLETED)


def test_many_that_were_shipped_are_decided_about_at_once() -> None:
    orders = [shipped() for _ in range(2)]
    for order in orders:
        settle(order, RunState.BROKEN)
    incidents.settle_all()
    incident = Incident.objects.get(closed_at=None)
    decide = partial(incident_decisions.decide, incident.pk, IncidentDecision.RESOLVE, note="Delivered", actor=lead())
    refused = decide()
    assert (refused.done, {*refused.refused}) == (0, {order.number for order in orders})
    assert "finished or undone" in refused.refused[orders[0].number]
    assert decide(recovery=RecoveryDecision.FINISH).done == 2
    assert set(Recovery.objects.values_list("finishes", flat=True)) == {True}


def test_what_was_not_shipped_cannot_be_finished() -> None:
    order = under_way()
    settle(order, RunState.CLOSED)
    task = StaffTask.objects.get(order=order)
    with pytest.raises(InvalidInput, match="not been shipped"):
        resolving.resolve(task.pk, note="Done", decision=RecoveryDecision.FINISH, actor=lead())


def test_an_order_that_is_being_undone_already_needs_nobody() -> None:
    order = shipped()
    driving.undo(order, FailureType.CANCELLED, "Cancelled", to_the_end=False)
    settle(quiet(order), RunState.BROKEN)
    assert told(Topic.RECOVER_ORDER) == [order.number]


def test_an_order_whose_process_ended_with_a_result_is_not_undone_unless_a_lead_says_so() -> None:
    order = under_way()
    assert settle(order, RunState.CLOSED, "it ended at Temporal without closing the order") == 1
    assert settle(order, RunState.CLOSED) == 0
    assert told(Topic.RECOVER_ORDER) == []
    task = StaffTask.objects.get(order=order)
    assert (task.kind, task.level) == (TaskKind.PROCESS_ENDED, "lead")
    assert "older than Temporal" in task.says

    resolving.resolve(task.pk, note="The parcel never left", actor=lead())

    assert told(Topic.RECOVER_ORDER) == [order.number]


def lead() -> Actor:
    allowed = ("work_task", "work_lead_task", "decide_incident")
    return person(make_user(*(f"orders.{name}" for name in allowed)), Channel.ADMIN)


def test_a_wedged_process_opens_a_task_that_is_closed_when_it_goes_on() -> None:
    order = under_way()
    assert settle(order, RunState.WEDGED, "Attempt 7.") == 1
    assert settle(order, RunState.WEDGED, "Attempt 9.") == 0
    task = StaffTask.objects.get(order=order)
    assert (task.kind, task.level, task.status) == (TaskKind.WEDGED, "lead", "open")
    assert "Attempt 9" in Finding.objects.get().says
    settle(order, RunState.RUNNING)
    task.refresh_from_db()
    assert (task.status, task.done_by, kinds(order)) == ("done", "sweeper", [])
    assert not Recovery.objects.exists(), "a bug undoes nobody's order"


def test_a_wedged_process_is_a_system_event_with_the_ids_that_find_it() -> None:
    order = under_way()
    settle(order, RunState.WEDGED, "Attempt 7.")
    settle(order, RunState.WEDGED, "Attempt 8.")
    event = SystemEvent.objects.get()
    assert (event.order, event.error_type, event.times) == (order, "WorkflowTaskFailed", 1)
    assert (event.workflow_id, event.run_id) == (f"order:{order.pk}", order.process_run_id)
    assert event.request_id == order.commands.get(kind="start").request_id
    assert "Attempt 7" in event.message


def test_a_task_that_a_person_resolved_is_not_opened_again_for_the_same_trouble() -> None:
    order = under_way()
    settle(order, RunState.WEDGED)
    resolving.resolve(StaffTask.objects.get().pk, note="Known; mended tonight", actor=lead())
    settle(order, RunState.WEDGED)
    assert StaffTask.objects.count() == 1


def test_a_reset_process_is_noted_and_needs_nobody() -> None:
    order = under_way()
    assert settle(order, RunState.RESET) == 1
    assert kinds(order) == [FindingKind.PROCESS_RESET]
    assert not StaffTask.objects.exists()
    assert not Recovery.objects.exists()


def test_a_closed_order_whose_process_runs_on_is_a_task_until_it_ends() -> None:
    order = driving.drive(make_order())
    assert settle(order, RunState.RUNNING) == 1
    assert StaffTask.objects.get().kind == TaskKind.DRIFT
    question = processes.question()
    assert (question.closed, question.watched) == ((str(order.pk),), (str(order.pk),)), "asked about again"
    settle(order, RunState.CLOSED)
    assert kinds(order) == []
    assert StaffTask.objects.get().status == "done"


def test_a_process_on_its_way_out_is_no_finding_and_is_asked_about_until_it_has_left() -> None:
    from_an_hour_ago()
    order = closed_lately()
    leaving = Seen(order_id=str(order.pk), state=RunState.RUNNING, busy=True)
    for _ in range(3):
        assert processes.question().closed == (str(order.pk),)
        assert processes.settle([leaving], actor=SWEEPER) == 0
    assert kinds(order) == []
    Order.objects.filter(pk=order.pk).update(closed_at=timezone.now() - timedelta(minutes=11))
    processes.question()
    assert processes.settle([leaving], actor=SWEEPER) == 1, "nothing takes that long"
    assert kinds(order) == [FindingKind.RUNS_ON]


def test_every_process_that_runs_on_is_asked_about_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = [driving.drive(make_order()) for _ in range(3)]
    for order in orders:
        settle(order, RunState.RUNNING)
    monkeypatch.setattr(processes, "PAGE", 2)
    seen: set[str] = set()
    for _ in range(2):
        asked = processes.question().watched
        assert len(asked) == 2
        seen |= set(asked)
        for pk in asked:
            processes.settle([Seen(order_id=pk, state=RunState.RUNNING)], actor=SWEEPER)
    assert seen == {str(order.pk) for order in orders}


def test_findings_of_an_order_that_has_ended_are_resolved() -> None:
    order = under_way()
    settle(order, RunState.WEDGED)
    with transaction.atomic():
        findings.note(FindingKind.DRIFT, history.lock_order(order.pk), says="Differs.", actor=SWEEPER)
    driving.undo(order, driving.FailureType.CANCELLED, "Cancelled")
    findings.resolve_of_closed(actor=SWEEPER)
    assert kinds(order) == [FindingKind.DRIFT]
