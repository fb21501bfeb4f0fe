"""A payment that the gateway has begun and not ended: nothing is booked or shipped, and everybody can see why."""

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.errors import InvalidInput, PaymentDeclined, PaymentUnsettled, StepMissing, WrongState
from orders.models import LedgerTransfer, Notice, Order, OutboxMessage, Payment, StaffTask, Step
from orders.partners import payments as gateway
from orders.partners.payments import Intent, PaymentState, RefundState
from orders.services import cancelling, holding, payment_methods, payments, process, shipping, stepping
from orders.services.payments import Standing
from orders.vocabulary import (
    CommandKind,
    EventType,
    NoticeKind,
    OrderStatus,
    PaymentStatus,
    PaymentWait,
    StepName,
    StepStatus,
    TaskKind,
    Topic,
)
from simulator import machine
from tests.factories import TEST_ACTOR, begin_undo, make_prepared_order
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db

ASKS_THE_CUSTOMER = "pm_card_authenticationRequired"
DEBIT = "pm_bacsDebit_success"
TOTAL = 2_000


def charge(order: Order) -> Standing:
    return payments.charge(str(order.pk), actor=TEST_ACTOR)


def payment(order: Order) -> Payment:
    return Payment.objects.get(order=order)


def fresh(order: Order) -> Order:
    return Order.objects.get(pk=order.pk)


def customer(partners: Http, order: Order, outcome: str) -> None:
    status, body = partners.request("POST", f"/customers/{payment(order).gateway_reference}", {"outcome": outcome})
    assert status == 200, body


def later(partners: Http, seconds: float) -> None:
    """The gateway's clock moves on."""
    assert partners.request("POST", "/clock", {"advance_seconds": seconds})[0] == 200


def answer(monkeypatch: pytest.MonkeyPatch, status: str, *, received: int = 0) -> None:
    """From now on the gateway has every payment in that state."""

    def tell(intent: str, **_: Any) -> Intent:
        return Intent(id=intent, status=status, amount_minor=TOTAL, received_minor=received)

    for name in ("retrieve", "confirm", "cancel"):
        monkeypatch.setattr(gateway, name, tell)


# --- The closed set ---------------------------------------------------------------------------------------------------
def test_we_know_every_state_that_the_gateway_publishes_and_no_other() -> None:
    assert {*PaymentState} - {PaymentState.UNKNOWN} == set(machine.INTENT_STATUSES)
    assert {*RefundState} - {RefundState.UNKNOWN} == set(machine.REFUND_STATUSES)


@pytest.mark.parametrize("status", [*machine.INTENT_STATUSES, "a_state_of_tomorrow"])
@pytest.mark.parametrize("received", [0, TOTAL - 1, TOTAL])
def test_only_a_payment_that_succeeded_with_the_whole_amount_is_money(
    partners: Http, monkeypatch: pytest.MonkeyPatch, status: str, received: int
) -> None:
    order = make_prepared_order()
    answer(monkeypatch, status, received=received)

    try:
        standing = charge(order)
    except PaymentDeclined:
        standing = Standing(taken=False)

    paid = (status, received) == ("succeeded", TOTAL)
    assert standing.taken is paid
    assert LedgerTransfer.objects.filter(order=order).exists() is paid
    assert payment(order).captured_minor == (TOTAL if paid else 0)
    if not paid:
        with pytest.raises(StepMissing):
            shipping.ship(str(order.pk), actor=TEST_ACTOR)


@pytest.mark.parametrize("status", ["requires_capture", "a_state_of_tomorrow", "succeeded"])
def test_a_state_that_we_do_not_know_stops_the_order_with_a_task(
    partners: Http, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    order = make_prepared_order()
    answer(monkeypatch, status, received=TOTAL - 1)

    charge(order)
    charge(order)

    assert (fresh(order).status, payment(order).waits_for) == (OrderStatus.AWAITING_PAYMENT, PaymentWait.PERSON)
    task = StaffTask.objects.get(order=order)
    assert task.kind == TaskKind.PAYMENT_STATE
    assert status in task.says


# --- Waiting for the customer -----------------------------------------------------------------------------------------
def test_a_payment_that_the_bank_asks_the_customer_about_waits_with_a_link_a_deadline_and_a_notice(
    partners: Http,
) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)

    standing = charge(order)

    assert not standing.taken
    assert 0 < standing.wait_seconds <= 5
    waiting = payment(order)
    assert (waiting.status, waiting.waits_for) == (PaymentStatus.PENDING, PaymentWait.CUSTOMER)
    assert waiting.action_url.startswith(partners.url)
    assert waiting.wait_until is not None
    assert fresh(order).status == OrderStatus.AWAITING_PAYMENT
    assert Notice.objects.get(order=order).kind == NoticeKind.PAYMENT_ACTION
    assert [event.type for event in order.events.filter(type=EventType.PAYMENT_WAITS)] == [EventType.PAYMENT_WAITS]


