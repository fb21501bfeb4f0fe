"""Every point of every step: the attempt dies there, another overtakes it, or an undo comes first. Nothing is doubled.

The moments of `orders/failpoints.py`, one at a time, against partners that are a process of their own. Here the worker
and the engine are played by this thread, which makes each case a few milliseconds; `./dev chaos --failpoints each` does
the same to real processes.
"""

import pytest
from django.utils import timezone

from orders.errors import CarrierRejected, DomainError, StaleAttempt, StepVoided
from orders.failpoints import POINTS
from orders.models import Order, OutboxMessage, Shipment, Step
from orders.services import fraud, invariants, payments, process, shipping, stock
from orders.vocabulary import FailureType, OrderStatus, ShipmentStatus, StepName
from tests.factories import TEST_ACTOR, make_order
from tests.orders.conftest import Strike
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db

FORWARD = {
    StepName.VALIDATE: process.validate,
    StepName.RESERVE: stock.reserve,
    StepName.FRAUD: fraud.check,
    StepName.CHARGE: payments.charge,
    StepName.SHIP: shipping.ship,
    StepName.COMPLETE: process.complete,
}
UNDO = {
    StepName.RECALL: shipping.undo_ship,
    StepName.REFUND: payments.undo_charge,
    StepName.RELEASE: stock.release,
    StepName.CLOSE: process.close,
}
STEPS = {**FORWARD, **UNDO}
EVERY = [(step, point) for step, points in POINTS.items() for point in points]
#: the step's write is committed, or the order is complete: no undo can come first
TOO_LATE = (StepName.COMPLETE, "committed")


class Died(BaseException):
    """The worker ended here; nothing after this line was run."""


def run(step: StepName, order: Order) -> None:
    """One attempt."""
    STEPS[step](str(order.id), actor=TEST_ACTOR)


def retried(step: StepName, order: Order) -> None:
    """Attempts until one answers, as the engine makes them. A final no is raised."""
    for _ in range(3):
        try:
            return run(step, order)
        except (Died, StaleAttempt):
            continue
    raise AssertionError(f"{step} does not come to an end")


def undo(order: Order, failure: FailureType) -> None:
    if process.begin_undo(str(order.id), failure_type=failure, message="undone", actor=TEST_ACTOR):
        for step in UNDO:
            retried(step, order)


def live(order: Order) -> Order:
    """The whole process of the order, as the workflow runs it."""
    try:
        for step in FORWARD:
            retried(step, order)
    except StepVoided:
        pass
    except DomainError as error:
        undo(order, error.failure_type)
    order.refresh_from_db()
    return order


@pytest.mark.parametrize(("step", "point"), EVERY)
def test_a_worker_that_dies_there_costs_a_repetition_and_nothing_else(
    step: StepName, point: str, strike: Strike, partners: Http
) -> None:
    order = order_that_meets(step)

    def die() -> None:
        raise Died

    assert struck_once(strike(step, point, die), live(order), step)
    assert Step.objects.get(order=order, name=step).token == (1 if point == "committed" else 2)


@pytest.mark.parametrize(("step", "point"), EVERY)
def test_an_attempt_that_is_overtaken_there_changes_nothing_any_more(
    step: StepName, point: str, strike: Strike, partners: Http
) -> None:
    order = order_that_meets(step)

    def overtake() -> None:
        try:
            run(step, order)
        except CarrierRejected:
            # The refusal of the country; the slow attempt hears the same one.
            assert step is StepName.SHIP

    assert struck_once(strike(step, point, overtake), live(order), step)


@pytest.mark.parametrize(("step", "point"), [(step, point) for step, point in EVERY if step in FORWARD])
def test_an_attempt_that_wakes_up_after_the_undo_changes_nothing_any_more(
    step: StepName, point: str, strike: Strike, partners: Http
) -> None:
    order = order_that_meets(step)
    struck = strike(step, point, lambda: undo(order, FailureType.CANCELLED))
    assert live(order).status == (OrderStatus.COMPLETED if (step, point) == TOO_LATE else OrderStatus.CANCELLED)
    assert struck
    assert_sound()


def order_that_meets(step: StepName) -> Order:
    """Only an order that the carrier refuses comes to the steps of the undo."""
    order = make_order(started=True, country="AQ" if step in UNDO else "GB")
    # Nobody relays here.
    OutboxMessage.objects.update(delivered_at=timezone.now())
    process.adopt(str(order.id), run_id="run")
    return order


def struck_once(struck: list[int], order: Order, step: StepName) -> bool:
    assert order.status == (OrderStatus.FAILED if step in UNDO else OrderStatus.COMPLETED)
    assert_sound()
    return len(struck) == 1


def assert_sound() -> None:
    assert list(invariants.check_database()) == []
    assert list(invariants.check_books()) == []
    standing = Shipment.objects.exclude(status=ShipmentStatus.CANCELLED)
    assert not standing.exclude(order__status=OrderStatus.COMPLETED).exists()
