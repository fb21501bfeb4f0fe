"""Retry now, pause and resume on the real server: the step obeys, and a pause never stands in the way of an undo."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from orders.vocabulary import CommandKind, OrderStatus
from temporal_app.starter import drive_step
from tests.workflows.order_world import OrderWorld, refused, unavailable

LONG = timedelta(hours=5)


async def drive(
    server: WorkflowEnvironment, order: WorkflowHandle[Any, Any], kind: CommandKind, command_id: str = ""
) -> bool:
    body = {"command_id": command_id or str(uuid.uuid4()), "order_id": order.id.removeprefix("order:"), "kind": kind}
    return await drive_step(server.client, {**body, "step": "charge"})


async def test_retry_now_does_not_wait_for_the_interval(dev_server: WorkflowEnvironment) -> None:
    world = OrderWorld()
    world.fail("charge_payment", unavailable(next_try=LONG))
    async with world.order(dev_server) as order:
        await world.happened("charge_payment")
        assert await drive(dev_server, order, CommandKind.STEP_RETRY)
        # The attempt may have been ending when that call came. A further one is harmless, and may come too late.
        while world.log.count("charge_payment") < 2:
            await drive(dev_server, order, CommandKind.STEP_RETRY)
        assert (await order.result()).status is OrderStatus.COMPLETED


async def test_a_parked_step_is_tried_again_at_once_when_a_person_says_so(dev_server: WorkflowEnvironment) -> None:
    world = OrderWorld()
    world.fail("charge_payment", refused(next_try=LONG))
    async with world.order(dev_server) as order:
        await world.happened("charge_payment")
        while world.log.count("charge_payment") < 2:
            await drive(dev_server, order, CommandKind.STEP_RETRY)
        assert (await order.result()).status is OrderStatus.COMPLETED


async def test_a_paused_step_makes_no_attempt_until_it_is_resumed(dev_server: WorkflowEnvironment) -> None:
    world = OrderWorld()
    world.fail("charge_payment", unavailable(next_try=LONG))
    world.stop_at("charge_payment")
    async with world.order(dev_server) as order:
        await world.reached("charge_payment")
        for _ in ("delivered", "delivered twice"):
            assert await drive(dev_server, order, CommandKind.STEP_PAUSE, "the-same-command")
        world.let_go("charge_payment")
        while not await paused(order):
            pass
        assert world.log.count("charge_payment") == 1
        assert await drive(dev_server, order, CommandKind.STEP_RESUME)
        assert (await order.result()).status is OrderStatus.COMPLETED
    assert world.log.count("charge_payment") == 2


async def test_a_cancellation_works_while_the_step_is_paused(dev_server: WorkflowEnvironment) -> None:
    world = OrderWorld()
    world.fail("charge_payment", unavailable(next_try=LONG))
    async with world.order(dev_server) as order:
        await world.happened("charge_payment")
        assert await drive(dev_server, order, CommandKind.STEP_PAUSE)
        while not await paused(order):
            pass
        await order.cancel()
        with pytest.raises(WorkflowFailureError):
            await order.result()
    assert world.log[-4:] == ["begin_undo", "undo_payment", "release_stock", "close_order"]


@pytest.mark.parametrize("kind", [CommandKind.STEP_RETRY, CommandKind.STEP_PAUSE, CommandKind.STEP_RESUME])
async def test_a_step_that_is_over_is_reported_and_never_blocks_what_follows(
    dev_server: WorkflowEnvironment, kind: CommandKind
) -> None:
    world = OrderWorld()
    async with world.order(dev_server) as order:
        assert (await order.result()).status is OrderStatus.COMPLETED
        assert await drive(dev_server, order, kind) is False


@pytest.mark.parametrize("kind", [CommandKind.STEP_SKIP, CommandKind.PAYMENT_METHOD])
async def test_a_step_that_is_told_to_do_it_another_way_does_not_wait_for_the_interval(
    dev_server: WorkflowEnvironment, kind: CommandKind
) -> None:
    world = OrderWorld()
    world.fail("charge_payment", unavailable(next_try=LONG))
    async with world.order(dev_server) as order:
        await world.happened("charge_payment")
        while world.log.count("charge_payment") < 2:
            await drive(dev_server, order, kind)
        assert (await order.result()).status is OrderStatus.COMPLETED


async def test_a_step_that_is_skipped_goes_on_although_it_was_paused(dev_server: WorkflowEnvironment) -> None:
    world = OrderWorld()
    world.fail("charge_payment", unavailable(next_try=LONG))
    async with world.order(dev_server) as order:
        await world.happened("charge_payment")
        assert await drive(dev_server, order, CommandKind.STEP_PAUSE)
        while not await paused(order):
            pass
        assert await drive(dev_server, order, CommandKind.STEP_SKIP)
        assert (await order.result()).status is OrderStatus.COMPLETED
    assert world.log.count("charge_payment") == 2


async def paused(order: WorkflowHandle[Any, Any]) -> bool:
    """Whether the step is paused and no attempt of it runs."""
    pending = (await order.describe()).raw_description.pending_activities
    return any(step.state == PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED for step in pending)
