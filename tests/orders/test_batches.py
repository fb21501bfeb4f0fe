"""Batches: what is frozen is what was shown, every order has one outcome, and none costs its neighbours anything."""

import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from orders import history
from orders.actor import person, system
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Batch, Command, Order, OrderEvent, OutboxMessage
from orders.services import batches, cancelling, holding, seeding
from orders.services.batches import chunks
from orders.services.batches.freezing import Drifted
from orders.services.batches.selecting import Seen
from orders.services.batches.working import Where
from orders.vocabulary import (
    BatchAction,
    BatchStatus,
    Channel,
    CommandKind,
    CommandStatus,
    ItemStatus,
    OrderStatus,
    Topic,
    Verdict,
)
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving
from tests.orders.connections import PATIENCE, connections, wait_for_a_blocked_connection
from tests.orders.database_trouble import of_state
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db

HERE = Where(workflow_id="batch:1", run_id="run-1", attempt=1)


def selection(*orders: Order) -> batches.Selection:
    found = Order.objects.filter(pk__in=[order.pk for order in orders]) if orders else Order.objects.all()
    return batches.Selection(orders=found, asked={"ticked": len(orders)})


def make_batch(action: BatchAction, *orders: Order, **options: Any) -> Batch:
    return batches.create(selection(*orders), action, **{"actor": TEST_ACTOR, "reason": "Recall", **options})


def run_chunks(batch: Batch) -> Verdict:
    """As the process does, until there is nothing left to do or somebody must act."""
    verdict = Verdict.GO
    while verdict is Verdict.GO:
        verdict = batches.run_chunk(batch.pk, where=HERE)
    batch.refresh_from_db()
    return verdict


def outcomes(batch: Batch) -> Counter[tuple[str, str]]:
    return Counter((item.status, item.outcome or item.error_type) for item in batch.items.all())


def seeded(count: int) -> list[Order]:
    seeding.seed(count=count, seed=1, actor=TEST_ACTOR)
    return list(Order.objects.order_by("created_at", "id"))


def chains_hold() -> bool:
    return all(history.verify_chain(order, order.events.order_by("sequence")) is None for order in Order.objects.all())


# --- Choosing and freezing --------------------------------------------------------------------------------------------


def test_ten_thousand_orders_are_frozen_by_one_insert_in_the_order_in_which_they_came() -> None:
    seeded(10_000)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        batch = make_batch(BatchAction.HOLD)
    inserts = [query["sql"] for query in asked if "INTO orders_batchitem" in query["sql"]]
    assert len(inserts) == 1
    assert len(asked) < 15
    assert batch.items.count() == batch.item_count == 10_000
    first, last = batch.items.order_by("position").first(), batch.items.order_by("position").last()
    assert (first.position, last.position) == (1, 10_000)  # type: ignore[union-attr]
    assert sum(batch.sums.values()) == sum(Order.objects.values_list("total_minor", flat=True))
    message = OutboxMessage.objects.get(topic=Topic.RUN_BATCH)
    assert message.body == {"batch_id": str(batch.pk), "mode": "chunks"}


def test_a_preview_counts_sums_shows_some_and_says_what_is_left_out_and_why() -> None:
    placed = [make_order(), make_order()]
    driving.drive(make_order())
    driving.make_order_in_review()
    holding.hold(make_order().number, actor=TEST_ACTOR, reason="Wait")
    make_prepared_order()
    elsewhere = make_order()
    make_batch(BatchAction.HOLD, elsewhere)
    shown = batches.preview(selection(), BatchAction.START, actor=TEST_ACTOR)
    assert shown.seen == Seen(count=2, sums={"GBP": 4_000})
    assert shown.excluded == {
        "in_another_batch": 1,
        "shipped": 1,
        "high_risk": 1,
        "on_hold": 1,
        "started_already": 1,
    }
    assert shown.selected == 7
    assert [order.number for order in shown.sample] == [order.number for order in placed]
    assert Batch.objects.count() == 1


