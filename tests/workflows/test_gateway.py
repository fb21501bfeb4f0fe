"""What the real server says about a step that fails, runs or is unknown to it."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from orders.gateway import LiveState
from orders.vocabulary import StepName
from temporal_app.gateway import Line
from tests.workflows.order_world import OrderWorld, unavailable


@pytest.fixture
def line(dev_server: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setenv("TEMPORAL_ADDRESS", dev_server.client.service_client.config.target_host)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", dev_server.client.namespace)
    line = Line()
    yield line
    line.close()


async def test_a_failing_step_tells_its_next_try(dev_server: WorkflowEnvironment, line: Line) -> None:
    world = OrderWorld()
    world.fail("charge_payment", unavailable(next_try=timedelta(hours=1)))
    async with world.order(dev_server) as order:
        await world.happened("charge_payment")
        step = None
        async with asyncio.timeout(30):
            while step is None or step.state is not LiveState.WAITING or step.next_attempt_at is None:
                step = await asyncio.to_thread(line.describe, order.id.removeprefix("order:"), seconds=30)
        await order.terminate()
    assert (step.step, step.attempt, step.last_failure) == (StepName.CHARGE, 2, "partner_unavailable")
    assert step.next_attempt_at > datetime.now(UTC) + timedelta(minutes=30)
    assert step.gives_up_at is not None
    assert step.worker


async def test_an_order_without_a_pending_step_has_none(dev_server: WorkflowEnvironment, line: Line) -> None:
    assert await asyncio.to_thread(line.describe, "nobody-knows-it", seconds=30) is None


async def test_a_connection_that_failed_is_made_again(
    dev_server: WorkflowEnvironment, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
        with pytest.raises(RuntimeError):
            await asyncio.to_thread(line.describe, "nobody-knows-it", seconds=60)
    assert await asyncio.to_thread(line.describe, "nobody-knows-it", seconds=30) is None
