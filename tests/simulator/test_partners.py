"""Carrier, fraud scores and exchange rates."""

from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.simulator.talk import Http, together

PARCEL = {"country": "GB", "parcels": 1}


def shipment(order: str) -> str:
    return f"/carrier/shipments/{order}:ship"


def test_same_reference_and_body_book_one_shipment(http: Http, order: str) -> None:
    body = {"order": order, **PARCEL, "weight_grams": 1200}
    status, booked = http.request("PUT", shipment(order), body)
    assert (status, booked["status"], booked["carrier"]) == (201, "booked", "SimPost")
    assert (booked["cost_minor"], booked["currency"]) == (495 + 160, "GBP")
    assert http.request("PUT", shipment(order), body) == (200, booked)
    assert http.request("GET", shipment(order)) == (200, booked)
    status, refused = http.request("PUT", shipment(order), body | {"parcels": 2})
    assert (status, refused["error"]["code"]) == (409, "conflict")
    label = requests.get(booked["label_url"], timeout=5)
    assert label.status_code == 200
    assert booked["tracking_number"] in label.text
    assert http.books(order)["shipments_booked"] == 1


def test_concurrent_bookings_of_one_reference_make_one_shipment(http: Http, order: str) -> None:
    def book() -> int:
        with Http(http.url) as own:
            return own.request("PUT", shipment(order), {"order": order, **PARCEL})[0]

    assert sorted(map(int, map(str, together([book] * 10)))) == [200] * 9 + [201]
    assert http.operations(order) == ["shipments.book"]


def test_cancelled_shipment_stays_cancelled(http: Http, order: str) -> None:
    body = {"order": order, **PARCEL}
    http.request("PUT", shipment(order), body)
    for _ in range(2):
        status, cancelled = http.request("POST", f"{shipment(order)}/cancel")
        assert (status, cancelled["status"]) == (200, "cancelled")
    status, refused = http.request("PUT", shipment(order), body)
    assert (status, refused["error"]["code"]) == (409, "cancelled")
    books = http.books(order)
    assert (books["shipments_booked"], books["shipments_cancelled"]) == (0, 1)


def test_cancel_before_booking_refuses_the_late_booking(http: Http, order: str) -> None:
    assert http.request("GET", shipment(order))[0] == 404
    status, tombstone = http.request("POST", f"{shipment(order)}/cancel", {"order": order})
    assert (status, tombstone["status"], tombstone["tracking_number"]) == (200, "cancelled", None)
    assert http.request("PUT", shipment(order), {"order": order, **PARCEL})[0] == 409
    assert http.operations(order) == ["shipments.refuse_later"]
    assert http.books(order)["shipments_cancelled"] == 0


