"""One key, one effect: retries, races, lost answers and kill -9."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import stripe

from tests.simulator.process import SimulatorProcess
from tests.simulator.talk import Http, intent, stripe_client, together

Launch = Callable[..., SimulatorProcess]


def test_same_key_returns_the_saved_answer(client: stripe.StripeClient, http: Http, order: str) -> None:
    first = intent(client, order, f"{order}:charge", confirm=True)
    second = intent(client, order, f"{order}:charge", confirm=True)
    assert first.id == second.id
    assert first.last_response.body == second.last_response.body
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert http.books(order)["charged_minor"] == 2500


def test_declines_and_refused_transitions_are_saved_too(client: stripe.StripeClient, order: str) -> None:
    created = intent(client, order, payment_method="pm_card_chargeDeclined")
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            client.v1.payment_intents.confirm(created.id, {}, {"idempotency_key": f"{order}:confirm"})
    assert declined.value.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.capture(created.id, {}, {"idempotency_key": f"{order}:capture"})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.capture(created.id, {}, {"idempotency_key": f"{order}:capture"})
    assert refused.value.headers["Idempotent-Replayed"] == "true"


def test_a_bad_parameter_does_not_use_up_the_key(client: stripe.StripeClient, order: str) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        intent(client, order, f"{order}:create", amount=0)
    assert intent(client, order, f"{order}:create").amount == 2500


def test_key_used_for_another_request_is_refused(client: stripe.StripeClient, http: Http, order: str) -> None:
    created = intent(client, order, f"{order}:key")
    with pytest.raises(stripe.IdempotencyError):
        intent(client, order, f"{order}:key", amount=1)
    with pytest.raises(stripe.IdempotencyError):
        client.v1.payment_intents.confirm(created.id, {}, {"idempotency_key": f"{order}:key"})
    other = intent(client, order)
    client.v1.payment_intents.confirm(created.id, {}, {"idempotency_key": f"{order}:confirm"})
    with pytest.raises(stripe.IdempotencyError):
        client.v1.payment_intents.confirm(other.id, {}, {"idempotency_key": f"{order}:confirm"})
    books = http.books(order)
    assert (books["intents"], books["charged_minor"]) == (2, 2500)


def test_twenty_confirms_at_once_with_one_key_charge_once(client: stripe.StripeClient, http: Http, order: str) -> None:
    created = intent(client, order)
    results = together(
        [lambda: client.v1.payment_intents.confirm(created.id, {}, {"idempotency_key": f"{order}:confirm"})] * 20
    )
    for result in results:
        if isinstance(result, Exception):
            assert isinstance(result, stripe.APIError), result
            assert result.http_status == 409
            assert result.json_body["error"]["code"] == "idempotency_key_in_use"
        else:
            assert result.status == "succeeded"
    assert any(not isinstance(result, Exception) for result in results)
    assert http.books(order)["charged_minor"] == 2500
    assert http.operations(order) == ["payment_intents.create", "payment_intents.charge"]


def test_twenty_confirms_at_once_with_keys_of_their_own_charge_once(
    client: stripe.StripeClient, http: Http, order: str
) -> None:
    created = intent(client, order)
    results = together([lambda: client.v1.payment_intents.confirm(created.id)] * 20)
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert http.books(order)["charged_minor"] == 2500


def test_key_in_flight_is_refused_until_its_request_is_answered(
    client: stripe.StripeClient, http: Http, order: str
) -> None:
    http.fault(
        partner="payments", operation="payment_intents.create", mode="latency", seconds=1, match={"order": order}
    )
    results = together([lambda: intent(client, order, f"{order}:slow", **_SLOW)] * 2)
    (refused,) = [result for result in results if isinstance(result, Exception)]
    assert isinstance(refused, stripe.APIError)
    assert (refused.http_status, refused.json_body["error"]["code"]) == (409, "idempotency_key_in_use")
    (paid,) = [result for result in results if not isinstance(result, Exception)]
    assert intent(client, order, f"{order}:slow", **_SLOW).id == paid.id
    assert http.books(order)["charged_minor"] == 2500


_SLOW = {"payment_method": "pm_card_slow", "confirm": True}


def test_kill_in_a_burst_loses_no_answer_and_each_retried_key_has_one_effect(launch: Launch, own_store: Path) -> None:
    running = launch(own_store)
    orders = [f"burst-{number}" for number in range(200)]
    answered: dict[str, str] = {}

    def charge(url: str, order: str) -> str:
        with Http(url) as http:
            form = {"amount": 100, "currency": "gbp", "payment_method": "pm_card_visa", "confirm": "true"}
            status, body = http.request(
                "POST",
                "/v1/payment_intents",
                data=form | {"metadata[order]": order},
                headers={"Idempotency-Key": f"{order}:charge"},
            )
            assert status == 200, body
            return str(body["id"])

    def burst(mine: list[str]) -> None:
        for order in mine:
            try:
                answered[order] = charge(running.url, order)
            except requests.RequestException:
                return

    threads = [threading.Thread(target=burst, args=(orders[part::8],)) for part in range(8)]
    for thread in threads:
        thread.start()
    _until(lambda: len(answered) >= 60)
    running.kill()
    for thread in threads:
        thread.join()
    assert 60 <= len(answered) < 200, "the kill must land inside the burst"

    again = launch(own_store, port=running.port)
    retried = {order: charge(again.url, order) for order in orders}
    assert {order: retried[order] for order in answered} == answered
    with Http(again.url) as http:
        _, body = http.request("GET", "/oracle/orders", params={"limit": 1000})
        assert sorted(body["orders"]) == sorted(orders)
        assert all((b["intents"], b["charged_minor"]) == (1, 100) for b in body["orders"].values())
        _, summary = http.request("GET", "/oracle/summary")
        assert summary["problems"] == []
        assert (summary["captures"], summary["saved_answers"]) == (200, 200)
    again.stop()


def test_books_and_keys_survive_a_clean_restart(launch: Launch, own_store: Path, order: str) -> None:
    running = launch(own_store)
    first = intent(stripe_client(running.url), order, "key", confirm=True)
    assert running.stop() == 0
    again = launch(own_store)
    assert intent(stripe_client(again.url), order, "key", confirm=True).id == first.id
    again.stop()


def _until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
