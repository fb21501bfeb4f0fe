"""Every kind of run over real rows and a real Temporal: ended there, it is found by the sweep and runs again."""

import uuid
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone
from temporalio import workflow
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orders.actor import system
from orders.models import Finding, OutboxMessage, StaffTask
from orders.services import reviving
from orders.services.run_kinds import KINDS
from orders.services.sweeping import runs
from orders.vocabulary import RunKind, RunState, Topic
from temporal_app import invariants, starter
from temporal_app.activities.runs import look_at_runs
from temporal_app.runs import RUNS
from temporal_app.sweep_payloads import RunAsked, RunsAsked, RunsSeen
from tests.orders.open_runs import MAKE, delivered
from tests.orders.test_sweep_runs import age
from tests.workflows.test_sweep import eventually
from tests.workflows.test_sweep_wire import closing

pytestmark = pytest.mark.django_db(transaction=True)
SWEEPER = system("sweeper")


@sync_to_async
@closing
def open_row(kind: RunKind) -> str:
    """The key of an open row of which nothing waits to be told."""
    row = MAKE[kind]()
    delivered()
    age(kind, row)
    return KINDS[kind].key(row)


@sync_to_async
@closing
def settle(seen: RunsSeen) -> int:
    told = [runs.Seen(kind=one.kind, key=one.key, state=one.state, says=one.says) for one in seen.runs]
    return runs.settle(told, skipped=seen.skipped, actor=SWEEPER)


@sync_to_async
@closing
def question() -> RunsAsked:
    return RunsAsked(runs=tuple(RunAsked(kind=one.kind, key=one.key) for one in runs.question()))


@sync_to_async
@closing
def message_of(kind: RunKind, key: str) -> tuple[Topic, dict[str, Any]] | None:
    """What waits to be told about it."""
    waiting = OutboxMessage.objects.filter(delivered_at=None, topic=KINDS[kind].topic).first()
    if waiting is None:
        return None
    OutboxMessage.objects.filter(pk=waiting.pk).update(delivered_at=timezone.now())
    return Topic(waiting.topic), waiting.body


@sync_to_async
@closing
def standing(kind: RunKind, key: str) -> tuple[str, str] | None:
    found = Finding.objects.filter(reference=reviving.reference(kind, key), resolved_at=None).first()
    return (found.kind, found.says) if found else None


@sync_to_async
@closing
def tasks() -> int:
    return StaffTask.objects.count()


async def sweep(client: Client) -> RunsSeen:
    seen: RunsSeen = await ActivityEnvironment(client=client).run(look_at_runs, await question())
    assert seen.skipped == ""
    await settle(seen)
    return seen


async def is_running(client: Client, workflow_id: str) -> bool:
    return (await client.get_workflow_handle(workflow_id).describe()).status is WorkflowExecutionStatus.RUNNING


@pytest.mark.parametrize("kind", MAKE, ids=str)
async def test_a_run_that_is_terminated_or_lost_runs_again_and_verify_invariants_is_clean(
    kind: RunKind, dev_server: WorkflowEnvironment
) -> None:
    client, key, run = dev_server.client, await open_row(kind), RUNS[kind]
    assert run.id_of is not None
    # No worker polls the queues: what is started waits there.
    for says in ("Temporal does not know it", "it was terminated at Temporal"):
        await sweep(client)
        found = await standing(kind, key)
        assert found is not None
        assert says in found[1]
        named = [one for one in await invariants.check_runs(client) if one.invariant == kind]
        assert [one.detail for one in named] == ["it is open, and no process works on it"]
        told = await message_of(kind, key)
        assert told is not None
        await starter.DELIVER[told[0]](client, told[1])
        assert await is_running(client, run.id_of(key))
        await sweep(client)
        assert await standing(kind, key) is None
        await eventually(lambda: is_clean(client, kind))
        await client.get_workflow_handle(run.id_of(key)).terminate("A slip")
    assert await tasks() == 0


async def is_clean(client: Client, kind: RunKind) -> bool:
    """Temporal's list follows its own word by a moment."""
    return not [one for one in await invariants.check_runs(client) if one.invariant == kind]


@workflow.defn(name="ExportWorkflow")
class Done:
    """Stands for an export that ended with a result, of which a restored database knows nothing."""

    @workflow.run
    async def run(self, export: Any) -> str:
        return "completed"


async def test_a_run_that_ended_with_a_result_is_a_task_and_no_second_run(dev_server: WorkflowEnvironment) -> None:
    client, key, queue = dev_server.client, await open_row(RunKind.EXPORT), f"test-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[Done], workflow_runner=UnsandboxedWorkflowRunner()):
        await client.execute_workflow("ExportWorkflow", {"export_id": key}, id=f"export:{key}", task_queue=queue)

    await sweep(client)
    await sweep(client)

    assert await tasks() == 1
    assert await message_of(RunKind.EXPORT, key) is None
    # The start that the restored outbox still holds, and then a person's word.
    await starter.run_export(client, {"export_id": key})
    assert not await is_running(client, f"export:{key}")
    await starter.run_export(client, {"export_id": key, "again": True})
    assert await is_running(client, f"export:{key}")
    await client.get_workflow_handle(f"export:{key}").terminate()


async def test_temporal_itself_tells_of_a_process_whose_row_says_nothing(dev_server: WorkflowEnvironment) -> None:
    client = dev_server.client
    await starter.fire_triggers(client, {"event_id": 1})
    await client.get_workflow_handle("order-event:1").terminate()

    async def is_told() -> bool:
        seen: RunsSeen = await ActivityEnvironment(client=client).run(look_at_runs, RunsAsked(runs=()))
        return (RunKind.ORDER_EVENT, "1", RunState.BROKEN) in {(one.kind, one.key, one.state) for one in seen.runs}

    await eventually(is_told)
