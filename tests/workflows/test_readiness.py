"""A worker behind a gate that is shut polls nothing; what waits is done when the gate opens."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connections
from temporalio import activity, workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import FixedSizeSlotSupplier, UnsandboxedWorkflowRunner, Worker, WorkerTuner

from temporal_app import readiness
from temporal_app.readiness import GatedSlots, Readiness


@activity.defn
async def answer() -> str:
    return "done"


@workflow.defn(sandboxed=False)
class Asks:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(answer, start_to_close_timeout=timedelta(seconds=5))


def behind(gate: Readiness, server: WorkflowEnvironment, queue: str) -> Worker:
    return Worker(
        server.client,
        task_queue=queue,
        workflows=[Asks],
        activities=[answer],
        workflow_runner=UnsandboxedWorkflowRunner(),
        tuner=WorkerTuner.create_composite(
            workflow_supplier=GatedSlots(5, gate),
            activity_supplier=GatedSlots(1, gate),
            local_activity_supplier=FixedSizeSlotSupplier(1),
            nexus_supplier=FixedSizeSlotSupplier(1),
        ),
    )


async def test_nothing_is_taken_while_the_gate_is_shut_and_all_of_it_when_it_opens(
    dev_server: WorkflowEnvironment,
) -> None:
    gate, queue = Readiness(), f"test-{uuid.uuid4()}"
    async with behind(gate, dev_server, queue):
        asked = [
            await dev_server.client.start_workflow(Asks.run, id=f"{queue}:{n}", task_queue=queue) for n in range(8)
        ]
        _, waiting = await asyncio.wait([asyncio.create_task(asked[0].result())], timeout=1)
        assert waiting
        gate.clear("database")
        assert [await one.result() for one in asked] == ["done"] * 8


async def test_a_worker_behind_a_shut_gate_stops_when_told(dev_server: WorkflowEnvironment) -> None:
    async with asyncio.timeout(20):
        async with behind(Readiness(), dev_server, f"test-{uuid.uuid4()}"):
            pass


@pytest.fixture
def ready_file(settings: Any, tmp_path: Path) -> Path:
    settings.WORKER_READY_FILE = str(tmp_path / "ready")
    return tmp_path / "ready"


async def test_the_ready_file_is_there_while_nothing_hinders_and_never_after_the_end(ready_file: Path) -> None:
    gate = Readiness()
    assert not ready_file.exists()
    gate.clear("database")
    assert ready_file.exists()
    gate.hinder("configuration", "Another namespace.")
    gate.hinder("database", "No connection.")
    assert gate.why == "Another namespace. No connection."
    gate.clear("configuration")
    assert not ready_file.exists()
    gate.clear("database")
    assert ready_file.exists()
    gate.end()
    gate.hinder("database", "No connection.")
    gate.clear("database")
    assert not ready_file.exists()


async def test_a_database_that_is_away_is_an_obstacle_only_after_some_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, stop, answers = Readiness(), asyncio.Event(), asyncio.Event()
    answers.set()

    async def trouble() -> str:
        return "" if answers.is_set() else "The database gives no connection."

    monkeypatch.setattr(readiness, "database_trouble", trouble)
    monkeypatch.setattr(readiness, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(readiness, "PATIENCE", 0.2)
    watching = asyncio.create_task(gate.watch(lambda: "", stop))
    await asyncio.wait_for(gate.open.wait(), 5)
    hindered, hinder = asyncio.Event(), gate.hinder

    def note(what: str, why: str) -> None:
        hinder(what, why)
        hindered.set()

    monkeypatch.setattr(gate, "hinder", note)
    answers.clear()
    begun = asyncio.get_running_loop().time()
    await asyncio.wait_for(hindered.wait(), 5)
    assert asyncio.get_running_loop().time() - begun >= 0.1
    assert not gate.open.is_set()
    answers.set()
    await asyncio.wait_for(gate.open.wait(), 5)
    stop.set()
    await watching


def refuse_beside(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def refused(**_: Any) -> None:
        raise error

    monkeypatch.setattr(readiness, "open_beside", refused)


def and_close(work: Callable[[], Any]) -> Any:
    """A test has no pool to which the thread's connection could go back."""
    try:
        return work()
    finally:
        connections.close_all()


TOO_MANY = psycopg.OperationalError('FATAL: too many connections for role "worker"')


@pytest.mark.django_db(transaction=True)
async def test_an_account_whose_connections_are_all_in_use_is_no_trouble_while_the_pool_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse_beside(monkeypatch, TOO_MANY)
    monkeypatch.setattr(readiness, "with_fresh_connection", and_close)
    assert await readiness.database_trouble() == ""


async def test_an_account_whose_connections_are_all_in_use_by_others_is_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing_free() -> None:
        raise OperationalError("couldn't get a connection after 5.00 sec")

    refuse_beside(monkeypatch, TOO_MANY)
    monkeypatch.setattr(readiness, "_ask_the_pool", nothing_free)
    assert await readiness.database_trouble() == "The database gives no connection (OperationalError)."


async def test_a_pool_that_takes_no_writes_is_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_beside(monkeypatch, TOO_MANY)
    monkeypatch.setattr(readiness, "_ask_the_pool", lambda: ("on",))
    assert await readiness.database_trouble() == "The database takes no writes."


@pytest.mark.parametrize("error", [psycopg.errors.ConnectionTimeout("timeout"), TimeoutError()])
async def test_a_database_that_does_not_answer_is_trouble_and_keeps_no_thread(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    refuse_beside(monkeypatch, error)
    monkeypatch.setattr(readiness, "_ask_the_pool", lambda: ("off",))
    assert await readiness.database_trouble() == f"The database gives no connection ({type(error).__name__})."
