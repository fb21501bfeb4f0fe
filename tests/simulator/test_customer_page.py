"""The page on which a customer answers the bank's question, as a browser without JavaScript uses it."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import stripe

from tests.simulator.process import SimulatorProcess
from tests.simulator.talk import Http, intent

ASKING = {"payment_method": "pm_card_authenticationRequired", "confirm": True}
SHOP = "https://shop.example/paid?order=7&payment_intent=old"


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def link(waiting: stripe.PaymentIntent) -> str:
    assert waiting.next_action is not None
    assert waiting.next_action.redirect_to_url is not None
    return str(waiting.next_action.redirect_to_url.url)


def press(browser: requests.Session, url: str, outcome: str) -> requests.Response:
    """Submit the form of the page as a browser does."""
    page = browser.get(url, timeout=10).text
    assert re.search(r'<form method="post">', page)
    assert f'name="outcome" value="{outcome}"' in page
    return browser.post(url, data={"outcome": outcome}, allow_redirects=False, timeout=10)


def test_the_page_says_what_is_paid_and_has_the_two_buttons(
    client: stripe.StripeClient, browser: requests.Session, order: str
) -> None:
    page = browser.get(link(intent(client, order, return_url=SHOP, **ASKING)), timeout=10)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "25.00 GBP" in page.text
    assert re.findall(r"<button[^>]*>([^<]+)<", page.text) == ["Complete authentication", "Fail authentication"]
    assert 'name="viewport"' in page.text
    assert "<script" not in page.text


@pytest.mark.parametrize(
    ("outcome", "status", "told"),
    [("complete", "succeeded", "succeeded"), ("fail", "requires_payment_method", "failed")],
)
def test_a_button_decides_and_leads_back_to_the_shop(
    client: stripe.StripeClient, browser: requests.Session, order: str, outcome: str, status: str, told: str
) -> None:
    waiting = intent(client, order, return_url=SHOP, **ASKING)
    answered = press(browser, link(waiting), outcome)
    assert answered.status_code == 303
    parts = urlsplit(answered.headers["Location"])
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "shop.example", "/paid")
    assert parse_qs(parts.query) == {
        "order": ["7"],
        "payment_intent": [waiting.id],
        "payment_intent_client_secret": [waiting.client_secret],
        "redirect_status": [told],
    }
    assert client.v1.payment_intents.retrieve(waiting.id).status == status


def test_pressing_again_changes_nothing(
    client: stripe.StripeClient, http: Http, browser: requests.Session, order: str
) -> None:
    waiting = intent(client, order, return_url=SHOP, **ASKING)
    url = link(waiting)
    press(browser, url, "complete")
    again = browser.post(url, data={"outcome": "fail"}, allow_redirects=False, timeout=10)
    assert parse_qs(urlsplit(again.headers["Location"]).query)["redirect_status"] == ["succeeded"]
    assert http.books(order)["charged_minor"] == 2500
    page = browser.get(url, timeout=10).text
    assert "The payment was made." in page
    assert "<form" not in page


def test_without_a_shop_to_return_to_the_page_says_the_end(
    client: stripe.StripeClient, browser: requests.Session, order: str
) -> None:
    waiting = intent(client, order, **ASKING)
    raw: Any = waiting.to_dict()
    url = raw["next_action"]["use_stripe_sdk"]["stripe_js"]
    answered = press(browser, url, "complete")
    assert (answered.status_code, "The payment was made." in answered.text) == (200, True)


def test_a_wrong_secret_and_a_wrong_button_change_nothing(
    client: stripe.StripeClient, browser: requests.Session, order: str
) -> None:
    waiting = intent(client, order, return_url=SHOP, **ASKING)
    url = link(waiting)
    wrong = f"{url.rpartition('/')[0]}/{'0' * 24}"
    for method in ("get", "post"):
        assert getattr(browser, method)(wrong, data={"outcome": "complete"}, timeout=10).status_code == 404
    for body in (b"outcome=perhaps", b"", b"\xff"):
        assert browser.post(url, data=body, timeout=10).status_code == 400
    assert client.v1.payment_intents.retrieve(waiting.id).status == "requires_action"


def test_the_answer_for_tests_names_a_bad_outcome_and_an_unknown_payment(
    simulator: SimulatorProcess, http: Http, client: stripe.StripeClient, order: str
) -> None:
    waiting = intent(client, order, **ASKING)
    status, refused = http.request("POST", f"/customers/{waiting.id}", {"outcome": "maybe"})
    assert (status, refused["error"]["field"]) == (400, "outcome")
    assert http.request("POST", "/customers/pi_unknown", {"outcome": "fail"})[0] == 404
    assert http.request("POST", f"/customers/{waiting.id}", {"outcome": "complete"})[1]["status"] == "succeeded"
