"""Another payment method: the old one is looked up and cancelled first; one charge, whatever happens between."""

from collections.abc import Callable

import pytest
from django.urls import reverse

from orders.actor import person
from orders.errors import InvalidInput, NotPermitted, OnHold, PartnerUnavailable, StaleAttempt, WrongState
from orders.models import Command, Order, OutboxMessage, Payment
from orders.services import cancelling, fraud, holding, payment_methods, payments, placing, process, reviewing, stepping
from orders.vocabulary import Channel, CommandKind, CommandStatus, EventType, FailureType, OrderStatus, StepName, Topic
from tests.factories import TEST_ACTOR, make_order, make_prepared_order, make_product, make_reserved_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.conftest import Strike
from tests.orders.staff import VIEW_ORDER, make_user, signed_in
from tests.orders.test_every_failpoint import Died, assert_sound, retried, undo
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
CHANGE = "orders.change_payment_method"
NEW = "pm_card_mastercard"


def change(order: Order, method: str = NEW) -> Command:
    return payment_methods.change(order.number, payment_method=method, actor=TEST_ACTOR, reason="The card expired")


def charge(order: Order) -> None:
    payments.charge(str(order.pk), actor=TEST_ACTOR)


def failing(partners: Http, mode: str = "error_before", operation: str = "confirm") -> Order:
    """The first attempt to charge was not answered; nothing is wrong with the gateway any more."""
    order = make_prepared_order(payment_method="pm_card_visa")
    partners.fault(partner="payments", operation=f"payment_intents.{operation}", mode=mode, times=1)
    with pytest.raises(PartnerUnavailable):
        charge(order)
    return order


def ended(order: Order) -> Order:
    for step in (StepName.CHARGE, StepName.SHIP, StepName.COMPLETE):
        retried(step, order)
    order.refresh_from_db()
    OutboxMessage.objects.all().delete()
    return order


def assert_charged_once(order: Order, partners: Http, *, method: str = NEW, generation: int = 2) -> None:
    ended(order)
    assert (order.status, order.payment_method) == (OrderStatus.COMPLETED, method)
    payment = Payment.objects.get(order=order)
    assert (payment.payment_method, payment.generation) == (method, generation)
    books = partners.books(str(order.pk))
    assert (books["captures"], books["charged_minor"], books["uncancelled_intents"]) == (1, 2000, 1)
    assert not order.commands.filter(status=CommandStatus.ACCEPTED).exists()
    assert_sound()


@pytest.mark.parametrize(
    "make",
    [make_order, lambda: make_order(started=True), make_prepared_order, driving.make_order_in_review],
    ids=["placed", "queued", "charging, not begun", "in review"],
)
def test_before_the_charge_begins_it_is_changed_at_once(make: Callable[[], Order]) -> None:
    order = make()
    command = change(order)
    order.refresh_from_db()
    assert (order.payment_method, command.status) == (NEW, CommandStatus.DONE)
    assert not OutboxMessage.objects.filter(topic=Topic.DRIVE_STEP).exists()
    told = order.events.latest("sequence")
    assert (told.type, told.reason) == (EventType.PAYMENT_METHOD_CHANGED, "The card expired")
    assert NEW not in str(told.data), "The history keeps no token: it is never erased."


def test_the_charge_of_an_order_that_was_in_review_is_made_with_the_new_method(partners: Http) -> None:
    order = make_reserved_order(product=make_product(unit_price="6000.00"), quantity=1, payment_method="pm_card_visa")
    assert fraud.check(str(order.pk), actor=TEST_ACTOR)
    change(order)
    rita = person(make_user("orders.decide_review"), Channel.API)
    reviewing.approve(order.number, actor=rita, reason="Known customer")
    reviewing.settle(str(order.pk), actor=TEST_ACTOR)
    charge(order)
    assert Payment.objects.get(order=order).payment_method == NEW
    assert partners.books(str(order.pk))["intents"] == 1


