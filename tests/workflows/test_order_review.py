"""The review of a suspicious order: nothing moves before the verdict, and a verdict binds."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment

from orders.vocabulary import FailureType, OrderStatus
from temporal_app.payloads import ReviewStanding
from tests.workflows.order_world import OrderWorld, final, tell

DAY = timedelta(days=1).total_seconds()


@pytest.fixture
def world() -> OrderWorld:
    world = OrderWorld()
    world.suspicious = True
    return world


def undecided(wait_seconds: float = DAY) -> ReviewStanding:
    return ReviewStanding(approved=False, wait_seconds=wait_seconds)


async def test_a_suspicious_order_waits_for_the_verdict_and_then_goes_on(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.reviews = [undecided()]
    async with world.order(dev_server) as order:
        await world.happened("settle_review")
        assert "charge_payment" not in world.log
        await tell(order)
        result = await order.result()
    assert result.status is OrderStatus.COMPLETED
    assert world.log[:5] == ["prepare_order", "check_fraud", "settle_review", "settle_review", "charge_payment"]


async def test_a_rejected_order_gives_its_stock_back_and_is_never_charged(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.fail("settle_review", final(FailureType.REVIEW_REJECTED, "Rejected in review: stolen card"))
    async with world.order(dev_server) as order:
        await order.result()
    assert world.undo is not None
    assert world.undo.failure_type is FailureType.REVIEW_REJECTED
    assert world.log == ["prepare_order", "check_fraud", "settle_review", "begin_undo", "release_stock", "close_order"]


async def test_a_command_that_decides_nothing_lets_it_wait_on(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.reviews = [undecided(), undecided()]
    async with world.order(dev_server) as order:
        await world.happened("settle_review")
        await tell(order)
        await world.happened("settle_review", times=2)
        assert "charge_payment" not in world.log
        await tell(order)
        await order.result()
    assert world.log.count("settle_review") == 3


async def test_a_deadline_looks_at_the_case_without_any_command(
    skipping: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.reviews = [undecided(), undecided()]
    async with world.order(skipping) as order:
        result = await order.result()
    assert result.status is OrderStatus.COMPLETED
    assert world.log.count("settle_review") == 3


async def test_a_cancellation_in_review_gives_the_stock_back(
    dev_server: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.reviews = [undecided()]
    async with world.order(dev_server) as order:
        await world.happened("settle_review")
        await order.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await order.result()
        assert isinstance(failure.value.cause, CancelledError)
        assert (await order.describe()).status is WorkflowExecutionStatus.CANCELED
    assert world.log[-3:] == ["begin_undo", "release_stock", "close_order"]


async def test_an_order_that_is_not_suspicious_is_never_asked_about(
    skipping: WorkflowEnvironment, world: OrderWorld
) -> None:
    world.suspicious = False
    async with world.order(skipping) as order:
        await order.result()
    assert "settle_review" not in world.log