def test_looking_again_while_nothing_changed_writes_nothing_new(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)

    charge(order)
    events, since = fresh(order).event_count, payment(order).waiting_since
    charge(order)

    assert fresh(order).event_count == events
    assert payment(order).waiting_since == since
    assert partners.operations(str(order.pk)).count("payment_intents.create") == 1


def test_a_customer_who_confirms_pays_and_the_order_goes_on(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)
    charge(order)

    customer(partners, order, "complete")
    assert charge(order).taken

    shipping.ship(str(order.pk), actor=TEST_ACTOR)
    process.complete(str(order.pk), actor=TEST_ACTOR)
    assert fresh(order).status == OrderStatus.COMPLETED
    assert partners.books(str(order.pk))["charged_minor"] == TOTAL
    captured = order.events.get(type=EventType.PAYMENT_CAPTURED)
    assert captured.reason == "The customer confirmed, and the gateway took the payment"
    assert "resolved_by_lookup" not in captured.data
    assert (payment(order).waits_for, payment(order).action_url) == ("", "")


def test_a_customer_whom_the_bank_does_not_believe_declines_the_order(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)
    charge(order)

    customer(partners, order, "fail")
    with pytest.raises(PaymentDeclined):
        charge(order)

    assert payment(order).status == PaymentStatus.DECLINED
    assert payment(order).decline_code == "payment_intent_authentication_failure"


def test_a_confirmation_that_does_not_come_in_time_cancels_the_payment_at_the_gateway(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)
    charge(order)
    Payment.objects.filter(order=order).update(wait_until=timezone.now() - timedelta(seconds=1))

    with pytest.raises(PaymentDeclined, match="did not confirm"):
        charge(order)

    assert payment(order).decline_code == "authentication_expired"
    assert gateway.retrieve(payment(order).gateway_reference).state is PaymentState.CANCELED


def test_a_confirmation_that_comes_in_the_last_moment_is_a_payment(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)
    charge(order)
    Payment.objects.filter(order=order).update(wait_until=timezone.now() - timedelta(seconds=1))
    customer(partners, order, "complete")

    assert charge(order).taken
    assert payment(order).captured_minor == TOTAL


def test_the_process_never_sleeps_past_the_deadline_of_the_customer(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)
    charge(order)
    now = timezone.now()
    Payment.objects.filter(order=order).update(
        waiting_since=now - timedelta(hours=20), wait_until=now + timedelta(minutes=10)
    )

    assert 500 < charge(order).wait_seconds <= 600


def test_the_looks_grow_rare_so_that_days_of_waiting_cost_little(partners: Http) -> None:
    order = make_prepared_order(payment_method=DEBIT)
    partners.request("PUT", "/behaviour", {"debit_seconds": 86_400})
    charge(order)

    waits = []
    for waited in (0, 6, 61, 601, 90_000):
        Payment.objects.filter(order=order).update(waiting_since=timezone.now() - timedelta(seconds=waited))
        waits.append(round(charge(order).wait_seconds))

    assert waits == [5, 54, 539, 3_600, 3_600]


def test_another_payment_method_ends_the_wait_for_the_customer(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)
    charge(order)
    first = payment(order).gateway_reference

    payment_methods.change(order.number, payment_method="pm_card_visa", actor=TEST_ACTOR, reason="She called")

    assert OutboxMessage.objects.filter(topic=Topic.TELL_ORDER, aggregate=f"order:{order.pk}").count() == 1
    assert charge(order).taken
    assert gateway.retrieve(first).state is PaymentState.CANCELED
    assert partners.books(str(order.pk))["charged_minor"] == TOTAL


