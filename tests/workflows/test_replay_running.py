"""`manage.py replay --running`: open workflows of the connected server are replayed before a deploy meets them."""

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from temporal_app import replay
from temporal_app.payloads import OrderInput
from temporal_app.search_attributes import ORDER_NUMBER
from temporal_app.workflows.order import OrderWorkflow
from tests.replay.changed_code import changed_order_workflow
from tests.workflows.order_world import OrderWorld


@pytest.fixture
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type:
    """The order workflow as a bad deploy would bring it: it ships first."""
    ordered = "            await self.unless_held(self.charge)\n            await self.unless_held(self.ship)\n"
    swapped = "            await self.unless_held(self.ship)\n            await self.unless_held(self.charge)\n"
    return changed_order_workflow(ordered, swapped, tmp_path, monkeypatch)


@pytest.fixture
def client(dev_server: WorkflowEnvironment) -> Client:
    return dev_server.client


@pytest.fixture
async def query(client: Client) -> AsyncIterator[str]:
    """Finds one order that waits for its shipment and one that has not begun."""
    world, mark = OrderWorld(), str(uuid.uuid4())
    world.stop_at("ship_order")
    ids = [f"order:{mark}:{what}" for what in ("open", "delayed")]
    found = f"{replay.running_query()} AND WorkflowId IN ('{ids[0]}', '{ids[1]}')"
    started = [
        await client.start_workflow(
            OrderWorkflow.run,
            OrderInput(order_id=mark, number="SO-7", customer="C-1"),
            id=workflow_id,
            task_queue=mark,
            search_attributes=TypedSearchAttributes([SearchAttributePair(ORDER_NUMBER, "SO-7")]),
            start_delay=delay,
        )
        for workflow_id, delay in zip(ids, (None, timedelta(days=1)), strict=True)
    ]
    async with Worker(client, task_queue=mark, workflows=[OrderWorkflow], activities=world.activities()):
        await world.reached("ship_order")
        async with asyncio.timeout(60):
            # Visibility comes a little later than the workflow.
            while (await client.count_workflows(found)).count < len(ids):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        yield found
        world.let_go("ship_order")
        await started[0].result()
        await started[1].terminate()


async def replayed(client: Client, query: str, **options: Any) -> tuple[list[replay.Divergence], int]:
    passed_over: list[None] = []
    histories = replay.running(client, query, on_passed_over=lambda: passed_over.append(None))
    return await replay.replay(histories, **options), len(passed_over)


async def test_open_workflows_are_replayed_and_a_change_that_would_stop_them_names_the_order(
    client: Client, query: str, impatient: type
) -> None:
    assert await replayed(client, query, server=client) == ([], 1)
    [found], _ = await replayed(client, query, server=client, workflows=[impatient])
    assert (found.workflow_type, found.order, found.advice) == ("OrderWorkflow", "SO-7", replay.ADVICE)
    assert f"{impatient.__module__}.py" in found.where[0]
    # Without the client's own converter nothing could be read, and every deploy would look bad.
    [unread], _ = await replayed(client, query)
    assert unread.advice == replay.A_BUG


async def test_a_bug_is_named_with_its_line_though_workers_encrypt_their_failures(
    client: Client, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = "    async def ship(self) -> None:\n"
    broken = changed_order_workflow(before, before + "        raise KeyError('no such thing')\n", tmp_path, monkeypatch)
    [found], _ = await replayed(client, query, server=client, workflows=[broken])
    assert (found.advice, "no such thing" in found.reason) == (replay.A_BUG, True)
    assert "(ship)" in found.where[0]


async def test_the_command_reports_as_json_and_exits_with_one_when_a_workflow_would_stop(
    client: Client, query: str, impatient: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect() -> Client:
        return await Client.connect(client.service_client.config.target_host, data_converter=client.data_converter)

    def run() -> tuple[int, dict[str, Any]]:
        out, code = io.StringIO(), 0
        try:
            call_command("replay", "--running", "--json", stdout=out, stderr=io.StringIO())
        except SystemExit as left:
            code = int(str(left.code))
        return code, json.loads(out.getvalue().splitlines()[-1])

    monkeypatch.setattr("temporal_app.management.commands.replay.connect", connect)
    monkeypatch.setattr(replay, "running_query", lambda: query)
    code, report = await asyncio.to_thread(run)
    assert (code, report["ok"], report["replayed"], report["passed_over"]) == (0, True, 1, 1)
    monkeypatch.setitem(replay.replay.__kwdefaults__, "workflows", (impatient,))
    code, report = await asyncio.to_thread(run)
    assert (code, report["ok"], [one["order"] for one in report["diverged"]]) == (1, False, ["SO-7"])
