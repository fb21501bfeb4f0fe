"""Skipping: only what can be done without the partner, only while it fails, and never two parcels."""

import pytest
from django.urls import reverse

from orders.actor import person
from orders.errors import CancelAsked, InvalidInput, NotPermitted, PartnerUnavailable, StaleAttempt, WrongState
from orders.models import Command, FraudCheck, Order, OutboxMessage, Shipment, StaffTask, StockItem
from orders.services import cancelling, fraud, payments, process, shipping, skipping, stepping
from orders.vocabulary import (
    Channel,
    CommandKind,
    CommandStatus,
    EventType,
    FailureType,
    OrderStatus,
    StepName,
    TaskKind,
    Topic,
)
from tests.factories import TEST_ACTOR, make_order, make_prepared_order, make_product, make_reserved_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.attempts_steps import BY_HAND, make_order_that_cannot_be_shipped
from tests.orders.conftest import Strike
from tests.orders.staff import VIEW_ORDER, make_user, signed_in
from tests.orders.test_every_failpoint import Died, assert_sound, retried, undo
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
SKIP = "orders.skip_step"


def skip(order: Order, **by_hand: str) -> Command:
    return skipping.skip(order.number, actor=TEST_ACTOR, reason="The partner is down", **by_hand)


def unchecked(partners: Http, **options: object) -> Order:
    """An order for which the fraud partner does not answer."""
    order = make_reserved_order(**options)
    partners.fault(partner="fraud", operation="scores.create", mode="error_before")
    with pytest.raises(PartnerUnavailable):
        fraud.check(str(order.pk), actor=TEST_ACTOR)
    return order


def unshipped(partners: Http, mode: str, *, times: int = 1) -> Order:
    """A paid order whose booking was not answered."""
    order = make_prepared_order()
    payments.charge(str(order.pk), actor=TEST_ACTOR)
    partners.fault(partner="carrier", operation="shipments.book", mode=mode, times=times)
    with pytest.raises(PartnerUnavailable):
        shipping.ship(str(order.pk), actor=TEST_ACTOR)
    return order


def end(order: Order) -> Order:
    retried(StepName.SHIP, order)
    retried(StepName.COMPLETE, order)
    order.refresh_from_db()
    OutboxMessage.objects.all().delete()
    return order


def assert_booked_by_hand(order: Order, partners: Http) -> None:
    assert order.status == OrderStatus.COMPLETED
    shipment = Shipment.objects.get(order=order)
    assert (shipment.by_hand, shipment.carrier, shipment.tracking_number) == (True, "Night Bike", "NB-7")
    assert partners.books(str(order.pk))["shipments_booked"] == 0
    told = order.events.get(type=EventType.SHIPPED)
    assert told.reason == "Booked by hand by test: The partner is down"
    stock = StockItem.objects.get(product=order.lines.get().product)
    assert (stock.reserved, stock.shipped) == (0, 2)
    assert_sound()


def test_the_fraud_check_goes_on_with_our_own_rules_and_says_who_left_the_partner_out(partners: Http) -> None:
    order = unchecked(partners)
    command = skip(order)
    message = OutboxMessage.objects.latest("pk")
    assert (message.topic, message.body["kind"], message.body["step"]) == (Topic.DRIVE_STEP, "step_skip", "fraud")
    assert not fraud.check(str(order.pk), actor=TEST_ACTOR)
    found = FraudCheck.objects.get(order=order)
    assert (found.partner_score, found.partner_asked_at) == (None, None)
    told = order.events.get(type=EventType.FRAUD_CHECKED)
    assert told.reason == "0 points: No rule was hit. The partner was skipped by test: The partner is down"
    command.refresh_from_db()
    assert (command.status, command.outcome) == (CommandStatus.DONE, "Checked by our own rules only.")


def test_an_order_that_our_own_rules_find_suspicious_is_reviewed_all_the_same(partners: Http) -> None:
    order = unchecked(partners, product=make_product(unit_price="6000.00"), quantity=1)
    skip(order)
    assert fraud.check(str(order.pk), actor=TEST_ACTOR)
    page = signed_in(VIEW_ORDER).get(reverse("orders:page", args=[order.number])).content.decode()
    assert "no, a person skipped it" in page


