"""Fault switches: on which side of the effect each one strikes, how often, and that they outlive a restart."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.simulator.process import SimulatorProcess
from tests.simulator.talk import Http, intent, stripe_client

Launch = Callable[..., SimulatorProcess]

CREATE = {"partner": "payments", "operation": "payment_intents.create", "times": 1}


@pytest.mark.parametrize(
    ("mode", "error", "charged"),
    [
        ("error_before", stripe.APIError, 0),
        ("unavailable", stripe.APIError, 0),
        ("error_after", stripe.APIError, 2500),
        ("drop_after", stripe.APIConnectionError, 2500),
        ("hang_before", stripe.APIConnectionError, 0),
        ("hang_after", stripe.APIConnectionError, 2500),
    ],
)
def test_each_mode_strikes_on_its_side_and_a_retry_charges_once(
    client: stripe.StripeClient, http: Http, order: str, mode: str, error: type[Exception], charged: int
) -> None:
    http.fault(**CREATE, mode=mode, seconds=0.2, match={"order": order})
    with pytest.raises(error):
        intent(client, order, f"{order}:charge", confirm=True)
    assert http.books(order)["charged_minor"] == charged
    retried = intent(client, order, f"{order}:charge", confirm=True)
    assert retried.last_response.headers.get("Idempotent-Replayed") == ("true" if charged else None)
    assert http.books(order)["charged_minor"] == 2500


@pytest.mark.parametrize(("mode", "charged"), [("hang_before", 0), ("hang_after", 2500)])
def test_hanging_call_is_given_up_by_the_caller_and_its_key_is_free(
    simulator: SimulatorProcess, client: stripe.StripeClient, http: Http, order: str, mode: str, charged: int
) -> None:
    http.fault(**CREATE, mode=mode, seconds=60, match={"order": order})
    # Only the call that must hang is impatient: on a busy machine the others take longer than any short limit.
    impatient = stripe_client(simulator.url, timeout=2)
    with pytest.raises(stripe.APIConnectionError):
        intent(impatient, order, f"{order}:charge", confirm=True)
    assert http.books(order)["charged_minor"] == charged
    assert intent(client, order, f"{order}:charge", confirm=True).status == "succeeded"
    assert http.books(order)["charged_minor"] == 2500


def test_latency_delays_the_true_answer(client: stripe.StripeClient, http: Http, order: str) -> None:
    http.fault(**CREATE, mode="latency", seconds=0.4, match={"order": order})
    started = time.monotonic()
    assert intent(client, order).status == "requires_confirmation"
    assert time.monotonic() - started >= 0.4


def test_decline_refuses_confirmations_and_leaves_refunds_alone(
    client: stripe.StripeClient, http: Http, order: str
) -> None:
    paid = intent(client, order, confirm=True)
    created = intent(client, order)
    http.fault(partner="payments", mode="decline", match={"order": order}, times=1)
    client.v1.refunds.create({"payment_intent": paid.id, "amount": 1})
    with pytest.raises(stripe.CardError):
        client.v1.payment_intents.confirm(created.id)
    http.fault(partner="payments", operation="payment_intents.create", mode="decline", match={"order": order})
    with pytest.raises(stripe.CardError):
        intent(client, order, confirm=True)


def test_refunds_and_captures_are_declined_when_named(client: stripe.StripeClient, http: Http, order: str) -> None:
    paid = intent(client, order, confirm=True)
    held = intent(client, order, capture_method="manual", confirm=True)
    for operation in ("refunds.create", "payment_intents.capture"):
        http.fault(partner="payments", operation=operation, mode="decline", match={"order": order})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": paid.id})
    assert refused.value.code == "balance_insufficient"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.capture(held.id)
    assert refused.value.code == "charge_expired_for_capture"


def test_rule_matches_the_order_of_an_intent_and_no_other(client: stripe.StripeClient, http: Http, order: str) -> None:
    held = intent(client, order, capture_method="manual", confirm=True)
    other = intent(client, f"{order}-other", capture_method="manual", confirm=True)
    http.fault(partner="*", mode="unavailable", match={"order": order})
    with pytest.raises(stripe.APIError) as broken:
        client.v1.payment_intents.capture(held.id)
    assert broken.value.http_status == 503
    with pytest.raises(stripe.APIError):
        client.v1.payment_intents.search({"query": f"metadata['order']:'{order}'"})
    assert client.v1.payment_intents.capture(other.id).status == "succeeded"


def test_draws_depend_on_seed_and_order_only(http: Http) -> None:
    def struck(seed: str, orders: list[int]) -> set[int]:
        http.request("PUT", "/faults", [{"partner": "fraud", "mode": "unavailable", "probability": 0.5, "seed": seed}])
        body = {"amount_minor": 1, "currency": "GBP"}
        return {n for n in orders if http.request("POST", "/fraud/scores", body | {"order": f"o-{n}"})[0] == 503}

    forwards, backwards = struck("a", list(range(60))), struck("a", list(reversed(range(60))))
    assert forwards == backwards
    assert 15 <= len(forwards) <= 45
    assert struck("b", list(range(60))) != forwards


def test_times_counts_down_over_http_and_the_rule_can_be_removed(http: Http) -> None:
    rule = http.fault(partner="rates", mode="error_before", times=2)
    assert [http.request("GET", "/rates")[0] for _ in range(3)] == [500, 500, 200]
    shown = http.request("GET", "/faults")[1]["faults"]
    assert [(item["id"], item["times"], item["remaining"]) for item in shown] == [(rule["id"], 2, 0)]
    assert http.request("DELETE", f"/faults/{rule['id']}") == (200, {"faults": []})
    assert http.request("DELETE", f"/faults/{rule['id']}")[0] == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"partner": "bank"}, "partner"),
        ({"operation": "shipments.book"}, "operation"),
        ({"mode": "explode"}, "mode"),
        ({"mode": None}, "mode"),
        ({"seconds": 601}, "seconds"),
        ({"seconds": "5"}, "seconds"),
        ({"probability": 1.5}, "probability"),
        ({"probability": True}, "probability"),
        ({"times": 0}, "times"),
        ({"match": {"colour": "red"}}, "match"),
        ({"match": {"order": 5}}, "match"),
        ({"seed": [1]}, "seed"),
        ({"mode": "decline", "operation": "refunds.list"}, "operation"),
        ({"mode": "lost"}, "mode"),
        ({"partner": "events", "mode": "unavailable"}, "mode"),
    ],
)
def test_bad_rule_is_refused_by_field_and_changes_nothing(http: Http, change: dict[str, Any], field: str) -> None:
    before = http.request("GET", "/faults")
    rule = {"partner": "payments", "mode": "latency"} | change
    for method, body in (("POST", rule), ("PUT", [rule])):
        status, refused = http.request(method, "/faults", body)
        assert (status, refused["error"]["field"]) == (400, field), refused
    assert http.request("GET", "/faults") == before


def test_rules_survive_kill_and_restart(launch: Launch, own_store: Path) -> None:
    running = launch(own_store)
    with Http(running.url) as http:
        http.request("PUT", "/faults", {"faults": [{"partner": "rates", "mode": "unavailable", "times": 3}]})
        assert http.request("GET", "/rates")[0] == 503
    running.kill()
    again = launch(own_store)
    with Http(again.url) as http:
        assert [http.request("GET", "/rates")[0] for _ in range(3)] == [503, 503, 200]
        assert http.request("DELETE", "/faults") == (200, {"faults": []})
    again.stop()


def test_stops_within_two_seconds_while_callers_hang(launch: Launch, own_store: Path) -> None:
    running = launch(own_store)
    with Http(running.url) as http:
        http.fault(partner="rates", mode="hang_before", seconds=600)
    callers = [socket.create_connection(("127.0.0.1", running.port), timeout=5) for _ in range(5)]
    for caller in callers:
        caller.sendall(b"GET /rates HTTP/1.1\r\nHost: x\r\n\r\n")
        caller.settimeout(0.05)
        with pytest.raises(TimeoutError):
            caller.recv(1)
    started = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - started < 2
    for caller in callers:
        caller.close()
