"""No line of a history says more than was proved: a second claim alone is no lost answer."""

from collections.abc import Callable

import pytest

from orders.errors import OnHold
from orders.models import Order
from orders.services import fraud, holding, payments, shipping
from orders.vocabulary import OrderStatus
from tests.factories import TEST_ACTOR, make_prepared_order, make_reserved_order
from tests.orders import driving

pytestmark = pytest.mark.django_db


def paid() -> Order:
    order = make_prepared_order()
    payments.charge(str(order.pk), actor=TEST_ACTOR)
    return driving.refreshed(order)


@pytest.mark.parametrize(
    ("made", "step"),
    [(make_reserved_order, fraud.check), (make_prepared_order, payments.charge), (paid, shipping.ship)],
    ids=["fraud", "charge", "ship"],
)
def test_a_step_that_was_held_and_then_done_once_claims_no_lost_answer(
    made: Callable[[], Order], step: Callable[..., object]
) -> None:
    with driving.partners():
        order = made()
        holding.hold(order.number, actor=TEST_ACTOR, reason="Wait")
        with pytest.raises(OnHold):
            step(str(order.pk), actor=TEST_ACTOR)
        holding.settle(str(order.pk), actor=TEST_ACTOR)
        holding.release(order.number, actor=TEST_ACTOR, reason="Go on")
        step(str(order.pk), actor=TEST_ACTOR)
    assert driving.refreshed(order).status != OrderStatus.ON_HOLD
    for event in order.events.all():
        assert "lost" not in event.reason
        assert "resolved_by_lookup" not in event.data
