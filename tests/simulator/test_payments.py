"""The gateway through the official client: states, refusals, search, refunds."""

from collections.abc import Callable

import pytest
import requests
import stripe

from tests.simulator.process import SimulatorProcess
from tests.simulator.talk import Http, intent, stripe_client, together

Launch = Callable[..., SimulatorProcess]


def test_automatic_capture_charges_at_confirmation(client: stripe.StripeClient, http: Http, order: str) -> None:
    created = intent(client, order)
    assert (created.status, created.amount_received, created.metadata["order"]) == ("requires_confirmation", 0, order)
    confirmed = client.v1.payment_intents.confirm(created.id)
    assert (confirmed.status, confirmed.amount_received) == ("succeeded", 2500)
    assert client.v1.payment_intents.retrieve(created.id).latest_charge == confirmed.latest_charge
    assert http.books(order)["charged_minor"] == 2500


def test_manual_capture_takes_part_and_releases_the_rest(client: stripe.StripeClient, http: Http, order: str) -> None:
    held = intent(client, order, capture_method="manual", confirm=True)
    assert (held.status, held.amount_capturable) == ("requires_capture", 2500)
    assert http.books(order)["open_authorized_minor"] == 2500
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.capture(held.id, {"amount_to_capture": 2501})
    assert refused.value.code == "amount_too_large"
    captured = client.v1.payment_intents.capture(held.id, {"amount_to_capture": 2000})
    assert (captured.status, captured.amount_received, captured.amount_capturable) == ("succeeded", 2000, 0)
    books = http.books(order)
    assert (books["charged_minor"], books["open_authorized_minor"], books["captures"]) == (2000, 0, 1)


def test_cancelled_intent_releases_its_hold_and_stays_cancelled(
    client: stripe.StripeClient, http: Http, order: str
) -> None:
    held = intent(client, order, capture_method="manual", confirm=True)
    canceled = client.v1.payment_intents.cancel(held.id, {"cancellation_reason": "requested_by_customer"})
    assert (canceled.status, canceled.amount_capturable) == ("canceled", 0)
    for call in ("capture", "confirm", "cancel"):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            getattr(client.v1.payment_intents, call)(held.id)
        assert refused.value.code == "payment_intent_unexpected_state"
        assert refused.value.json_body["error"]["payment_intent"]["status"] == "canceled"
    books = http.books(order)
    assert (books["open_authorized_minor"], books["uncancelled_intents"], books["charged_minor"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("token", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedFraudulent", "card_declined", "fraudulent"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_seeded_decline_100", "card_declined", "generic_decline"),
    ],
)
def test_declined_card_leaves_an_intent_that_another_card_can_pay(
    client: stripe.StripeClient, http: Http, order: str, token: str, code: str, decline_code: str
) -> None:
    created = intent(client, order, payment_method=token)
    with pytest.raises(stripe.CardError) as declined:
        client.v1.payment_intents.confirm(created.id)
    error = declined.value.json_body["error"]
    assert (declined.value.code, error["decline_code"]) == (code, decline_code)
    assert error["payment_intent"]["status"] == "requires_payment_method"
    assert http.books(order)["charged_minor"] == 0
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.confirm(created.id)
    paid = client.v1.payment_intents.confirm(created.id, {"payment_method": "pm_card_visa"})
    assert paid.status == "succeeded"
    assert http.books(order)["charged_minor"] == 2500


def test_decline_at_creation_names_the_intent_it_left(client: stripe.StripeClient, order: str) -> None:
    with pytest.raises(stripe.CardError) as declined:
        intent(client, order, payment_method="pm_card_chargeDeclined", confirm=True)
    left = client.v1.payment_intents.retrieve(declined.value.json_body["error"]["payment_intent"]["id"])
    assert (left.status, left.last_payment_error["code"]) == ("requires_payment_method", "card_declined")


def test_seeded_declines_hit_their_share_and_the_same_orders_again(client: stripe.StripeClient, order: str) -> None:
    def declined(number: int) -> bool:
        try:
            intent(client, f"seeded-{number}", payment_method="pm_seeded_decline_30", confirm=True)
        except stripe.CardError:
            return True
        return False

    first = [declined(number) for number in range(100)]
    assert first == [declined(number) for number in range(100)]
    assert 15 <= sum(first) <= 45