def test_parcel_moves_on_and_can_then_not_be_cancelled(http: Http, order: str) -> None:
    http.request("PUT", shipment(order), {"order": order, **PARCEL})
    assert http.request("POST", f"{shipment(order)}/advance")[1]["status"] == "in_transit"
    status, refused = http.request("POST", f"{shipment(order)}/cancel")
    assert (status, refused["error"]["code"]) == (409, "already_in_transit")
    http.request("POST", f"{shipment(order)}/advance")
    assert http.request("POST", f"{shipment(order)}/advance")[0] == 409
    tracking = http.request("GET", f"{shipment(order)}/tracking")[1]
    assert tracking["status"] == "delivered"
    assert [event["status"] for event in tracking["events"]] == ["booked", "in_transit", "delivered"]
    assert http.request("GET", f"{shipment(order)}/tracking")[1] == tracking, "events keep their ids"
    assert len({event["id"] for event in tracking["events"]}) == 3


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"country": "AQ"}, 422, "country_not_served", "country"),
        ({"country": ""}, 400, "bad_field", "country"),
        ({"parcels": 0}, 400, "bad_field", "parcels"),
        ({"parcels": True}, 400, "bad_field", "parcels"),
        ({"pieces": 1}, 400, "bad_field", "parcels"),
        ({"weight_grams": 1.5}, 400, "bad_field", "weight_grams"),
        ({"order": ""}, 400, "bad_field", "order"),
        ({"colour": "red"}, 400, "unknown_field", "colour"),
    ],
)
def test_bad_booking_is_refused_by_field(
    http: Http, order: str, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    got, refused = http.request("PUT", shipment(order), {"order": order, **PARCEL} | change)
    assert (got, refused["error"]["code"], refused["error"]["field"]) == (status, code, field)
    assert http.request("GET", shipment(order))[0] == 404


@pytest.mark.parametrize("mode", ["error_after", "drop_after", "hang_after"])
def test_booking_whose_answer_was_lost_is_found_by_its_reference(http: Http, order: str, mode: str) -> None:
    http.fault(partner="carrier", operation="shipments.book", mode=mode, seconds=0.1, times=1, match={"order": order})
    body = {"order": order, **PARCEL}
    try:
        assert http.request("PUT", shipment(order), body)[0] == 500
    except requests.ConnectionError:
        assert mode != "error_after"
    assert http.request("GET", shipment(order))[1]["status"] == "booked"
    assert http.request("PUT", shipment(order), body)[0] == 200


def test_carrier_refuses_and_fraud_flags_by_switch(http: Http, order: str) -> None:
    http.fault(partner="*", mode="decline", match={"order": order})
    status, refused = http.request("PUT", shipment(order), {"order": order, **PARCEL})
    assert (status, refused["error"]["code"]) == (422, "booking_refused")
    status, scored = http.request("POST", "/fraud/scores", {"order": order, "amount_minor": 1, "currency": "GBP"})
    assert (status, scored["score"]) == (200, 100)


def test_fraud_score_is_the_same_for_the_same_order_and_explains_itself(http: Http, order: str) -> None:
    body = {"order": order, "amount_minor": 250_000, "currency": "GBP", "guest": True, "country": "GB"}
    status, first = http.request("POST", "/fraud/scores", body)
    assert status == 200
    assert 55 <= first["score"] <= 74
    assert "guest checkout" in first["reasons"]
    assert len(first["reasons"]) == 3
    assert http.request("POST", "/fraud/scores", body) == (200, first)
    assert http.request("POST", "/fraud/scores", body | {"email": "a@high-risk.example"})[1]["score"] == 95
    assert http.request("POST", "/fraud/scores", body | {"email": "a@low-risk.example"})[1]["score"] == 5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order": 5}, "order"),
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": True}, "amount_minor"),
        ({"currency": "£"}, "currency"),
        ({"guest": "yes"}, "guest"),
        ({"country": ""}, "country"),
    ],
)
def test_bad_score_request_is_refused_by_field(http: Http, order: str, change: dict[str, Any], field: str) -> None:
    status, refused = http.request(
        "POST", "/fraud/scores", {"order": order, "amount_minor": 1, "currency": "GBP"} | change
    )
    assert (status, refused["error"]["field"]) == (400, field)


def test_rates_are_relative_to_their_base(http: Http) -> None:
    status, quote = http.request("GET", "/rates?base=GBP")
    assert (status, quote["base"], quote["rates"]["GBP"]) == (200, "GBP", "1.000000")
    assert Decimal(quote["rates"]["EUR"]) == Decimal("1.149425")
    assert http.request("GET", "/rates?base=XXX")[1]["error"]["field"] == "base"


def test_an_exception_is_an_event_and_the_parcel_goes_on_from_where_it_is(http: Http, order: str) -> None:
    http.request("PUT", shipment(order), {"order": order, **PARCEL})
    for body in ({}, {"exception": True}, {}):
        assert http.request("POST", f"{shipment(order)}/advance", body)[0] == 200
    tracking = http.request("GET", f"{shipment(order)}/tracking")[1]
    assert [event["status"] for event in tracking["events"]] == ["booked", "in_transit", "exception", "delivered"]
    assert http.request("POST", f"{shipment(order)}/advance", {"exception": True})[0] == 409


@pytest.mark.parametrize(
    ("country", "postcode", "plausible"),
    [
        ("GB", "SW1A 1AA", True),
        ("united kingdom", "", True),
        ("GB", "12345", False),
        ("AQ", "", False),
        ("Atlantis", "", False),
    ],
)
def test_an_address_is_plausible_or_not_and_both_are_answers(
    http: Http, country: str, postcode: str, plausible: bool
) -> None:
    status, told = http.request("GET", "/addresses/check", params={"country": country, "postcode": postcode})
    assert (status, told["plausible"]) == (200, plausible)


def test_an_address_without_a_country_is_refused(http: Http) -> None:
    status, told = http.request("GET", "/addresses/check")
    assert (status, told["error"]["code"]) == (400, "bad_field")
