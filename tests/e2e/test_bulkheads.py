"""A partner that is slow or hangs delays its own calls only, on the real servers.

Each test measures the usual time first, on the same machine and in the same run.
"""

import time
from collections.abc import Callable

import pytest

from orders.models import Order, Refund, Step
from orders.services import cancelling, refunding
from orders.vocabulary import EventType, OrderStatus, RefundStatus, StepName
from temporal_app.task_queues import TaskQueue
from tests.e2e.engine import Engine, eventually
from tests.e2e.test_order_flow import all_closed, sound, status_of
from tests.e2e.test_stranger import completed_order, held_before
from tests.factories import TEST_ACTOR, make_order, make_product

# The servers' start counts for the first test.
pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]
#: seconds; on a busy machine times below it say nothing
FLOOR = 1.5
#: activity slots of the queues that matter here; a crowd keeps them busy for three measurements
SLOTS = 4
CROWD = 6 * SLOTS


@pytest.fixture
def narrow(running_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """With a worker of few slots, so that a small crowd fills them."""
    monkeypatch.setenv("TEMPORAL_QUEUE_THREADS", ";".join(f"{queue}={SLOTS}" for queue in TaskQueue))
    running_engine.let_the_worker_go()
    running_engine.start_worker()
    running_engine.worker_is_plain = False
    return running_engine


def seconds_until(condition: Callable[[], object], *, what: str) -> float:
    begun = time.monotonic()
    eventually(condition, what=what)
    return time.monotonic() - begun


def seconds_of_refund(order: Order) -> float:
    refund = refunding.request(order.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken lamp")
    assert isinstance(refund, Refund)
    done = Refund.objects.filter(pk=refund.pk, status=RefundStatus.DONE)
    return seconds_until(done.exists, what="the refund")


def seconds_of_undo(order: Order) -> float:
    """Of an order that is charged, and stands still."""
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Changed her mind")
    return seconds_until(lambda: status_of(order) == OrderStatus.CANCELLED, what="the undo")


def full(step: StepName) -> None:
    """Have a crowd of orders at the step, as many as there are slots for it and more."""
    product = make_product(stock=1000)
    for _ in range(CROWD):
        make_order(product=product, started=True)
    eventually(lambda: is_full(step), what="a full lane")


def is_full(step: StepName) -> bool:
    return Step.objects.filter(name=step, status="open").count() >= SLOTS


def best_beside(step: StepName, measure: Callable[[], float]) -> float:
    """The shortest of up to three times while the lane is full: a busy machine delays one, a lack of slots each."""
    times = [measure()]
    while len(times) < 3 and is_full(step):
        times.append(measure())
    # The last one may have ended when the crowd had gone, and then says nothing unless it is the only one.
    return min(times if is_full(step) or len(times) == 1 else times[:-1])


def test_a_slow_fraud_check_delays_no_refund_and_no_undo(narrow: Engine) -> None:
    orders = [completed_order(narrow) for _ in range(2)]
    charged = held_before(StepName.SHIP, narrow, count=4)
    usual = max(seconds_of_refund(orders[0]), FLOOR / 2)
    usual_undo = max(seconds_of_undo(charged[0]), FLOOR / 2)
    narrow.faults({"partner": "fraud", "mode": "latency", "seconds": 3.5})
    full(StepName.FRAUD)
    assert best_beside(StepName.FRAUD, lambda: seconds_of_refund(orders[1])) < 2 * usual
    others = iter(charged[1:])
    assert best_beside(StepName.FRAUD, lambda: seconds_of_undo(next(others))) < 2 * usual_undo
    narrow.faults()
    eventually(all_closed, what="the end of all orders", seconds=150)
    sound(narrow)


def test_a_slow_carrier_delays_no_charge(narrow: Engine) -> None:
    def seconds_of_charge() -> float:
        order = make_order(started=True)
        captured = order.events.filter(type=EventType.PAYMENT_CAPTURED)
        return seconds_until(captured.exists, what="the charge")

    usual = max(seconds_of_charge(), FLOOR / 2)
    # Just under the time after which a call counts as failed: a breaker would end the crowd.
    narrow.faults({"partner": "carrier", "operation": "shipments.book", "mode": "latency", "seconds": 3.5})
    full(StepName.SHIP)
    assert best_beside(StepName.SHIP, seconds_of_charge) < 2 * usual
    narrow.faults()
    eventually(all_closed, what="the end of all orders", seconds=150)
    sound(narrow)
