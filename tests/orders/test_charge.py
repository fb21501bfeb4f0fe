"""Charging and undoing the charge, against the gateway as a process of its own.

Whatever is lost, repeated or late: one charge at most, and our ledger says what the gateway's books say.
"""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.db import transaction
from pytest_django.fixtures import Settings

from orders import fence, history
from orders.errors import PartnerUnavailable, PaymentDeclined, StaleAttempt, StepVoided
from orders.models import LedgerTransfer, Order, OrderEvent, PartnerHealth, Payment, Step
from orders.partners import payments as gateway
from orders.services import invariants, payments
from orders.vocabulary import EventType, LedgerAccount, OrderStatus, PaymentStatus, StepName, StepStatus
from tests.factories import TEST_ACTOR, begin_undo, make_prepared_order
from tests.orders.connections import PATIENCE, connections
from tests.simulator.talk import Http

TOTAL = 2_000

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(partners: Http) -> Order:
    """An order of 20.00 that is about to be charged."""
    return make_prepared_order()


def charge(order: Order) -> None:
    payments.charge(str(order.id), actor=TEST_ACTOR)


def undo(order: Order) -> None:
    begin_undo(order)
    payments.undo_charge(str(order.id), actor=TEST_ACTOR)


def payment(order: Order) -> Payment:
    return Payment.objects.get(order=order)


def step(order: Order, name: StepName = StepName.CHARGE) -> Step:
    return Step.objects.get(pk=fence.step_key(order.id, name))


def events(order: Order, event_type: EventType) -> list[OrderEvent]:
    return list(OrderEvent.objects.filter(order=order, type=event_type))


def money_calls(partners: Http, order: Order) -> list[str]:
    """What the gateway did for the order, oldest first."""
    return [name.removeprefix("payment_intents.") for name in partners.operations(str(order.id))]


def assert_books_agree(partners: Http, order: Order, *, charged: int, refunded: int) -> None:
    """The gateway moved exactly this, and our ledger has booked exactly this."""
    books = partners.books(str(order.id))
    assert (books["charged_minor"], books["refunded_minor"]) == (charged, refunded)
    assert books["captures"] == int(charged > 0)
    assert books["intents"] <= 1
    booked = dict(LedgerTransfer.objects.filter(order=order).values_list("key", "amount_minor"))
    expected = {f"{order.id}:capture": charged, f"{order.id}:refund": refunded}
    assert booked == {key: amount for key, amount in expected.items() if amount}
    balances = invariants.ledger_balances().get(str(order.id), {})
    assert balances.get(LedgerAccount.GATEWAY, 0) == books["net_minor"]
    fresh = Order.objects.get(pk=order.pk)
    assert history.verify_chain(fresh, fresh.events.order_by("sequence")) is None


# --- Charging ---------------------------------------------------------------------------------------------------------


def test_charge_takes_the_total_once_and_books_what_we_owe_the_customer(order: Order, partners: Http) -> None:
    charge(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=0)
    order.refresh_from_db()
    assert order.status == OrderStatus.SHIPPING
    assert (payment(order).status, payment(order).captured_minor) == (PaymentStatus.CAPTURED, TOTAL)
    transfer = LedgerTransfer.objects.get(order=order)
    assert (transfer.debit_account, transfer.credit_account) == (LedgerAccount.GATEWAY, LedgerAccount.CUSTOMER)
    (event,) = events(order, EventType.PAYMENT_CAPTURED)
    assert event.data["amount_minor"] == TOTAL
    assert "resolved_by_lookup" not in event.data


def test_charging_again_asks_the_gateway_nothing(order: Order, partners: Http) -> None:
    charge(order)
    partners.fault(partner="payments", mode="error_before")

    charge(order)

    assert money_calls(partners, order) == ["create", "charge"]