@pytest.mark.parametrize(
    ("action", "excluded"),
    [
        (BatchAction.HOLD, {"held_already": 1, "shipped": 1, "cancelled_already": 1, "closed": 1}),
        (BatchAction.RELEASE, {"not_held": 3, "closed": 2}),
        (BatchAction.CANCEL, {"shipped": 1, "cancelled_already": 1, "closed": 1, "high_risk": 1}),
        (BatchAction.RECHECK, {"shipped": 1, "closed": 1}),
        (BatchAction.PLAYBOOK, {}),
        (BatchAction.CHECK_SHIPMENT, {"not_shipped": 5}),
        (BatchAction.PLACE_AGAIN, {"not_failed": 5}),
        (BatchAction.REPRICE, {"shipped": 1, "closed": 1, "started_already": 2}),
    ],
)
def test_each_action_leaves_out_what_it_cannot_do(action: BatchAction, excluded: dict[str, int]) -> None:
    driving.drive(make_order())
    driving.drive(make_order(), gateway=driving.decline())
    driving.make_order_in_review()
    holding.hold(make_order().number, actor=TEST_ACTOR, reason="Wait")
    cancelling.cancel(make_prepared_order().number, actor=TEST_ACTOR, reason="Sorry")
    make_order()
    shown = batches.preview(selection(), action, actor=TEST_ACTOR)
    assert dict(shown.excluded) == excluded


def test_what_is_left_out_is_an_item_with_its_reason() -> None:
    good, bad = make_order(), driving.drive(make_order())
    batch = make_batch(BatchAction.HOLD, good, bad)
    assert outcomes(batch) == {("pending", ""): 1, ("skipped", "shipped"): 1}
    assert batch.sums == {"GBP": good.total_minor}


def test_a_selection_that_has_drifted_since_it_was_shown_is_not_acted_on() -> None:
    make_order()
    shown = batches.preview(selection(), BatchAction.HOLD, actor=TEST_ACTOR)
    make_order()
    with pytest.raises(Drifted, match="1 orders then, 2 now"):
        make_batch(BatchAction.HOLD, seen=shown.seen)
    assert not Batch.objects.exists()
    assert not OutboxMessage.objects.filter(topic=Topic.RUN_BATCH).exists()


def test_another_sum_of_as_many_orders_is_drift_too() -> None:
    make_order()
    with pytest.raises(Drifted):
        make_batch(BatchAction.HOLD, seen=Seen(count=1, sums={"GBP": 1}))


def test_nothing_to_act_on_is_refused_and_leaves_nothing() -> None:
    driving.drive(make_order())
    with pytest.raises(InvalidInput, match="every selected one is left out"):
        make_batch(BatchAction.HOLD)
    assert not Batch.objects.exists()


def test_a_selection_over_the_limit_is_refused_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("selecting", "freezing"):
        monkeypatch.setattr(f"orders.services.batches.{module}.MAX_BATCH_ORDERS", 1)
    make_order(), make_order()
    for ask in (batches.preview, batches.create):
        with pytest.raises(InvalidInput, match="2 orders are selected; one batch takes 1"):
            ask(selection(), BatchAction.HOLD, actor=TEST_ACTOR, **({"reason": "x"} if ask is batches.create else {}))


@pytest.mark.parametrize("permissions", [("orders.run_batch",), ("orders.hold_order",)])
def test_a_batch_needs_its_own_permission_and_that_of_its_action(permissions: tuple[str, ...]) -> None:
    order, actor = make_order(), person(make_user(*permissions), Channel.ADMIN)
    for ask in (batches.preview, batches.create):
        with pytest.raises(NotPermitted):
            ask(selection(order), BatchAction.HOLD, actor=actor, **({"reason": "x"} if ask is batches.create else {}))


# --- Chunks -----------------------------------------------------------------------------------------------------------


def test_a_hold_batch_holds_every_order_with_its_own_history_and_few_statements() -> None:
    orders = seeded(120)
    batch = make_batch(BatchAction.HOLD)
    batches.run_chunk(batch.pk, where=HERE)  # the first one is small
    with CaptureQueriesContext(connection) as asked:
        batches.run_chunk(batch.pk, where=HERE)
    assert len(asked) < 40
    assert run_chunks(batch) is Verdict.ENDED
    assert batch.status == BatchStatus.COMPLETED
    assert outcomes(batch) == {("done", "On hold"): 120}
    assert set(Order.objects.values_list("status", "resume_status")) == {("on_hold", "placed")}
    events = list(orders[0].events.values_list("type", "reason", "actor", "workflow_id"))
    assert (
        events[1:]
        == [
            ("order.hold_asked", "Recall", "test", ""),
            ("order.held", "Held by test: Recall", "test", ""),
        ]
        or events[1][0] == "order.hold_asked"
    )
    assert orders[0].events.last().data["batch"] == str(batch.pk)  # type: ignore[union-attr]
    assert Command.objects.filter(kind=CommandKind.HOLD, batch=batch, status=CommandStatus.ACCEPTED).count() == 120
    assert chains_hold()


