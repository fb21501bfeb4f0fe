"""Events: what they say, how they are listed, and how they reach an endpoint that is slow, gone or deaf."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.simulator.double import Double
from tests.simulator.listener import Listener, Received
from tests.simulator.process import SimulatorProcess
from tests.simulator.talk import Http, intent, stripe_client

Launch = Callable[..., SimulatorProcess]
SECRET = "whsec_test"


@pytest.fixture
def listener() -> Iterator[Listener]:
    """An endpoint that takes everything."""
    with Listener() as endpoint:
        yield endpoint


def told(listener: Listener) -> tuple[str, ...]:
    """The command line that sends events to the endpoint."""
    return ("--events-url", listener.url, "--events-secret", SECRET, "--allow-reset")


def test_an_event_is_the_published_object_and_names_the_request_that_caused_it(double: Double) -> None:
    form = {"amount": 2500, "currency": "gbp", "payment_method": "pm_card_visa", "confirm": "true"}
    paid = double.ok("POST", "/v1/payment_intents", form, key="k-1")
    events = double.ok("GET", "/v1/events")["data"]
    assert [event["type"] for event in events] == [
        "payment_intent.succeeded",
        "charge.succeeded",
        "payment_intent.created",
    ]
    first, last = events[2], events[0]
    assert first["data"]["object"]["status"] == "requires_confirmation", "as it was when it happened"
    assert last["data"]["object"] == paid
    assert last["request"]["idempotency_key"] == "k-1"
    assert last["request"]["id"].startswith("req_")
    assert (last["object"], last["livemode"], last["pending_webhooks"]) == ("event", False, 0)
    assert double.ok("GET", f"/v1/events/{last['id']}") == last
    assert stripe.Event.construct_from(last, "sk_test_x").data.object["id"] == paid["id"]
    assert last["api_version"] == stripe.api_version


def test_what_happens_by_itself_names_no_request(double: Double) -> None:
    double.paid("pm_bacsDebit_success")
    double.advance(3)
    (event,) = double.ok("GET", "/v1/events", {"type": "payment_intent.succeeded"})["data"]
    assert event["request"] == {"id": None, "idempotency_key": None}


def test_events_are_listed_by_type_and_page(double: Double) -> None:
    double.paid()
    double.paid("pm_card_chargeDeclined")
    assert double.events(type="charge.failed") == ["charge.failed"]
    assert double.events(type="charge.*") == ["charge.succeeded", "charge.failed"]
    assert double.events(types=["charge.failed", "payment_intent.succeeded"]) == [
        "payment_intent.succeeded",
        "charge.failed",
    ]
    both = {"type": "charge.failed", "types": ["charge.failed"]}
    assert double.refused("GET", "/v1/events", both) == (400, "parameters_exclusive")
    everything = double.ok("GET", "/v1/events", {"limit": 100})["data"]
    page = double.ok("GET", "/v1/events", {"limit": 2, "ending_before": everything[3]["id"]})
    assert page["data"] == everything[1:3]
    assert page["has_more"]
    assert double.ok("GET", "/v1/events", {"created": {"gt": everything[0]["created"]}})["data"] == []


def test_a_delivery_is_signed_as_the_official_client_wants_it(
    launch: Launch, own_store: Path, listener: Listener
) -> None:
    running = launch(own_store, extra=told(listener))
    paid = intent(stripe_client(running.url), "o-1", confirm=True)
    assert listener.wait_for(lambda types: len(types) == 3) == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]
    last = listener.received[-1]
    event = stripe.Webhook.construct_event(last.body, last.signature, SECRET)
    assert (event.type, event.data.object["id"]) == ("payment_intent.succeeded", paid.id)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(last.body, last.signature, "whsec_other")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(last.body + b" ", last.signature, SECRET)
    assert event.pending_webhooks == 1
    client = stripe_client(running.url)
    _until(lambda: client.v1.events.retrieve(event.id).pending_webhooks == 0)


def test_what_an_endpoint_refuses_is_tried_again_until_it_takes_it(launch: Launch, own_store: Path) -> None:
    refusals: dict[str, int] = {}

    def answer(received: Received) -> int:
        name = received.event["id"]
        refusals[name] = refusals.get(name, 0) + 1
        return 500 if refusals[name] < 3 else 204

    with Listener(answer=answer) as listener:
        running = launch(own_store, extra=told(listener))
        intent(stripe_client(running.url), "o-1")
        listener.wait_for(lambda types: len(types) == 3)
        with Http(running.url) as http:
            _until(lambda: http.request("GET", "/oracle/summary")[1]["deliveries_delivered"] == 1)
            _, body = http.request("GET", "/v1/events", params={"delivery_success": "true"})
            assert len(body["data"]) == 1
            time_before = len(listener.received)
            http.advance(86_400)
        assert len(listener.received) == time_before == 3, "a delivery that was taken has ended"


def test_an_endpoint_that_is_gone_is_given_up_after_three_days(launch: Launch, own_store: Path) -> None:
    with Listener(answer=lambda received: 404) as listener:
        running = launch(own_store, extra=told(listener))
        intent(stripe_client(running.url), "o-1")
        with Http(running.url) as http:

            def given_up() -> bool:
                # The longest back-off is an hour, so each turn of the clock makes the next attempt due.
                http.advance(3600)
                return bool(http.request("GET", "/oracle/summary")[1]["deliveries_failed"] == 1)

            _until(given_up, 30)
            _, body = http.request("GET", "/v1/events", params={"delivery_success": "false"})
            assert [event["pending_webhooks"] for event in body["data"]] == [0]


def test_undelivered_events_survive_a_kill(launch: Launch, own_store: Path) -> None:
    with Listener(answer=lambda received: 503) as deaf:
        running = launch(own_store, extra=told(deaf))
        paid = intent(stripe_client(running.url), "o-1", confirm=True)
        deaf.wait_for(lambda types: len(types) >= 1)
        running.kill()
    with Listener() as listener:
        again = launch(own_store, extra=told(listener))
        with Http(again.url) as http:
            http.advance(3600)
        types = listener.wait_for(lambda types: len(set(types)) == 3)
        assert set(types) == {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}
        assert {one.event["data"]["object"].get("payment_intent", paid.id) for one in listener.received} == {paid.id}
        again.stop()


def test_a_slow_endpoint_slows_no_call_and_no_stop(launch: Launch, own_store: Path) -> None:
    asked = 0

    def answer(received: Received) -> int:
        nonlocal asked
        asked += 1
        release.wait(30)
        return 200

    release = threading.Event()
    with Listener(answer=answer) as listener:
        running = launch(own_store, extra=told(listener))
        client = stripe_client(running.url)
        started = time.monotonic()
        for number in range(20):
            intent(client, f"o-{number}", confirm=True)
        assert time.monotonic() - started < 10
        _until(lambda: asked >= 2)
        started = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - started < 2
        release.set()


def test_an_endpoint_made_by_a_call_hears_what_it_asked_for_until_it_is_deleted(
    launch: Launch, own_store: Path, listener: Listener
) -> None:
    running = launch(own_store)
    client = stripe_client(running.url)
    endpoint = client.v1.webhook_endpoints.create({"url": listener.url, "enabled_events": ["charge.succeeded"]})
    assert endpoint.secret is not None
    assert "secret" not in client.v1.webhook_endpoints.retrieve(endpoint.id).to_dict()
    assert [one.id for one in client.v1.webhook_endpoints.list().data] == [endpoint.id]
    intent(client, "o-1", confirm=True)
    assert listener.wait_for(lambda types: len(types) == 1) == ["charge.succeeded"]
    stripe.Webhook.construct_event(listener.received[0].body, listener.received[0].signature, endpoint.secret)
    assert client.v1.webhook_endpoints.update(endpoint.id, {"disabled": True}).status == "disabled"
    assert client.v1.webhook_endpoints.delete(endpoint.id).deleted
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.webhook_endpoints.create({"url": "ftp://x", "enabled_events": ["*"]})
    assert (refused.value.param, refused.value.code) == ("url", "url_invalid")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.webhook_endpoints.create({"url": listener.url, "enabled_events": ["charge.exploded"]})
    assert refused.value.param == "enabled_events"
    running.stop()


def test_clearing_the_store_keeps_the_endpoint_of_the_command_line(
    launch: Launch, own_store: Path, listener: Listener
) -> None:
    running = launch(own_store, extra=told(listener))
    client = stripe_client(running.url)
    client.v1.webhook_endpoints.create({"url": f"{listener.url}other", "enabled_events": ["*"]})
    with Http(running.url) as http:
        assert http.request("DELETE", "/store")[0] == 200
    assert [one.url for one in client.v1.webhook_endpoints.list().data] == [listener.url]
    running.stop()
    again = launch(own_store)
    assert stripe_client(again.url).v1.webhook_endpoints.list().data == [], "nobody named one at this start"
    again.stop()


def test_an_events_url_without_a_secret_does_not_start(launch: Launch, own_store: Path) -> None:
    with pytest.raises(RuntimeError, match="--events-secret"):
        launch(own_store, extra=("--events-url", "http://127.0.0.1:1/"))


def test_the_body_of_a_delivery_is_the_event_that_a_look_up_shows(
    launch: Launch, own_store: Path, listener: Listener
) -> None:
    running = launch(own_store, extra=told(listener))
    intent(stripe_client(running.url), "o-1")
    listener.wait_for(lambda types: len(types) == 1)
    sent = json.loads(listener.received[0].body)
    with Http(running.url) as http:
        shown = http.request("GET", f"/v1/events/{sent['id']}")[1]
    assert sent | {"pending_webhooks": 0} == shown | {"pending_webhooks": 0}
    running.stop()


# --- what goes wrong on the way ---------------------------------------------------------------------------------------
def deliveries(double: Double) -> list[tuple[str, str, float]]:
    """(type, state, seconds until due) of every delivery, in the order in which they are due."""
    with double.sim.store.read() as snapshot:
        rows = snapshot.execute(
            "SELECT type, state, due_at - first_at AS delay FROM deliveries JOIN events ON events.id = event_id"
            " ORDER BY due_at, deliveries.seq"
        ).fetchall()
    return [(row["type"], row["state"], row["delay"]) for row in rows]


@pytest.fixture
def watched(double: Double) -> Double:
    """A gateway with an endpoint that nobody sends to."""
    double.ok("POST", "/v1/webhook_endpoints", {"url": "http://127.0.0.1:1/", "enabled_events": ["*"]})
    return double


def fault(double: Double, **rule: Any) -> None:
    double.fault(partner="events", operation="deliveries.send", **rule)


def test_a_lost_event_is_never_sent_and_still_listed(watched: Double) -> None:
    fault(watched, mode="lost", match={"type": "payment_intent.succeeded"})
    watched.paid()
    assert [state for _, state, _ in deliveries(watched)] == ["pending", "pending", "lost"]
    assert watched.events()[-1] == "payment_intent.succeeded"
    assert "payment_intent.succeeded" in watched.events(delivery_success="false")


def test_a_late_event_and_a_double_one_come_later(watched: Double) -> None:
    fault(watched, mode="late", seconds=60, match={"type": "charge.succeeded"})
    fault(watched, mode="duplicate", seconds=5, match={"type": "payment_intent.created"}, times=1)
    watched.paid()
    assert deliveries(watched) == [
        ("payment_intent.created", "pending", 0),
        ("payment_intent.succeeded", "pending", 0),
        ("payment_intent.created", "pending", 5),
        ("charge.succeeded", "pending", 60),
    ]


def test_disorder_is_the_same_for_the_same_order_and_seed(watched: Double) -> None:
    fault(watched, mode="disorder", seconds=10, seed="7")
    orders = []
    for number in range(12):
        watched.paid(order=f"o-{number % 6}")
        orders.append([kind for kind, _, _ in deliveries(watched)])
        with watched.sim.store.write() as tx:
            tx.execute("DELETE FROM deliveries")
    assert orders[:6] == orders[6:]
    assert len({tuple(kinds) for kinds in orders}) > 1


def test_faults_of_events_touch_no_call_and_those_of_calls_no_event(watched: Double) -> None:
    watched.fault(partner="*", mode="lost")
    assert watched.paid()["status"] == "succeeded"
    assert {state for _, state, _ in deliveries(watched)} == {"lost"}
    watched.ok("DELETE", "/faults")
    watched.fault(partner="*", mode="unavailable", operation="payment_intents.confirm")
    watched.paid(order="o-2")
    assert {state for _, state, _ in deliveries(watched)[:3]} == {"lost"}
    assert {state for _, state, _ in deliveries(watched)[3:]} == {"pending"}


def _until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
