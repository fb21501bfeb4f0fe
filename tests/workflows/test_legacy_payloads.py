"""Orders that ran when payloads were bound to no purpose go on once they are listed, and wait until then."""

import asyncio
import dataclasses
import os
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from pytest_django.fixtures import Settings
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DefaultFailureConverterWithEncodedAttributes, PayloadCodec
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from orders.keyring import parse_keys
from temporal_app.authenticity import BelievingRunner
from temporal_app.client import data_converter
from temporal_app.codec import ENCODING, KEY_ID
from temporal_app.management.commands import list_open_workflows
from temporal_app.management.commands.list_open_workflows import open_workflows
from temporal_app.workflows.order import OrderWorkflow
from tests.workflows.asking import Asking
from tests.workflows.order_world import OrderWorld, eventually, final, tell


class Unbound(PayloadCodec):
    """As payloads were written and read before."""

    def __init__(self, keys: str) -> None:
        self.key = parse_keys(keys)[0]
        self.authenticated = ENCODING + b"\0" + self.key.id.encode()

    async def encode(self, payloads):  # type: ignore[no-untyped-def]
        return [self.sealed(payload) for payload in payloads]

    async def decode(self, payloads):  # type: ignore[no-untyped-def]
        return [
            Payload.FromString(self.key.cipher.decrypt(one.data[:12], one.data[12:], self.authenticated))
            for one in payloads
        ]

    def sealed(self, payload: Payload) -> Payload:
        nonce = os.urandom(12)
        data = nonce + self.key.cipher.encrypt(nonce, payload.SerializeToString(), self.authenticated)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: self.key.id.encode()}, data=data)


def speaking(server: WorkflowEnvironment, converter: object) -> Client:
    config = server.client.config()
    config["data_converter"] = converter  # type: ignore[typeddict-item]
    return Client(**config)


@pytest.fixture
def before(dev_server: WorkflowEnvironment, settings: Settings) -> Client:
    converter = dataclasses.replace(
        pydantic_data_converter,
        payload_codec=Unbound(settings.TEMPORAL_PAYLOAD_KEYS),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
    return speaking(dev_server, converter)


async def test_a_running_order_waits_until_it_is_listed_and_then_goes_on(
    dev_server: WorkflowEnvironment, before: Client, settings: Settings, tmp_path: Path
) -> None:
    world = OrderWorld()
    # A failure in the history that nobody has vouched for, and a hold in which the order stands.
    world.fail("charge_payment", final("on_hold"))
    world.holds = [True]
    async with world.order(dev_server, client=before, worker=False) as order:
        queue = (await order.describe()).task_queue

        def worker(client: Client, runner: WorkflowRunner) -> Worker:
            activities = world.activities()
            return Worker(
                client, task_queue=queue, workflows=[OrderWorkflow], activities=activities, workflow_runner=runner
            )

        async with worker(before, SandboxedWorkflowRunner()):
            await world.happened("settle_hold")
        done = list(world.log)
        unlisted = speaking(dev_server, data_converter())
        await tell(unlisted.get_workflow_handle_for(OrderWorkflow.run, order.id))
        async with worker(unlisted, BelievingRunner()):
            await eventually(order, "workflow_task_failed_event_attributes")
        assert (await order.describe()).status is WorkflowExecutionStatus.RUNNING
        assert world.log == done

        settings.TEMPORAL_LEGACY_PAYLOADS = str(tmp_path / "listed")
        (tmp_path / "listed").write_text(f"{order.id}\n")
        listed = speaking(dev_server, data_converter())
        async with worker(listed, BelievingRunner()):
            result = await listed.get_workflow_handle_for(OrderWorkflow.run, order.id).result()
    assert result.status == "completed"
    assert world.log == [*done, "settle_hold", "charge_payment", "ship_order", "complete_order"]


async def test_the_list_names_open_workflows_and_their_children(dev_server: WorkflowEnvironment) -> None:
    client, queue = dev_server.client, f"parent-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[Asking]):
        parent = await client.start_workflow(Asking.run, args=[0, f"child-{queue}"], id=queue, task_queue=queue)
        await eventually(parent, "child_workflow_execution_started_event_attributes")
    two_lines = await client.start_workflow(
        Asking.run, args=[0, ""], id=f"{queue}\norder:1", task_queue=queue, start_delay=timedelta(days=1)
    )
    ours = f"WorkflowType = 'Asking' AND ExecutionStatus = 'Running' AND TaskQueue = '{queue}'"
    async with asyncio.timeout(60):
        # Visibility comes a little later than the workflow.
        while (await client.count_workflows(ours)).count < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    found = {workflow_id async for workflow_id in open_workflows(client, ours)}
    children = {workflow_id for workflow_id in found if workflow_id != queue}
    assert queue in found
    assert len(children) == 1
    assert (await client.get_workflow_handle(*children).describe()).workflow_type == "Answering"
    await two_lines.terminate()
    await parent.terminate()


def test_the_command_writes_one_id_a_line_and_overwrites_nothing(
    dev_server: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(self: object) -> set[str]:
        return {"order:2", "order:1"}

    monkeypatch.setattr(list_open_workflows.Command, "found", found)
    file = tmp_path / "listed"
    call_command("list_open_workflows", str(file))
    assert file.read_text() == "order:1\norder:2\n"
    with pytest.raises(CommandError, match="exists; choose another name"):
        call_command("list_open_workflows", str(file))
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("list_open_workflows", str(tmp_path / "no" / "folder"))


def test_a_list_that_is_not_there_stops_the_start(settings: Settings, tmp_path: Path) -> None:
    settings.TEMPORAL_LEGACY_PAYLOADS = str(tmp_path / "none")
    with pytest.raises(SystemCheckError, match=r"BACKOFFICE_LEGACY_PAYLOADS cannot be read.*\n.*HINT: `manage.py list"):
        call_command("check")