def test_a_hold_of_an_order_that_is_under_way_tells_its_process() -> None:
    order = make_prepared_order()
    batch = make_batch(BatchAction.HOLD, order)
    run_chunks(batch)
    assert outcomes(batch) == {("done", "Stops before its next step"): 1}
    message = OutboxMessage.objects.get(topic=Topic.TELL_ORDER)
    command = Command.objects.get(kind=CommandKind.HOLD)
    assert message.aggregate == f"order:{order.pk}"
    assert message.body == {"command_id": str(command.pk), "order_id": str(order.pk), "kind": "hold"}


def test_a_cancel_batch_ends_placed_orders_at_once_and_leaves_others_to_their_process() -> None:
    placed, held, under_way = make_order(), make_order(), make_prepared_order()
    holding.hold(held.number, actor=TEST_ACTOR, reason="Wait")
    batch = make_batch(BatchAction.CANCEL, placed, held, under_way)
    run_chunks(batch)
    assert outcomes(batch) == {
        ("done", "Cancelled"): 2,
        ("done", "Cancellation accepted; its process undoes it"): 1,
    }
    for order in (placed, held, under_way):
        order.refresh_from_db()
    assert (placed.status, held.status, held.resume_status) == ("cancelled", "cancelled", "")
    assert placed.failure_message == "Cancelled by test: Recall"
    assert not held.commands.filter(status=CommandStatus.ACCEPTED).exists()
    assert OutboxMessage.objects.get(topic=Topic.CANCEL_ORDER).body["order_id"] == str(under_way.pk)
    assert under_way.commands.get(kind=CommandKind.CANCEL).status == CommandStatus.ACCEPTED
    assert chains_hold()


def test_a_release_batch_lets_held_orders_go_on_where_they_stopped() -> None:
    orders = [make_order(), make_order()]
    for order in orders:
        holding.hold(order.number, actor=TEST_ACTOR, reason="Wait")
    batch = make_batch(BatchAction.RELEASE, *orders)
    run_chunks(batch)
    assert outcomes(batch) == {("done", "Released"): 2}
    assert set(Order.objects.values_list("status", "resume_status")) == {("placed", "")}
    assert {command.outcome for command in Command.objects.filter(kind="hold")} == {"Released by test: Recall"}
    assert chains_hold()


def test_one_broken_order_of_a_hundred_costs_its_neighbours_nothing(tamper: Callable[..., None]) -> None:
    orders = seeded(100)
    # Its next event would have a number that is taken.
    tamper("UPDATE orders_order SET event_count = 0 WHERE id = %s", orders[60].pk)
    batch = make_batch(BatchAction.HOLD)
    assert run_chunks(batch) is Verdict.ENDED
    assert outcomes(batch) == {("done", "On hold"): 99, ("failed", "database"): 1}
    failed = batch.items.get(status=ItemStatus.FAILED)
    assert (failed.order_id, failed.error_message) == (orders[60].pk, "The database refused it: UniqueViolation")
    assert Order.objects.filter(status=OrderStatus.ON_HOLD).count() == 99
    assert OrderEvent.objects.filter(type="order.held").count() == 99


def test_an_order_that_changed_since_the_freeze_fails_with_who_was_first() -> None:
    changed, good = make_order(), make_order()
    batch = make_batch(BatchAction.HOLD, changed, good)
    holding.hold(changed.number, actor=system("olivia", Channel.ADMIN), reason="Mine")
    run_chunks(batch)
    failed = batch.items.get(status=ItemStatus.FAILED)
    assert (failed.error_type, failed.former_status) == ("wrong_state", "on_hold")
    assert "is on hold already, by olivia at" in failed.error_message


def test_a_chunk_that_is_run_twice_does_nothing_twice() -> None:
    seeded(15)
    batch = make_batch(BatchAction.HOLD)
    run_chunks(batch)
    events = OrderEvent.objects.count()
    assert batches.run_chunk(batch.pk, where=HERE) is Verdict.ENDED
    assert OrderEvent.objects.count() == events
    assert set(batch.items.values_list("tries", flat=True)) == {1}