def test_a_fraud_partner_that_answers_meanwhile_counts(strike: Strike, partners: Http) -> None:
    order = unchecked(partners)
    partners.request("DELETE", "/faults")
    strike(StepName.FRAUD, "effect", lambda: skip(order))
    fraud.check(str(order.pk), actor=TEST_ACTOR)
    assert FraudCheck.objects.get(order=order).partner_score is not None
    command = order.commands.get(kind=CommandKind.STEP_SKIP)
    assert (command.status, command.outcome) == (CommandStatus.DONE, "The fraud partner answered meanwhile.")
    assert order.events.filter(type=EventType.STEP_LEFT_ALONE).exists()


@pytest.mark.parametrize("mode", ["error_before", "error_after"])
def test_a_shipment_that_was_booked_by_hand_counts_and_ours_can_never_leave(mode: str, partners: Http) -> None:
    order = unshipped(partners, mode)
    skip(order, **BY_HAND)
    assert_booked_by_hand(end(order), partners)


@pytest.mark.parametrize("point", ["claim", "effect", "commit", "committed"])
def test_a_worker_that_dies_while_it_skips_costs_a_repetition(point: str, strike: Strike, partners: Http) -> None:
    order = unshipped(partners, "error_after")
    skip(order, **BY_HAND)

    def die() -> None:
        raise Died

    assert strike(StepName.SHIP, point, die) == []
    assert_booked_by_hand(end(order), partners)


@pytest.mark.parametrize("point", ["call", "effect", "commit"])
def test_a_booking_that_was_under_way_when_it_was_skipped_is_cancelled(
    point: str, strike: Strike, partners: Http
) -> None:
    order = unshipped(partners, "error_before")
    strike(StepName.SHIP, point, lambda: skip(order, **BY_HAND))
    with pytest.raises(StaleAttempt, match="the next attempt cancels it"):
        shipping.ship(str(order.pk), actor=TEST_ACTOR)
    assert_booked_by_hand(end(order), partners)


def test_it_waits_for_the_carrier_to_cancel_ours(partners: Http) -> None:
    order = unshipped(partners, "error_after")
    partners.fault(partner="carrier", operation="shipments.cancel", mode="error_before", times=1)
    skip(order, **BY_HAND)
    with pytest.raises(PartnerUnavailable):
        shipping.ship(str(order.pk), actor=TEST_ACTOR)
    assert not Shipment.objects.exists()
    assert_booked_by_hand(end(order), partners)


def test_a_parcel_that_our_carrier_has_already_counts_and_the_skip_came_too_late(partners: Http) -> None:
    order = unshipped(partners, "error_after")
    skip(order, **BY_HAND)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shipping.carrier, "cancel", refuse)
        shipping.ship(str(order.pk), actor=TEST_ACTOR)
    assert not Shipment.objects.get(order=order).by_hand
    command = order.commands.get(kind=CommandKind.STEP_SKIP)
    assert command.outcome == "The carrier has taken the shipment already."
    assert end(order).status == OrderStatus.COMPLETED


def refuse(reference: str, *, order: str) -> None:
    raise shipping.CarrierRejected("The carrier refused: in transit")


def test_an_undo_opens_a_task_for_the_parcel_that_only_a_person_can_stop(partners: Http) -> None:
    order = unshipped(partners, "error_after")
    skip(order, **BY_HAND)
    retried(StepName.SHIP, order)
    assert cancelling.plan(order).stays == ("NB-7 was booked by hand with Night Bike: a person must cancel it there.",)
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Recalled")
    with pytest.raises(CancelAsked):
        process.complete(str(order.pk), actor=TEST_ACTOR)
    undo(order, FailureType.CANCELLED)
    task = StaffTask.objects.get(order=order)
    assert (task.kind, "NB-7 at Night Bike" in task.says) == (TaskKind.RECALL_BY_HAND, True)
    OutboxMessage.objects.all().delete()
    assert_sound()


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (lambda: driving.drive(make_order(), gateway=driving.outage()), "taking the payment cannot be skipped: goods"),
        (lambda: make_order(started=True), "no step is failing"),
        (lambda: driving.drive(make_order()), "no step is failing"),
    ],
    ids=["charge", "nothing fails", "completed"],
)
def test_every_other_step_is_refused_with_the_reason(order, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WrongState, match=words):
        skip(order())
    assert not Command.objects.filter(kind=CommandKind.STEP_SKIP).exists()


