"""The sweep's questions to a real Temporal, what it does without an answer, and the recovery that it starts."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orders.vocabulary import OrderStatus, RunState
from temporal_app import starter
from temporal_app.activities import engine
from temporal_app.activities.engine import look_at_processes
from temporal_app.payloads import OrderResult, OrderStep, ProcessesAsked, ProcessesSeen, ProcessSeen
from temporal_app.sweep_payloads import RunsAsked, RunsSeen, SweepResult
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import order_workflow_id, recovery_workflow_id
from temporal_app.workflows.recovery import RecoveryWorkflow
from temporal_app.workflows.sweep import SweepWorkflow

T = TypeVar("T")


@workflow.defn(name="OrderWorkflow")
class Waiting:
    """Stands for an order's process that waits for something."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@workflow.defn(name="OrderWorkflow")
class Buggy:
    @workflow.run
    async def run(self) -> None:
        raise KeyError("a bug")


def asked(*order_ids: str, recovering: tuple[str, ...] = (), closed: tuple[str, ...] = ()) -> ProcessesAsked:
    return ProcessesAsked(in_process=order_ids, recovering=recovering, closed=closed)


async def look(client: Client, question: ProcessesAsked) -> ProcessesSeen:
    seen: ProcessesSeen = await ActivityEnvironment(client=client).run(look_at_processes, question)
    return seen


async def state_of(client: Client, order_id: str) -> ProcessSeen:
    seen = await look(client, asked(order_id))
    assert seen.skipped == ""
    return next(one for one in seen.processes if one.order_id == order_id)


async def begin(client: Client, order_id: str, queue: str, *, recovery: bool = False) -> WorkflowHandle[Any, Any]:
    workflow_id = recovery_workflow_id(order_id) if recovery else order_workflow_id(order_id)
    name = "RecoveryWorkflow" if recovery else "OrderWorkflow"
    return await client.start_workflow(name, id=workflow_id, task_queue=queue)


def worker(client: Client, queue: str, kind: type = Waiting) -> Worker:
    return Worker(client, task_queue=queue, workflows=[kind], workflow_runner=UnsandboxedWorkflowRunner())


async def eventually(look_for: Callable[[], Awaitable[T]]) -> T:
    """Ask until the answer is something; fail after a minute and a half."""
    async with asyncio.timeout(90):
        while True:
            found = await look_for()
            if found:
                return found
            await asyncio.sleep(0.2)


async def until(client: Client, order_id: str, state: RunState) -> ProcessSeen:
    async def seen() -> ProcessSeen | None:
        found = await state_of(client, order_id)
        return found if found.state is state else None

    found = await eventually(seen)
    assert found is not None
    return found


async def test_running_missing_ended_and_terminated_are_told_apart(dev_server: WorkflowEnvironment) -> None:
    client, queue = dev_server.client, f"test-{uuid.uuid4()}"
    runs, missing, terminated, cancelled = (str(uuid.uuid4()) for _ in range(4))
    async with worker(client, queue):
        for order_id in (runs, terminated, cancelled):
            await begin(client, order_id, queue)
        await client.get_workflow_handle(order_workflow_id(terminated)).terminate()
        ending = client.get_workflow_handle(order_workflow_id(cancelled))
        await ending.cancel()
        await until(client, cancelled, RunState.CLOSED)
        seen = await look(client, asked(runs, missing, terminated, cancelled))
    found = {one.order_id: one.state for one in seen.processes}
    assert {order_id: found[order_id] for order_id in (runs, missing, terminated, cancelled)} == {
        runs: RunState.RUNNING,
        missing: RunState.MISSING,
        terminated: RunState.BROKEN,
        cancelled: RunState.CLOSED,
    }
    assert "terminated" in (await state_of(client, terminated)).says


async def test_a_terminated_process_is_found_without_being_asked_about(dev_server: WorkflowEnvironment) -> None:
    client, order_id = dev_server.client, str(uuid.uuid4())
    await (await begin(client, order_id, f"test-{uuid.uuid4()}")).terminate()

    async def seen() -> list[RunState]:
        return [one.state for one in (await look(client, asked())).processes if one.order_id == order_id]

    assert await eventually(seen) == [RunState.BROKEN]


