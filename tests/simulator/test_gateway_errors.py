"""Each class of error through the official client, and what a second request with the same key then gets."""

import pytest
import stripe

from tests.simulator.talk import Http, intent

CREATE = {"partner": "payments", "operation": "payment_intents.create", "times": 1}


def test_too_many_requests_say_when_to_come_back_and_use_up_no_key(
    client: stripe.StripeClient, http: Http, order: str
) -> None:
    http.fault(**CREATE, mode="rate_limit", seconds=2.5, match={"order": order})
    with pytest.raises(stripe.RateLimitError) as limited:
        intent(client, order, f"{order}:k", confirm=True)
    error = limited.value
    assert (error.http_status, error.headers["Retry-After"]) == (429, "3")
    assert error.json_body["error"]["code"] == "rate_limit"
    assert http.books(order)["intents"] == 0
    retried = intent(client, order, f"{order}:k", confirm=True)
    assert "Idempotent-Replayed" not in retried.last_response.headers
    assert http.books(order)["charged_minor"] == 2500


def test_a_saved_500_is_answered_for_a_day_although_nothing_was_done(
    client: stripe.StripeClient, http: Http, order: str
) -> None:
    http.fault(**CREATE, mode="saved_error", match={"order": order})
    for replayed in (None, "true", "true"):
        with pytest.raises(stripe.APIError) as broken:
            intent(client, order, f"{order}:k", confirm=True)
        assert (broken.value.http_status, broken.value.headers.get("Idempotent-Replayed")) == (500, replayed)
    assert http.books(order)["intents"] == 0
    assert intent(client, order, f"{order}:k2", confirm=True).status == "succeeded", "another key is another request"
    http.advance(86_400)
    assert intent(client, order, f"{order}:k", confirm=True).status == "succeeded"


def test_a_saved_500_may_hide_a_payment_that_was_made(client: stripe.StripeClient, http: Http, order: str) -> None:
    http.fault(**CREATE, mode="saved_error_after", match={"order": order})
    for _ in range(2):
        with pytest.raises(stripe.APIError) as broken:
            intent(client, order, f"{order}:k", confirm=True)
        assert broken.value.http_status == 500
    assert http.books(order)["charged_minor"] == 2500
    assert [one.status for one in client.v1.payment_intents.list({"limit": 1}).data] == ["succeeded"]


def test_a_500_of_something_in_between_gives_way_to_the_true_answer(
    client: stripe.StripeClient, http: Http, order: str
) -> None:
    http.fault(**CREATE, mode="error_after", match={"order": order})
    with pytest.raises(stripe.APIError):
        intent(client, order, f"{order}:k", confirm=True)
    retried = intent(client, order, f"{order}:k", confirm=True)
    assert (retried.status, retried.last_response.headers["Idempotent-Replayed"]) == ("succeeded", "true")


def test_a_saved_500_without_a_key_and_of_a_look_up_is_only_a_500(
    client: stripe.StripeClient, http: Http, order: str
) -> None:
    created = intent(client, order)
    http.fault(partner="payments", mode="saved_error", match={"order": order}, times=2)
    with pytest.raises(stripe.APIError):
        client.v1.payment_intents.confirm(created.id)
    with pytest.raises(stripe.APIError):
        client.v1.payment_intents.retrieve(created.id)
    assert client.v1.payment_intents.confirm(created.id).status == "succeeded"


def test_a_wrong_request_is_refused_before_it_begins_and_uses_up_no_key(
    client: stripe.StripeClient, http: Http, order: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        intent(client, order, f"{order}:k", amount=29)
    assert (refused.value.http_status, refused.value.code) == (400, "amount_too_small")
    assert "0.30 GBP" in str(refused.value)
    assert intent(client, order, f"{order}:k").amount == 2500


def test_a_key_of_another_request_is_an_idempotency_error(client: stripe.StripeClient, order: str) -> None:
    intent(client, order, f"{order}:k")
    with pytest.raises(stripe.IdempotencyError) as refused:
        intent(client, order, f"{order}:k", amount=2600)
    assert (refused.value.http_status, refused.value.json_body["error"]["type"]) == (400, "idempotency_error")


def test_a_declined_card_is_a_card_error_and_saved(client: stripe.StripeClient, order: str) -> None:
    for replayed in (None, "true"):
        with pytest.raises(stripe.CardError) as declined:
            intent(client, order, f"{order}:k", payment_method="pm_card_visa_chargeDeclinedLostCard", confirm=True)
        error = declined.value
        assert (error.http_status, error.code) == (402, "card_declined")
        assert error.json_body["error"]["decline_code"] == "lost_card"
        assert error.headers.get("Idempotent-Replayed") == replayed
