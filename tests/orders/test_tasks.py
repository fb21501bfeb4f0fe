"""What a process cannot settle alone waits in a queue until one person says what they did about it."""

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from orders import history
from orders.actor import person
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import StaffTask
from orders.services import resolving, tasks
from orders.vocabulary import Channel, EventType, TaskKind, TaskLevel, TaskStatus
from tests.factories import TEST_ACTOR
from tests.orders import driving
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db


def open_task(level: TaskLevel = TaskLevel.AGENT) -> StaffTask:
    """What the refused refund of an order left to do."""
    task = StaffTask.objects.get(order=driving.make_order_that_is_owed())
    StaffTask.objects.filter(pk=task.pk).update(level=level)
    return task


def worker(name: str, *more: str) -> User:
    return make_user("orders.work_task", "orders.view_stafftask", *more, name=name)


def test_a_cause_that_occurs_again_opens_no_second_task() -> None:
    task = open_task()
    with transaction.atomic():
        order = history.lock_order(task.order_id)
        again = tasks.open_task(TaskKind.REFUND_OWED, order, level=TaskLevel.LEAD, says="Again", actor=TEST_ACTOR)
    assert again.pk == task.pk
    assert task.order.events.filter(type=EventType.TASK_OPENED).count() == 1


def test_the_second_to_take_a_task_is_told_who_has_it_and_since_when() -> None:
    task = open_task()
    tasks.acknowledge(task.pk, actor=person(worker("anna"), Channel.ADMIN))
    with pytest.raises(WrongState, match=r"anna has this task since .* UTC"):
        tasks.acknowledge(task.pk, actor=person(worker("ben"), Channel.ADMIN))


@pytest.mark.parametrize(
    "work", [tasks.acknowledge, lambda pk, actor: resolving.resolve(pk, note="x", reference="y", actor=actor)]
)
def test_the_leads_tasks_are_not_an_agents(work) -> None:  # type: ignore[no-untyped-def]
    task = open_task(TaskLevel.LEAD)
    with pytest.raises(NotPermitted, match="work_lead_task"):
        work(task.pk, actor=person(worker("anna"), Channel.ADMIN))
    task.refresh_from_db()
    assert task.status == TaskStatus.OPEN


def test_a_task_is_done_with_a_note_and_only_once() -> None:
    task, anna = open_task(), person(worker("anna"), Channel.ADMIN)
    with pytest.raises(InvalidInput, match="note"):
        resolving.resolve(task.pk, note=" ", reference="B-1", actor=anna)
    resolving.resolve(task.pk, note="Paid by bank", reference="B-1", actor=anna)
    with pytest.raises(WrongState, match=r"done by anna at .* Paid by bank"):
        resolving.resolve(task.pk, note="Me too", actor=person(worker("ben"), Channel.ADMIN))
    told = list(task.order.events.order_by("sequence").values_list("type", "actor", "reason"))[-2:]
    assert told == [
        (EventType.REFUND_SETTLED, "anna", "Paid by bank"),
        (EventType.TASK_DONE, "anna", "Paid by bank (reference B-1)"),
    ]


def test_programs_work_the_queue_too() -> None:
    task = open_task()
    client = token_client(user=worker("anna"))
    address = f"/api/tasks/{task.pk}"
    assert [one["id"] for one in client.get("/api/tasks/").json()["results"]] == [str(task.pk)]

    taken = client.post(f"{address}/acknowledge/", {}, content_type="application/json").json()
    assert (taken["status"], taken["owner"]) == ("acknowledged", "anna")
    assert_problem(client.post(f"{address}/resolve/", {}, content_type="application/json"), 400, "note")
    done = client.post(
        f"{address}/resolve/", {"note": "Paid by bank", "reference": "B-1"}, content_type="application/json"
    )
    assert (done.status_code, done.json()["resolution"], done.json()["reference"]) == (200, "Paid by bank", "B-1")
    assert client.get("/api/tasks/").json()["results"] == []
    second = client.post(f"{address}/resolve/", {"note": "Again"}, content_type="application/json")
    assert_problem(second, 409, None, "done by anna")


def test_the_queue_takes_and_resolves_a_task(client) -> None:  # type: ignore[no-untyped-def]
    task = open_task()
    client.force_login(worker("anna"))
    assert "are owed to the customer" in client.get("/admin/orders/stafftask/").content.decode()
    client.post(f"/admin/orders/stafftask/{task.pk}/acknowledge/", {"_form_submitted": "on"})
    client.post(
        f"/admin/orders/stafftask/{task.pk}/resolve/", {"_form_submitted": "on", "note": "Paid", "reference": "B-1"}
    )
    task.refresh_from_db()
    assert (task.status, task.owner.username, task.resolution) == (TaskStatus.DONE, "anna", "Paid")  # type: ignore[union-attr]


@pytest.mark.parametrize("door", ["api", "admin"])
def test_a_decision_reaches_the_service_by_every_door(client, door: str) -> None:  # type: ignore[no-untyped-def]
    task = open_task()
    given = {"note": "Paid by bank", "reference": "B-1", "decision": "undo"}
    if door == "api":
        answer = token_client("work_task", "view_stafftask").post(
            f"/api/tasks/{task.pk}/resolve/", given, content_type="application/json"
        )
        assert_problem(answer, 400, "decision")
    else:
        client.force_login(worker("anna"))
        client.post(f"/admin/orders/stafftask/{task.pk}/resolve/", {"_form_submitted": "on", **given})
        told = client.get("/admin/orders/stafftask/").content.decode()
        assert "Only a task about an order without a process" in told
    task.refresh_from_db()
    assert task.status == TaskStatus.OPEN
