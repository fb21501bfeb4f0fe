"""What two people agreed on about an order stands in its sealed history: both, both moments, and the approval."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders import history
from orders.actor import person
from orders.errors import WrongState
from orders.models import Approval, Order, OrderEvent, Payment, Refund
from orders.services import approvals, deciding, payments, process, refunding, repaying, shipping
from orders.services.sweeping import deadlines
from orders.vocabulary import Channel, EventType
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving
from tests.orders.staff import make_user
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
ASKED_AT = "2031-11-29T03:42:22+00:00"
APPROVED_AT = "2031-11-29T03:43:35+00:00"


@pytest.fixture(autouse=True)
def limit(settings: Settings) -> None:
    settings.REFUND_SECOND_PERSON_OVER_MINOR = 800


@pytest.fixture
def order() -> Order:
    return driving.drive(make_order())


@pytest.fixture
def anna() -> User:
    return make_user("orders.refund_order", name="anna")


@pytest.fixture
def ben() -> User:
    return make_user("orders.refund_order", "orders.decide_approval", name="ben")


def ask(order: Order, user: User, reason: str = "Broken lamp") -> Approval:
    asked = refunding.request(order.number, amount_minor=900, actor=person(user, Channel.ADMIN), reason=reason)
    assert isinstance(asked, Approval)
    return asked


def last(order: Order, kind: EventType) -> OrderEvent:
    return order.events.get(type=kind)


def assert_sealed(order: Order) -> None:
    order.refresh_from_db()
    assert history.verify_chain(order, order.events.order_by("sequence")) is None


def test_asking_is_told_when_it_happens_with_who_what_and_why(order: Order, anna: User) -> None:
    approval = ask(order, anna)

    event = last(order, EventType.APPROVAL_ASKED)

    assert (event.actor, event.reason) == ("anna", f"Refund £9.00 of order {order.number}. Broken lamp")
    assert event.data == {
        "approval": str(approval.pk),
        "asked_for": "refund",
        "asked_by": "anna",
        "asked_at": approval.requested_at.isoformat(),
        "amount_minor": 900,
    }
    assert_sealed(order)


def test_what_two_people_agreed_on_names_both_with_their_times(order: Order, anna: User, ben: User) -> None:
    with time_machine.travel(ASKED_AT, tick=False):
        approval = ask(order, anna)
    with time_machine.travel(APPROVED_AT, tick=False):
        deciding.approve(approval.pk, actor=person(ben, Channel.ADMIN), reason="Saw the photo")

    evidence = {
        "approval": str(approval.pk),
        "asked_by": "anna",
        "asked_at": ASKED_AT,
        "approved_by": "ben",
        "approved_at": APPROVED_AT,
    }
    given, begun = last(order, EventType.APPROVAL_GIVEN), last(order, EventType.REFUND_ASKED)
    assert (given.actor, given.reason.endswith("Saw the photo")) == ("ben", True)
    for event in (given, begun):
        assert evidence.items() <= event.data.items()
    assert begun.reason == (
        "Asked for by anna at 2031-11-29 03:42:22 UTC, approved by ben at 2031-11-29 03:43:35 UTC "
        f"(approval {approval.pk}). Broken lamp"
    )
    assert_sealed(order)


def test_the_money_that_goes_names_both_too(partners: Http, anna: User, ben: User) -> None:
    order = make_prepared_order()
    for step in (payments.charge, shipping.ship, process.complete):
        step(str(order.pk), actor=TEST_ACTOR)
    approval = ask(order, anna)
    deciding.approve(approval.pk, actor=person(ben, Channel.ADMIN))

    repaying.send(str(Refund.objects.get().pk), actor=TEST_ACTOR)

    event = last(order, EventType.REFUNDED)
    assert event.data["asked_by"] == "anna"
    assert event.data["approved_by"] == "ben"
    assert f"(approval {approval.pk})" in event.reason
    assert_sealed(order)


def test_a_no_stands_in_the_history_with_its_reason(order: Order, anna: User, ben: User) -> None:
    deciding.decline(ask(order, anna).pk, actor=person(ben, Channel.ADMIN), reason="No photo")

    event = last(order, EventType.APPROVAL_DECLINED)

    assert (event.actor, event.data["decided_by"]) == ("ben", "ben")
    assert event.reason.endswith("No photo")
    assert_sealed(order)


def test_an_approval_of_what_cannot_be_done_any_more_is_told_as_lapsed(order: Order, anna: User, ben: User) -> None:
    approval = ask(order, anna)
    Payment.objects.filter(order=order).update(refunding_minor=1_500)

    with pytest.raises(WrongState, match="are left"):
        deciding.approve(approval.pk, actor=person(ben, Channel.ADMIN))

    assert "Only £5.00 are left" in last(order, EventType.APPROVAL_LAPSED).reason
    assert not order.events.filter(type=EventType.APPROVAL_GIVEN).exists()
    assert_sealed(order)


def test_the_sweep_closes_what_nobody_decided_in_time_and_tells_it_once(order: Order, anna: User) -> None:
    approval = ask(order, anna)
    deadlines.sweep(actor=TEST_ACTOR)
    assert not order.events.filter(type=EventType.APPROVAL_LAPSED).exists()

    with time_machine.travel(timezone.now() + approvals.LIFE + timedelta(seconds=1), tick=False):
        deadlines.sweep(actor=TEST_ACTOR)
        deadlines.sweep(actor=TEST_ACTOR)

    approval.refresh_from_db()
    assert (approval.status, approval.decision) == ("expired", "Nobody decided in time.")
    assert last(order, EventType.APPROVAL_LAPSED).actor == TEST_ACTOR.name
    assert_sealed(order)


def test_asking_again_after_the_time_tells_that_the_first_one_lapsed(order: Order, anna: User, ben: User) -> None:
    ask(order, anna)
    with time_machine.travel(timezone.now() + approvals.LIFE + timedelta(seconds=1), tick=False):
        ask(order, ben, "Still broken")

    told: list[Any] = list(order.events.order_by("sequence").values_list("type", "actor"))
    assert told[-3:] == [
        (EventType.APPROVAL_ASKED, "anna"),
        (EventType.APPROVAL_LAPSED, "ben"),
        (EventType.APPROVAL_ASKED, "ben"),
    ]
    assert_sealed(order)
