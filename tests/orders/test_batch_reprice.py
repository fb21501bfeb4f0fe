"""New prices by a batch: the catalogue's of today, and never for an order whose amount is settled."""

from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from orders import history
from orders.actor import person
from orders.errors import NotPermitted
from orders.models import Batch, BatchItem, Order, OrderLine, Product
from orders.services import batches, holding, placing, process
from orders.services.batches.working import Where
from orders.vocabulary import BatchAction, Channel, Verdict
from tests.factories import TEST_ACTOR, make_order, make_prepared_order, make_product
from tests.orders import driving
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
HERE = Where(workflow_id="batch:1", run_id="run-1", attempt=1)


@pytest.fixture
def lamp() -> Product:
    return make_product("LAMP", unit_price="10.00")


def now_costs(product: Product, price: str, **changes: Any) -> None:
    Product.objects.filter(pk=product.pk).update(unit_price=Decimal(price), **changes)


def make_batch(*orders: Order, **options: Any) -> Batch:
    chosen = batches.Selection(orders=Order.objects.filter(pk__in=[order.pk for order in orders]), asked={})
    return batches.create(chosen, BatchAction.REPRICE, **{"actor": TEST_ACTOR, "reason": "Spring list", **options})


def done(batch: Batch) -> list[BatchItem]:
    while batches.run_chunk(batch.pk, where=HERE) is Verdict.GO:
        pass
    return list(batch.items.order_by("position"))


def assert_adds_up(order: Order) -> None:
    order.refresh_from_db()
    assert sum(line.total_minor for line in order.lines.all()) == order.total_minor
    assert history.verify_chain(order, order.events.order_by("sequence")) is None


def test_an_order_takes_the_prices_of_today_and_its_history_keeps_those_before(lamp: Product) -> None:
    order = make_order(product=lamp, quantity=3)
    now_costs(lamp, "12.50")
    [item] = done(make_batch(order))
    assert (item.status, item.outcome) == ("done", "Repriced")
    assert item.error_message == "£30.00 before, £37.50 now"
    assert_adds_up(order)
    assert order.total_minor == 3_750
    event = order.events.last()
    assert event is not None
    assert (event.type, event.reason, event.actor) == ("order.repriced", "Spring list", "test")
    assert (event.data["total_before_minor"], event.data["total_minor"]) == (3_000, 3_750)
    assert event.data["prices"] == [[1, "10.0000", "12.5000"]]


def test_an_order_that_costs_the_same_is_left_as_it_is(lamp: Product) -> None:
    order = make_order(product=lamp)
    [item] = done(make_batch(order))
    assert (item.status, item.outcome) == ("done", "As the catalogue says already")
    assert not order.events.filter(type="order.repriced").exists()


def test_an_order_that_is_held_before_it_was_started_is_repriced_and_then_processed_at_that_price(
    lamp: Product,
) -> None:
    order = make_order(product=lamp)
    holding.hold(order.number, actor=TEST_ACTOR, reason="Prices")
    now_costs(lamp, "11.00")
    [item] = done(make_batch(order))
    assert item.outcome == "Repriced"
    holding.release(order.number, actor=TEST_ACTOR, reason="Done")
    assert driving.drive(order).status == "completed"
    assert_adds_up(order)
    assert order.payment.captured_minor == 2_200


def test_the_preview_leaves_out_what_was_started_charged_or_shipped_and_says_why(lamp: Product) -> None:
    make_order(product=lamp)
    make_prepared_order(product=lamp)
    driving.drive(make_order(product=lamp))
    driving.drive(make_order(product=lamp), gateway=driving.decline())
    driving.make_order_that_was_charged_without_a_check()
    selection = batches.Selection(orders=Order.objects.all(), asked={})
    shown = batches.preview(selection, BatchAction.REPRICE, actor=TEST_ACTOR)
    assert shown.seen.count == 1
    assert shown.excluded == {"started_already": 1, "charged": 1, "shipped": 1, "closed": 1}


def test_an_order_that_was_started_after_the_freeze_keeps_its_amount(lamp: Product) -> None:
    order = make_order(product=lamp)
    batch = make_batch(order)
    placing.start(order.number, actor=TEST_ACTOR)
    now_costs(lamp, "12.50")
    [item] = done(batch)
    assert (item.status, item.error_type) == ("failed", "wrong_state")
    assert "only the prices of one that nobody started change" in item.error_message
    process.adopt(str(order.pk), run_id="run-1")
    process.validate(str(order.pk), actor=TEST_ACTOR)
    assert_adds_up(order)
    assert order.total_minor == 2_000


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"price": "10.00", "currency": "EUR"}, "LAMP is priced in EUR by now"),
        ({"price": "0"}, "would cost 0 minor units; it must be 1 to"),
        ({"price": "900000"}, "would cost 180000000 minor units; it must be 1 to"),
    ],
)
def test_a_price_that_an_order_cannot_take_is_the_result_of_its_item_only(
    lamp: Product, changes: dict[str, str], says: str
) -> None:
    bad, good = make_order(product=lamp), make_order()
    now_costs(lamp, changes.pop("price"), **changes)
    now_costs(good.lines.get().product, "20.00")
    first, second = done(make_batch(bad, good))
    assert (first.status, first.error_type) == ("failed", "wrong_state")
    assert says in first.error_message
    assert second.outcome == "Repriced"
    for order in (bad, good):
        assert_adds_up(order)


def test_a_chunk_of_many_orders_takes_few_statements(lamp: Product) -> None:
    orders = [make_order(product=lamp) for _ in range(40)]
    now_costs(lamp, "12.50")
    batch = make_batch(*orders)
    with mock.patch("orders.services.batches.chunks.AUTO_PAUSE_AFTER", 40), CaptureQueriesContext(connection) as asked:
        batches.run_chunk(batch.pk, where=HERE)
    assert len(asked) < 40
    assert set(Order.objects.values_list("total_minor", flat=True)) == {2_500}


@pytest.mark.parametrize("permissions", [("orders.run_batch",), ("orders.reprice_order",)])
def test_it_takes_its_own_permission_beside_that_of_batches(permissions: tuple[str, ...]) -> None:
    with pytest.raises(NotPermitted):
        make_batch(make_order(), actor=person(make_user(*permissions), Channel.ADMIN))


def test_the_database_refuses_another_amount_once_processing_was_asked_for() -> None:
    order = make_prepared_order()
    for change in (
        lambda: Order.objects.filter(pk=order.pk).update(total_minor=1),
        lambda: OrderLine.objects.filter(order=order).update(unit_price=1),
        lambda: OrderLine.objects.filter(order=order).update(total_minor=1),
        lambda: OrderLine.objects.filter(order=order).update(quantity=1),
    ):
        with pytest.raises(DatabaseError, match=r"Cannot (update|change)"), transaction.atomic():
            change()
