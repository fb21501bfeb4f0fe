"""An order whose payment waits for somebody: it sleeps until it is told to look, or until its time is over."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from orders.vocabulary import FailureType, OrderStatus
from temporal_app.payloads import PaymentStanding
from tests.workflows.order_world import OrderWorld, final, tell

HOUR = timedelta(hours=1)
WAITS = PaymentStanding(taken=False, wait_seconds=HOUR.total_seconds())


@pytest.fixture
def world() -> OrderWorld:
    return OrderWorld()


async def test_nothing_is_shipped_while_the_payment_waits(dev_server: WorkflowEnvironment, world: OrderWorld) -> None:
    world.payments = [WAITS, WAITS]
    async with world.order(dev_server) as order:
        await world.happened("charge_payment")
        await tell(order)
        await world.happened("charge_payment", times=2)
        assert "ship_order" not in world.log
        await tell(order)
        assert (await order.result()).status is OrderStatus.COMPLETED
    assert world.log[-3:] == ["charge_payment", "ship_order", "complete_order"]


async def test_a_message_that_never_comes_costs_no_more_than_the_wait(
    skipping: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.payments = [WAITS]
    async with world.order(skipping) as order:
        assert (await order.result()).status is OrderStatus.COMPLETED
    assert world.log.count("charge_payment") == 2


async def test_a_cancellation_ends_the_wait_and_undoes_the_payment(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.payments = [WAITS]
    async with world.order(dev_server) as order:
        await world.happened("charge_payment")
        await order.cancel()
        with pytest.raises(WorkflowFailureError):
            await order.result()
    assert world.log[-4:] == ["begin_undo", "undo_payment", "release_stock", "close_order"]


async def test_a_payment_that_is_declined_in_the_end_undoes_the_order(
    skipping: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.payments = [WAITS]
    world.fail("charge_payment", final(FailureType.ON_HOLD), final(FailureType.PAYMENT_DECLINED))
    async with world.order(skipping) as order:
        assert (await order.result()).failure_type is FailureType.PAYMENT_DECLINED
    assert "ship_order" not in world.log
