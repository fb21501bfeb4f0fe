"""Stock: promised all or none, never twice, and always given back."""

from collections.abc import Callable
from concurrent.futures import Future
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.db.models import F

from orders import fence, history
from orders.errors import OutOfStock, StaleAttempt, StepVoided, WrongState
from orders.models import Order, Product, Reservation, StockItem
from orders.services import placing, process, stock, tasks
from orders.vocabulary import EventType, OrderStatus, ReservationStatus, StepName, TaskKind, TaskLevel
from tests.factories import TEST_ACTOR, begin_undo, make_order, make_product
from tests.orders.connections import PATIENCE, connections, wait_for_a_blocked_connection


def validated_order(*wanted: tuple[Product, int]) -> str:
    """The id of an order of these lines whose next step is to reserve."""
    order = placing.place(
        placing.NewOrder(
            currency="GBP",
            payment_method="pm_card_visa",
            ship_to_country="GB",
            lines=tuple(
                placing.NewLine(sku=product.sku, quantity=quantity, unit_price=Decimal(1))
                for product, quantity in wanted
            ),
        ),
        actor=TEST_ACTOR,
    )
    placing.start(order.number, actor=TEST_ACTOR)
    process.validate(str(order.id), actor=TEST_ACTOR)
    return str(order.id)


def reserve(order_id: str) -> None:
    stock.reserve(order_id, actor=TEST_ACTOR)


def release(order_id: str) -> None:
    begin_undo(Order.objects.get(pk=order_id))
    give_back(order_id)


def give_back(order_id: str) -> None:
    stock.release(order_id, actor=TEST_ACTOR)


def pieces(product: Product) -> tuple[int, int, int]:
    """On hand, reserved, shipped."""
    return StockItem.objects.values_list("on_hand", "reserved", "shipped").get(pk=product.pk)


def status(order_id: str) -> str:
    return Order.objects.values_list("status", flat=True).get(pk=order_id)


def held(order_id: str) -> dict[int, tuple[int, str]]:
    rows = Reservation.objects.filter(order_id=order_id).values_list("product_id", "quantity", "status")
    return {product: (quantity, status) for product, quantity, status in rows}


@pytest.mark.django_db
def test_reserving_promises_every_piece_and_moves_the_order_on() -> None:
    lamp, rope = make_product(stock=5), make_product(stock=9)
    order = validated_order((lamp, 2), (rope, 9))

    reserve(order)

    assert (pieces(lamp), pieces(rope)) == ((5, 2, 0), (9, 9, 0))
    assert held(order) == {lamp.pk: (2, ReservationStatus.HELD), rope.pk: (9, ReservationStatus.HELD)}
    assert status(order) == OrderStatus.CHECKING


@pytest.mark.django_db
def test_lines_of_one_product_are_added_up_before_the_shelf_is_asked() -> None:
    lamp = make_product(stock=5)

    with pytest.raises(OutOfStock):
        reserve(validated_order((lamp, 3), (lamp, 3)))
    order = validated_order((lamp, 3), (lamp, 2))
    reserve(order)

    assert held(order) == {lamp.pk: (5, ReservationStatus.HELD)}


@pytest.mark.django_db
def test_one_short_product_reserves_nothing_and_is_named_with_its_numbers() -> None:
    lamp, rope = make_product("LAMP", stock=5), make_product("ROPE", stock=1)
    order = validated_order((lamp, 2), (rope, 2))

    with pytest.raises(OutOfStock, match=r"^ROPE: wanted 2, available 1$"):
        reserve(order)

    assert (pieces(lamp), pieces(rope)) == ((5, 0, 0), (1, 0, 0))
    assert (held(order), status(order)) == ({}, OrderStatus.RESERVING)


@pytest.mark.django_db
def test_many_short_products_fit_into_one_sentence() -> None:
    order = validated_order(*((make_product(stock=0), 1) for _ in range(7)))

    with pytest.raises(OutOfStock, match=r" and 2 more$") as refusal:
        reserve(order)

    assert str(refusal.value).count("wanted") == 5


@pytest.mark.django_db
def test_product_without_a_stock_row_counts_as_none_available() -> None:
    product = Product.objects.create(sku="GHOST", unit_price=Decimal(1))

    with pytest.raises(OutOfStock, match="GHOST: wanted 1, available 0"):
        reserve(validated_order((product, 1)))


@pytest.mark.django_db
def test_pieces_promised_to_another_order_are_not_available() -> None:
    lamp = make_product(stock=3)
    reserve(validated_order((lamp, 2)))

    with pytest.raises(OutOfStock, match="wanted 2, available 1"):
        reserve(validated_order((lamp, 2)))


