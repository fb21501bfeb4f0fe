"""Where a parcel is: told again, told late or told out of order, it only ever moves forward."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from django.db import DatabaseError, transaction

from orders.errors import CarrierRejected, PartnerUnavailable
from orders.models import Order, Shipment, TrackingEvent
from orders.partners.carrier import TrackingNews, track
from orders.services import tracking
from orders.vocabulary import EventType, TrackingStatus
from tests.factories import TEST_ACTOR
from tests.orders.test_partner_runs import booked, make_shipments
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BOOKED, IN_TRANSIT, EXCEPTION, DELIVERED = (
    TrackingStatus.BOOKED,
    TrackingStatus.IN_TRANSIT,
    TrackingStatus.EXCEPTION,
    TrackingStatus.DELIVERED,
)


def news(event_id: str, status: TrackingStatus, minutes: int = 0) -> TrackingNews:
    return TrackingNews(event_id=event_id, status=status, at=NOON + timedelta(minutes=minutes))


def learn(shipment: Shipment, *told: TrackingNews) -> TrackingStatus:
    return tracking.learn(shipment.reference, told, actor=TEST_ACTOR)


def moves(order: Order) -> list[str]:
    return [event.data["tracking_status"] for event in order.events.filter(type=EventType.TRACKING_UPDATED)]


def test_a_parcel_on_its_way_is_a_line_of_history_and_a_row_with_the_moment(partners: Http) -> None:
    (shipment,) = make_shipments(1)
    booked(partners, [shipment])
    assert tracking.refresh(shipment.reference, actor=TEST_ACTOR) is BOOKED
    assert moves(shipment.order) == []
    partners.request("POST", f"/carrier/shipments/{shipment.reference}/advance", {})
    assert tracking.refresh(shipment.reference, actor=TEST_ACTOR) is IN_TRANSIT
    partners.request("POST", f"/carrier/shipments/{shipment.reference}/advance", {"exception": True})
    assert tracking.refresh(shipment.reference, actor=TEST_ACTOR) is EXCEPTION
    partners.request("POST", f"/carrier/shipments/{shipment.reference}/advance", {})
    assert tracking.refresh(shipment.reference, actor=TEST_ACTOR) is DELIVERED
    shipment.refresh_from_db()
    assert shipment.tracking_status == DELIVERED
    assert shipment.tracking_updated_at is not None
    assert moves(shipment.order) == ["in_transit", "exception", "delivered"]


def test_events_that_are_told_again_are_no_news() -> None:
    (shipment,) = make_shipments(1)
    told = (news("e1", BOOKED), news("e2", IN_TRANSIT, 5))
    for _ in range(3):
        assert learn(shipment, *told) is IN_TRANSIT
    # The same event with another story: what was told first stands.
    assert learn(shipment, news("e2", DELIVERED, 9)) is IN_TRANSIT
    assert TrackingEvent.objects.count() == 2
    assert moves(shipment.order) == ["in_transit"]


def test_in_whatever_order_the_events_come_the_parcel_ends_at_the_same_place() -> None:
    told = (news("e1", BOOKED), news("e2", IN_TRANSIT, 1), news("e3", EXCEPTION, 2), news("e4", IN_TRANSIT, 3))
    for come in permutations(told):
        (shipment,) = make_shipments(1)
        for one in come:
            learn(shipment, one)
        assert learn(shipment) is IN_TRANSIT
        assert learn(shipment, news("e9", BOOKED, 60)) is IN_TRANSIT, "a parcel on its way was booked again"


def test_a_delivered_parcel_stays_delivered() -> None:
    (shipment,) = make_shipments(1)
    learn(shipment, news("e1", DELIVERED, 1))
    assert learn(shipment, news("e2", IN_TRANSIT, 5), news("e3", EXCEPTION, 9)) is DELIVERED
    assert moves(shipment.order) == ["delivered"]


def test_a_word_that_nobody_knows_is_for_a_person_to_look_at(partners: Http) -> None:
    (shipment,) = make_shipments(1)
    booked(partners, [shipment])
    partners.request("POST", f"/carrier/shipments/{shipment.reference}/cancel", {"order": str(shipment.order_id)})
    assert [event.status for event in track(shipment.reference)] == [BOOKED, EXCEPTION]


def test_a_carrier_that_does_not_answer_changes_nothing(partners: Http) -> None:
    (shipment,) = make_shipments(1)
    with pytest.raises(CarrierRejected):
        tracking.refresh(shipment.reference, actor=TEST_ACTOR)
    booked(partners, [shipment])
    partners.fault(partner="carrier", operation="shipments.tracking", mode="unavailable")
    with pytest.raises(PartnerUnavailable):
        tracking.refresh(shipment.reference, actor=TEST_ACTOR)
    shipment.refresh_from_db()
    assert (shipment.tracking_status, shipment.tracking_updated_at) == (BOOKED, None)


def test_what_the_carrier_told_cannot_be_changed() -> None:
    (shipment,) = make_shipments(1)
    learn(shipment, news("e1", IN_TRANSIT))
    for change in (lambda: TrackingEvent.objects.update(status=BOOKED), lambda: TrackingEvent.objects.all().delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
