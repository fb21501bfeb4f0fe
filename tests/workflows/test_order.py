"""What the order workflow decides, for every way in which an order can go."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment

from orders.vocabulary import FailureType, OrderStatus
from temporal_app.payloads import OrderInput, OrderResult
from temporal_app.workflows.order import OrderWorkflow
from tests.workflows.order_world import FORWARD, UNDO, OrderWorld, down, final, refused, unavailable

Server = WorkflowEnvironment


@pytest.fixture
def world() -> OrderWorld:
    return OrderWorld()


async def test_an_order_is_prepared_charged_shipped_and_completed(skipping: Server, world: OrderWorld) -> None:
    async with world.order(skipping) as order:
        result = await order.result()
    assert result.status is OrderStatus.COMPLETED
    assert world.log == list(FORWARD)


@pytest.mark.parametrize(
    ("step", "failure"),
    [
        ("prepare_order", FailureType.INVALID_ORDER),
        ("prepare_order", FailureType.OUT_OF_STOCK),
        ("charge_payment", FailureType.PAYMENT_DECLINED),
        ("ship_order", FailureType.CARRIER_REJECTED),
    ],
)
async def test_a_final_failure_undoes_every_begun_step_in_reverse_and_ends_as_failed(
    skipping: Server, world: OrderWorld, step: str, failure: FailureType
) -> None:
    world.fail(step, final(failure))
    async with world.order(skipping) as order:
        result = await order.result()
    begun = FORWARD[: FORWARD.index(step) + 1]
    assert (result.status, result.failure_type) == (OrderStatus.FAILED, failure)
    assert world.log == [*begun, "begin_undo", *undo_of(begun), "close_order"]


async def test_the_undo_says_the_reason_of_the_root_cause(skipping: Server, world: OrderWorld) -> None:
    world.fail("charge_payment", final(FailureType.PAYMENT_DECLINED, "Your card was declined."))
    async with world.order(skipping) as order:
        await order.result()
    assert world.undo is not None
    assert world.undo.message == "Your card was declined."


async def test_a_partner_that_does_not_answer_is_asked_again_until_it_does(skipping: Server, world: OrderWorld) -> None:
    world.fail("charge_payment", *[unavailable()] * 7)
    async with world.order(skipping) as order:
        result = await order.result()
    assert result.status is OrderStatus.COMPLETED
    assert world.log.count("charge_payment") == 8


async def test_a_charge_without_an_answer_for_twenty_hours_is_undone(skipping: Server, world: OrderWorld) -> None:
    world.fail("charge_payment", *[unavailable(next_try=timedelta(hours=1))] * 100)
    async with world.order(skipping) as order:
        result = await order.result()
    assert (result.status, result.failure_type) == (OrderStatus.FAILED, FailureType.PARTNER_UNAVAILABLE)
    assert world.log[-3:] == ["undo_payment", "release_stock", "close_order"]


@pytest.mark.parametrize("step", FORWARD[1:4])
async def test_a_partner_that_is_out_of_order_for_two_days_fails_no_order(
    skipping: Server, world: OrderWorld, step: str
) -> None:
    world.fail(step, *[down(next_try=timedelta(hours=1))] * 48)
    async with world.order(skipping) as order:
        result = await order.result()
    assert result.status is OrderStatus.COMPLETED
    assert once_each(world.log) == list(FORWARD)
    assert world.log.count(step) == 49


@pytest.mark.parametrize("step", FORWARD[1:4])
async def test_a_step_whose_request_is_refused_for_two_days_fails_no_order(
    skipping: Server, world: OrderWorld, step: str
) -> None:
    world.fail(step, *[refused(next_try=timedelta(hours=1))] * 48)
    async with world.order(skipping) as order:
        result = await order.result()
    assert result.status is OrderStatus.COMPLETED
    assert once_each(world.log) == list(FORWARD)
    assert world.log.count(step) == 49


async def test_an_undo_whose_request_is_refused_goes_on_trying(skipping: Server, world: OrderWorld) -> None:
    world.fail("ship_order", final(FailureType.CARRIER_REJECTED))
    world.fail("undo_payment", *[refused(next_try=timedelta(hours=1))] * 48)
    async with world.order(skipping) as order:
        result = await order.result()
    assert result.status is OrderStatus.FAILED
    assert world.log.count("undo_payment") == 49


async def test_an_undo_waits_for_a_partner_that_is_out_of_order(skipping: Server, world: OrderWorld) -> None:
    world.fail("ship_order", final(FailureType.CARRIER_REJECTED))
    world.fail("undo_payment", *[down(next_try=timedelta(hours=1))] * 48)
    async with world.order(skipping) as order:
        result = await order.result()
    assert result.status is OrderStatus.FAILED
    assert world.log.count("undo_payment") == 49


async def test_an_order_that_waits_for_a_partner_can_be_cancelled(dev_server: Server, world: OrderWorld) -> None:
    world.fail("ship_order", *[down(next_try=timedelta(hours=10))] * 2)
    async with world.order(dev_server) as order:
        await world.happened("ship_order")
        await order.cancel()
        await must_be_cancelled(order)
    assert world.log[-5:] == ["begin_undo", "undo_shipment", "undo_payment", "release_stock", "close_order"]
    assert world.log.count("ship_order") == 1


@pytest.mark.parametrize("step", FORWARD[:4])
async def test_a_cancellation_at_a_step_waits_for_it_and_undoes_it_too(
    dev_server: Server, world: OrderWorld, step: str
) -> None:
    world.stop_at(step)
    async with world.order(dev_server) as order:
        await world.reached(step)
        await order.cancel()
        world.let_go(step)
        await must_be_cancelled(order)
    # The engine hears of it at the next workflow task; after a local activity that may be one step later.
    begun = [name for name in world.log if name in FORWARD]
    assert step in begun
    assert "complete_order" not in begun
    assert world.log == [*begun, "begin_undo", *undo_of(begun), "close_order"]


@pytest.mark.parametrize("step", FORWARD[1:4])
async def test_a_cancellation_at_a_step_that_then_fails_keeps_the_failure_as_the_reason(
    dev_server: Server, world: OrderWorld, step: str
) -> None:
    world.stop_at(step)
    world.fail(step, *[final(FailureType.PAYMENT_DECLINED)] * 5)
    async with world.order(dev_server) as order:
        await world.reached(step)
        await order.cancel()
        # If both reached the workflow in one task, it would hear of the cancellation only.
        await happened(order, "activity_task_cancel_requested_event_attributes")
        world.let_go(step)
        result = await order.result()
    assert (result.status, result.failure_type) == (OrderStatus.FAILED, FailureType.PAYMENT_DECLINED)
    begun = FORWARD[: FORWARD.index(step) + 1]
    assert once_each(world.log) == [*begun, "begin_undo", *undo_of(begun), "close_order"]


@pytest.mark.parametrize("step", FORWARD[1:4])
async def test_a_cancellation_that_meets_an_attempt_without_an_answer_is_still_a_cancellation(
    dev_server: Server, world: OrderWorld, step: str
) -> None:
    """Once cancelled, an attempt is not retried and its own error arrives; a chaos run showed the order as failed."""
    world.stop_at(step)
    world.fail(step, unavailable())
    async with world.order(dev_server) as order:
        await world.reached(step)
        await order.cancel()
        await happened(order, "activity_task_cancel_requested_event_attributes")
        world.let_go(step)
        await must_be_cancelled(order)
    assert world.undo is not None
    assert (world.undo.failure_type, world.undo.message) == (FailureType.CANCELLED, "The order was cancelled")


async def test_a_cancellation_before_the_first_step_runs_none(dev_server: Server, world: OrderWorld) -> None:
    async with world.order(dev_server, cancel_before_worker=True) as order:
        await must_be_cancelled(order)
    assert once_each(world.log) == ["begin_undo", "release_stock", "close_order"]


async def test_a_cancellation_while_the_order_completes_is_too_late(dev_server: Server, world: OrderWorld) -> None:
    world.stop_at("complete_order")
    async with world.order(dev_server) as order:
        await world.reached("complete_order")
        await order.cancel()
        world.let_go("complete_order")
        result = await order.result()
    assert result.status is OrderStatus.COMPLETED
    assert not set(world.log) & {"undo_payment", "undo_shipment", "release_stock"}


async def test_a_cancellation_after_the_end_changes_nothing(dev_server: Server, world: OrderWorld) -> None:
    async with world.order(dev_server) as order:
        await order.result()
        await order.cancel()
        assert (await order.describe()).status is WorkflowExecutionStatus.COMPLETED
    assert world.log == list(FORWARD)


@pytest.mark.parametrize("moment", ["begin_undo", "undo_shipment", "undo_payment", "release_stock", "close_order"])
async def test_a_cancellation_during_the_undo_does_not_stop_it(
    dev_server: Server, world: OrderWorld, moment: str
) -> None:
    world.fail("ship_order", final(FailureType.CARRIER_REJECTED))
    world.stop_at(moment)
    async with world.order(dev_server) as order:
        await world.reached(moment)
        await order.cancel()
        world.let_go(moment)
        result = await order.result()
    assert result.status is OrderStatus.FAILED
    assert once_each(world.log)[-4:] == ["undo_shipment", "undo_payment", "release_stock", "close_order"]


async def test_an_undo_that_fails_is_tried_until_it_succeeds(skipping: Server, world: OrderWorld) -> None:
    world.fail("ship_order", final(FailureType.CARRIER_REJECTED))
    world.fail("undo_payment", *[unavailable()] * 12)
    async with world.order(skipping) as order:
        result = await order.result()
    assert result.status is OrderStatus.FAILED
    assert world.log.count("undo_payment") == 13


async def test_a_second_run_of_the_same_order_touches_nothing(skipping: Server, world: OrderWorld) -> None:
    world.fail("prepare_order", final(FailureType.NOT_THE_PROCESS))
    async with world.order(skipping) as order:
        result = await order.result()
    assert result.failure_type is FailureType.NOT_THE_PROCESS
    assert world.log == ["prepare_order"]


async def test_an_order_whose_row_is_gone_when_it_is_to_be_undone_ends(skipping: Server, world: OrderWorld) -> None:
    world.fail("ship_order", final(FailureType.CARRIER_REJECTED))
    world.fail("begin_undo", final(FailureType.NOT_THE_PROCESS))
    async with world.order(skipping) as order:
        result = await order.result()
    assert (result.status, result.failure_type) == (OrderStatus.FAILED, FailureType.NOT_THE_PROCESS)
    assert world.log[-1] == "begin_undo"


@workflow.defn(name="OrderWorkflow", sandboxed=False)
class WorkflowWithABug(OrderWorkflow):
    """Breaks once after the charge, as a bad deploy would, and is then mended."""

    broken = True

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        return await super().run(order)

    async def ship(self) -> None:
        if WorkflowWithABug.broken:
            raise KeyError("a bug")
        await super().ship()


async def test_a_bug_in_workflow_code_refunds_nobody_and_goes_on_after_the_mending(
    skipping: Server, world: OrderWorld
) -> None:
    WorkflowWithABug.broken = True
    async with world.order(skipping, workflow=WorkflowWithABug) as order:
        await happened(order, "workflow_task_failed_event_attributes")
        assert world.log == ["prepare_order", "check_fraud", "charge_payment"]
        WorkflowWithABug.broken = False
        result = await order.result()
    assert result.status is OrderStatus.COMPLETED
    assert world.log == list(FORWARD)


async def happened(order, attributes: str) -> None:  # type: ignore[no-untyped-def]
    """Wait until the history holds an event of that kind."""
    for _ in range(400):
        history = await order.fetch_history()
        if any(event.HasField(attributes) for event in history.events):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"no event with {attributes} within 20 s")


def undo_of(begun: Sequence[str]) -> list[str]:
    """What undoes the steps, newest first; asking for fraud leaves nothing to undo."""
    return [UNDO[name] for name in reversed(begun) if name in UNDO]


def once_each(log: list[str]) -> list[str]:
    """The log without repeats: a cancellation that meets the end of a task makes its local activities run again."""
    return list(dict.fromkeys(log))


async def must_be_cancelled(order) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WorkflowFailureError) as failed:
        await order.result()
    assert isinstance(failed.value.cause, CancelledError)
