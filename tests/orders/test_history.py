"""The history of an order: every change has its line, and a changed line shows."""

from collections.abc import Callable

import pytest
from django.db import transaction

from orders import history
from orders.actor import Actor, system
from orders.errors import WrongState
from orders.models import Order, OrderEvent
from orders.vocabulary import ActorKind, Channel, EventType, OrderStatus
from tests.factories import TEST_ACTOR, make_order

Tamper = Callable[..., None]


@pytest.fixture
def order(db: None) -> Order:
    """An order with a history of four events."""
    order = make_order(started=True)
    for number in (3, 4):
        note(order, reason=f"Note {number}", data={"number": number})
    return order


def note(order: Order, *, reason: str = "A note", actor: Actor = TEST_ACTOR, **options: object) -> OrderEvent:
    with transaction.atomic():
        locked = history.lock_order(order.pk)
        return history.record(locked, EventType.STEP_RETRYING, actor=actor, reason=reason, **options)  # type: ignore[arg-type]


def verify(order: Order) -> history.ChainBreak | None:
    fresh = Order.objects.get(pk=order.pk)
    return history.verify_chain(fresh, OrderEvent.objects.filter(order=fresh).order_by("sequence"))


def test_untouched_history_verifies(order: Order) -> None:
    assert verify(order) is None
    assert list(order.events.values_list("sequence", flat=True)) == [1, 2, 3, 4]


def test_event_says_who_did_what_where_and_why(order: Order) -> None:
    actor = system("order process", workflow_id="order:1", run_id="run-1", attempt=3)

    note(order, actor=actor, reason="The gateway did not answer", step="charge", data={"claim": 2})

    event = order.events.last()
    assert event is not None
    assert (event.actor_kind, event.actor, event.channel) == (ActorKind.SYSTEM, "order process", Channel.ENGINE)
    assert (event.workflow_id, event.run_id, event.attempt) == ("order:1", "run-1", 3)
    assert (event.reason, event.step, event.data) == ("The gateway did not answer", "charge", {"claim": 2})


def test_event_that_moves_the_order_names_both_statuses_and_one_that_does_not_names_it_twice(order: Order) -> None:
    start, retry = order.events.get(sequence=2), order.events.get(sequence=3)

    assert (start.status_before, start.status_after) == (OrderStatus.PLACED, OrderStatus.QUEUED)
    assert (retry.status_before, retry.status_after) == (OrderStatus.QUEUED, OrderStatus.QUEUED)


def test_status_and_its_event_are_saved_together_or_not_at_all(order: Order) -> None:
    with transaction.atomic():
        locked = history.lock_order(order.pk)
        locked.move_to(OrderStatus.RESERVING)
        history.record(locked, EventType.VALIDATED, actor=TEST_ACTOR, reason="fine")
        transaction.set_rollback(True)

    order.refresh_from_db()
    assert (order.status, order.event_count, order.events.count()) == (OrderStatus.QUEUED, 4, 4)
    assert verify(order) is None


def test_change_outside_of_a_transaction_is_refused(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction.get_connection(), "in_atomic_block", False)
    with pytest.raises(RuntimeError, match="needs the transaction"):
        history.record(order, EventType.VALIDATED, actor=TEST_ACTOR, reason="fine")
    monkeypatch.undo()

    assert order.events.count() == 4


def test_move_that_the_table_does_not_allow_is_refused(order: Order) -> None:
    with pytest.raises(WrongState, match=f"Order {order.number} is queued and cannot become completed"):
        order.move_to(OrderStatus.COMPLETED)

    assert (order.status, order.closed_at) == (OrderStatus.QUEUED, None)


def test_long_reason_is_cut_and_still_verifies(order: Order) -> None:
    event = note(order, reason="x" * 10_000)

    assert len(event.reason) == 500
    assert verify(order) is None


@pytest.mark.parametrize(
    "data",
    [
        {"text": "Zażółć gęślą jaźń ☂ 𝄞", "quote": "\"'\\", "empty": ""},
        {"big": 99_999_999_999, "negative": -1, "float": 0.1, "none": None, "yes": True},
        {"nested": {"b": [1, {"a": 2}], "a": []}},
    ],
    ids=["text", "numbers", "nested"],
)
def test_data_of_every_kind_verifies_after_the_database_has_stored_it(order: Order, data: dict[str, object]) -> None:
    note(order, data=data)

    assert verify(order) is None


@pytest.mark.parametrize(
    "change",
    [
        "reason = 'Nothing to see'",
        "actor = 'somebody else'",
        "type = 'order.shipped'",
        "data = '{\"number\": 30}'",
        "at = at + interval '1 microsecond'",
        "channel = 'api'",
        "status_after = 'completed'",
        "attempt = 7",
        "run_id = 'another run'",
        "hash = repeat('0', 64)",
        "previous_hash = repeat('0', 64)",
    ],
)
def test_changed_row_is_named(order: Order, tamper: Tamper, change: str) -> None:
    tamper(f"UPDATE orders_orderevent SET {change} WHERE order_id = %s AND sequence = 3", order.pk)

    broken = verify(order)

    assert broken == history.ChainBreak(order_number=order.number, sequence=3, problem="the row was changed")


def test_changed_row_with_a_hash_made_to_fit_is_found_at_the_next_row(order: Order, tamper: Tamper) -> None:
    event = order.events.get(sequence=3)
    event.reason = "Nothing to see"
    forged = history.event_hash(event, event.previous_hash)
    tamper("UPDATE orders_orderevent SET reason = %s, hash = %s WHERE id = %s", event.reason, forged, event.pk)

    assert verify(order) == history.ChainBreak(order_number=order.number, sequence=4, problem="the row was changed")

    # Not even by telling the next row about it: its own hash covers the one before.
    tamper("UPDATE orders_orderevent SET previous_hash = %s WHERE order_id = %s AND sequence = 4", forged, order.pk)
    assert verify(order) == history.ChainBreak(order_number=order.number, sequence=4, problem="the row was changed")


@pytest.mark.parametrize(("gone", "named"), [(1, 1), (2, 2), (3, 3)])
def test_removed_row_is_named(order: Order, tamper: Tamper, gone: int, named: int) -> None:
    tamper("DELETE FROM orders_orderevent WHERE order_id = %s AND sequence = %s", order.pk, gone)

    broken = verify(order)

    assert broken == history.ChainBreak(order_number=order.number, sequence=named, problem="an event is missing")


def test_tail_that_was_cut_off_is_found(order: Order, tamper: Tamper) -> None:
    tamper("DELETE FROM orders_orderevent WHERE order_id = %s AND sequence = 4", order.pk)

    broken = verify(order)

    assert broken is not None
    assert (broken.sequence, broken.problem) == (4, "the chain does not end at its head")


def test_history_that_was_removed_altogether_is_found(order: Order, tamper: Tamper) -> None:
    tamper("DELETE FROM orders_orderevent WHERE order_id = %s", order.pk)

    assert verify(order) is not None


def test_event_of_another_order_does_not_fit(order: Order, tamper: Tamper) -> None:
    other = make_order(started=True)
    tamper("DELETE FROM orders_orderevent WHERE order_id = %s AND sequence = 2", order.pk)
    tamper("UPDATE orders_orderevent SET order_id = %s WHERE order_id = %s AND sequence = 2", order.pk, other.pk)

    broken = verify(order)

    assert broken == history.ChainBreak(order_number=order.number, sequence=2, problem="the row was changed")
