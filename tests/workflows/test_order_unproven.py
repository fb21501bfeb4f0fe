"""Temporal is a messenger: what the database does not bear out is ignored, and the steps are gone through again."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from orders.vocabulary import FailureType, OrderStatus
from temporal_app.policies import UNREADABLE
from tests.workflows.order_world import FORWARD, OrderWorld, final, tell


@pytest.fixture
def world() -> OrderWorld:
    return OrderWorld()


@pytest.mark.parametrize("failure", [FailureType.STEP_MISSING, UNREADABLE])
@pytest.mark.parametrize("step", ["charge_payment", "ship_order", "complete_order"])
async def test_a_step_that_misses_the_one_before_it_or_was_answered_by_a_stranger_is_gone_through_again(
    skipping: WorkflowEnvironment, world: OrderWorld, step: str, failure: str
) -> None:
    world.fail(step, final(failure))
    async with world.order(skipping) as order:
        assert (await order.result()).status is OrderStatus.COMPLETED
    passed = list(FORWARD[: FORWARD.index(step) + 1])
    assert world.log == [*passed, *FORWARD]


async def test_a_cancellation_that_nobody_asked_for_is_set_aside(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("begin_undo", final(FailureType.STEP_MISSING))
    world.stop_at("ship_order")
    async with world.order(dev_server) as order:
        await world.reached("ship_order")
        await order.cancel()
        world.let_go("ship_order")
        assert (await order.result()).status is OrderStatus.COMPLETED
    assert "undo_payment" not in world.log
    assert "undo_shipment" not in world.log


async def test_a_cancellation_that_was_asked_for_is_heard_although_another_one_was_set_aside(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    """Temporal takes one request for a run; what comes later is heard by the signal, from the database."""
    world.fail("begin_undo", final(FailureType.STEP_MISSING))
    world.fail("charge_payment", final(FailureType.ON_HOLD), final(FailureType.ON_HOLD))
    world.holds = [True, True]
    async with world.order(dev_server) as order:
        await world.happened("settle_hold")
        await order.cancel()
        await world.happened("settle_hold", times=2)
        world.fail("settle_hold", final(FailureType.CANCELLED, "The order was cancelled."))
        await order.cancel()
        await tell(order)
        with pytest.raises(WorkflowFailureError):
            await order.result()
    assert world.log[-4:] == ["begin_undo", "undo_payment", "release_stock", "close_order"]
    assert world.undo is not None
    assert world.undo.failure_type is FailureType.CANCELLED


async def test_a_failure_that_the_books_do_not_have_undoes_nothing(
    skipping: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("ship_order", final(FailureType.CARRIER_REJECTED))
    world.fail("begin_undo", final(FailureType.STEP_MISSING))
    async with world.order(skipping) as order:
        assert (await order.result()).status is OrderStatus.COMPLETED
    assert "undo_payment" not in world.log


@pytest.mark.parametrize("missing", ["close_order", "release_stock"])
async def test_an_undo_that_was_reported_and_not_done_is_done_again_before_the_order_closes(
    skipping: WorkflowEnvironment, world: OrderWorld, missing: str
) -> None:
    world.fail("ship_order", final(FailureType.CARRIER_REJECTED))
    world.fail(missing, final(FailureType.STEP_MISSING))
    async with world.order(skipping) as order:
        assert (await order.result()).status is OrderStatus.FAILED
    assert world.log.count("undo_payment") == world.log.count("undo_shipment") == 2


async def test_an_undo_that_is_not_proved_undoes_steps_too_that_another_run_has_begun(
    skipping: WorkflowEnvironment, world: OrderWorld
) -> None:
    """As after a restored backup, where a lead had the order finished and the carrier had its parcel."""
    world.fail("charge_payment", final(FailureType.PAYMENT_DECLINED))
    world.fail("close_order", final(FailureType.STEP_MISSING))
    async with world.order(skipping) as order:
        assert (await order.result()).status is OrderStatus.FAILED
    assert world.log[-4:] == ["undo_shipment", "undo_payment", "release_stock", "close_order"]


@pytest.mark.parametrize("failure", [FailureType.PARTNER_DOWN, FailureType.REQUEST_REFUSED])
async def test_a_step_that_is_parked_for_longer_than_its_time_is_begun_again(
    skipping: WorkflowEnvironment, world: OrderWorld, failure: FailureType
) -> None:
    world.fail("charge_payment", final(failure))
    async with world.order(skipping) as order:
        assert (await order.result()).status is OrderStatus.COMPLETED
    assert world.log.count("charge_payment") == 2