def test_gateway_hears_of_our_order_id_and_nothing_of_the_customer(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    send = requests.Session.send

    def remembered(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        sent.append(f"{request.url} {request.body!r}")
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", remembered)
    charge(order)

    assert order.customer is not None
    assert any(str(order.id) in text for text in sent)
    assert not any(order.customer.name.split()[0] in text or order.customer.reference in text for text in sent)


@pytest.mark.parametrize("method", ["pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds", "pm_unknown"])
def test_declined_card_is_final_and_moves_no_money(partners: Http, method: str) -> None:
    order = make_prepared_order(payment_method=method)

    with pytest.raises(PaymentDeclined):
        charge(order)

    assert_books_agree(partners, order, charged=0, refunded=0)
    assert payment(order).status == PaymentStatus.DECLINED
    assert payment(order).decline_code
    order.refresh_from_db()
    assert order.status == OrderStatus.CHARGING


def test_declined_card_stays_declined_when_the_step_is_retried(partners: Http) -> None:
    order = make_prepared_order(payment_method="pm_card_chargeDeclined")

    for _ in range(2):
        with pytest.raises(PaymentDeclined):
            charge(order)

    assert money_calls(partners, order) == ["create", "decline"]


def test_decline_whose_answer_was_lost_is_heard_at_the_next_attempt(partners: Http) -> None:
    order = make_prepared_order(payment_method="pm_card_chargeDeclined")
    partners.fault(partner="payments", operation="payment_intents.confirm", mode="error_after", times=1)

    with pytest.raises(PartnerUnavailable):
        charge(order)
    with pytest.raises(PaymentDeclined):
        charge(order)

    assert money_calls(partners, order) == ["create", "decline"]


def test_refusal_does_not_repeat_the_gateways_words_about_the_payment_method(partners: Http) -> None:
    """What an activity raises is stored by Temporal, and a token of a payment method does not belong there."""
    order = make_prepared_order(payment_method="pm_canary_4242")

    with pytest.raises(PaymentDeclined) as refusal:
        charge(order)

    assert "pm_canary_4242" not in str(refusal.value)


# --- Lost answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["payment_intents.create", "payment_intents.confirm"])
@pytest.mark.parametrize("mode", ["error_before", "unavailable"])
def test_call_that_had_no_effect_is_simply_made_again(order: Order, partners: Http, operation: str, mode: str) -> None:
    partners.fault(partner="payments", operation=operation, mode=mode, times=1)

    with pytest.raises(PartnerUnavailable):
        charge(order)
    assert_books_agree(partners, order, charged=0, refunded=0)
    charge(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=0)
    assert money_calls(partners, order) == ["create", "charge"]


@pytest.mark.parametrize("mode", ["error_after", "drop_after"])
def test_intent_whose_answer_was_lost_is_not_made_a_second_time(order: Order, partners: Http, mode: str) -> None:
    partners.fault(partner="payments", operation="payment_intents.create", mode=mode, times=1)

    with pytest.raises(PartnerUnavailable):
        charge(order)
    charge(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=0)
    assert money_calls(partners, order) == ["create", "charge"]


@pytest.mark.parametrize("mode", ["error_after", "drop_after"])
def test_charge_whose_answer_was_lost_is_found_by_look_up_and_not_made_again(
    order: Order, partners: Http, mode: str
) -> None:
    partners.fault(partner="payments", operation="payment_intents.confirm", mode=mode, times=1)

    with pytest.raises(PartnerUnavailable):
        charge(order)
    assert partners.books(str(order.id))["charged_minor"] == TOTAL
    # A second confirmation would be answered with this; the look-up must make it needless.
    partners.fault(partner="payments", operation="payment_intents.confirm", mode="error_before")
    charge(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=0)
    (event,) = events(order, EventType.PAYMENT_CAPTURED)
    assert event.data["resolved_by_lookup"] is True
    assert "lost its answer" in event.reason


@pytest.mark.parametrize("mode", ["hang_before", "hang_after"])
def test_gateway_that_hangs_is_given_up_on_after_the_timeout(partners: Http, settings: Settings, mode: str) -> None:
    settings.PARTNER_TIMEOUT_SECONDS = 0.4
    order = make_prepared_order()
    partners.fault(partner="payments", operation="payment_intents.confirm", mode=mode, seconds=60, times=1)

    with pytest.raises(PartnerUnavailable):
        charge(order)
    settings.PARTNER_TIMEOUT_SECONDS = 10
    gateway.client.cache_clear()
    charge(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=0)


def test_gateway_that_is_not_there_is_noted_for_staff_to_see(order: Order, partners: Http, settings: Settings) -> None:
    settings.PAYMENTS_URL = "http://127.0.0.1:9"
    gateway.client.cache_clear()

    with pytest.raises(PartnerUnavailable):
        charge(order)

    assert "did not answer" in step(order).last_error
    assert [event.data for event in events(order, EventType.STEP_RETRYING)] == [{"claim": 1}]
    health = PartnerHealth.objects.get(pk="payments")
    assert (health.failures_in_a_row, "did not answer" in health.last_error) == (1, True)


def test_good_answer_ends_the_row_of_failures_and_a_decline_is_a_good_answer(partners: Http) -> None:
    order = make_prepared_order(payment_method="pm_card_chargeDeclined")
    partners.fault(partner="payments", mode="unavailable", times=2)

    for _ in range(2):
        with pytest.raises(PartnerUnavailable):
            charge(order)
    assert PartnerHealth.objects.get(pk="payments").failures_in_a_row == 2
    with pytest.raises(PaymentDeclined):
        charge(order)

    assert PartnerHealth.objects.get(pk="payments").failures_in_a_row == 0


def test_night_without_a_gateway_does_not_fill_the_timeline(order: Order, partners: Http) -> None:
    partners.fault(partner="payments", mode="unavailable")

    for _ in range(12):
        with pytest.raises(PartnerUnavailable):
            charge(order)

    assert [event.data["claim"] for event in events(order, EventType.STEP_RETRYING)] == [1, 2, 3, 10]
    assert step(order).token == 12


def test_wrong_key_is_our_fault_and_never_a_decline(order: Order, partners: Http, settings: Settings) -> None:
    settings.STRIPE_API_KEY = "no key of ours"
    gateway.client.cache_clear()

    with pytest.raises(PartnerUnavailable, match="refused our key"):
        charge(order)

    assert payment(order).status == PaymentStatus.PENDING


def test_partner_cannot_be_called_while_a_transaction_is_open(partners: Http) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        gateway.retrieve("pi_any")


# --- Attempts that stalled --------------------------------------------------------------------------------------------


def stall(monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: Callable[[], object], *, after: bool) -> None:
    """The next call of `gateway.<name>` stalls, before or after its effect, while `meanwhile` happens."""
    call = getattr(gateway, name)

    def stalled(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(gateway, name, call)
        if not after:
            meanwhile()
        answer = call(*arguments, **options)
        if after:
            meanwhile()
        return answer

    monkeypatch.setattr(gateway, name, stalled)


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
@pytest.mark.parametrize("call", ["create_intent", "confirm"])
def test_attempt_that_stalled_while_another_one_charged_changes_nothing(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch, call: str, after: bool
) -> None:
    stall(monkeypatch, call, lambda: charge(order), after=after)

    with pytest.raises((StaleAttempt, PartnerUnavailable)):
        charge(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=0)
    assert money_calls(partners, order) == ["create", "charge"]
    assert len(events(order, EventType.PAYMENT_CAPTURED)) == 1


def test_attempt_that_lost_its_claim_does_not_confirm(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall(monkeypatch, "create_intent", lambda: fence.claim(order.id, StepName.CHARGE), after=True)
    monkeypatch.setattr(gateway, "confirm", lambda *_, **__: pytest.fail("money was asked for"))

    with pytest.raises(StaleAttempt):
        charge(order)

    assert_books_agree(partners, order, charged=0, refunded=0)


def test_attempt_whose_intent_was_known_asks_for_its_claim_again_before_it_confirms(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    partners.fault(partner="payments", operation="payment_intents.confirm", mode="error_before", times=1)
    with pytest.raises(PartnerUnavailable):
        charge(order)
    # The undo has begun but has not reached the gateway yet.
    stall(monkeypatch, "retrieve", lambda: fence.void(order.id, StepName.CHARGE), after=True)

    with pytest.raises(StepVoided):
        charge(order)

    assert_books_agree(partners, order, charged=0, refunded=0)


@pytest.mark.django_db(transaction=True)
def test_attempts_at_the_same_moment_charge_once(partners: Http) -> None:
    order = make_prepared_order()

    with connections(5) as others:
        attempts = [others.begin(charge, order) for _ in range(5)]
        errors = [attempt.exception(PATIENCE) for attempt in attempts]

    assert all(error is None or isinstance(error, StaleAttempt | PartnerUnavailable) for error in errors)
    charge(order)
    assert_books_agree(partners, order, charged=TOTAL, refunded=0)


# --- Undoing ----------------------------------------------------------------------------------------------------------


def test_undo_refunds_what_was_charged_and_books_it_back(order: Order, partners: Http) -> None:
    charge(order)

    undo(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=TOTAL)
    assert (payment(order).status, payment(order).refunded_minor) == (PaymentStatus.REFUNDED, TOTAL)
    assert payment(order).refund_reference
    (event,) = events(order, EventType.PAYMENT_UNDONE)
    assert event.data == {"refunded_minor": TOTAL, "payment": PaymentStatus.REFUNDED}


def test_undo_of_nothing_asks_nobody_and_bars_a_late_charge(order: Order, partners: Http) -> None:
    undo(order)

    with pytest.raises(StepVoided):
        charge(order)
    assert_books_agree(partners, order, charged=0, refunded=0)
    assert money_calls(partners, order) == []
    assert not Payment.objects.filter(order=order).exists()


def test_undo_of_a_decline_leaves_the_decline_to_be_read(partners: Http) -> None:
    order = make_prepared_order(payment_method="pm_card_chargeDeclined")
    with pytest.raises(PaymentDeclined):
        charge(order)

    undo(order)

    assert_books_agree(partners, order, charged=0, refunded=0)
    assert payment(order).status == PaymentStatus.DECLINED
    assert partners.books(str(order.id))["uncancelled_intents"] == 0


@pytest.mark.parametrize("operation", ["payment_intents.create", "payment_intents.confirm"])
@pytest.mark.parametrize("mode", ["error_before", "error_after"])
def test_undo_after_a_lost_answer_leaves_no_money_wherever_it_was_lost(
    order: Order, partners: Http, operation: str, mode: str
) -> None:
    partners.fault(partner="payments", operation=operation, mode=mode, times=1)
    with pytest.raises(PartnerUnavailable):
        charge(order)

    undo(order)

    moved = TOTAL if (operation, mode) == ("payment_intents.confirm", "error_after") else 0
    assert_books_agree(partners, order, charged=moved, refunded=moved)
    assert payment(order).status == (PaymentStatus.REFUNDED if moved else PaymentStatus.VOIDED)
    assert partners.books(str(order.id))["uncancelled_intents"] == int(moved > 0)
    with pytest.raises(StepVoided):
        charge(order)


def test_undo_twice_refunds_once(order: Order, partners: Http) -> None:
    charge(order)

    undo(order)
    undo(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=TOTAL)
    assert len(events(order, EventType.PAYMENT_UNDONE)) == 1


@pytest.mark.parametrize("mode", ["error_before", "error_after", "drop_after"])
def test_refund_whose_answer_was_lost_is_not_made_a_second_time(order: Order, partners: Http, mode: str) -> None:
    charge(order)
    partners.fault(partner="payments", operation="refunds.create", mode=mode, times=1)

    with pytest.raises(PartnerUnavailable):
        undo(order)
    assert step(order, StepName.REFUND).status == StepStatus.OPEN
    undo(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=TOTAL)
    assert money_calls(partners, order).count("refunds.create") == 1


def test_refund_that_the_gateway_refuses_is_owed_from_then_on(order: Order, partners: Http) -> None:
    charge(order)
    partners.fault(partner="payments", operation="refunds.create", mode="decline", times=1)

    undo(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=0)
    assert step(order, StepName.REFUND).status == StepStatus.DONE
    assert (payment(order).status, payment(order).refunding_minor) == (PaymentStatus.CAPTURED, TOTAL)
    assert [event.data["owed_minor"] for event in events(order, EventType.PAYMENT_UNDONE)] == [TOTAL]
    undo(order)
    assert len(events(order, EventType.REFUND_REFUSED)) == 1


def test_a_refusal_of_what_went_back_already_is_looked_up_and_owes_nothing(order: Order, partners: Http) -> None:
    """The gateway's key lives a day; an answer that was lost before that is not a debt."""
    charge(order)
    gateway.refund(
        payment(order).gateway_reference, amount_minor=TOTAL, key="a key it has forgotten", order=str(order.id)
    )

    undo(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=TOTAL)
    assert payment(order).status == PaymentStatus.REFUNDED
    assert not events(order, EventType.REFUND_REFUSED)


def test_undo_cancels_an_intent_so_that_a_confirmation_on_its_way_is_refused(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall(monkeypatch, "confirm", lambda: undo(order), after=False)

    with pytest.raises(PartnerUnavailable):
        charge(order)

    assert_books_agree(partners, order, charged=0, refunded=0)
    assert money_calls(partners, order) == ["create", "cancel"]
    with pytest.raises(StepVoided):
        charge(order)


def test_undo_refunds_a_charge_that_has_not_told_us_yet(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall(monkeypatch, "confirm", lambda: undo(order), after=True)

    with pytest.raises(StepVoided):
        charge(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=TOTAL)


def test_undo_before_the_charge_has_reached_the_gateway_bars_it(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall(monkeypatch, "create_intent", lambda: undo(order), after=False)

    with pytest.raises(StepVoided):
        charge(order)

    assert_books_agree(partners, order, charged=0, refunded=0)
    assert payment(order).gateway_reference == ""


def test_confirmation_that_wins_the_race_against_the_cancellation_is_refunded(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    partners.fault(partner="payments", operation="payment_intents.confirm", mode="error_before", times=1)
    with pytest.raises(PartnerUnavailable):
        charge(order)
    reference = payment(order).gateway_reference
    stall(monkeypatch, "cancel", lambda: gateway.confirm(reference, key="a confirmation on its way"), after=False)

    undo(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=TOTAL)


def test_two_undos_at_once_refund_once(order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    charge(order)
    stall(monkeypatch, "refund", lambda: undo(order), after=True)

    with pytest.raises(StaleAttempt):
        undo(order)

    assert_books_agree(partners, order, charged=TOTAL, refunded=TOTAL)
