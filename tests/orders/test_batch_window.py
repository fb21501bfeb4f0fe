"""Orders with a process of their own each: the window is fed from the rows, and whatever ended or waits leaves it."""

from typing import Any

import pytest
from django.utils import timezone

from orders.models import Batch, Command, Order, OutboxMessage
from orders.services import batches, holding, placing, process, seeding
from orders.services.batches.starting import GUARANTEE, Window
from orders.services.batches.working import Where
from orders.vocabulary import BatchAction, BatchStatus, CommandKind, Topic, Verdict
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders import driving

pytestmark = pytest.mark.django_db


def make_batch(**options: Any) -> Batch:
    chosen = batches.Selection(orders=Order.objects.all(), asked={})
    return batches.create(chosen, BatchAction.START, actor=TEST_ACTOR, reason="Go", **options)


def begin(batch: Batch, window: int = 3) -> Window:
    return batches.begin_orders(batch.pk, where=Where(workflow_id="batch:1", run_id="r", attempt=1), window=window)


def statuses(batch: Batch) -> list[str]:
    return list(batch.items.order_by("position").values_list("status", flat=True))


def test_as_many_begin_as_the_window_has_slots_each_with_its_command_and_history() -> None:
    orders = [make_order() for _ in range(5)]
    batch = make_batch()
    window = begin(batch)
    assert (window.verdict, [begun.number for begun in window.begun]) == (Verdict.GO, [o.number for o in orders[:3]])
    assert statuses(batch) == ["running"] * 3 + ["pending"] * 2
    orders[0].refresh_from_db()
    assert orders[0].status == "queued"
    assert Command.objects.filter(kind=CommandKind.START, batch=batch, reason="Go").count() == 3
    event = orders[0].events.last()
    assert event is not None
    assert (event.type, event.data["batch"]) == ("order.start_requested", str(batch.pk))


def test_the_outbox_starts_an_order_only_if_the_batch_has_not_within_seconds() -> None:
    make_order()
    begin(make_batch())
    message = OutboxMessage.objects.get(topic=Topic.START_ORDER)
    assert message.available_at - timezone.now() > GUARANTEE / 2


def test_an_order_is_named_until_its_process_has_it() -> None:
    order = make_order()
    batch = make_batch()
    assert len(begin(batch).begun) == len(begin(batch).begun) == 1
    process.adopt(str(order.pk), run_id="run-1")
    assert begin(batch).begun == []


def test_orders_that_ended_failed_or_wait_for_a_person_leave_their_slots() -> None:
    good, bad, held = make_order(), make_order(), make_order()
    suspicious = make_order(product=make_product(unit_price="6000.00"), quantity=1)
    later = make_order()
    batch = make_batch()
    begin(batch, window=4)
    driving.drive(driving.refreshed(good))
    driving.drive(driving.refreshed(bad), gateway=driving.decline())
    driving.drive(driving.refreshed(suspicious))
    holding.hold(held.number, actor=TEST_ACTOR, reason="Wait")
    holding.settle(held.pk, actor=TEST_ACTOR)
    window = begin(batch, window=4)
    assert [begun.number for begun in window.begun] == [later.number]
    found = {item.order_id: (item.status, item.error_type or item.outcome) for item in batch.items.all()}
    assert found == {
        good.pk: ("done", "Completed"),
        bad.pk: ("failed", "payment_declined"),
        held.pk: ("done", "On hold: waits for a person"),
        suspicious.pk: ("done", "Waits for a reviewer"),
        later.pk: ("running", ""),
    }
    failed = batch.items.get(order=bad)
    bad.refresh_from_db()
    assert failed.error_message == bad.failure_message


def test_an_order_that_somebody_started_meanwhile_is_an_outcome_and_no_error() -> None:
    order, other = make_order(), make_order()
    batch = make_batch()
    placing.start(order.number, actor=TEST_ACTOR)
    begin(batch)
    item = batch.items.get(order=order)
    assert (item.status, item.error_type) == ("failed", "wrong_state")
    assert "was already started by test" in item.error_message
    assert batch.items.get(order=other).status == "running"


def test_a_pause_waits_for_what_was_begun_and_a_cancellation_leaves_the_rest() -> None:
    orders = seeding_of(4)
    batch = make_batch()
    begin(batch, window=2)
    batches.pause(batch.pk, actor=TEST_ACTOR, reason="Wait")
    assert begin(batch, window=2).verdict is Verdict.STOP
    assert statuses(batch) == ["running", "running", "pending", "pending"]
    batches.cancel(batch.pk, actor=TEST_ACTOR, reason="Enough")
    assert begin(batch).verdict is Verdict.STOP
    for order in orders[:2]:
        Order.objects.filter(pk=order.pk).update(status="completed", closed_at=timezone.now())
    assert begin(batch).verdict is Verdict.ENDED
    batch.refresh_from_db()
    assert (batch.status, statuses(batch)) == (BatchStatus.CANCELLED, ["done", "done", "skipped", "skipped"])


def seeding_of(count: int) -> list[Order]:
    seeding.seed(count=count, seed=1, actor=TEST_ACTOR)
    return list(Order.objects.order_by("created_at", "id"))


def test_an_order_whose_process_has_ended_is_not_begun_a_second_time() -> None:
    declined, held = make_order(), make_order()
    batch = make_batch()
    holding.hold(held.number, actor=TEST_ACTOR, reason="Wait")
    begin(batch)
    driving.drive(driving.refreshed(declined), gateway=driving.decline())
    assert begin(batch).verdict is Verdict.ENDED
    holding.release(held.number, actor=TEST_ACTOR, reason="Known")
    batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="Mended")
    assert [begun.number for begun in begin(batch).begun] == [held.number]
    assert batch.items.get(order=declined).status == "failed"
