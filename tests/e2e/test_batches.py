"""Batches on the real servers: children, chunks and checks, with Temporal, PostgreSQL, the simulator and a worker."""

from collections import Counter
from typing import Any

import pytest

from orders.models import Batch, Order, OutboxMessage
from orders.services import batches, holding, invariants, seeding
from orders.vocabulary import BatchAction, BatchStatus, OrderStatus
from tests.e2e.engine import Engine, eventually
from tests.factories import TEST_ACTOR, make_order, make_product

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def make_batch(action: BatchAction, **options: Any) -> Batch:
    chosen = batches.Selection(orders=Order.objects.all(), asked={})
    return batches.create(chosen, action, actor=TEST_ACTOR, reason="Recall", **options)


def ended(batch: Batch) -> Batch:
    eventually(
        lambda: Batch.objects.filter(pk=batch.pk, finished_at__isnull=False).exclude(summary={}).exists(),
        what="the end of the batch",
    )
    batch.refresh_from_db()
    return batch


def outcomes(batch: Batch) -> Counter[str]:
    return Counter(item.outcome or item.error_type for item in batch.items.all())


def sound() -> None:
    assert list(invariants.check_database()) == []
    assert list(invariants.check_books()) == []


def test_children_free_their_slots_when_they_fail_and_only_the_failed_are_retried(running_engine: Engine) -> None:
    product = make_product(stock=1_000)
    orders = [make_order(product=product) for _ in range(59)]
    orders.append(make_order(product=product, payment_method="pm_card_chargeDeclined"))
    batch = make_batch(BatchAction.START)
    # Between the click and their turn somebody stops two.
    for order in orders[40:42]:
        holding.hold(order.number, actor=TEST_ACTOR, reason="Address?")
    assert ended(batch).status == BatchStatus.COMPLETED
    assert outcomes(batch) == {"Completed": 57, "payment_declined": 1, "wrong_state": 2}
    assert batch.summary["counts"] == {"done": 57, "failed": 3}
    for order in orders[40:42]:
        holding.release(order.number, actor=TEST_ACTOR, reason="Known now")
    batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="Mended")
    ended(batch)
    # The declined one has had its one process; it was placed again, and its card declined again.
    assert outcomes(batch) == {"Completed": 59, "payment_declined": 1}
    assert Counter(batch.items.values_list("tries", flat=True)) == {1: 57, 2: 3}
    again = batch.items.get(order=orders[-1]).placed_as
    assert again is not None
    assert (again.status, again.failure_type) == (OrderStatus.FAILED, "payment_declined")
    assert Order.objects.filter(status=OrderStatus.COMPLETED).count() == 59
    eventually(lambda: not OutboxMessage.objects.filter(delivered_at=None).exists(), what="the empty outbox")
    sound()


def test_a_hold_batch_is_done_in_chunks_and_its_undo_restores_every_order(running_engine: Engine) -> None:
    seeding.seed(count=1_200, seed=1, actor=TEST_ACTOR)
    batch = ended(make_batch(BatchAction.HOLD))
    assert outcomes(batch) == {"On hold": 1_200}
    inverse = ended(batches.undo(batch.pk, actor=TEST_ACTOR, reason="Wrong SKU"))
    assert outcomes(inverse) == {"Released": 1_200}
    assert set(Order.objects.values_list("status", flat=True)) == {"placed"}
    sound()


def test_checks_run_on_the_queue_of_the_partners_and_pause_and_go_on(running_engine: Engine) -> None:
    seeding.seed(count=60, seed=1, actor=TEST_ACTOR)
    batch = make_batch(BatchAction.RECHECK)
    eventually(lambda: batch.items.filter(status="done").exists(), what="the first check")
    batches.pause(batch.pk, actor=TEST_ACTOR, reason="Wait")
    eventually(lambda: Batch.objects.get(pk=batch.pk).status == BatchStatus.PAUSED, seconds=10, what="the pause")
    done = batch.items.filter(status="done").count()
    assert done < 60
    batches.resume(batch.pk, actor=TEST_ACTOR, reason="Go on")
    ended(batch)
    assert sum(outcomes(batch).values()) == 60
    assert set(batch.items.values_list("status", flat=True)) == {"done"}
    sound()