async def test_a_process_whose_code_fails_is_wedged_and_runs_again_after_the_mending(
    dev_server: WorkflowEnvironment,
) -> None:
    client, queue, order_id = dev_server.client, f"test-{uuid.uuid4()}", str(uuid.uuid4())
    async with worker(client, queue, Buggy):
        await begin(client, order_id, queue)
        found = await until(client, order_id, RunState.WEDGED)
    assert "Attempt" in found.says
    async with worker(client, queue):
        await until(client, order_id, RunState.RUNNING)


async def test_a_reset_process_is_told_from_one_that_never_was(dev_server: WorkflowEnvironment) -> None:
    client, queue, order_id = dev_server.client, f"test-{uuid.uuid4()}", str(uuid.uuid4())
    async with worker(client, queue):
        handle = await begin(client, order_id, queue)
        first = await eventually(lambda: first_task(handle))
        run_id = (await handle.describe()).run_id
        request = ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=run_id),
            workflow_task_finish_event_id=first,
            request_id=str(uuid.uuid4()),
            reason="a test",
        )
        await client.workflow_service.reset_workflow_execution(request)
        await until(client, order_id, RunState.RESET)


async def first_task(handle: WorkflowHandle[Any, Any]) -> int:
    history = await handle.fetch_history()
    done = [one.event_id for one in history.events if one.HasField("workflow_task_completed_event_attributes")]
    return done[0] if done else 0


async def test_an_order_that_is_recovered_is_judged_by_its_recovery_run(dev_server: WorkflowEnvironment) -> None:
    client, queue, order_id = dev_server.client, f"test-{uuid.uuid4()}", str(uuid.uuid4())
    await (await begin(client, order_id, queue)).terminate()
    await begin(client, order_id, queue, recovery=True)
    seen = await look(client, asked(recovering=(order_id,)))
    assert [one.state for one in seen.processes if one.order_id == order_id] == [RunState.RUNNING]


async def test_a_closed_order_is_only_told_of_when_its_process_runs(dev_server: WorkflowEnvironment) -> None:
    client, queue = dev_server.client, f"test-{uuid.uuid4()}"
    runs_on, over = str(uuid.uuid4()), str(uuid.uuid4())
    await begin(client, runs_on, queue)
    await (await begin(client, over, queue)).terminate()
    seen = await look(client, asked(closed=(runs_on, over)))
    states = {one.order_id: one.state for one in seen.processes}
    assert states.get(runs_on) is RunState.RUNNING
    assert over not in states


class Away:
    """A Temporal that does not answer."""

    def list_workflows(self, query: str, **_: Any) -> Any:
        async def none() -> Any:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
            yield

        return none()

    def get_workflow_handle(self, workflow_id: str) -> Any:
        class Handle:
            async def describe(self, **_: Any) -> None:
                raise RPCError("away", RPCStatusCode.DEADLINE_EXCEEDED, b"")

        return Handle()


async def test_a_temporal_that_does_not_answer_says_nothing_of_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.activity, "client", Away)
    seen = await look_at_processes(asked("a", "b"))
    assert seen.processes == ()
    assert "2 of 2" in seen.skipped


# --- the workflows ----------------------------------------------------------------------------------------------------
async def sweep(server: WorkflowEnvironment, broken: set[str]) -> tuple[SweepResult, list[str]]:
    """One sweep whose activities of these names fail."""
    called: list[str] = []

    def happen(name: str) -> None:
        called.append(name)
        if name in broken:
            raise ApplicationError("gone", type="database")

    @activity.defn(name="processes_to_ask_about")
    async def ask() -> ProcessesAsked:
        happen("processes_to_ask_about")
        return asked("a")

    @activity.defn(name="look_at_processes")
    async def look_at(question: ProcessesAsked) -> ProcessesSeen:
        happen("look_at_processes")
        return ProcessesSeen(processes=(ProcessSeen(order_id=question.in_process[0], state=RunState.WEDGED),))

    @activity.defn(name="settle_processes")
    async def settle(seen: ProcessesSeen) -> int:
        happen("settle_processes")
        return len(seen.processes)

    @activity.defn(name="sweep_deadlines")
    async def deadlines() -> int:
        happen("sweep_deadlines")
        return 1

    @activity.defn(name="sweep_books")
    async def books() -> int:
        happen("sweep_books")
        return 1

    @activity.defn(name="runs_to_ask_about")
    async def ask_runs() -> RunsAsked:
        happen("runs_to_ask_about")
        return RunsAsked(runs=())

    @activity.defn(name="look_at_runs")
    async def look_at_runs(question: RunsAsked) -> RunsSeen:
        happen("look_at_runs")
        return RunsSeen(runs=())

    @activity.defn(name="settle_runs")
    async def settle_runs(seen: RunsSeen) -> int:
        happen("settle_runs")
        return 1

    @activity.defn(name="sweep_events")
    async def events() -> None:
        happen("sweep_events")

    queue = f"test-{uuid.uuid4()}"
    found = [ask, look_at, settle, deadlines, books, events, ask_runs, look_at_runs, settle_runs]
    async with Worker(server.client, task_queue=queue, workflows=[SweepWorkflow], activities=found):
        result = await server.client.execute_workflow(SweepWorkflow.run, id=f"sweep:{queue}", task_queue=queue)
    return result, called


