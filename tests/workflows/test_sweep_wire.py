"""A whole sweep over real rows and a real Temporal: what it finds it also resolves."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.utils import timezone
from django_temporalio.interceptors.isolation import ActivityIsolationInterceptor
from temporalio import workflow
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orders.models import Finding, Order, RestoreDifference, StaffTask, SweepProgress
from orders.services.sweeping import books, events
from orders.vocabulary import FailureType, FindingKind, RestoreKind, SweepPart, TaskKind
from temporal_app.activities import engine, runs, sweeps
from temporal_app.search_attributes import of_order as attributes_of
from temporal_app.workflow_ids import order_workflow_id
from temporal_app.workflows.sweep import SweepWorkflow
from tests.factories import make_order
from tests.orders import driving
from tests.workflows.test_sweep import eventually

T = TypeVar("T")
pytestmark = pytest.mark.django_db(transaction=True)


@workflow.defn(name="OrderWorkflow")
class Waiting:
    """Stands for a process that does not end."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


def closing(work: Callable[..., T]) -> Callable[..., T]:
    """`work`, leaving no connection open in its thread: else the database of the tests cannot be dropped."""

    def with_own_connection(*arguments: Any, **more: Any) -> T:
        try:
            return work(*arguments, **more)
        finally:
            connection.close()

    return with_own_connection


class Threads(ThreadPoolExecutor):
    def submit(self, work: Any, /, *arguments: Any, **more: Any) -> Any:
        return super().submit(closing(work), *arguments, **more)


@sync_to_async
@closing
def remember(sweeps: list[str]) -> None:
    """The database as it was when these sweeps had been."""
    SweepProgress.objects.update_or_create(part=SweepPart.RUNS, defaults={"places": {"sweeps": sweeps}})


async def is_listed(server: WorkflowEnvironment, workflow_id: str) -> bool:
    found = [one async for one in server.client.list_workflows(f"WorkflowId = '{workflow_id}'")]
    return bool(found) and (found[0].workflow_type != "SweepWorkflow" or found[0].close_time is not None)


@pytest.fixture(autouse=True)
async def _no_sweep_is_forgotten(dev_server: WorkflowEnvironment, transactional_db: None) -> None:
    """The server remembers the sweeps of other tests, whose databases are gone."""
    query = "WorkflowType = 'SweepWorkflow' AND ExecutionStatus = 'Completed'"
    await remember([one.run_id async for one in dev_server.client.list_workflows(query)])


@pytest.fixture(autouse=True)
def _without_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "sweep", lambda *, actor: 0)
    monkeypatch.setattr(events, "sweep", lambda: None)


def closed_order() -> Order:
    """Closed a minute ago; the next sweep looks at what was closed in the last hour."""
    order = make_order(started=True)
    driving.undo(driving.adopt(order), FailureType.CANCELLED, "Cancelled")
    Order.objects.filter(pk=order.pk).update(closed_at=timezone.now() - timedelta(minutes=1))
    cursor = (timezone.now() - timedelta(hours=1)).isoformat()
    SweepProgress.objects.update_or_create(part=SweepPart.PROCESSES, defaults={"closed_cursor": cursor})
    return order


async def sweep(server: WorkflowEnvironment) -> None:
    queue = f"sweep-{uuid.uuid4()}"
    activities = [
        engine.look_at_processes,
        sweeps.processes_to_ask_about,
        sweeps.settle_processes,
        sweeps.sweep_deadlines,
        sweeps.sweep_books,
        sweeps.sweep_events,
        runs.runs_to_ask_about,
        runs.look_at_runs,
        runs.settle_runs,
    ]
    with Threads(max_workers=4) as threads:
        async with Worker(
            server.client,
            task_queue=queue,
            workflows=[SweepWorkflow],
            activities=activities,
            activity_executor=threads,
            interceptors=[ActivityIsolationInterceptor()],
        ):
            result = await server.client.execute_workflow(SweepWorkflow.run, id=queue, task_queue=queue)
    assert result.failed == ()
    await eventually(lambda: is_listed(server, queue))