@pytest.mark.django_db
def test_reserving_again_promises_nothing_more() -> None:
    lamp = make_product(stock=5)
    order = validated_order((lamp, 2))

    reserve(order)
    reserve(order)

    assert pieces(lamp) == (5, 2, 0)


@pytest.mark.django_db
def test_release_gives_back_what_the_order_holds_and_says_how_many() -> None:
    lamp = make_product(stock=5)
    order = validated_order((lamp, 2))
    reserve(order)

    release(order)
    release(order)

    assert pieces(lamp) == (5, 0, 0)
    assert held(order) == {lamp.pk: (2, ReservationStatus.RELEASED)}
    events = Order.objects.get(pk=order).events.filter(type="order.stock_released")
    assert [event.data for event in events] == [{"pieces": 2}]


@pytest.mark.django_db
def test_release_of_nothing_changes_nothing_and_bars_a_late_reservation() -> None:
    lamp = make_product(stock=5)
    order = validated_order((lamp, 2))

    release(order)

    with pytest.raises(StepVoided):
        reserve(order)
    assert (pieces(lamp), held(order)) == ((5, 0, 0), {})


@pytest.mark.django_db
def test_reservation_that_stalled_while_its_order_was_released_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lamp = make_product(stock=5)
    order = validated_order((lamp, 2))
    claim = stock.fence.claim

    def stalled(*arguments: Any) -> Any:
        mine = claim(*arguments)
        monkeypatch.undo()
        release(order)
        return mine

    monkeypatch.setattr(stock.fence, "claim", stalled)
    with pytest.raises(StepVoided):
        reserve(order)

    assert (pieces(lamp), held(order)) == ((5, 0, 0), {})


@pytest.mark.django_db
def test_reservation_that_stalled_while_it_was_retried_reserves_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lamp = make_product(stock=5)
    order = validated_order((lamp, 2))
    claim = stock.fence.claim

    def stalled(*arguments: Any) -> Any:
        mine = claim(*arguments)
        monkeypatch.undo()
        reserve(order)
        return mine

    monkeypatch.setattr(stock.fence, "claim", stalled)
    with pytest.raises(StaleAttempt):
        reserve(order)

    assert pieces(lamp) == (5, 2, 0)


@pytest.mark.django_db
def test_consumed_pieces_leave_the_shelf_and_come_back_still_held() -> None:
    lamp = make_product(stock=5)
    order = validated_order((lamp, 2))
    reserve(order)

    with transaction.atomic():
        assert stock.move_reserved(history.lock_order(order), to=ReservationStatus.CONSUMED) == 2
    assert (pieces(lamp), held(order)) == ((3, 0, 2), {lamp.pk: (2, ReservationStatus.CONSUMED)})

    with transaction.atomic():
        assert stock.take_back(history.lock_order(order)) == 2
    assert (pieces(lamp), held(order)) == ((5, 2, 0), {lamp.pk: (2, ReservationStatus.HELD)})

    release(order)
    assert pieces(lamp) == (5, 0, 0)


@pytest.mark.django_db
def test_consuming_and_taking_back_twice_move_nothing_more() -> None:
    lamp = make_product(stock=5)
    order = validated_order((lamp, 2))
    reserve(order)

    with transaction.atomic():
        locked = history.lock_order(order)
        moved = [stock.move_reserved(locked, to=ReservationStatus.CONSUMED) for _ in range(2)]
        back = [stock.take_back(locked) for _ in range(2)]

    assert (moved, back) == ([2, 0], [2, 0])


@pytest.mark.django_db
def test_history_of_an_order_that_held_nothing_does_not_say_that_pieces_are_free_again() -> None:
    order = validated_order((make_product(), 1))

    release(order)

    assert not Order.objects.get(pk=order).events.filter(type=EventType.STOCK_RELEASED).exists()


# --- Several connections ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("act", "step"), [(reserve, StepName.RESERVE), (give_back, StepName.RELEASE)])
def test_a_step_that_ends_stands_in_nobodys_way_who_has_the_order(act: Callable[[str], None], step: StepName) -> None:
    order_id = validated_order((make_product(stock=5), 1))
    if act is give_back:
        reserve(order_id)
        begin_undo(Order.objects.get(pk=order_id))
    # The first attempt died; a first claim would wait for the order already, because its row points to it.
    fence.claim(order_id, step)

    with connections(1) as others:
        with transaction.atomic():
            order = history.lock_order(order_id)
            acting = others.begin(act, order_id)
            wait_for_a_blocked_connection()
            # A line of history that the step had written before it waits would make this a deadlock.
            tasks.open_task(TaskKind.ESCALATION, order, level=TaskLevel.AGENT, says="Look at it", actor=TEST_ACTOR)
        acting.result(PATIENCE)

    told = list(Order.objects.get(pk=order_id).events.order_by("sequence").values_list("type", flat=True))[-2:]
    assert told == [EventType.TASK_OPENED, EventType.STOCK_RESERVED if act is reserve else EventType.STOCK_RELEASED]


