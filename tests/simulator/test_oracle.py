"""The outside witness: its figures per order, its log, its pages."""

from collections.abc import Callable
from pathlib import Path

import pytest
import stripe

from tests.simulator.double import Double
from tests.simulator.process import SimulatorProcess
from tests.simulator.talk import NO_BOOKS, Http, intent, stripe_client

Launch = Callable[..., SimulatorProcess]


def test_books_of_one_order_add_up(client: stripe.StripeClient, http: Http, order: str) -> None:
    paid = intent(client, order, f"{order}:charge", confirm=True)
    client.v1.refunds.create({"payment_intent": paid.id, "amount": 400}, {"idempotency_key": f"{order}:refund"})
    held = intent(client, order, amount=700, capture_method="manual", confirm=True)
    client.v1.payment_intents.cancel(intent(client, order).id)
    http.request("PUT", f"/carrier/shipments/{order}:1", {"order": order, "country": "GB", "pieces": 2})
    http.request("PUT", f"/carrier/shipments/{order}:2", {"order": order, "country": "GB", "pieces": 2})
    http.request("POST", f"/carrier/shipments/{order}:2/cancel")
    assert http.books(order) == {
        "currency": "gbp",
        "intents": 3,
        "charged_minor": 2500,
        "refunded_minor": 400,
        "net_minor": 2100,
        "captures": 1,
        "refunds": 1,
        "refunds_failed": 0,
        "refund_failed_minor": 0,
        "disputes": 0,
        "disputed_minor": 0,
        "processing_minor": 0,
        "statuses": {"succeeded": 1, "requires_capture": 1, "canceled": 1},
        "open_authorized_minor": 700,
        "uncancelled_intents": 2,
        "shipments_booked": 1,
        "shipments_cancelled": 1,
    }
    client.v1.payment_intents.capture(held.id)
    assert http.books(order)["net_minor"] == 2800

    _, log = http.request("GET", "/oracle/operations", params={"order": order})
    assert sum(item["charged_minor"] - item["refunded_minor"] for item in log["operations"]) == 2800
    assert [item["idempotency_key"] for item in log["operations"]][:3] == [f"{order}:charge"] * 2 + [f"{order}:refund"]
    times = [item["at"] for item in log["operations"]]
    assert times == sorted(times)
    assert [item["operation"] for item in log["operations"]][-1] == "payment_intents.capture"


def test_order_in_two_currencies_has_no_currency(client: stripe.StripeClient, http: Http, order: str) -> None:
    intent(client, order)
    intent(client, order, currency="eur")
    assert http.books(order)["currency"] is None


def test_pages_cover_every_order_once_orphans_included(launch: Launch, own_store: Path) -> None:
    running = launch(own_store, extra=("--allow-reset",))
    client = stripe_client(running.url)
    with Http(running.url) as http:
        for number in range(7):
            intent(client, f"o-{number}", confirm=True)
        intent(client, "", metadata={"other": "x"}, confirm=True)
        http.request("PUT", "/carrier/shipments/only", {"order": "o-shipped", "country": "GB", "parcels": 1})
        seen: dict[str, dict[str, object]] = {}
        params: dict[str, str | int] = {"limit": 2, "after": ""}
        while True:
            _, page = http.request("GET", "/oracle/orders", params=params)
            assert not seen.keys() & page["orders"].keys()
            seen |= page["orders"]
            if page["next"] is None:
                break
            params["after"] = page["next"]
        assert sorted(seen) == ["", *(f"o-{number}" for number in range(7)), "o-shipped"]
        assert seen["o-shipped"] == NO_BOOKS | {"shipments_booked": 1}
        assert seen[""]["charged_minor"] == 2500

        _, unnamed = http.request("GET", "/oracle/orders", params={"limit": 2})
        assert unnamed == http.request("GET", "/oracle/orders", params={"limit": 2, "after": ""})[1]
        assert list(http.request("GET", "/oracle/orders?order=")[1]["orders"]) == [""]

        _, summary = http.request("GET", "/oracle/summary")
        assert (summary["orders"], summary["captures"], summary["problems"]) == (9, 8, [])
        assert summary["currencies"]["gbp"]["net_minor"] == 8 * 2500
        _, first = http.request("GET", "/oracle/operations", params={"limit": 3})
        _, rest = http.request("GET", "/oracle/operations", params={"after": first["next"]})
        assert len(first["operations"]) + len(rest["operations"]) == summary["operations"]

        assert http.request("DELETE", "/store") == (200, {"ok": True})
        assert http.request("GET", "/oracle/orders")[1] == {"orders": {}, "next": None}
    running.stop()


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=10001"])
def test_bad_limit_is_refused(http: Http, query: str) -> None:
    status, refused = http.request("GET", f"/oracle/orders?{query}")
    assert (status, refused["error"]["field"]) == (400, "limit")


def test_store_is_not_cleared_without_permission(http: Http) -> None:
    assert http.request("DELETE", "/store")[0] == 403


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE charges SET amount_captured = amount_captured - 1 WHERE status = 'succeeded'", "charges, refunds"),
        (
            "UPDATE refunds SET status = 'failed', failure_reason = 'unknown' WHERE status = 'succeeded'",
            "refunds add up",
        ),
        ("UPDATE disputes SET amount_withdrawn = 0", "charges, refunds and disputes"),
        ("UPDATE intents SET amount_disputed = 0", "the log of operations says"),
        ("DELETE FROM operations WHERE operation = 'refunds.fail'", "the log of operations says"),
        ("DELETE FROM operations WHERE operation = 'disputes.withdraw'", "the log of operations says"),
    ],
)
def test_a_record_that_disagrees_with_the_others_is_named(double: Double, statement: str, words: str) -> None:
    double.paid("pm_card_createDispute")
    double.ok("POST", "/v1/refunds", {"payment_intent": double.paid()["id"], "amount": 400})
    double.ok("POST", "/v1/refunds", {"payment_intent": double.paid("pm_card_refundFail")["id"], "amount": 400})
    double.advance(10)
    assert double.ok("GET", "/oracle/summary")["problems"] == []
    with double.sim.store.write() as tx:
        assert tx.execute(statement).rowcount
    assert words in " ".join(double.ok("GET", "/oracle/summary")["problems"])