@pytest.mark.parametrize("operation", ["create", "confirm"])
@pytest.mark.parametrize("mode", ["error_before", "error_after"])
def test_an_unknown_outcome_is_looked_up_before_the_method_is_changed(
    operation: str, mode: str, partners: Http
) -> None:
    order = failing(partners, mode, operation)
    command = change(order)
    message = OutboxMessage.objects.latest("pk")
    assert (message.topic, message.body["kind"], message.body["step"]) == (Topic.DRIVE_STEP, "payment_method", "charge")
    charge(order)
    command.refresh_from_db()
    if (operation, mode) == ("confirm", "error_after"):
        assert command.outcome == "The payment had been taken with the method before."
        assert order.events.filter(type=EventType.STEP_LEFT_ALONE).exists()
        assert_charged_once(order, partners, method="pm_card_visa", generation=1)
    else:
        assert command.outcome == "The payment that was begun was cancelled for it."
        assert_charged_once(order, partners)


@pytest.mark.parametrize("point", ["claim", "effect", "call", "commit", "committed"])
@pytest.mark.parametrize("mode", ["error_before", "error_after"])
def test_a_worker_that_dies_while_it_changes_costs_a_repetition(
    point: str, mode: str, strike: Strike, partners: Http
) -> None:
    order = failing(partners, mode)
    change(order)

    def die() -> None:
        raise Died

    strike(StepName.CHARGE, point, die)
    taken_before = mode == "error_after"
    assert_charged_once(
        order,
        partners,
        method="pm_card_visa" if taken_before else NEW,
        generation=1 if taken_before else 2,
    )


@pytest.mark.parametrize("point", ["claim", "call", "effect", "commit"])
def test_a_change_that_comes_while_an_attempt_is_under_way_is_obeyed_or_too_late(
    point: str, strike: Strike, partners: Http
) -> None:
    order = failing(partners)
    strike(StepName.CHARGE, point, lambda: change(order))
    charge(order)
    obeyed = point == "claim"
    assert_charged_once(order, partners, method=NEW if obeyed else "pm_card_visa", generation=2 if obeyed else 1)


@pytest.mark.parametrize("point", ["call", "effect", "commit"])
def test_an_attempt_that_is_overtaken_by_one_that_changes_the_method_charges_nothing(
    point: str, strike: Strike, partners: Http
) -> None:
    order = failing(partners)

    def overtake() -> None:
        change(order)
        charge(order)

    strike(StepName.CHARGE, point, overtake)
    with pytest.raises((StaleAttempt, PartnerUnavailable)):
        charge(order)
    old = point in {"effect", "commit"}
    assert_charged_once(order, partners, method="pm_card_visa" if old else NEW, generation=1 if old else 2)


def test_a_decline_of_the_old_card_does_not_end_an_order_that_has_a_new_one(strike: Strike, partners: Http) -> None:
    order = failing(partners)
    partners.fault(partner="payments", operation="payment_intents.confirm", mode="decline", times=1)
    strike(StepName.CHARGE, "call", lambda: change(order))
    with pytest.raises(StaleAttempt, match="another payment method by now"):
        charge(order)
    assert_charged_once(order, partners)


def test_two_changes_one_after_the_other_leave_one_charge(partners: Http) -> None:
    order = failing(partners)
    change(order)
    partners.fault(partner="payments", operation="payment_intents.create", mode="error_after", times=1)
    with pytest.raises(PartnerUnavailable):
        charge(order)
    change(order, "pm_card_visa")
    assert_charged_once(order, partners, method="pm_card_visa", generation=3)


@pytest.mark.parametrize("point", ["claim", "effect", "call"])
def test_an_undo_in_the_middle_of_a_change_leaves_no_money_anywhere(point: str, strike: Strike, partners: Http) -> None:
    order = failing(partners)
    change(order)
    strike(StepName.CHARGE, point, lambda: undo(order, FailureType.CANCELLED))
    with pytest.raises(Exception, match=r"undone|changed at the gateway"):
        charge(order)
    books = partners.books(str(order.pk))
    assert (books["captures"], books["uncancelled_intents"]) == (0, 0)
    OutboxMessage.objects.all().delete()
    assert_sound()


def test_an_order_on_hold_gets_it_when_it_is_released(partners: Http) -> None:
    order = failing(partners)
    holding.hold(order.number, actor=TEST_ACTOR, reason="The customer calls back")
    with pytest.raises(OnHold):
        charge(order)
    holding.settle(str(order.pk), actor=TEST_ACTOR)
    change(order)
    holding.release(order.number, actor=TEST_ACTOR, reason="She called")
    assert_charged_once(order, partners)


