"""A held order stands still before its next step, whatever that is, and goes on from there."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from orders.vocabulary import FailureType, OrderStatus
from tests.workflows.order_world import FORWARD, OrderWorld, final, tell


@pytest.fixture
def world() -> OrderWorld:
    return OrderWorld()


@pytest.mark.parametrize("step", FORWARD)
async def test_a_step_that_finds_the_order_held_is_run_again_after_the_release(
    dev_server: WorkflowEnvironment, world: OrderWorld, step: str
) -> None:
    world.fail(step, final(FailureType.ON_HOLD))
    world.holds = [True]
    async with world.order(dev_server) as order:
        await world.happened("settle_hold")
        assert world.log[-2:] == [step, "settle_hold"]
        await tell(order)
        result = await order.result()
    assert result.status is OrderStatus.COMPLETED
    assert [name for name in world.log if name != "settle_hold"] == [
        name for passed in FORWARD for name in [passed] * (2 if passed == step else 1)
    ]


async def test_a_hold_that_was_released_before_the_order_stood_still_costs_no_wait(
    skipping: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("charge_payment", final(FailureType.ON_HOLD))
    async with world.order(skipping) as order:
        assert (await order.result()).status is OrderStatus.COMPLETED
    assert world.log.count("settle_hold") == 1


async def test_a_cancellation_of_a_held_order_undoes_each_begun_step_once(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("ship_order", final(FailureType.ON_HOLD), final(FailureType.ON_HOLD))
    world.holds = [True, False, True]
    async with world.order(dev_server) as order:
        await world.happened("settle_hold")
        await tell(order)
        await world.happened("settle_hold", times=3)
        await order.cancel()
        with pytest.raises(WorkflowFailureError):
            await order.result()
    assert world.log[-5:] == ["begin_undo", "undo_shipment", "undo_payment", "release_stock", "close_order"]


async def test_a_cancellation_that_a_step_found_first_ends_the_order_as_cancelled(
    skipping: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("ship_order", final(FailureType.CANCELLED, "The order was cancelled."))
    async with world.order(skipping) as order:
        result = await order.result()
    assert result.status is OrderStatus.CANCELLED
    assert world.undo is not None
    assert world.undo.failure_type is FailureType.CANCELLED