def test_an_undo_is_never_skipped(partners: Http) -> None:
    order = make_prepared_order()
    payments.charge(str(order.pk), actor=TEST_ACTOR)
    process.begin_undo(str(order.pk), failure_type=FailureType.CANCELLED, message="x", actor=TEST_ACTOR)
    partners.fault(partner="payments", operation="refunds.create", mode="error_before")
    with pytest.raises(PartnerUnavailable):
        payments.undo_charge(str(order.pk), actor=TEST_ACTOR)
    with pytest.raises(WrongState, match="cannot be skipped: an undo is never left out"):
        skip(order)


@pytest.mark.parametrize(
    "by_hand", [{}, {"carrier": "Night Bike"}, {"tracking_number": "NB-7"}, {**BY_HAND, "carrier": "x" * 65}]
)
def test_a_shipment_needs_to_say_how_it_was_booked(by_hand: dict[str, str]) -> None:
    order = make_order_that_cannot_be_shipped()
    with pytest.raises(InvalidInput, match="1 to 64 characters are needed"):
        skip(order, **by_hand)


def test_the_second_person_is_told_who_was_first_and_a_pause_ends() -> None:
    order = make_order_that_cannot_be_shipped()
    paused = stepping.pause(order.number, actor=TEST_ACTOR, reason="Wait")
    first = skip(order, **BY_HAND)
    paused.refresh_from_db()
    assert (paused.status, paused.outcome) == (CommandStatus.DONE, "Skipped by test: The partner is down")
    with pytest.raises(WrongState, match=rf"without the partner already, by test at {first.created_at:%Y-%m-%d %H:%M}"):
        skip(order, **BY_HAND)


def test_whoever_may_not_skip_is_not_offered_it_and_is_refused() -> None:
    order = make_order_that_cannot_be_shipped()
    address = reverse("orders:page", args=[order.number])
    assert "Skip…" not in signed_in(VIEW_ORDER, "orders.drive_step").get(address).content.decode()
    assert "Skip…" in signed_in(VIEW_ORDER, SKIP, name="lena").get(address).content.decode()
    with pytest.raises(NotPermitted):
        skipping.skip(
            order.number, actor=person(make_user(VIEW_ORDER, name="vic"), Channel.API), reason="No", **BY_HAND
        )


def test_the_page_asks_for_what_a_shipment_needs_and_the_order_says_what_is_coming() -> None:
    order = make_order_that_cannot_be_shipped()
    client = signed_in(VIEW_ORDER, SKIP)
    address = reverse("orders:step-skip", args=[order.number])
    asked = client.get(address).content.decode()
    assert 'name="tracking_number"' in asked
    assert "no second parcel leaves" in asked
    assert client.post(address, {"reason": "Carrier strike", **BY_HAND}).status_code == 302
    page = client.get(reverse("orders:page", args=[order.number])).content.decode()
    assert "The next attempt does as it was told by Olivia: Carrier strike." in page
    assert "Skip…" not in page


def test_the_page_leads_back_when_nothing_can_be_skipped() -> None:
    order = make_order()
    answer = signed_in(VIEW_ORDER, SKIP).get(reverse("orders:step-skip", args=[order.number]), follow=True)
    assert "no step is failing that could be skipped" in answer.content.decode()


def test_the_api_skips_and_names_what_is_missing() -> None:
    order = make_order_that_cannot_be_shipped()
    client = token_client("view_order", "skip_step")
    acts = {act["command"]: act for act in client.get(f"/api/orders/{order.number}/why/").json()["can_act"]}
    link = acts["step-skip"]["link"]

    def post(**body: str):  # type: ignore[no-untyped-def]
        return client.post(link, {"reason": "Strike", **body}, content_type="application/json")

    assert_problem(post(carrier="Night Bike"), 400, "tracking_number")
    given = post(**BY_HAND)
    assert (given.status_code, given.json()["kind"]) == (202, "step_skip")
    assert_problem(post(**BY_HAND), 409, None, "without the partner already, by user-")
