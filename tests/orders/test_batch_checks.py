"""Checks of a batch: what they find, how they fail, and that one which comes too late writes nothing."""

from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User

from orders import history
from orders.actor import Actor, person
from orders.errors import CarrierRejected, PartnerUnavailable
from orders.models import Batch, BatchItem, Order, Product, StockItem
from orders.partners.carrier import Booking
from orders.services import batches
from orders.services.batches.checking import Told
from orders.services.batches.working import Where
from orders.vocabulary import BatchAction, BatchStatus, Channel, Verdict
from tests.factories import TEST_ACTOR, make_order, make_prepared_order, make_product
from tests.orders import driving
from tests.orders.staff import make_user
from tests.orders.test_partner_runs import booked
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
HERE = Where()


def make_batch(action: BatchAction, *orders: Order, **options: Any) -> Batch:
    chosen = batches.Selection(orders=Order.objects.filter(pk__in=[order.pk for order in orders]), asked={})
    return batches.create(chosen, action, **{"actor": TEST_ACTOR, "reason": "Check", **options})


def checked(batch: Batch) -> list[BatchItem]:
    for position in batches.claim_checks(batch.pk).positions:
        batches.check_item(batch.pk, position, where=HERE)
    return list(batch.items.order_by("position"))


def recheck(order: Order) -> tuple[str, str]:
    [item] = checked(make_batch(BatchAction.RECHECK, order))
    assert item.status == "done"
    return item.outcome, item.error_message


def carrier_says(**changes: str) -> Any:
    def find(reference: str) -> Booking | None:
        if changes.get("status") == "unknown":
            return None
        known = {"reference": reference, "status": "booked", "carrier": "Parcel Line", "label_url": ""}
        return Booking(**{**known, "tracking_number": f"PL{reference[:8].upper()}", **changes})

    return mock.patch("orders.services.batches.checking.carrier.find", find)


def test_an_order_that_is_as_it_was_has_nothing_found_and_a_line_in_its_history() -> None:
    order = make_order()
    assert recheck(order) == ("Nothing found", "")
    event = order.events.last()
    assert event is not None
    assert (event.type, event.reason, event.data["found"]) == ("order.rechecked", "Nothing found", [])
    order.refresh_from_db()
    assert history.verify_chain(order, order.events.order_by("sequence")) is None
    assert order.status == "placed"


def test_stock_that_others_took_meanwhile_is_found() -> None:
    product = make_product("LAMP", stock=5)
    order = make_order(product=product, quantity=4)
    StockItem.objects.filter(product=product).update(reserved=2)
    assert recheck(order) == ("Found: stock", "LAMP: wanted 4, available 3")


def test_pieces_that_are_kept_for_the_order_are_not_missed() -> None:
    order = make_prepared_order(product=make_product(stock=2), quantity=2)
    assert recheck(order)[0] == "Nothing found"


def test_a_price_that_changed_and_a_country_that_is_none_are_found_together() -> None:
    product = make_product("LAMP", unit_price="10.00")
    order = make_order(product=product, country="Narnia")
    Product.objects.filter(pk=product.pk).update(unit_price=Decimal("12.50"))
    outcome, detail = recheck(order)
    assert outcome == "Found: address, price"
    assert "LAMP: ordered at 10, now 12.5" in detail


@pytest.mark.parametrize("country", ["GB", "gb", "United Kingdom", "ireland"])
def test_countries_go_by_code_or_name(country: str) -> None:
    assert recheck(make_order(country=country))[0] == "Nothing found"


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "Nothing found"),
        ({"status": "unknown"}, "Found: unknown"),
        ({"status": "cancelled"}, "Found: status"),
        ({"tracking_number": "PL-OTHER"}, "Found: tracking number"),
    ],
)
def test_what_the_carrier_says_otherwise_is_found(changes: dict[str, str], outcome: str) -> None:
    order = driving.drive(make_order())
    with carrier_says(**changes):
        [item] = checked(make_batch(BatchAction.CHECK_SHIPMENT, order))
    assert (item.status, item.outcome) == ("done", outcome)
    assert order.events.last().type == "order.shipment_checked"  # type: ignore[union-attr]


def test_a_final_no_of_the_carrier_is_the_result_of_its_item_only() -> None:
    orders = [driving.drive(make_order()) for _ in range(2)]
    batch = make_batch(BatchAction.CHECK_SHIPMENT, *orders)
    positions = batches.claim_checks(batch.pk).positions
    with mock.patch("orders.services.batches.checking.carrier.find", side_effect=CarrierRejected("No such account")):
        batches.check_item(batch.pk, positions[0], where=HERE)
    with carrier_says():
        batches.check_item(batch.pk, positions[1], where=HERE)
    first, second = batch.items.order_by("position")
    assert (first.status, first.error_type, first.error_message) == ("failed", "carrier_rejected", "No such account")
    assert second.status == "done"