def test_a_paused_step_stays_paused(partners: Http) -> None:
    order = failing(partners)
    stepping.pause(order.number, actor=TEST_ACTOR, reason="Wait")
    rows = OutboxMessage.objects.filter(topic=Topic.DRIVE_STEP).count()
    change(order)
    assert OutboxMessage.objects.filter(topic=Topic.DRIVE_STEP).count() == rows


def captured() -> Order:
    order = make_prepared_order()
    with driving.partners():
        charge(order)
    return order


def undoing() -> Order:
    order = make_prepared_order()
    process.begin_undo(str(order.pk), failure_type=FailureType.CANCELLED, message="recalled", actor=TEST_ACTOR)
    return order


def cancelled() -> Order:
    order = make_prepared_order()
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Recalled")
    return order


def being_taken() -> Order:
    order = captured()
    order.steps.filter(name=StepName.CHARGE).update(status="open", finished_at=None)
    return order


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (captured, "the payment was taken at"),
        (undoing, "is being undone already, because recalled"),
        (cancelled, "is being cancelled already, by test"),
        (being_taken, "is being taken at this moment"),
        (lambda: driving.drive(make_order()), "is completed; place it again"),
        (lambda: driving.drive(make_order(), gateway=driving.decline()), "is failed; place it again"),
    ],
    ids=["captured", "undoing", "cancelled", "being taken", "completed", "declined"],
)
def test_too_late_is_refused_with_what_happened(make: Callable[[], Order], words: str) -> None:
    with pytest.raises(WrongState, match=words):
        change(make())
    assert not Command.objects.filter(kind=CommandKind.PAYMENT_METHOD).exists()


def test_the_second_person_is_told_who_was_first(partners: Http) -> None:
    order = make_order()
    first = change(order)
    with pytest.raises(WrongState, match=rf"already. test changed it at {first.created_at:%Y-%m-%d %H:%M}"):
        change(order)
    begun = failing(partners)
    change(begun)
    with pytest.raises(WrongState, match="gets another payment method already, by test at"):
        change(begun, "pm_card_slow")


@pytest.mark.parametrize("token", ["4242424242424242", "pm_", "pm_card visa", "pm_card_visa\n", ""])
def test_only_a_token_of_the_gateway_is_taken_and_never_repeated(token: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        change(make_order(), token)
    assert refusal.value.field == "payment_method"
    assert "4242" not in str(refusal.value)


def test_nobody_changes_it_without_the_permission() -> None:
    order = make_order()
    viewer = person(make_user(VIEW_ORDER), Channel.API)
    with pytest.raises(NotPermitted):
        payment_methods.change(order.number, payment_method=NEW, actor=viewer, reason="No")
    address = reverse("orders:page", args=[order.number])
    assert "Change payment method" not in signed_in(VIEW_ORDER, name="vic").get(address).content.decode()


def test_the_page_offers_asks_and_changes() -> None:
    order = make_order()
    client = signed_in(VIEW_ORDER, CHANGE)
    page = reverse("orders:page", args=[order.number])
    address = reverse("orders:payment-method", args=[order.number])
    assert address in client.get(page).content.decode()
    assert 'name="payment_method"' in client.get(address).content.decode()
    client.post(address, {"reason": "Expired", "payment_method": NEW})
    order.refresh_from_db()
    assert order.payment_method == NEW
    placing.start(order.number, actor=TEST_ACTOR)


def test_the_api_changes_and_refuses_a_card_number() -> None:
    order = make_order()
    client = token_client("view_order", "change_payment_method")
    address = f"/api/orders/{order.number}/payment-method/"

    def post(**body: str):  # type: ignore[no-untyped-def]
        return client.post(address, {"reason": "Expired", **body}, content_type="application/json")

    document = assert_problem(post(payment_method="4242424242424242"), 400, "payment_method")
    assert "4242" not in str(document)
    assert_problem(post(), 400, "payment_method")
    given = post(payment_method=NEW)
    assert (given.status_code, given.json()["kind"]) == (202, "payment_method")
    assert_problem(post(payment_method=NEW), 409, None, "has this payment method already. user-")
