"""The day-end close and dedicated queues on the real servers."""

import json
from typing import Any

import pytest
from django.utils import timezone

from orders.models import Command, OutboxMessage, ProcessRun, QueueState, ScheduleState
from orders.selectors import health
from orders.services import processes, scheduling
from orders.vocabulary import ProcessName, ProcessStatus, ProcessStepStatus
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import process_workflow_id
from tests.e2e.engine import Engine, eventually
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders.api_calls import token_client

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
DAY_END = "backoffice:day-end-close"


def run_of_today() -> ProcessRun:
    return ProcessRun.objects.latest("created_at")


def step_is(position: int, status: ProcessStepStatus) -> bool:
    return run_of_today().steps.filter(position=position, status=status).exists()


def completed_order() -> Any:
    return make_order(product=make_product(), started=True)


def test_a_close_that_is_paused_and_whose_worker_is_killed_inside_a_step_is_finished_once(
    running_engine: Engine,
) -> None:
    order = completed_order()
    eventually(lambda: type(order).objects.filter(pk=order.pk, status="completed").exists(), what="the order")
    # The gateway's list hangs, so that the step is under way for as long as the test needs.
    running_engine.faults(
        {"partner": "payments", "operation": "payment_intents.list", "mode": "latency", "seconds": 3.0}
    )
    client = token_client("run_process", "view_processrun")
    answer = client.post(
        "/api/processes/",
        json.dumps({"definition": "day_end_close", "reason": "The day is over"}),
        content_type="application/json",
    )
    assert answer.status_code == 202, answer.content
    where = answer["Location"]
    eventually(lambda: step_is(2, ProcessStepStatus.RUNNING), what="the step that asks the gateway")

    paused = client.post(f"{where}pause/", json.dumps({"reason": "Wait"}), content_type="application/json")
    assert paused.json()["status"] == ProcessStatus.PAUSING
    running_engine.kill_worker()
    running_engine.faults()
    running_engine.start_worker()
    eventually(lambda: run_of_today().status == ProcessStatus.PAUSED, what="the pause after the step")
    run = run_of_today()
    step = run.steps.get(position=2)
    assert (step.status, step.figures["payments"]) == (ProcessStepStatus.DONE, 1)
    assert step.token >= 2
    assert client.get(where).json()["progress"] == 40

    client.post(f"{where}resume/", json.dumps({"reason": "On"}), content_type="application/json")
    eventually(lambda: run_of_today().status == ProcessStatus.COMPLETED, what="the end of the close")
    told = client.get(where).json()
    assert (told["progress"], told["incomplete"], told["differences"]) == (100, False, [])
    workflow = process_workflow_id(str(run.pk))
    eventually(
        lambda: (status := running_engine.workflow_status(workflow)) is not None and status.name == "COMPLETED",
        what="the end of its workflow",
    )


def test_a_schedule_that_is_run_by_hand_closes_the_day_and_is_seen_in_the_rows(new_engine: Engine) -> None:
    eventually(lambda: ScheduleState.objects.filter(pk=DAY_END).exists(), what="the sight of the schedule")
    scheduling.run_now(DAY_END, actor=TEST_ACTOR, reason="Early today")
    eventually(lambda: ProcessRun.objects.exists(), what="the run")
    run = run_of_today()
    assert (run.business_day, run.actor) == (timezone.now().date(), "schedule")
    eventually(lambda: run_of_today().status == ProcessStatus.COMPLETED, what="the end of the close")
    assert Command.objects.get(kind="schedule_run").outcome == "Temporal has started a run."

    scheduling.pause(DAY_END, actor=TEST_ACTOR, reason="Stock-taking")
    eventually(lambda: ScheduleState.objects.get(pk=DAY_END).paused, what="the pause")
    row = ScheduleState.objects.get(pk=DAY_END)
    assert (row.paused_by, row.pause_reason, row.last_result) == ("test", "Stock-taking", "completed")


def test_a_queue_without_a_worker_is_an_alarm_and_its_work_waits(running_engine: Engine) -> None:
    eventually(lambda: QueueState.objects.filter(served_at=None).count() == 0, what="every queue to be served")
    assert running_engine.stop_worker() == 0
    others = [option for queue in set(TaskQueue) - {TaskQueue.BATCHES} for option in ("--queue", queue.value)]
    running_engine.start_worker(*others)
    eventually(lambda: {queue.name for queue, _ in health.unserved()} == {"batches"}, what="the alarm")
    order = completed_order()
    eventually(lambda: type(order).objects.filter(pk=order.pk, status="completed").exists(), what="the order")
    run = processes.start(ProcessName.DAY_END_CLOSE, actor=TEST_ACTOR, reason="Nobody there")
    eventually(lambda: not OutboxMessage.objects.filter(delivered_at=None).exists(), what="the delivery")
    eventually(
        lambda: QueueState.objects.filter(name="batches", backlog__gte=1).exists(), what="the backlog", seconds=90
    )
    served = QueueState.objects.get(name="orders")
    assert (served.pollers or 0) >= 1
    assert ProcessRun.objects.get(pk=run.pk).steps.get(position=1).status == ProcessStepStatus.WAITING


def test_a_queue_that_does_not_exist_is_refused_with_the_list(running_engine: Engine) -> None:
    done = running_engine.manage("run_worker", "--queue", "batchs")
    assert done.returncode == 2
    for name in ("batchs", *TaskQueue):
        assert name in done.stderr