async def test_a_sweep_adds_up_its_parts(skipping: WorkflowEnvironment) -> None:
    result, called = await sweep(skipping, set())
    assert result == SweepResult(new=4, failed=(), settled=True)
    assert called[:3] == ["runs_to_ask_about", "look_at_runs", "settle_runs"]
    assert called[3:6] == ["processes_to_ask_about", "look_at_processes", "settle_processes"]


async def test_a_part_that_fails_is_left_out_and_the_others_are_not(skipping: WorkflowEnvironment) -> None:
    result, called = await sweep(skipping, {"look_at_processes", "sweep_books"})
    assert result == SweepResult(new=2, failed=("processes", "books"), settled=True)
    assert "settle_processes" not in called, "no answer is no finding"
    assert called.count("look_at_processes") == 3


async def test_orders_are_not_repaired_by_a_sweep_that_could_not_see_whether_the_database_was_restored(
    skipping: WorkflowEnvironment,
) -> None:
    result, called = await sweep(skipping, {"settle_runs"})
    assert result == SweepResult(new=2, failed=("runs", "processes"), settled=False)
    assert "processes_to_ask_about" not in called


async def recover(server: WorkflowEnvironment, *, begun: bool, queue: str) -> tuple[list[str], Any]:
    called: list[str] = []

    def undo(name: str) -> Any:
        @activity.defn(name=name)
        async def run(step: OrderStep) -> None:
            called.append(name)
            if name == "undo_payment" and called.count(name) < 50:
                raise ApplicationError("no answer", type="partner_unavailable")

        return run

    @activity.defn(name="adopt_recovery")
    async def adopt(step: OrderStep) -> bool:
        called.append("adopt_recovery")
        assert step.run_id
        return begun

    @activity.defn(name="close_order")
    async def close(step: OrderStep) -> OrderStatus:
        called.append("close_order")
        return OrderStatus.FAILED

    found = [adopt, close, *map(undo, ("undo_shipment", "undo_payment", "release_stock"))]
    worker = Worker(server.client, task_queue=queue, workflows=[RecoveryWorkflow], activities=found)
    return called, worker


async def test_a_recovery_undoes_in_reverse_and_never_gives_up(skipping: WorkflowEnvironment) -> None:
    queue, order_id = f"test-{uuid.uuid4()}", str(uuid.uuid4())
    called, running = await recover(skipping, begun=True, queue=queue)
    async with running:
        result: OrderResult = await skipping.client.execute_workflow(
            RecoveryWorkflow.run,
            starter.RecoveryInput(order_id=order_id, number="SO-1"),
            id=recovery_workflow_id(order_id),
            task_queue=queue,
        )
    assert list(dict.fromkeys(called)) == [
        "adopt_recovery",
        "undo_shipment",
        "undo_payment",
        "release_stock",
        "close_order",
    ]
    assert called.count("undo_payment") == 50
    assert result.status is OrderStatus.FAILED


async def test_a_recovery_of_an_order_that_has_closed_does_nothing(dev_server: WorkflowEnvironment) -> None:
    body = {"order_id": str(uuid.uuid4()), "number": "SO-1"}
    called, running = await recover(dev_server, begun=False, queue=TaskQueue.ORDERS)
    handle = dev_server.client.get_workflow_handle(recovery_workflow_id(body["order_id"]))
    async with running:
        await starter.recover_order(dev_server.client, body)
        await asyncio.wait_for(handle.result(), timedelta(seconds=60).total_seconds())
        await starter.recover_order(dev_server.client, body)
        assert called == ["adopt_recovery"], "delivered twice, run once"
        await starter.recover_order(dev_server.client, {**body, "again": True})
        await asyncio.wait_for(handle.result(), timedelta(seconds=60).total_seconds())
    assert called == ["adopt_recovery"] * 2, "and once more where the sweep says so"