@pytest.mark.parametrize("error", [OperationalError("gone"), of_state("25006"), of_state("53100")], ids=str)
def test_trouble_with_the_database_is_raised_and_leaves_every_item_as_it_was(error: Exception) -> None:
    seeded(5)
    batch = make_batch(BatchAction.HOLD)
    with (
        mock.patch.object(chunks, "save_results", side_effect=error),
        pytest.raises(type(error)),
        transaction.atomic(),
    ):
        batches.run_chunk(batch.pk, where=HERE)
    assert outcomes(batch) == {("pending", ""): 5}
    assert not Order.objects.filter(status=OrderStatus.ON_HOLD).exists()


def test_whoever_lost_the_permission_meanwhile_does_nothing_more() -> None:
    user = make_user("orders.run_batch", "orders.hold_order")
    seeded(30)
    batch = make_batch(BatchAction.HOLD, actor=person(user, Channel.ADMIN))
    batches.run_chunk(batch.pk, where=HERE)
    User.objects.get(pk=user.pk).user_permissions.filter(codename="hold_order").delete()
    run_chunks(batch)
    assert outcomes(batch) == {("done", "On hold"): 20, ("failed", "not_permitted"): 10}
    assert "does not have the permission orders.hold_order" in batch.items.last().error_message  # type: ignore[union-attr]


# --- Pausing by itself, and steering ----------------------------------------------------------------------------------


def make_doomed_batch(good: int, bad: int, later: int, **options: Any) -> Batch:
    """A hold batch whose first orders are `good` and then `bad`: held by somebody since the freeze."""
    orders = seeded(good + bad + later)
    batch = make_batch(BatchAction.HOLD, **options)
    for order in orders[good : good + bad]:
        holding.hold(order.number, actor=TEST_ACTOR, reason="Mine")
    return batch


def test_a_share_of_failures_pauses_the_batch_with_the_reason() -> None:
    batch = make_doomed_batch(16, 4, 30)
    assert run_chunks(batch) is Verdict.STILL
    assert batch.status == BatchStatus.PAUSED
    assert batch.note.startswith("Paused by itself: 4 of 20 failed")
    assert outcomes(batch)[("pending", "")] == 30


@pytest.mark.parametrize(("bad", "percent"), [(3, 20), (10, 60), (20, 0)])
def test_fewer_failures_than_the_share_of_the_batch_do_not(bad: int, percent: int) -> None:
    batch = make_doomed_batch(20 - bad, bad, 30, auto_pause_percent=percent)
    assert run_chunks(batch) is Verdict.ENDED
    assert batch.status == BatchStatus.COMPLETED


def test_resumed_it_does_not_pause_for_the_same_failures_again() -> None:
    batch = make_doomed_batch(10, 10, 30)
    assert run_chunks(batch) is Verdict.STILL
    batches.resume(batch.pk, actor=TEST_ACTOR, reason="They are known")
    assert run_chunks(batch) is Verdict.ENDED
    assert (batch.note, outcomes(batch)[("done", "On hold")]) == ("", 40)


def test_a_pause_binds_before_the_next_order_and_a_cancellation_works_while_paused() -> None:
    seeded(40)
    batch = make_batch(BatchAction.HOLD)
    batches.run_chunk(batch.pk, where=HERE)
    assert batches.pause(batch.pk, actor=TEST_ACTOR, reason="Wait").status == BatchStatus.PAUSING
    assert run_chunks(batch) is Verdict.STILL
    assert (batch.status, Order.objects.filter(status="on_hold").count()) == (BatchStatus.PAUSED, 20)
    batches.cancel(batch.pk, actor=TEST_ACTOR, reason="Enough")
    assert run_chunks(batch) is Verdict.ENDED
    assert batch.status == BatchStatus.CANCELLED
    assert outcomes(batch) == {("done", "On hold"): 20, ("skipped", "batch_cancelled"): 20}
    assert OutboxMessage.objects.filter(topic=Topic.RUN_BATCH).count() == 3