def test_asking_the_gateway_now_wakes_the_process_that_sleeps(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)
    charge(order)

    command = stepping.retry(order.number, actor=TEST_ACTOR, reason="She says she confirmed")

    assert command.kind == CommandKind.STEP_RETRY
    (message,) = OutboxMessage.objects.filter(aggregate=f"order:{order.pk}", topic=Topic.TELL_ORDER)
    assert message.body["command_id"] == str(command.pk)


def test_a_hold_binds_an_order_that_waits_for_its_payment(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)
    charge(order)
    holding.hold(order.number, actor=TEST_ACTOR, reason="Look at it first")
    assert holding.settle(str(order.pk), actor=TEST_ACTOR)
    customer(partners, order, "complete")

    assert (fresh(order).status, fresh(order).resume_status) == (OrderStatus.ON_HOLD, OrderStatus.AWAITING_PAYMENT)
    holding.release(order.number, actor=TEST_ACTOR, reason="It is fine")
    assert charge(order).taken


# --- Waiting for the bank ---------------------------------------------------------------------------------------------
def test_a_debit_waits_for_the_bank_and_is_booked_when_it_is_paid(partners: Http) -> None:
    order = make_prepared_order(payment_method=DEBIT)

    assert not charge(order).taken
    assert (fresh(order).status, payment(order).waits_for) == (OrderStatus.AWAITING_PAYMENT, PaymentWait.BANK)
    later(partners, 60)

    assert charge(order).taken
    assert order.events.get(type=EventType.PAYMENT_CAPTURED).reason == "The bank paid, and the gateway took the payment"


def test_a_debit_that_is_not_paid_declines_the_order(partners: Http) -> None:
    order = make_prepared_order(payment_method="pm_bacsDebit_insufficientFunds")
    charge(order)
    later(partners, 60)

    with pytest.raises(PaymentDeclined):
        charge(order)

    assert payment(order).decline_code == "insufficient_funds"
    assert not LedgerTransfer.objects.filter(order=order).exists()


def test_a_bank_that_does_not_decide_becomes_a_task(partners: Http) -> None:
    order = make_prepared_order(payment_method=DEBIT)
    partners.request("PUT", "/behaviour", {"debit_seconds": 30_000_000})
    charge(order)
    assert not StaffTask.objects.filter(order=order).exists()
    Payment.objects.filter(order=order).update(wait_until=timezone.now() - timedelta(seconds=1))

    charge(order)

    assert StaffTask.objects.get(order=order).kind == TaskKind.PAYMENT_STATE


def test_the_payment_method_of_a_debit_that_the_bank_has_cannot_be_changed(partners: Http) -> None:
    order = make_prepared_order(payment_method=DEBIT)
    charge(order)

    with pytest.raises(WrongState, match="bank has the debit"):
        payment_methods.change(order.number, payment_method="pm_card_visa", actor=TEST_ACTOR, reason="Faster")


# --- Undoing ----------------------------------------------------------------------------------------------------------
def undo(order: Order) -> None:
    payments.undo_charge(str(order.pk), actor=TEST_ACTOR)


def test_undo_cancels_what_waits_for_the_customer_for_good(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)
    charge(order)
    begin_undo(order)

    undo(order)

    assert payment(order).status == PaymentStatus.VOIDED
    assert gateway.retrieve(payment(order).gateway_reference).state is PaymentState.CANCELED
    assert payment(order).waits_for == ""


@pytest.mark.parametrize("method", [DEBIT, "pm_bacsDebit_insufficientFunds"])
def test_undo_of_a_debit_waits_for_the_bank_and_gives_back_what_it_paid(partners: Http, method: str) -> None:
    order = make_prepared_order(payment_method=method)
    charge(order)
    begin_undo(order)

    with pytest.raises(PaymentUnsettled) as told:
        undo(order)
    assert told.value.retry_after is not None
    assert Step.objects.get(order=order, name=StepName.REFUND).status == StepStatus.OPEN
    assert payment(order).status == PaymentStatus.PENDING
    later(partners, 60)
    undo(order)

    paid = method == DEBIT
    books = partners.books(str(order.pk))
    assert books["charged_minor"] == (TOTAL if paid else 0)
    assert books["net_minor"] == 0
    # The refund of a debit is on its way for days; until it has arrived it is followed.
    assert payment(order).captured_minor == (TOTAL if paid else 0)
    assert payment(order).refunding_minor == (TOTAL if paid else 0)


