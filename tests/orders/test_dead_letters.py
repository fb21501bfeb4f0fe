"""What Temporal refuses for good, and what is told to a process that is not there: staff hear of it, nobody waits."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from temporalio.service import RPCError, RPCStatusCode

from orders import history, outbox
from orders.models import Finding, Order, OutboxMessage, StaffTask, SweepProgress, SystemEvent
from orders.selectors import health
from orders.services import batches, cancelling, dead_letters, holding, invariants, refunding
from orders.services.sweeping import findings, processes
from orders.vocabulary import BatchAction, FindingKind, RunState, TaskKind, TaskLevel, Topic
from temporal_app import relay, starter
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving, playbooks
from tests.orders.outbox_rows import let_time_pass
from tests.orders.relaying import relay_once

pytestmark = pytest.mark.django_db
#: topic -> what Temporal answers to it; everything else it takes
Answers = dict[Topic, Exception]


def refusal(text: str = "exceeded workflow execution limit for signal events") -> RPCError:
    return RPCError(text, RPCStatusCode.INVALID_ARGUMENT, b"")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Temporal takes everything but what the test puts in here."""
    found: Answers = {}

    def deliver(topic: Topic) -> Callable[[object, dict[str, Any]], Any]:
        async def taken(client: object, body: dict[str, Any]) -> None:
            if topic in found:
                raise found[topic]

        return taken

    for topic in Topic:
        monkeypatch.setitem(relay.DELIVER, topic, deliver(topic))
    return found


def relayed() -> list[tuple[str, bool, bool]]:
    """What became of all messages once a relay has looked at them, oldest first: topic, delivered, parked."""
    let_time_pass(61)
    while relay_once():
        pass
    return [(row.topic, bool(row.delivered_at), bool(row.parked_at)) for row in OutboxMessage.objects.order_by("id")]


def under_way() -> Order:
    order = make_prepared_order()
    OutboxMessage.objects.all().delete()
    return order


def hold(order: Order) -> None:
    holding.hold(order.number, actor=TEST_ACTOR, reason="Wait")


def cancel(order: Order) -> None:
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="The customer called")


def test_every_topic_has_words_for_staff_and_every_wake_up_a_rule() -> None:
    assert set(dead_letters.WHAT) == set(Topic)
    # What Temporal answers to these two is settled with their commands.
    assert set(dead_letters.OPEN) == dead_letters.WAKES - {Topic.DRIVE_STEP, Topic.DRIVE_SCHEDULE}


def test_a_cancellation_behind_a_wake_up_that_is_refused_for_good_arrives(answers: Answers) -> None:
    order = under_way()
    answers[Topic.TELL_ORDER] = refusal()
    hold(order)
    holding.release(order.number, actor=TEST_ACTOR, reason="Go on")
    cancel(order)
    assert relayed() == [
        (Topic.TELL_ORDER, False, True),
        (Topic.TELL_ORDER, False, True),
        (Topic.CANCEL_ORDER, True, False),
    ]
    task = StaffTask.objects.get()
    assert (task.kind, task.level, task.order) == (TaskKind.DRIFT, TaskLevel.LEAD, order)
    assert task.says.startswith(f"{order.number}: Temporal does not take the word that a command was given")
    assert "limit for signal events" in task.says
    assert "given up" in task.says
    event = SystemEvent.objects.get()
    assert (event.error_type, event.workflow_id, event.order) == ("MessageRefused", f"order:{order.pk}", order)
    assert event.times == 2


def test_a_parked_message_never_comes_again_and_is_no_backlog(answers: Answers) -> None:
    order = under_way()
    answers[Topic.TELL_ORDER] = refusal()
    hold(order)
    relayed()
    let_time_pass(100_000)
    OutboxMessage.objects.update(due_at=timezone.now() - timedelta(days=1))
    assert outbox.claim(20) == []
    assert health.outbox_backlog().pending == 0
    assert list(invariants.outbox_is_empty()) == []


def test_a_start_that_is_refused_is_not_given_up_and_holds_back_what_follows_it(answers: Answers) -> None:
    order, other = make_order(started=True), make_order(started=True)
    answers[Topic.START_ORDER] = refusal("search attribute is not defined")
    hold(order)
    for _ in range(3):
        relayed()
    start = OutboxMessage.objects.get(topic=Topic.START_ORDER, aggregate=f"order:{order.pk}")
    assert (start.delivered_at, start.parked_at, start.attempts) == (None, None, 3)
    assert OutboxMessage.objects.get(topic=Topic.TELL_ORDER).attempts == 0, "nothing makes sense before the start"
    tasks = StaffTask.objects.filter(kind=TaskKind.DRIFT)
    assert {task.order for task in tasks} == {order, other}
    assert SystemEvent.objects.get(order=order).times == 1, "told once, not with each try"

    del answers[Topic.START_ORDER]

    assert {delivered for _, delivered, _ in relayed()} == {True}
    assert {(task.status, task.resolution) for task in tasks.all()} == {("done", "Temporal has taken it.")}


