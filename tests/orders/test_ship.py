"""Booking the shipment and taking it back, against the carrier as a process of its own."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from orders import fence
from orders.errors import CarrierRejected, PartnerUnavailable, StaleAttempt, StepVoided
from orders.models import Order, OrderEvent, PartnerHealth, Reservation, Shipment, Step, StockItem
from orders.partners import carrier
from orders.services import payments, shipping
from orders.vocabulary import EventType, ReservationStatus, ShipmentStatus, StepName, StepStatus
from tests.factories import TEST_ACTOR, begin_undo, make_prepared_order
from tests.orders.connections import PATIENCE, connections
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(partners: Http) -> Order:
    """A paid order of two pieces out of a hundred."""
    return paid_order()


def paid_order(**options: Any) -> Order:
    order = make_prepared_order(**options)
    payments.charge(str(order.id), actor=TEST_ACTOR)
    return order


def ship(order: Order) -> None:
    shipping.ship(str(order.id), actor=TEST_ACTOR)


def undo(order: Order) -> None:
    begin_undo(order)
    shipping.undo_ship(str(order.id), actor=TEST_ACTOR)


def events(order: Order, event_type: EventType) -> list[OrderEvent]:
    return list(OrderEvent.objects.filter(order=order, type=event_type))


def step(order: Order, name: StepName) -> Step:
    return Step.objects.get(pk=fence.step_key(order.id, name))


def parcels(partners: Http, order: Order) -> tuple[int, int]:
    """Booked and cancelled, as the carrier has them."""
    books = partners.books(str(order.id))
    return books["shipments_booked"], books["shipments_cancelled"]


def assert_shipped_once(partners: Http, order: Order) -> None:
    assert parcels(partners, order) == (1, 0)
    shipment = Shipment.objects.get(order=order)
    assert (shipment.status, shipment.reference) == (ShipmentStatus.BOOKED, f"{order.id}:ship")
    assert stock() == (98, 0, 2)
    assert [event.data["pieces"] for event in events(order, EventType.SHIPPED)] == [2]


def assert_nothing_left(partners: Http, order: Order) -> None:
    assert parcels(partners, order)[0] == 0
    assert not Shipment.objects.filter(order=order, status=ShipmentStatus.BOOKED).exists()
    assert stock() == (100, 2, 0)
    assert set(Reservation.objects.values_list("status", flat=True)) == {ReservationStatus.HELD}


def stock() -> tuple[int, int, int]:
    """On hand, reserved, shipped."""
    return StockItem.objects.values_list("on_hand", "reserved", "shipped").get()


def stall(monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: Callable[[], object], *, after: bool) -> None:
    """The next call of `carrier.<name>` stalls, before or after its effect, while `meanwhile` happens."""
    call = getattr(carrier, name)

    def stalled(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(carrier, name, call)
        if not after:
            meanwhile()
        answer = call(*arguments, **options)
        if after:
            meanwhile()
        return answer

    monkeypatch.setattr(carrier, name, stalled)


# --- Shipping ---------------------------------------------------------------------------------------------------------


def test_shipping_books_one_parcel_and_lets_the_reserved_pieces_leave(order: Order, partners: Http) -> None:
    ship(order)

    assert_shipped_once(partners, order)
    shipment = Shipment.objects.get(order=order)
    assert shipment.carrier == "SimPost"
    assert shipment.label_url.endswith(shipment.tracking_number)
    assert step(order, StepName.SHIP).result == {"tracking_number": shipment.tracking_number}


def test_shipping_again_asks_the_carrier_nothing(order: Order, partners: Http) -> None:
    ship(order)
    partners.fault(partner="carrier", mode="error_before")

    ship(order)

    assert_shipped_once(partners, order)


def test_country_that_is_not_served_is_final_and_moves_nothing(partners: Http) -> None:
    order = paid_order(country="AQ")

    with pytest.raises(CarrierRejected, match="does not serve AQ"):
        ship(order)

    assert_nothing_left(partners, order)
    assert PartnerHealth.objects.get(pk="carrier").failures_in_a_row == 0


@pytest.mark.parametrize("mode", ["error_before", "unavailable", "error_after", "drop_after"])
def test_booking_whose_answer_was_lost_is_one_parcel_after_the_retry(order: Order, partners: Http, mode: str) -> None:
    partners.fault(partner="carrier", operation="shipments.book", mode=mode, times=1)

    with pytest.raises(PartnerUnavailable):
        ship(order)
    assert stock() == (100, 2, 0)
    ship(order)

    assert_shipped_once(partners, order)


def test_booking_whose_answer_was_lost_is_found_by_look_up_and_not_booked_again(order: Order, partners: Http) -> None:
    partners.fault(partner="carrier", operation="shipments.book", mode="error_after", times=1)
    with pytest.raises(PartnerUnavailable):
        ship(order)
    partners.fault(partner="carrier", operation="shipments.book", mode="error_before")

    ship(order)

    assert_shipped_once(partners, order)


@pytest.mark.parametrize("mode", ["hang_before", "hang_after"])
def test_carrier_that_hangs_is_given_up_on_after_the_timeout(
    order: Order, partners: Http, settings: Settings, mode: str
) -> None:
    settings.PARTNER_TIMEOUT_SECONDS = 0.4
    partners.fault(partner="carrier", operation="shipments.book", mode=mode, seconds=60, times=1)

    with pytest.raises(PartnerUnavailable):
        ship(order)
    settings.PARTNER_TIMEOUT_SECONDS = 10
    ship(order)

    assert_shipped_once(partners, order)


def test_carrier_that_is_not_there_is_noted_for_staff_to_see(order: Order, settings: Settings) -> None:
    settings.CARRIER_URL = "http://127.0.0.1:9"

    with pytest.raises(PartnerUnavailable):
        ship(order)

    assert "did not answer" in step(order, StepName.SHIP).last_error
    assert [event.data for event in events(order, EventType.STEP_RETRYING)] == [{"claim": 1}]
    assert PartnerHealth.objects.get(pk="carrier").failures_in_a_row == 1


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
def test_attempt_that_stalled_while_another_one_shipped_changes_nothing(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    stall(monkeypatch, "book", lambda: ship(order), after=after)

    with pytest.raises(StaleAttempt):
        ship(order)

    assert_shipped_once(partners, order)


def test_attempt_that_lost_its_claim_does_not_book(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    partners.fault(partner="carrier", operation="shipments.book", mode="error_before", times=1)
    with pytest.raises(PartnerUnavailable):
        ship(order)
    stall(monkeypatch, "find", lambda: fence.claim(order.id, StepName.SHIP), after=True)

    with pytest.raises(StaleAttempt):
        ship(order)

    assert parcels(partners, order) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_attempts_at_the_same_moment_ship_once(partners: Http) -> None:
    order = paid_order()

    with connections(5) as others:
        attempts = [others.begin(ship, order) for _ in range(5)]
        errors = [attempt.exception(PATIENCE) for attempt in attempts]

    assert all(error is None or isinstance(error, StaleAttempt) for error in errors)
    assert_shipped_once(partners, order)


# --- Undoing ----------------------------------------------------------------------------------------------------------


def test_undo_cancels_the_parcel_and_puts_the_pieces_back_still_held(order: Order, partners: Http) -> None:
    ship(order)

    undo(order)

    assert parcels(partners, order) == (0, 1)
    assert_nothing_left(partners, order)
    assert [event.data for event in events(order, EventType.SHIPMENT_UNDONE)] == [{"pieces": 2}]


def test_undo_of_nothing_bars_a_late_booking_here_and_at_the_carrier(order: Order, partners: Http) -> None:
    undo(order)

    with pytest.raises(StepVoided):
        ship(order)
    with pytest.raises(CarrierRejected):
        carrier.book(f"{order.id}:ship", order=str(order.id), country="GB", pieces=2)
    assert_nothing_left(partners, order)


@pytest.mark.parametrize("mode", ["error_before", "error_after"])
def test_undo_after_a_lost_answer_leaves_no_parcel_wherever_it_was_lost(
    order: Order, partners: Http, mode: str
) -> None:
    partners.fault(partner="carrier", operation="shipments.book", mode=mode, times=1)
    with pytest.raises(PartnerUnavailable):
        ship(order)

    undo(order)

    assert_nothing_left(partners, order)
    with pytest.raises(StepVoided):
        ship(order)


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
def test_undo_while_the_booking_is_on_its_way_wins(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    stall(monkeypatch, "book", lambda: undo(order), after=after)

    with pytest.raises((StepVoided, CarrierRejected)):
        ship(order)

    assert_nothing_left(partners, order)


def test_undo_twice_takes_the_pieces_back_once(order: Order, partners: Http) -> None:
    ship(order)

    undo(order)
    undo(order)

    assert_nothing_left(partners, order)
    assert len(events(order, EventType.SHIPMENT_UNDONE)) == 1


@pytest.mark.parametrize("mode", ["error_before", "error_after", "drop_after"])
def test_cancellation_whose_answer_was_lost_is_repeated_and_counts_once(
    order: Order, partners: Http, mode: str
) -> None:
    ship(order)
    partners.fault(partner="carrier", operation="shipments.cancel", mode=mode, times=1)

    with pytest.raises(PartnerUnavailable):
        undo(order)
    assert stock() == (98, 0, 2)
    undo(order)

    assert_nothing_left(partners, order)


def test_two_undos_at_once_take_the_pieces_back_once(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(order)
    stall(monkeypatch, "cancel", lambda: undo(order), after=True)

    with pytest.raises(StaleAttempt):
        undo(order)

    assert_nothing_left(partners, order)


def test_parcel_that_has_left_cannot_be_undone_and_staff_see_it(order: Order, partners: Http) -> None:
    ship(order)
    assert partners.request("POST", f"/carrier/shipments/{order.id}:ship/advance")[0] == 200

    with pytest.raises(CarrierRejected, match="in_transit"):
        undo(order)

    assert step(order, StepName.RECALL).status == StepStatus.OPEN
    assert "in_transit" in step(order, StepName.RECALL).last_error
    assert [event.step for event in events(order, EventType.STEP_RETRYING)] == [StepName.RECALL]
    assert_shipped_once(partners, order)