@pytest.mark.parametrize("status", ["processing", "a_state_of_tomorrow"])
def test_undo_does_not_end_while_the_payment_may_still_take_money(
    partners: Http, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    order = make_prepared_order()
    with mock.patch.object(gateway, "confirm", side_effect=gateway.PartnerUnavailable("lost")):
        with pytest.raises(gateway.PartnerUnavailable):
            charge(order)
    begin_undo(order)
    answer(monkeypatch, status)

    with pytest.raises(PaymentUnsettled):
        undo(order)

    assert payment(order).status == PaymentStatus.PENDING


def test_undo_gives_back_what_was_really_taken(partners: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    order = make_prepared_order()
    answer(monkeypatch, "succeeded", received=500)
    charge(order)
    begin_undo(order)
    asked: list[int] = []

    def refund(intent: str, *, amount_minor: int, **_: Any) -> gateway.GatewayRefund:
        asked.append(amount_minor)
        return gateway.GatewayRefund(id="re_1", status="succeeded", amount_minor=amount_minor)

    monkeypatch.setattr(gateway, "refund", refund)
    undo(order)

    assert asked == [500]
    assert (payment(order).captured_minor, payment(order).refunded_minor) == (500, 500)


# --- Keys -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("operation", ["payment_intents.create", "payment_intents.confirm"])
def test_an_error_that_the_gateway_keeps_under_our_key_is_left_behind(partners: Http, operation: str) -> None:
    order = make_prepared_order()
    partners.fault(partner="payments", operation=operation, mode="saved_error", times=1)

    with pytest.raises(gateway.PartnerFailed):
        charge(order)
    assert charge(order).taken

    books = partners.books(str(order.pk))
    assert (books["charged_minor"], books["captures"]) == (TOTAL, 1)
    assert Step.objects.get(order=order, name=StepName.CHARGE).key_generation == 2


def test_an_error_that_the_gateway_keeps_for_a_refund_is_left_behind_and_nothing_goes_back_twice(
    partners: Http,
) -> None:
    order = make_prepared_order()
    charge(order)
    begin_undo(order)
    partners.fault(partner="payments", operation="refunds.create", mode="saved_error", times=1)

    with pytest.raises(gateway.PartnerFailed):
        undo(order)
    undo(order)

    books = partners.books(str(order.pk))
    assert (books["refunded_minor"], books["refunds"]) == (TOTAL, 1)


@pytest.mark.parametrize("mode", ["drop_after", "hang_after"])
def test_a_lost_answer_raises_no_key(partners: Http, settings: Settings, mode: str) -> None:
    """The call may still be under way; under its old name the gateway holds a second one up."""
    order = make_prepared_order()
    charge(order)
    begin_undo(order)
    settings.PARTNER_TIMEOUT_SECONDS = 0.5
    gateway.client.cache_clear()
    partners.fault(partner="payments", operation="refunds.create", mode=mode, times=1, **_seconds(mode))

    with pytest.raises(gateway.PartnerUnavailable):
        undo(order)

    assert Step.objects.get(order=order, name=StepName.REFUND).key_generation == 1
    undo(order)
    assert partners.books(str(order.pk))["refunds"] == 1


def _seconds(mode: str) -> dict[str, float]:
    return {"seconds": 2.0} if mode == "hang_after" else {}


def test_a_card_number_is_never_taken_for_a_payment_method(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)
    charge(order)

    with pytest.raises(InvalidInput):
        payment_methods.change(order.number, payment_method="4242424242424242", actor=TEST_ACTOR, reason="x")


def test_cancelling_an_order_that_waits_says_what_is_undone(partners: Http) -> None:
    order = make_prepared_order(payment_method=ASKS_THE_CUSTOMER)
    charge(order)

    plan = cancelling.plan(fresh(order))

    assert any("cancelled before it is taken" in line.says for line in plan.undo)