def test_the_second_of_two_hears_who_was_first_and_when() -> None:
    seeded(3)
    batch = make_batch(BatchAction.HOLD)
    batches.pause(batch.pk, actor=system("olivia", Channel.ADMIN), reason="Wait")
    with pytest.raises(WrongState, match=r"The batch is pausing already, by olivia at \d{4}-"):
        batches.pause(batch.pk, actor=TEST_ACTOR, reason="Wait")
    batches.cancel(batch.pk, actor=system("olivia", Channel.ADMIN), reason="Enough")
    for steer in (batches.pause, batches.resume, batches.cancel, batches.retry_failed):
        with pytest.raises(WrongState, match="The batch is cancelling"):
            steer(batch.pk, actor=TEST_ACTOR, reason="x")
    kinds = list(Command.objects.filter(batch=batch, order=None).order_by("created_at").values_list("kind", "actor"))
    assert kinds == [("batch_run", "test"), ("batch_pause", "olivia"), ("batch_cancel", "olivia")]


def test_steering_needs_the_permissions_of_the_batch() -> None:
    batch = make_batch(BatchAction.HOLD, make_order())
    actor = person(make_user("orders.run_batch"), Channel.ADMIN)
    for steer in (batches.pause, batches.resume, batches.cancel, batches.retry_failed, batches.undo):
        with pytest.raises(NotPermitted):
            steer(batch.pk, actor=actor, reason="x")


def test_retry_does_the_failed_items_again_and_only_those() -> None:
    orders = seeded(10)
    batch = make_batch(BatchAction.HOLD)
    for order in orders[:2]:
        holding.hold(order.number, actor=TEST_ACTOR, reason="Mine")
    run_chunks(batch)
    with pytest.raises(WrongState, match="The batch is completed"):
        batches.resume(batch.pk, actor=TEST_ACTOR, reason="x")
    for order in orders[:2]:
        holding.release(order.number, actor=TEST_ACTOR, reason="Yours")
    events = {order.pk: order.events.count() for order in orders}
    batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="Mended")
    run_chunks(batch)
    assert outcomes(batch) == {("done", "On hold"): 10}
    changed = [order.pk for order in orders if order.events.count() != events[order.pk]]
    assert changed == [order.pk for order in orders[:2]]
    with pytest.raises(WrongState, match="No item failed that can be done again"):
        batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="Again")


def test_retry_leaves_a_failed_item_alone_whose_order_another_batch_works_on_by_now() -> None:
    free, elsewhere = make_order(), make_order()
    batch = make_batch(BatchAction.HOLD, free, elsewhere, auto_pause_percent=0)
    for order in (free, elsewhere):
        holding.hold(order.number, actor=TEST_ACTOR, reason="Mine")
    run_chunks(batch)
    for order in (free, elsewhere):
        holding.release(order.number, actor=TEST_ACTOR, reason="Yours")
    other = make_batch(BatchAction.HOLD, elsewhere)

    batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="Mended")

    found = {item.order_id: (item.status, item.error_type) for item in batch.items.all()}
    assert found == {free.pk: ("pending", ""), elsewhere.pk: ("failed", "wrong_state")}
    run_chunks(batch)
    with pytest.raises(WrongState, match="No item failed that can be done again"):
        batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="And the other one")
    run_chunks(other)
    assert outcomes(other) == {("done", "On hold"): 1}


def test_undo_of_a_hold_leaves_an_order_alone_that_somebody_else_holds_since_the_undo_was_asked_for() -> None:
    batch = make_batch(BatchAction.HOLD, order := make_order())
    run_chunks(batch)
    inverse = batches.undo(batch.pk, actor=TEST_ACTOR, reason="Wrong SKU")
    holding.release(order.number, actor=TEST_ACTOR, reason="By hand")
    holding.hold(order.number, actor=system("olivia", Channel.ADMIN), reason="Mine now")

    run_chunks(inverse)

    item = inverse.items.get()
    assert (item.status, item.error_type) == ("failed", "wrong_state")
    assert f"Order {order.number} is held by olivia since " in item.error_message
    order.refresh_from_db()
    assert order.status == OrderStatus.ON_HOLD
    assert order.commands.get(kind=CommandKind.HOLD, status=CommandStatus.ACCEPTED).actor == "olivia"


