"""What must always be true of batches: a sound one gives no violation, and a broken one is named."""

from collections.abc import Callable

import pytest

from orders.models import Batch, Order
from orders.services import batches, invariants
from orders.services.batches.working import Where
from orders.vocabulary import BatchAction
from tests.factories import TEST_ACTOR, make_order

pytestmark = pytest.mark.django_db


def make_ended_batch() -> Batch:
    for _ in range(3):
        make_order()
    chosen = batches.Selection(orders=Order.objects.all(), asked={})
    batch = batches.create(chosen, BatchAction.HOLD, actor=TEST_ACTOR, reason="Recall")
    batches.run_chunk(batch.pk, where=Where())
    return batch


def test_placed_orders_that_a_batch_holds_break_no_rule() -> None:
    make_ended_batch()
    assert [found for found in invariants.check_database() if found.invariant != "outbox"] == []


def test_an_item_that_was_forgotten_or_lost_is_named(tamper: Callable[..., None]) -> None:
    batch = make_ended_batch()
    tamper("UPDATE orders_batchitem SET status = 'pending', finished_at = NULL WHERE position = 1")
    [forgotten] = invariants.batches_are_whole()
    assert (forgotten.subject, forgotten.detail) == (str(batch.pk), "it is completed and 1 items have no outcome")
    tamper("DELETE FROM orders_batchitem WHERE position = 1")
    [lost] = invariants.batches_are_whole()
    assert lost.detail == "3 orders were frozen, 2 are there"
