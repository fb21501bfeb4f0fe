"""Payments that do not end at the confirmation: the bank asks the customer, or takes days."""

import pytest

from simulator.methods import METHODS
from tests.simulator.double import BASE_URL, Double

ASKING = "pm_card_authenticationRequired"
SHOP = "https://shop.example/paid?order=7"


def act(double: Double, intent_id: str, outcome: str) -> None:
    double.ok("POST", f"/customers/{intent_id}", body={"outcome": outcome})


def test_a_bank_that_asks_leaves_the_payment_unpaid_with_a_link(double: Double) -> None:
    intent = double.paid(ASKING, return_url=SHOP)
    assert (intent["status"], intent["amount_received"], intent["latest_charge"]) == ("requires_action", 0, None)
    action = intent["next_action"]
    assert action["type"] == "redirect_to_url"
    assert action["redirect_to_url"]["return_url"] == SHOP
    assert action["redirect_to_url"]["url"].startswith(f"{BASE_URL}/pay/{intent['id']}/")
    assert double.books()["charged_minor"] == 0
    assert double.events() == ["payment_intent.created", "payment_intent.requires_action"]


def test_without_an_address_to_return_to_the_shops_own_page_must_act(double: Double) -> None:
    created = double.intent(ASKING)
    confirmed = double.ok("POST", f"/v1/payment_intents/{created['id']}/confirm")
    assert confirmed["next_action"]["type"] == "use_stripe_sdk"


def test_an_address_may_be_given_at_the_confirmation(double: Double) -> None:
    created = double.intent(ASKING)
    confirmed = double.ok("POST", f"/v1/payment_intents/{created['id']}/confirm", {"return_url": SHOP})
    assert confirmed["next_action"]["type"] == "redirect_to_url"


def test_a_customer_who_confirms_pays(double: Double) -> None:
    intent = double.paid(ASKING)
    act(double, intent["id"], "complete")
    paid = double.get(intent["id"])
    assert (paid["status"], paid["amount_received"], paid["next_action"]) == ("succeeded", 2500, None)
    assert double.books()["charged_minor"] == 2500
    status, code = double.refused("POST", f"/customers/{intent['id']}", body={"outcome": "complete"})
    assert (status, code) == (409, "no_action_required")


