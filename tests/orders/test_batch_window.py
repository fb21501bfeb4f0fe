"""Orders with a process of their own each: the window is fed from the rows, and whatever ended or waits leaves it."""

from typing import Any

import pytest
from django.utils import timezone

from orders.actor import person
from orders.models import Batch, Command, Order, OutboxMessage
from orders.services import batches, holding, placing, placing_again, process, seeding
from orders.services.batches.starting import GUARANTEE, Window
from orders.services.batches.working import Where
from orders.vocabulary import BatchAction, BatchStatus, Channel, CommandKind, Topic, Verdict
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders import driving
from tests.orders.staff import make_user

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


def start_with_one_declined() -> tuple[Batch, Order, Order]:
    """A batch of which one order completed and one was declined."""
    lamp = make_product("LAMP")
    good, declined = make_order(product=lamp), make_order(product=lamp)
    batch = make_batch(auto_pause_percent=0)
    begin(batch)
    driving.drive(driving.refreshed(good))
    driving.drive(driving.refreshed(declined), gateway=driving.decline())
    assert begin(batch).verdict is Verdict.ENDED
    return batch, good, declined


def test_a_retry_places_the_ended_order_again_starts_the_new_one_and_nothing_else() -> None:
    batch, good, declined = start_with_one_declined()
    batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="The gateway takes it now")

    [begun] = begin(batch).begun
    made = Order.objects.get(number=begun.number)

    assert made not in {good, declined}
    item = batch.items.get(order=declined)
    assert (item.status, item.placed_as) == ("running", made)
    assert [begun.number for begun in begin(batch).begun] == [made.number], "named until its process has it"
    driving.drive(driving.refreshed(made))
    assert begin(batch).verdict is Verdict.ENDED
    item.refresh_from_db()
    assert (item.status, item.outcome) == ("done", "Completed")
    assert item.error_message == f"Placed again as {made.number}."
    assert Order.objects.count() == 3
    assert Command.objects.filter(kind=CommandKind.START, batch=batch).count() == 3


def test_a_new_order_that_fails_too_is_told_and_can_be_retried_again() -> None:
    batch, _, declined = start_with_one_declined()
    numbers = []
    for _ in range(2):
        batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="Again")
        [begun] = begin(batch).begun
        numbers.append(begun.number)
        driving.drive(Order.objects.get(number=begun.number), gateway=driving.decline())
        assert begin(batch).verdict is Verdict.ENDED
        item = batch.items.get(order=declined)
        assert (item.status, item.error_type) == ("failed", "payment_declined")
        assert item.error_message.startswith(f"Placed again as {begun.number}. ")
    assert len(set(numbers)) == 2


def test_what_may_not_be_placed_again_stays_failed_and_says_why() -> None:
    batch, _, declined = start_with_one_declined()
    placing_again.place_again(declined.number, actor=TEST_ACTOR, reason="By hand")
    batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="Again")
    assert begin(batch).begun == []
    item = batch.items.get(order=declined)
    assert (item.status, item.error_type, item.placed_as) == ("failed", "wrong_state", None)
    assert "Placed again as" in item.error_message
    assert Order.objects.count() == 3


def test_a_retry_places_nothing_for_somebody_who_may_not_place_orders() -> None:
    batch, _, declined = start_with_one_declined()
    starter = make_user("orders.run_batch", "orders.start_order", name="starter")
    Batch.objects.filter(pk=batch.pk).update(requested_by=starter)
    batches.retry_failed(batch.pk, actor=person(starter, Channel.ADMIN), reason="Again")
    begin(batch)
    item = batch.items.get(order=declined)
    assert (item.status, item.error_type) == ("failed", "not_permitted")
    assert Order.objects.count() == 2


def test_an_order_that_was_cancelled_meanwhile_is_not_begun_again() -> None:
    cancelled, held = make_order(), make_order()
    batch = make_batch(auto_pause_percent=0)
    holding.hold(held.number, actor=TEST_ACTOR, reason="Wait")
    begin(batch)
    driving.drive(driving.refreshed(cancelled), gateway=driving.decline())
    Order.objects.filter(pk=cancelled.pk).update(status="cancelled")
    begin(batch)
    holding.release(held.number, actor=TEST_ACTOR, reason="Known")
    batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="Mended")
    assert [begun.number for begun in begin(batch).begun] == [held.number]
    assert batch.items.get(order=cancelled).status == "failed"
