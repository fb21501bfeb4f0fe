"""A partner that is slow or hangs delays its own calls only, on the real servers.

A crowd waits for the slow partner, more than it has slots for. What another partner is asked for meanwhile is done
while the crowd still waits: behind it, it would come last. How long that takes depends on the machine and is no part
of the tests.
"""

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
pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
#: activity slots of the queues that matter here; the crowd keeps them busy for half a minute
SLOTS = 4
CROWD = 12 * SLOTS
#: Just under the time after which a call counts as failed: a breaker would end the crowd.
SECONDS = 3.5
BEFORE = {StepName.FRAUD: StepName.RESERVE, StepName.SHIP: StepName.CHARGE}


@pytest.fixture
def narrow(running_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """With a worker of few slots, so that a small crowd fills them."""
    monkeypatch.setenv("TEMPORAL_QUEUE_THREADS", ";".join(f"{queue}={SLOTS}" for queue in TaskQueue))
    running_engine.let_the_worker_go()
    running_engine.start_worker()
    running_engine.worker_is_plain = False
    return running_engine


def crowd_at(step: StepName) -> Callable[[], int]:
    """Have a crowd of orders at the step; answers how many have still to pass it."""
    product = make_product(stock=1000)
    crowd = [make_order(product=product, started=True) for _ in range(CROWD)]
    before = Step.objects.filter(order__in=crowd, name=BEFORE[step], status="done")
    eventually(lambda: before.count() == CROWD, what="a crowd")
    done = Step.objects.filter(order__in=crowd, name=step, status="done")
    return lambda: CROWD - done.count()


def refund(order: Order) -> None:
    asked = refunding.request(order.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken lamp")
    assert isinstance(asked, Refund)
    eventually(Refund.objects.filter(pk=asked.pk, status=RefundStatus.DONE).exists, what="the refund")


def undo(order: Order) -> None:
    """Of an order that is charged, and stands still."""
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Changed her mind")
    eventually(lambda: status_of(order) == OrderStatus.CANCELLED, what="the undo")


def finish(engine: Engine) -> None:
    engine.faults()
    eventually(all_closed, what="the end of all orders")
    sound(engine)


def test_a_slow_fraud_check_delays_no_refund_and_no_undo(narrow: Engine) -> None:
    completed, charged = completed_order(narrow), held_before(StepName.SHIP, narrow)[0]
    narrow.faults({"partner": "fraud", "mode": "latency", "seconds": SECONDS})
    waiting = crowd_at(StepName.FRAUD)
    refund(completed)
    assert waiting() > SLOTS
    undo(charged)
    assert waiting() > SLOTS
    finish(narrow)


def test_a_slow_carrier_delays_no_charge(narrow: Engine) -> None:
    narrow.faults({"partner": "carrier", "operation": "shipments.book", "mode": "latency", "seconds": SECONDS})
    waiting = crowd_at(StepName.SHIP)
    order = make_order(started=True)
    eventually(order.events.filter(type=EventType.PAYMENT_CAPTURED).exists, what="the charge")
    assert waiting() > SLOTS
    finish(narrow)