async def begin(server: WorkflowEnvironment, order: Order, queue: str) -> WorkflowHandle[Any, Any]:
    return await server.client.start_workflow("OrderWorkflow", id=order_workflow_id(str(order.pk)), task_queue=queue)


def of_order(server: WorkflowEnvironment, queue: str) -> Worker:
    return Worker(server.client, task_queue=queue, workflows=[Waiting], workflow_runner=UnsandboxedWorkflowRunner())


@sync_to_async
@closing
def found(order: Order) -> list[tuple[str, bool, str]]:
    """Findings of the order, whether each is resolved, and how its task stands."""
    rows = Finding.objects.filter(order=order).order_by("first_seen_at")
    return [
        (row.kind, row.resolved_at is not None, StaffTask.objects.get(order=order, kind="drift").status) for row in rows
    ]


async def test_a_process_that_runs_on_is_found_and_resolved_when_it_has_ended(dev_server: WorkflowEnvironment) -> None:
    order, queue = await sync_to_async(closing(closed_order))(), f"test-{uuid.uuid4()}"
    process = await begin(dev_server, order, queue)
    async with of_order(dev_server, queue):
        await until_it_waits(process)
        await sweep(dev_server)
        assert await found(order) == [(FindingKind.RUNS_ON, False, "open")]
    await process.terminate("It has nothing left to do")

    await sweep(dev_server)

    assert await found(order) == [(FindingKind.RUNS_ON, True, "done")]


async def test_a_process_whose_last_task_waits_for_a_worker_is_no_finding(dev_server: WorkflowEnvironment) -> None:
    order, queue = await sync_to_async(closing(closed_order))(), f"test-{uuid.uuid4()}"
    process = await begin(dev_server, order, queue)

    await sweep(dev_server)

    assert await found(order) == []
    async with of_order(dev_server, queue):
        await until_it_waits(process)
    await sweep(dev_server)
    assert await found(order) == [(FindingKind.RUNS_ON, False, "open")], "it was asked about again"
    await process.terminate()


async def until_it_waits(process: WorkflowHandle[Any, Any]) -> None:
    """Its first task was done, so nothing is on its way to it."""

    async def waits() -> bool:
        return not (await process.describe()).raw_description.HasField("pending_workflow_task")

    await eventually(waits)


# --- a database that was restored -------------------------------------------------------------------------------------
@sync_to_async
@closing
def remembered() -> list[str]:
    return list(SweepProgress.objects.get(part=SweepPart.RUNS).places["sweeps"])


@sync_to_async
@closing
def without_row() -> list[str]:
    unknown = RestoreDifference.objects.filter(kind=RestoreKind.ORDER_UNKNOWN)
    return list(unknown.values_list("name", flat=True))


@sync_to_async
@closing
def incidents() -> list[str]:
    return list(StaffTask.objects.filter(kind=TaskKind.RESTORED).values_list("says", flat=True))


async def test_a_database_that_has_forgotten_a_sweep_was_restored(dev_server: WorkflowEnvironment) -> None:
    await sweep(dev_server)
    before = await remembered()
    await sweep(dev_server)
    assert await incidents() == [], "each sweep knows those before it"
    order, queue = str(uuid.uuid4()), f"test-{uuid.uuid4()}"
    process = await dev_server.client.start_workflow(
        "OrderWorkflow",
        id=order_workflow_id(order),
        task_queue=queue,
        search_attributes=attributes_of("SO-100777", "guest"),
    )
    await eventually(lambda: is_listed(dev_server, process.id))

    await remember(before)
    await sweep(dev_server)

    [says] = await incidents()
    assert "older than Temporal" in says
    assert "without a row here" in says
    assert "SO-100777" in await without_row(), "an order of which no row is left"
    await sweep(dev_server)
    assert len(await incidents()) == 1
    await process.terminate()