def test_retry_of_a_paused_batch_does_the_failed_items_again_and_leaves_the_rest_paused() -> None:
    orders = seeded(40)
    batch = make_batch(BatchAction.HOLD)
    for order in orders[:2]:
        holding.hold(order.number, actor=TEST_ACTOR, reason="Mine")
    batches.run_chunk(batch.pk, where=HERE)
    batches.pause(batch.pk, actor=TEST_ACTOR, reason="Wait")
    run_chunks(batch)
    for order in orders[:2]:
        holding.release(order.number, actor=TEST_ACTOR, reason="Yours")

    batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="Mended")

    assert run_chunks(batch) is Verdict.STILL
    assert batch.status == BatchStatus.PAUSED
    assert batch.note == "What had failed was done again; the rest is paused as before."
    assert outcomes(batch) == {("done", "On hold"): 20, ("pending", ""): 20}
    batches.resume(batch.pk, actor=TEST_ACTOR, reason="Go on")
    assert run_chunks(batch) is Verdict.ENDED
    assert outcomes(batch) == {("done", "On hold"): 40}


def test_whoever_resumes_a_batch_while_its_failed_items_are_done_again_has_all_of_it_done() -> None:
    orders = seeded(40)
    batch = make_batch(BatchAction.HOLD)
    holding.hold(orders[0].number, actor=TEST_ACTOR, reason="Mine")
    batches.run_chunk(batch.pk, where=HERE)
    batches.pause(batch.pk, actor=TEST_ACTOR, reason="Wait")
    run_chunks(batch)
    batches.retry_failed(batch.pk, actor=TEST_ACTOR, reason="Mended")
    batches.pause(batch.pk, actor=TEST_ACTOR, reason="Wait")
    batches.resume(batch.pk, actor=TEST_ACTOR, reason="Go on")
    assert run_chunks(batch) is Verdict.ENDED
    assert outcomes(batch)[("done", "On hold")] == 39
    assert batch.status == BatchStatus.COMPLETED


def test_undo_of_a_hold_brings_every_order_back_to_where_it_stood_and_leaves_what_others_hold() -> None:
    placed, reholden, released = make_order(), make_order(), make_order()
    batch = make_batch(BatchAction.HOLD, placed, reholden, released)
    run_chunks(batch)
    for order in (reholden, released):
        holding.release(order.number, actor=TEST_ACTOR, reason="By hand")
    holding.hold(reholden.number, actor=TEST_ACTOR, reason="Mine now")
    inverse = batches.undo(batch.pk, actor=TEST_ACTOR, reason="Wrong SKU")
    assert (inverse.action, inverse.undo_of_id) == (BatchAction.RELEASE, batch.pk)
    run_chunks(inverse)
    assert outcomes(inverse) == {
        ("done", "Released"): 1,
        ("skipped", "held_by_others"): 1,
        ("skipped", "not_held"): 1,
    }
    statuses = {order.pk: order.status for order in Order.objects.all()}
    assert statuses == {placed.pk: "placed", reholden.pk: "on_hold", released.pk: "placed"}
    with pytest.raises(WrongState, match="undone already, by test at"):
        batches.undo(batch.pk, actor=TEST_ACTOR, reason="Twice")


@pytest.mark.parametrize("action", [BatchAction.CANCEL, BatchAction.RECHECK])
def test_other_actions_say_that_nothing_takes_them_back(action: BatchAction) -> None:
    batch = make_batch(action, make_order())
    with pytest.raises(WrongState, match="Nothing takes back"):
        batches.undo(batch.pk, actor=TEST_ACTOR, reason="x")


def test_a_batch_that_still_works_is_not_undone() -> None:
    batch = make_batch(BatchAction.HOLD, make_order())
    with pytest.raises(WrongState, match="cancel it first"):
        batches.undo(batch.pk, actor=TEST_ACTOR, reason="x")


def test_the_summary_counts_items_and_groups_failures() -> None:
    batch = make_doomed_batch(8, 2, 0)
    run_chunks(batch)
    assert batches.summarise(batch.pk) == {"done": 8, "failed": 2}
    batch.refresh_from_db()
    assert batch.summary == {"counts": {"done": 8, "failed": 2}, "failures": {"wrong_state": 2}}


def test_a_process_that_was_cancelled_at_temporal_closes_its_batch() -> None:
    seeded(30)
    batch = make_batch(BatchAction.HOLD)
    batches.run_chunk(batch.pk, where=HERE)
    batches.stop_by_engine(batch.pk)
    batch.refresh_from_db()
    assert batch.status == BatchStatus.CANCELLED
    assert batch.note.startswith("Its process was cancelled at Temporal")
    assert outcomes(batch) == {("done", "On hold"): 20, ("skipped", "batch_cancelled"): 10}
    batches.stop_by_engine(batch.pk)