def outcomes(reserving: list[Future[None]]) -> list[str]:
    """The name of each one's error, "done" where there was none."""
    errors = [future.exception(PATIENCE) for future in reserving]
    return sorted(type(error).__name__ if error else "done" for error in errors)


@pytest.mark.django_db(transaction=True)
def test_twenty_orders_at_once_never_oversell_ten_pieces() -> None:
    lamp = make_product(stock=10)
    orders = [validated_order((lamp, 1)) for _ in range(20)]

    with connections(20) as others:
        found = outcomes([others.begin(reserve, order) for order in orders])

    assert found == ["OutOfStock"] * 10 + ["done"] * 10
    assert pieces(lamp) == (10, 10, 0)
    assert Reservation.objects.filter(status=ReservationStatus.HELD).count() == 10


@pytest.mark.django_db(transaction=True)
def test_last_piece_that_another_order_is_taking_is_waited_for_and_then_gone() -> None:
    lamp = make_product(stock=1)
    order = validated_order((lamp, 1))

    with connections(1) as others:
        with transaction.atomic():
            StockItem.objects.filter(pk=lamp.pk).update(reserved=F("reserved") + 1)
            reserving = others.begin(reserve, order)
            wait_for_a_blocked_connection()
        assert outcomes([reserving]) == ["OutOfStock"]
    assert pieces(lamp) == (1, 1, 0)


@pytest.mark.django_db(transaction=True)
def test_orders_with_the_same_products_the_other_way_round_do_not_deadlock() -> None:
    products = [make_product(stock=100) for _ in range(6)]
    there = [(product, 1) for product in products]
    orders = [validated_order(*(there if index % 2 else reversed(there))) for index in range(12)]

    with connections(12) as others:
        found = outcomes([others.begin(reserve, order) for order in orders])

    assert found == ["done"] * 12
    assert {pieces(product) for product in products} == {(100, 12, 0)}


@pytest.mark.django_db(transaction=True)
def test_stock_is_locked_in_the_order_of_product_ids_wherever_the_rows_lie() -> None:
    """Whoever waits for the lower product must not hold the higher one: that is half of a deadlock."""
    lower, higher = make_product(stock=9), make_product(stock=9)
    # A table is read as its rows lie on the disk, unless the query says otherwise.
    StockItem.objects.filter(pk=lower.pk).delete()
    StockItem.objects.create(product=lower, received=9, on_hand=9)
    order = validated_order((higher, 1), (lower, 1))

    def in_transaction(move: Callable[[Order], object]) -> None:
        with transaction.atomic():
            move(history.lock_order(order))

    for act in (
        lambda: reserve(order),
        lambda: in_transaction(partial(stock.move_reserved, to=ReservationStatus.CONSUMED)),
        lambda: in_transaction(stock.take_back),
    ):
        with connections(1) as others:
            with transaction.atomic():
                StockItem.objects.select_for_update().get(pk=lower.pk)
                acting = others.begin(act)
                wait_for_a_blocked_connection()
                try:
                    StockItem.objects.select_for_update(nowait=True).get(pk=higher.pk)
                except OperationalError:
                    pytest.fail("The higher product is locked by somebody who still waits for the lower one.")
            assert outcomes([acting]) == ["done"]


@pytest.mark.django_db(transaction=True)
def test_order_released_while_it_reserves_ends_with_nothing_held() -> None:
    """Whichever comes first, the pieces are free in the end."""
    lamp = make_product(stock=50)
    orders = [validated_order((lamp, 1)) for _ in range(10)]

    with connections(20) as others:
        racing = [others.begin(act, order) for order in orders for act in (reserve, release)]
        found = set(outcomes(racing))

    assert found <= {"done", "StepVoided", "WrongState"}
    assert pieces(lamp) == (50, 0, 0)
    assert not Reservation.objects.filter(status=ReservationStatus.HELD).exists()


@pytest.mark.django_db
def test_order_cannot_reserve_before_it_was_validated() -> None:
    order = make_order(started=True)

    with pytest.raises(WrongState, match="is queued and cannot become checking"):
        reserve(str(order.id))
