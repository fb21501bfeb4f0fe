"""A batch that pauses by itself waits for nobody in silence: a task says so until somebody steers it."""

import pytest
from django.db import IntegrityError, transaction

from orders.actor import person
from orders.models import Batch, Order, StaffTask
from orders.services import batches, holding, resolving, seeding, tasks
from orders.services.batches import working
from orders.services.batches.working import Where
from orders.vocabulary import BatchAction, Channel, TaskKind, TaskLevel, TaskStatus, Verdict
from tests.factories import TEST_ACTOR
from tests.orders.api_calls import token_client
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
LEAD = ("orders.run_batch", "orders.hold_order", "orders.work_task", "orders.work_lead_task", "orders.view_stafftask")


def run(batch: Batch) -> Verdict:
    verdict = Verdict.GO
    while verdict is Verdict.GO:
        verdict = batches.run_chunk(batch.pk, where=Where())
    batch.refresh_from_db()
    return verdict


@pytest.fixture
def batch() -> Batch:
    """Paused by itself: somebody holds its first orders since the freeze."""
    seeding.seed(count=60, seed=1, actor=TEST_ACTOR)
    olivia = person(make_user(*LEAD), Channel.ADMIN)
    made = batches.create(
        batches.Selection(orders=Order.objects.all(), asked={}), BatchAction.HOLD, actor=olivia, reason="Recall"
    )
    for order in Order.objects.order_by("created_at", "id")[:5]:
        holding.hold(order.number, actor=TEST_ACTOR, reason="Mine")
    assert run(made) is Verdict.STILL
    return made


def the_task(status: TaskStatus = TaskStatus.OPEN) -> StaffTask:
    return StaffTask.objects.get(kind=TaskKind.BATCH_PAUSED, status=status)


def test_it_is_the_leads_who_asked_for_the_batch_and_says_what_failed(batch: Batch) -> None:
    task = the_task()
    assert (task.batch, task.order, task.level, task.opened_by) == (batch, None, TaskLevel.LEAD, "batch")
    assert task.owner == batch.requested_by
    assert task.says.startswith("Batch “Hold” of 60 orders. Paused by itself: 5 of 20 failed")


def test_however_often_its_process_looks_there_is_one(batch: Batch) -> None:
    for _ in range(3):
        assert run(batch) is Verdict.STILL
    assert StaffTask.objects.count() == 1
    with pytest.raises(IntegrityError, match="task_one_open_of_batch"), transaction.atomic():
        StaffTask.objects.create(
            kind=TaskKind.BATCH_PAUSED, batch=batch, level=TaskLevel.LEAD, says="Again", opened_by="batch"
        )


def test_pause_and_task_are_committed_together_or_not_at_all(batch: Batch) -> None:
    batches.resume(batch.pk, actor=TEST_ACTOR, reason="Known")
    Batch.objects.update(failed_before=0, ended_before=0)
    with transaction.atomic():
        working.judge(working.lock_batch(batch.pk))
        assert the_task()
        transaction.set_rollback(True)  # the worker dies before its commit
    batch.refresh_from_db()
    assert (batch.status, StaffTask.objects.exclude(status=TaskStatus.DONE).count()) == ("running", 0)


@pytest.mark.parametrize(
    ("steer", "resolution"),
    [
        (batches.resume, "The batch was resumed: Seen"),
        (batches.cancel, "The batch was cancelled: Seen"),
        (batches.retry_failed, "What had failed is done again: Seen"),
    ],
)
def test_whoever_steers_the_batch_has_seen_to_it(batch: Batch, steer, resolution: str) -> None:  # type: ignore[no-untyped-def]
    steer(batch.pk, actor=TEST_ACTOR, reason="Seen")
    task = the_task(TaskStatus.DONE)
    assert (task.resolution, task.done_by) == (resolution, "test")


def test_a_batch_that_the_engine_ended_leaves_no_task(batch: Batch) -> None:
    batches.stop_by_engine(batch.pk)
    assert the_task(TaskStatus.DONE).resolution.startswith("Its process was cancelled at Temporal")


def test_a_batch_that_pauses_by_itself_again_is_another_task(batch: Batch) -> None:
    batches.resume(batch.pk, actor=TEST_ACTOR, reason="Known")
    for order in Order.objects.filter(status="placed"):
        holding.hold(order.number, actor=TEST_ACTOR, reason="Mine")
    Batch.objects.update(failed_before=0, ended_before=0)
    assert run(batch) is Verdict.STILL
    assert StaffTask.objects.filter(kind=TaskKind.BATCH_PAUSED).count() == 2
    assert the_task()


def test_it_is_taken_and_resolved_in_the_queue_as_every_task(batch: Batch) -> None:
    assert batch.requested_by is not None
    client = token_client(user=batch.requested_by)
    [listed] = client.get("/api/tasks/").json()["results"]
    assert (listed["order"], listed["batch"], listed["owner"]) == (None, str(batch.pk), "olivia")
    actor = person(batch.requested_by, Channel.ADMIN)
    assert tasks.acknowledge(listed["id"], actor=actor).status == TaskStatus.ACKNOWLEDGED
    resolving.resolve(listed["id"], note="Asked the warehouse", actor=actor)
    assert the_task(TaskStatus.DONE).resolution == "Asked the warehouse"
    batches.resume(batch.pk, actor=actor, reason="On")


def test_the_queue_in_the_admin_leads_to_the_batch(batch: Batch, client) -> None:  # type: ignore[no-untyped-def]
    client.force_login(batch.requested_by)
    assert f"/admin/orders/batch/{batch.pk}/change/" in client.get("/admin/orders/stafftask/").content.decode()