def test_a_carrier_that_does_not_answer_is_raised_to_be_asked_again() -> None:
    batch = make_batch(BatchAction.CHECK_SHIPMENT, driving.drive(make_order()))
    [position] = batches.claim_checks(batch.pk).positions
    gone = mock.patch("orders.services.batches.checking.carrier.find", side_effect=PartnerUnavailable("503"))
    with gone, pytest.raises(PartnerUnavailable):
        batches.check_item(batch.pk, position, where=HERE)
    assert batch.items.get().status == "running"
    batches.fail_item(batch.pk, position, error_type="partner_unavailable", message="503")
    assert (batch.items.get().status, batch.items.get().error_message) == ("failed", "503")


def test_a_pause_puts_checks_back_and_one_that_comes_late_writes_nothing() -> None:
    order = make_order()
    batch = make_batch(BatchAction.RECHECK, order)
    [position] = batches.claim_checks(batch.pk).positions

    def pause_meanwhile(found: Order, actor: Actor) -> Told:
        batches.pause(batch.pk, actor=TEST_ACTOR, reason="Wait")
        assert batches.claim_checks(batch.pk).verdict is Verdict.STILL
        return Told(outcome="Nothing found")

    with mock.patch.dict("orders.services.batches.checking.CHECKS", {BatchAction.RECHECK: pause_meanwhile}):
        batches.check_item(batch.pk, position, where=HERE)
    batch.refresh_from_db()
    assert (batch.status, batch.items.get().status) == (BatchStatus.PAUSED, "pending")
    assert not order.events.filter(type="order.rechecked").exists()


def test_whoever_lost_the_permission_checks_nothing_more() -> None:
    user = make_user("orders.run_batch", "orders.view_order")
    batch = make_batch(BatchAction.RECHECK, make_order(), actor=person(user, Channel.ADMIN))
    User.objects.get(pk=user.pk).user_permissions.clear()
    [item] = checked(batch)
    assert (item.status, item.error_type) == ("failed", "not_permitted")


def test_the_window_is_filled_and_an_item_is_claimed_by_one_try() -> None:
    orders = [make_order() for _ in range(5)]
    batch = make_batch(BatchAction.RECHECK, *orders)
    assert batches.claim_checks(batch.pk, window=2).positions == [1, 2]
    assert batches.claim_checks(batch.pk, window=2).positions == [1, 2]
    batches.check_item(batch.pk, 1, where=HERE)
    assert batches.claim_checks(batch.pk, window=2).positions == [2, 3]
    assert set(batch.items.filter(position__lte=3).values_list("tries", flat=True)) == {1}


# --- Tracking ---------------------------------------------------------------------------------------------------------


def test_where_each_parcel_is_becomes_its_items_outcome_and_is_kept(partners: Http) -> None:
    orders = [driving.drive(make_order()) for _ in range(2)]
    shipments = [order.shipments.get() for order in orders]
    booked(partners, shipments)
    partners.request("POST", f"/carrier/shipments/{shipments[0].reference}/advance", {})
    first, second = checked(make_batch(BatchAction.REFRESH_TRACKING, *orders))
    assert (first.status, first.outcome) == ("done", "In transit")
    assert (second.status, second.outcome) == ("done", "Booked")
    shipments[0].refresh_from_db()
    assert shipments[0].tracking_status == "in_transit"
    assert list(orders[0].events.values_list("type", flat=True))[-2:] == [
        "order.tracking_updated",
        "order.shipment_checked",
    ]


def test_orders_without_a_parcel_on_its_way_are_not_asked_about() -> None:
    shipped = driving.drive(make_order())
    delivered = driving.drive(make_order())
    delivered.shipments.update(tracking_status="delivered")
    make_order()
    chosen = batches.Selection(orders=Order.objects.all(), asked={})
    shown = batches.preview(chosen, BatchAction.REFRESH_TRACKING, actor=TEST_ACTOR)
    assert [order.number for order in shown.sample] == [shipped.number]
    assert shown.excluded == {"delivered": 1, "not_shipped": 1}


def test_a_carrier_that_does_not_know_the_parcel_fails_its_item_and_one_that_is_silent_is_asked_again(
    partners: Http,
) -> None:
    unknown, silent = (driving.drive(make_order()) for _ in range(2))
    booked(partners, [silent.shipments.get()])
    batch = make_batch(BatchAction.REFRESH_TRACKING, unknown, silent)
    one, two = batches.claim_checks(batch.pk).positions
    batches.check_item(batch.pk, one, where=HERE)
    partners.fault(partner="carrier", operation="shipments.tracking", mode="unavailable")
    with pytest.raises(PartnerUnavailable):
        batches.check_item(batch.pk, two, where=HERE)
    first, second = batch.items.order_by("position")
    assert (first.status, first.error_type) == ("failed", "shipment_refused")
    assert second.status == "running"