def test_a_customer_who_fails_leaves_an_intent_that_another_card_can_pay(double: Double) -> None:
    intent = double.paid(ASKING)
    act(double, intent["id"], "fail")
    failed = double.get(intent["id"])
    assert (failed["status"], failed["payment_method"]) == ("requires_payment_method", None)
    assert failed["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    assert failed["latest_charge"] is None
    paid = double.ok("POST", f"/v1/payment_intents/{intent['id']}/confirm", {"payment_method": "pm_card_visa"})
    assert (paid["status"], paid["last_payment_error"]) == ("succeeded", None)


def test_a_card_may_decline_after_the_customer_confirmed(double: Double) -> None:
    intent = double.paid("pm_card_authenticationRequiredChargeDeclinedInsufficientFunds")
    act(double, intent["id"], "complete")
    declined = double.get(intent["id"])
    assert declined["status"] == "requires_payment_method"
    assert declined["last_payment_error"]["decline_code"] == "insufficient_funds"


def test_an_amount_is_only_held_when_capture_is_manual(double: Double) -> None:
    intent = double.paid(ASKING, capture_method="manual")
    act(double, intent["id"], "complete")
    held = double.get(intent["id"])
    assert (held["status"], held["amount_capturable"], held["amount_received"]) == ("requires_capture", 2500, 0)


def test_manual_confirmation_comes_back_to_the_shop_after_the_customer(double: Double) -> None:
    intent = double.paid(ASKING, confirmation_method="manual")
    act(double, intent["id"], "complete")
    assert double.get(intent["id"])["status"] == "requires_confirmation"
    assert double.books()["charged_minor"] == 0
    confirmed = double.ok("POST", f"/v1/payment_intents/{intent['id']}/confirm")
    assert confirmed["status"] == "succeeded"


def test_another_card_is_asked_again_although_the_customer_confirmed_the_first(double: Double) -> None:
    intent = double.paid(ASKING, confirmation_method="manual")
    act(double, intent["id"], "complete")
    other = {"payment_method": "pm_card_threeDSecure2Required"}
    confirmed = double.ok("POST", f"/v1/payment_intents/{intent['id']}/confirm", other)
    assert confirmed["status"] == "requires_action"


@pytest.mark.parametrize("parameter", ["off_session", "error_on_requires_action"])
def test_a_caller_that_can_show_nothing_gets_a_decline(double: Double, parameter: str) -> None:
    created = double.intent(ASKING)
    path = f"/v1/payment_intents/{created['id']}/confirm"
    assert double.refused("POST", path, {parameter: "true"}) == (402, "authentication_required")
    assert double.get(created["id"])["status"] == "requires_payment_method"


def test_a_card_that_was_set_up_for_later_asks_only_while_the_customer_is_there(double: Double) -> None:
    token = "pm_card_authenticationRequiredSetupForOffSession"
    assert double.paid(token)["status"] == "requires_action"
    assert double.paid(token, off_session="true")["status"] == "succeeded"


def test_a_new_confirmation_takes_the_place_of_the_question_that_is_open(double: Double) -> None:
    double.behave(customer={"confirms_after_seconds": 5})
    intent = double.paid(ASKING)
    declined = double.refused(
        "POST", f"/v1/payment_intents/{intent['id']}/confirm", {"payment_method": "pm_card_chargeDeclined"}
    )
    assert declined == (402, "card_declined")
    double.advance(60)
    assert double.get(intent["id"])["status"] == "requires_payment_method"
    assert double.books()["charged_minor"] == 0


def test_a_canceled_payment_takes_no_answer_of_the_customer_any_more(double: Double) -> None:
    double.behave(customer={"confirms_after_seconds": 5})
    intent = double.paid(ASKING)
    double.ok("POST", f"/v1/payment_intents/{intent['id']}/cancel")
    double.advance(60)
    assert double.get(intent["id"])["status"] == "canceled"


def test_customers_answer_by_themselves_in_the_shares_that_were_set(double: Double) -> None:
    double.behave(customer={"confirms_after_seconds": 86_400, "share_never": 0.3, "share_fails": 0.3})
    ids = [double.paid(ASKING, order=f"o-{number}")["id"] for number in range(60)]
    double.advance(86_399)
    assert {double.get(one)["status"] for one in ids} == {"requires_action"}
    double.advance(1)
    seen = [double.get(one)["status"] for one in ids]
    for status in ("requires_action", "requires_payment_method", "succeeded"):
        assert 8 <= seen.count(status) <= 35, seen


@pytest.mark.parametrize(
    ("token", "currency"),
    [
        ("pm_bacsDebit_success", "gbp"),
        ("pm_sepaDebit_success_at", "eur"),
        ("pm_usBankAccount_success", "usd"),
    ],
)
def test_a_bank_debit_is_no_money_until_the_bank_has_paid(double: Double, token: str, currency: str) -> None:
    intent = double.paid(token, currency=currency)
    assert (intent["status"], intent["amount_received"]) == ("processing", 0)
    charge = double.ok("GET", f"/v1/charges/{intent['latest_charge']}")
    assert (charge["status"], charge["paid"]) == ("pending", False)
    assert double.books() | {"statuses": {}} == double.books() | {"statuses": {}, "charged_minor": 0}
    assert double.books()["processing_minor"] == 2500
    double.advance(3)
    paid = double.get(intent["id"])
    assert (paid["status"], paid["amount_received"]) == ("succeeded", 2500)
    assert double.ok("GET", f"/v1/charges/{intent['latest_charge']}")["status"] == "succeeded"
    assert double.events() == [
        "payment_intent.created",
        "charge.pending",
        "payment_intent.processing",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


def test_a_bank_debit_may_fail_days_later(double: Double) -> None:
    double.behave(debit_seconds=3 * 86_400)
    intent = double.paid("pm_bacsDebit_insufficientFunds")
    double.advance(2 * 86_400)
    assert double.get(intent["id"])["status"] == "processing"
    double.advance(86_400)
    failed = double.get(intent["id"])
    assert (failed["status"], failed["amount_received"]) == ("requires_payment_method", 0)
    assert failed["last_payment_error"]["code"] == "insufficient_funds"
    charge = double.ok("GET", f"/v1/charges/{intent['latest_charge']}")
    assert (charge["status"], charge["failure_code"]) == ("failed", "insufficient_funds")


def test_a_delayed_debit_takes_three_minutes(double: Double) -> None:
    intent = double.paid("pm_bacsDebit_successDelayed")
    double.advance(179)
    assert double.get(intent["id"])["status"] == "processing"
    double.advance(1)
    assert double.get(intent["id"])["status"] == "succeeded"


def test_a_payment_on_its_way_can_neither_be_canceled_nor_refunded_nor_confirmed_again(double: Double) -> None:
    intent = double.paid("pm_bacsDebit_success")
    for verb in ("cancel", "confirm", "capture"):
        refused = double.refused("POST", f"/v1/payment_intents/{intent['id']}/{verb}")
        assert refused == (400, "payment_intent_unexpected_state"), verb
    refused = double.refused("POST", "/v1/refunds", {"payment_intent": intent["id"]})
    assert refused == (400, "charge_not_refundable")


def test_the_one_debit_that_stays_in_processing_can_be_canceled(double: Double) -> None:
    intent = double.paid("pm_usBankAccount_processing", currency="usd")
    double.advance(30 * 86_400)
    assert double.get(intent["id"])["status"] == "processing"
    assert double.ok("POST", f"/v1/payment_intents/{intent['id']}/cancel")["status"] == "canceled"


def test_a_hold_that_nobody_captures_ends_after_seven_days(double: Double) -> None:
    intent = double.paid(capture_method="manual")
    double.advance(7 * 86_400 - 1)
    assert double.get(intent["id"])["status"] == "requires_capture"
    double.advance(1)
    expired = double.get(intent["id"])
    assert (expired["status"], expired["cancellation_reason"]) == ("canceled", "automatic")
    assert double.books()["open_authorized_minor"] == 0


def test_an_account_with_redirecting_methods_wants_an_address_to_return_to(double: Double) -> None:
    double.behave(redirect_methods=True)
    created = double.intent()
    path = f"/v1/payment_intents/{created['id']}/confirm"
    status, answered = double.call("POST", path)
    assert (status, answered["error"]["param"]) == (400, "return_url")
    assert double.get(created["id"])["status"] == "requires_confirmation"
    assert double.ok("POST", path, {"return_url": SHOP})["status"] == "succeeded"
    never = {"automatic_payment_methods": {"enabled": "true", "allow_redirects": "never"}}
    assert double.paid(**never)["status"] == "succeeded"
    assert double.paid(payment_method_types=["card"])["status"] == "succeeded"


def test_an_update_brings_another_method_and_amount_before_the_payment_and_only_words_after(double: Double) -> None:
    intent = double.intent("pm_card_chargeDeclined")
    path = f"/v1/payment_intents/{intent['id']}"
    double.call("POST", f"{path}/confirm")
    changed = double.ok("POST", path, {"payment_method": "pm_card_visa", "amount": 3000, "metadata": {"a": "1"}})
    assert (changed["status"], changed["amount"]) == ("requires_confirmation", 3000)
    assert changed["metadata"] == {"order": "o-1", "a": "1"}
    assert double.ok("POST", f"{path}/confirm")["amount_received"] == 3000
    assert double.refused("POST", path, {"amount": 100}) == (400, "payment_intent_unexpected_state")
    assert double.ok("POST", path, {"metadata": {"a": ""}})["metadata"] == {"order": "o-1"}


def test_every_declined_card_gives_its_published_code(double: Double) -> None:
    for token, method in METHODS.items():
        if method.refusal is None or method.is_debit or method.authenticates:
            continue
        status, answered = double.call(
            "POST",
            "/v1/payment_intents",
            {"amount": 2500, "currency": "gbp", "payment_method": token, "confirm": "true"},
        )
        error = answered["error"]
        assert (status, error["type"]) == (402, "card_error"), token
        assert (error["code"], error["decline_code"]) == (method.refusal.code, method.refusal.decline_code)
        assert error["payment_method"]["id"] == token