# --- Several connections ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_chunk_waits_for_whoever_has_one_of_its_orders_and_sees_what_they_did() -> None:
    order = make_order()
    batch = make_batch(BatchAction.HOLD, order)
    with connections(1) as others:
        with transaction.atomic():
            history.lock_order(order.pk)
            chunk = others.begin(batches.run_chunk, batch.pk, where=HERE)
            wait_for_a_blocked_connection()
            # Nothing of the chunk may stand in the way of this: it has written nothing yet.
            holding.hold(order.number, actor=system("olivia", Channel.ADMIN), reason="Mine")
        assert chunk.result(PATIENCE) is Verdict.ENDED
    assert "is on hold already, by olivia at" in batch.items.get(status=ItemStatus.FAILED).error_message
    assert chains_hold()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("action", "go_on"),
    [
        (BatchAction.HOLD, lambda batch: batches.run_chunk(batch.pk, where=HERE)),
        (BatchAction.START, lambda batch: batches.begin_orders(batch.pk, where=HERE).verdict),
        (BatchAction.RECHECK, lambda batch: batches.claim_checks(batch.pk).verdict),
    ],
    ids=["chunk", "window", "checks"],
)
def test_nothing_begins_while_a_pause_is_being_written(action: BatchAction, go_on: Callable[[Batch], Verdict]) -> None:
    order = make_order()
    batch = make_batch(action, order)
    with connections(1) as others:
        with transaction.atomic():
            batches.pause(batch.pk, actor=TEST_ACTOR, reason="Wait")
            going_on = others.begin(go_on, batch)
            wait_for_a_blocked_connection()
        assert going_on.result(PATIENCE) is Verdict.STILL
    assert outcomes(batch) == {("pending", ""): 1}
    order.refresh_from_db()
    assert order.status == OrderStatus.PLACED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (batches.pause, batches.pause, "is pausing already, by test at"),
        (batches.cancel, batches.pause, "is cancelling"),
        (batches.cancel, batches.cancel, "is cancelling already, by test at"),
    ],
    ids=["pause and pause", "cancel and pause", "cancel and cancel"],
)
def test_of_two_who_steer_at_once_the_second_sees_what_the_first_did(
    first: Callable[..., Batch], second: Callable[..., Batch], told: str
) -> None:
    batch = make_batch(BatchAction.HOLD, make_order())
    with connections(1) as others:
        with transaction.atomic():
            steered = first(batch.pk, actor=TEST_ACTOR, reason="First")
            steering = others.begin(second, batch.pk, actor=system("olivia", Channel.ADMIN), reason="Second")
            wait_for_a_blocked_connection()
        with pytest.raises(WrongState, match=told):
            steering.result(PATIENCE)
    batch.refresh_from_db()
    assert batch.status == steered.status


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_just_ends_is_not_called_cancelled_by_the_end_of_its_process() -> None:
    batch = make_batch(BatchAction.HOLD, make_order())
    with connections(1) as others:
        with transaction.atomic():
            assert batches.run_chunk(batch.pk, where=HERE) is Verdict.ENDED
            stopping = others.begin(batches.stop_by_engine, batch.pk)
            wait_for_a_blocked_connection()
        stopping.result(PATIENCE)
    batch.refresh_from_db()
    assert (batch.status, batch.note) == (BatchStatus.COMPLETED, "")


@pytest.mark.django_db(transaction=True)
def test_of_two_who_undo_a_batch_at_once_the_second_is_told_who_was_first() -> None:
    batch = make_batch(BatchAction.HOLD, make_order())
    run_chunks(batch)
    with connections(1) as others:
        with transaction.atomic():
            batches.undo(batch.pk, actor=TEST_ACTOR, reason="Wrong SKU")
            undoing = others.begin(batches.undo, batch.pk, actor=TEST_ACTOR, reason="Wrong SKU")
            wait_for_a_blocked_connection()
        with pytest.raises(WrongState, match="undone already, by test at"):
            undoing.result(PATIENCE)


def test_unknown_batches_are_told_apart() -> None:
    with pytest.raises(Batch.DoesNotExist):
        batches.pause(uuid.uuid4(), actor=TEST_ACTOR, reason="x")