@pytest.mark.parametrize(
    ("params", "param", "code"),
    [
        ({"amount": 0}, "amount", "parameter_invalid_integer"),
        ({"amount": -5}, "amount", "parameter_invalid_integer"),
        ({"amount": "12.50"}, "amount", "parameter_invalid_integer"),
        ({"amount": 10_000_000_000}, "amount", "amount_too_large"),
        ({"amount": 29}, "amount", "amount_too_small"),
        ({"amount": 49, "currency": "eur"}, "amount", "amount_too_small"),
        ({"amount": 100_000_000}, "amount", "amount_too_large"),
        ({"amount": None}, "amount", "parameter_missing"),
        ({"return_url": "https://shop.example"}, "return_url", None),
        ({"off_session": True}, "off_session", None),
        ({"return_url": "shop", "confirm": True}, "return_url", "url_invalid"),
        (
            {"payment_method": "pm_bacsDebit_success", "currency": "usd"},
            "payment_method",
            "payment_method_currency_mismatch",
        ),
        (
            {"payment_method": "pm_bacsDebit_success", "payment_method_types": ["card"]},
            "payment_method",
            "payment_intent_incompatible_payment_method",
        ),
        (
            {"payment_method": "pm_bacsDebit_success", "capture_method": "manual"},
            "payment_method",
            "payment_intent_incompatible_payment_method",
        ),
        ({"currency": "GBP"}, "currency", None),
        ({"currency": "pounds"}, "currency", None),
        ({"payment_method": "pm_card_unknown"}, "payment_method", "resource_missing"),
        ({"payment_method": None, "confirm": True}, "payment_method", "parameter_missing"),
        ({"capture_method": "later"}, "capture_method", None),
        ({"amount_to_capture": 5}, "amount_to_capture", "parameter_unknown"),
        ({"expand": ["latest_charge"]}, "expand[0]", "parameter_unknown"),
    ],
)
def test_bad_parameter_is_refused_by_name_and_nothing_is_created(
    client: stripe.StripeClient, http: Http, order: str, params: dict[str, object], param: str, code: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        intent(client, order, **params)
    assert (refused.value.param, refused.value.code, refused.value.http_status) == (param, code, 400)
    assert http.books(order)["intents"] == 0


def test_search_finds_exactly_the_intents_of_an_order(client: stripe.StripeClient, http: Http, order: str) -> None:
    first = intent(client, order, metadata={"order": order, "step": 'it\'s AND "odd"'})
    second = intent(client, order)
    intent(client, f"{order}-other")
    http.advance(2)
    found = client.v1.payment_intents.search({"query": f"metadata['order']:'{order}'"})
    assert [item.id for item in found.data] == [second.id, first.id]
    narrow = f"metadata['order']:'{order}' AND metadata['step']:'it\\'s AND \"odd\"'"
    assert [item.id for item in client.v1.payment_intents.search({"query": narrow}).data] == [first.id]
    page = client.v1.payment_intents.search({"query": f"metadata['order']:'{order}'", "limit": 1})
    assert page.has_more
    assert page.next_page
    rest = client.v1.payment_intents.search(
        {"query": f"metadata['order']:'{order}'", "limit": 1, "page": page.next_page}
    )
    assert [item.id for item in rest.data] == [first.id]
    assert not rest.has_more
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.search({"query": "amount>100"})


def test_list_pages_newest_first(client: stripe.StripeClient, order: str) -> None:
    ids = [intent(client, order).id for _ in range(3)]
    page = client.v1.payment_intents.list({"limit": 2})
    assert [item.id for item in page.data] == [ids[2], ids[1]]
    assert page.has_more
    assert client.v1.payment_intents.list({"limit": 1, "starting_after": ids[1]}).data[0].id == ids[0]


def test_refunds_stop_at_what_was_charged(client: stripe.StripeClient, http: Http, order: str) -> None:
    paid = intent(client, order, confirm=True)
    refund = client.v1.refunds.create(
        {"payment_intent": paid.id, "amount": 1000, "reason": "requested_by_customer", "metadata": {"note": "one"}}
    )
    assert (refund.amount, refund.status, refund.payment_intent) == (1000, "succeeded", paid.id)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": paid.id, "amount": 1501})
    assert (refused.value.code, refused.value.param) == ("amount_too_large", "amount")
    rest = client.v1.refunds.create({"payment_intent": paid.id})
    assert rest.amount == 1500
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": paid.id, "amount": 1})
    assert refused.value.code == "charge_already_refunded"
    assert [item.id for item in client.v1.refunds.list({"payment_intent": paid.id}).data] == [rest.id, refund.id]
    assert client.v1.refunds.retrieve(refund.id).metadata["note"] == "one"
    books = http.books(order)
    assert (books["refunded_minor"], books["net_minor"], books["refunds"]) == (2500, 0, 2)


def test_concurrent_refunds_never_exceed_the_charge(client: stripe.StripeClient, http: Http, order: str) -> None:
    paid = intent(client, order, confirm=True)
    results = together([lambda: client.v1.refunds.create({"payment_intent": paid.id, "amount": 1000})] * 10)
    assert sum(not isinstance(result, Exception) for result in results) == 2
    assert http.books(order)["refunded_minor"] == 2000


def test_refund_of_an_uncharged_or_unknown_intent_is_refused(client: stripe.StripeClient, order: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": intent(client, order).id})
    assert refused.value.code == "charge_not_refundable"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": "pi_unknown"})
    assert (refused.value.code, refused.value.http_status) == ("resource_missing", 404)


def test_confirm_and_cancel_at_once_have_one_winner(client: stripe.StripeClient, http: Http, order: str) -> None:
    for number in range(10):
        name = f"{order}-{number}"
        raced = intent(client, name)
        results = together(
            [
                lambda raced=raced: client.v1.payment_intents.confirm(raced.id),
                lambda raced=raced: client.v1.payment_intents.cancel(raced.id),
            ]
        )
        assert sum(isinstance(result, stripe.InvalidRequestError) for result in results) == 1, results
        status = client.v1.payment_intents.retrieve(raced.id).status
        assert http.books(name)["charged_minor"] == (2500 if status == "succeeded" else 0)


def test_calls_without_a_secret_key_are_refused(simulator: SimulatorProcess) -> None:
    assert requests.get(f"{simulator.url}/v1/payment_intents", timeout=5).status_code == 401
    wrong = stripe.StripeClient("pk_public", base_addresses={"api": simulator.url}, max_network_retries=0)
    with pytest.raises(stripe.AuthenticationError):
        wrong.v1.payment_intents.list()


def test_seed_decides_which_orders_are_declined(launch: Launch, own_store: object) -> None:
    def unlucky(seed: str) -> list[int]:
        running = launch(f"{own_store}-{seed}", extra=("--seed", seed))
        client, hit = stripe_client(running.url), []
        for number in range(30):
            try:
                intent(client, f"o-{number}", payment_method="pm_seeded_decline_50", confirm=True)
            except stripe.CardError:
                hit.append(number)
        running.stop()
        return hit

    assert unlucky("1") != unlucky("2")