def test_a_task_that_a_refused_start_did_not_open_is_left_alone_when_it_is_taken(answers: Answers) -> None:
    order = make_order(started=True)
    with transaction.atomic():
        findings.note(FindingKind.DRIFT, history.lock_order(order.pk), says="The books differ.", actor=TEST_ACTOR)
    answers[Topic.START_ORDER] = refusal()
    relayed()
    del answers[Topic.START_ORDER]
    relayed()
    assert StaffTask.objects.get().status == "open"


def test_a_body_that_cannot_be_read_is_refused_like_one_that_temporal_refuses(answers: Answers) -> None:
    order = under_way()
    answers[Topic.TELL_ORDER] = KeyError("kind")
    hold(order)
    cancel(order)
    assert relayed() == [(Topic.TELL_ORDER, False, True), (Topic.CANCEL_ORDER, True, False)]


@pytest.mark.parametrize(
    "status", [RPCStatusCode.UNAVAILABLE, RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.PERMISSION_DENIED]
)
def test_a_temporal_that_is_away_or_busy_has_refused_nothing(answers: Answers, status: RPCStatusCode) -> None:
    hold(under_way())
    answers[Topic.TELL_ORDER] = RPCError("Not now", status, b"")
    assert relayed() == [(Topic.TELL_ORDER, False, False)]
    assert not StaffTask.objects.exists()
    assert not SystemEvent.objects.exists()


def test_a_refused_refund_and_a_refused_batch_have_a_task_where_they_belong(answers: Answers) -> None:
    order = driving.drive(make_order())
    refunding.request(order.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
    selection = batches.Selection(orders=Order.objects.filter(pk=make_order().pk), asked={})
    batch = batches.create(selection, BatchAction.HOLD, actor=TEST_ACTOR, reason="Stop")
    answers[Topic.SEND_REFUND] = answers[Topic.RUN_BATCH] = refusal()
    relayed()
    says = {task.order or task.batch: task.says for task in StaffTask.objects.all()}
    assert says[order].startswith(f"{order.number}: Temporal does not take the refund")
    assert says[batch].startswith(f"batch:{batch.pk}: Temporal does not take the batch")


# --- a process that is not there --------------------------------------------------------------------------------------
def test_a_process_that_has_ended_needs_no_message_and_nobody_hears_of_it(answers: Answers) -> None:
    order = under_way()
    hold(order)
    cancel(order)
    driving.undo(order, driving.FailureType.CANCELLED, "Cancelled")
    answers[Topic.TELL_ORDER] = answers[Topic.CANCEL_ORDER] = starter.NotThere()
    assert {(delivered, parked) for _, delivered, parked in relayed()} == {(True, False)}
    assert not StaffTask.objects.exists()
    assert not SystemEvent.objects.exists()


def test_an_open_order_whose_process_is_not_there_is_asked_about_by_the_next_sweep(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, other = sorted((make_prepared_order(), make_prepared_order()), key=lambda one: one.pk)
    OutboxMessage.objects.all().delete()
    Order.objects.update(status_since=timezone.now() - timedelta(minutes=1))
    answers[Topic.CANCEL_ORDER] = starter.NotThere()
    cancel(order)
    assert relayed() == [(Topic.CANCEL_ORDER, False, True)]
    processes.question()
    monkeypatch.setattr(processes, "PAGE", 1)
    # The page is at the other one.
    SweepProgress.objects.update(cursor=str(order.pk))
    assert set(processes.question().in_process) == {str(order.pk), str(other.pk)}
    gone = processes.Seen(order_id=str(order.pk), state=RunState.MISSING)
    assert processes.settle([gone], actor=TEST_ACTOR) == 1
    assert Finding.objects.get(order=order).kind == FindingKind.PROCESS_ENDED


def test_a_command_for_a_playbook_whose_process_is_gone_is_a_task(answers: Answers) -> None:
    run = playbooks.start(under_way(), playbooks.note("a"))
    OutboxMessage.objects.all().delete()
    answers[Topic.TELL_PLAYBOOK] = starter.NotThere()
    with transaction.atomic():
        outbox.publish(Topic.TELL_PLAYBOOK, aggregate=f"playbook-run:{run.pk}", body={"run_id": str(run.pk)})
    assert relayed() == [(Topic.TELL_PLAYBOOK, False, True)]
    task = StaffTask.objects.get()
    assert task.order == run.order
    assert "no running process for it" in task.says
    assert SystemEvent.objects.get().error_type == "ProcessNotThere"
