"""SimPost, the carrier: shipments booked under a reference that the caller chooses.

The reference is the idempotency key, and cancelling one that never existed leaves a tombstone. Without the tombstone a
booking that was slow on the wire would arrive after its own cancellation and ship a cancelled order.
"""

import html
import sqlite3
import time
from typing import Any, NoReturn

from simulator.faults import FaultBook
from simulator.store import Store, record
from simulator.wire import (
    Request,
    Response,
    answer,
    digest,
    integer_field,
    read_object,
    refuse,
    text_field,
)

CURRENCY = "GBP"
HOME_COUNTRY = "GB"
PIECES_PER_PARCEL = 200
UNSERVED_COUNTRIES = frozenset({"AQ"})
BOOK_FIELDS = frozenset({"order", "country", "parcels", "pieces", "weight_grams", "recipient", "service"})
MAX_REFERENCE = 200
NEXT_STATUS = {"booked": "in_transit", "in_transit": "delivered"}


def book(tx: sqlite3.Connection, request: Request, faults: FaultBook, base_url: str) -> Response:
    """PUT /carrier/shipments/{reference}: {order, country, parcels|pieces, weight_grams?, recipient?, service?}.

    201 when booked, 200 with the same shipment for the same body again, 409 `conflict` for another body, 409
    `cancelled` after a cancel, 422 `country_not_served`, 422 `booking_refused` by a fault switch, 400 naming a field.
    """
    reference = _reference(request)
    body = read_object(request, BOOK_FIELDS)
    order, country = text_field(body, "order"), text_field(body, "country", max_length=80)
    if ("parcels" in body) == ("pieces" in body):
        refuse(400, "bad_field", "give parcels or pieces, and only one of them", field="parcels")
    parcels = _parcels(body)
    weight = integer_field(body, "weight_grams", 1, 10_000_000) if body.get("weight_grams") is not None else None
    fingerprint = digest(body | {"country": country})
    row = _find(tx, reference)
    if row is not None:
        if row["status"] == "cancelled":
            refuse(409, "cancelled", f"shipment {reference} was cancelled")
        if row["fingerprint"] != fingerprint:
            refuse(409, "conflict", f"shipment {reference} was booked with another body")
        return answer(200, _as_json(row, base_url))
    if country in UNSERVED_COUNTRIES:
        refuse(422, "country_not_served", f"SimPost does not serve {country}", field="country")
    facts = {"order": order, "reference": reference, "country": country}
    if faults.declines(tx, "carrier", "shipments.book", facts):
        return answer(422, {"error": {"code": "booking_refused", "message": "SimPost refused the booking"}})
    tracking = f"SP{digest(reference)[:12].upper()}{HOME_COUNTRY}"
    tx.execute(
        "INSERT INTO shipments (reference, order_ref, fingerprint, parcels, country, weight_grams, tracking_number,"
        " cost_minor, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'booked')",
        (reference, order, fingerprint, parcels, country, weight, tracking, _cost(country, parcels, weight)),
    )
    _move(tx, reference, order, "booked", "shipments.book")
    return answer(201, _as_json(_find(tx, reference), base_url))


def cancel(tx: sqlite3.Connection, request: Request, base_url: str) -> Response:
    """POST /carrier/shipments/{reference}/cancel: 200, also twice and for a reference that never existed.

    409 `already_in_transit` once the parcel left.
    """
    reference = _reference(request)
    order = text_field(read_object(request), "order") if request.body else ""
    row = _find(tx, reference)
    if row is None:
        tx.execute(
            "INSERT INTO shipments (reference, order_ref, status) VALUES (?, ?, 'cancelled')", (reference, order)
        )
        _move(tx, reference, order, "cancelled", "shipments.refuse_later")
    elif row["status"] == "booked":
        tx.execute("UPDATE shipments SET status = 'cancelled' WHERE reference = ?", (reference,))
        _move(tx, reference, row["order_ref"], "cancelled", "shipments.cancel")
    elif row["status"] != "cancelled":
        refuse(409, "already_in_transit", f"shipment {reference} is {row['status']}")
    return answer(200, _as_json(_find(tx, reference), base_url))


def advance(tx: sqlite3.Connection, request: Request, base_url: str) -> Response:
    """POST /carrier/shipments/{reference}/advance: the parcel moves on, booked -> in_transit -> delivered.

    With {"exception": true} something happens to it instead, and it goes on from where it is. A switch of the
    stand-in, not of a real carrier; 409 `at_the_end` when there is no next status.
    """
    row = _find(tx, _reference(request)) or _unknown(request)
    status = NEXT_STATUS.get(row["status"])
    if request.body and read_object(request, frozenset({"exception"})).get("exception") is True and status:
        _move(tx, row["reference"], row["order_ref"], "exception", "shipments.exception")
        return answer(200, _as_json(row, base_url))
    if status is None:
        refuse(409, "at_the_end", f"shipment {row['reference']} is {row['status']}")
    tx.execute("UPDATE shipments SET status = ? WHERE reference = ?", (status, row["reference"]))
    _move(tx, row["reference"], row["order_ref"], status, f"shipments.{status}")
    return answer(200, _as_json(_find(tx, row["reference"]), base_url))


def retrieve(store: Store, request: Request, base_url: str) -> Response:
    """GET /carrier/shipments/{reference}: 200 or 404; a tombstone is a cancelled shipment without a number."""
    with store.read() as snapshot:
        return answer(200, _as_json(_find(snapshot, _reference(request)) or _unknown(request), base_url))


def tracking(store: Store, request: Request) -> Response:
    """GET /carrier/shipments/{reference}/tracking: {reference, status, events: [{id, status, at}]}, oldest first.

    An event keeps its id however often it is told. The status of an event may also be `exception`.
    """
    with store.read() as snapshot:
        row = _find(snapshot, _reference(request)) or _unknown(request)
        events = snapshot.execute(
            "SELECT 'evt_' || seq AS id, status, at FROM shipment_events WHERE reference = ? ORDER BY seq",
            (row["reference"],),
        ).fetchall()
    return answer(
        200, {"reference": row["reference"], "status": row["status"], "events": [dict(event) for event in events]}
    )


def label(store: Store, request: Request) -> Response:
    """GET /carrier/labels/{tracking_number}: a printable page, so that the link staff see leads somewhere."""
    with store.read() as snapshot:
        row = snapshot.execute("SELECT * FROM shipments WHERE tracking_number = ?", (request.last,)).fetchone()
    if row is None:
        refuse(404, "not_found", f"no label {request.last[:100]}")
    lines = (row["tracking_number"], f"Order {row['order_ref']}", f"To {row['country']}", f"{row['parcels']} parcel(s)")
    text = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    return Response(
        status=200,
        text=f"<!doctype html><html lang=en><title>SimPost label</title><h1>SimPost</h1>{text}</html>",
        content_type="text/html; charset=utf-8",
    )


def _reference(request: Request) -> str:
    reference = request.segments[2]
    if not 1 <= len(reference) <= MAX_REFERENCE:
        refuse(400, "bad_field", f"a reference has 1 to {MAX_REFERENCE} characters", field="reference")
    return reference


def _find(tx: sqlite3.Connection, reference: str) -> Any:
    return tx.execute("SELECT * FROM shipments WHERE reference = ?", (reference,)).fetchone()


def _unknown(request: Request) -> NoReturn:
    refuse(404, "not_found", f"no shipment {request.segments[2][:MAX_REFERENCE]}")


def _parcels(body: dict[str, Any]) -> int:
    """Return the parcels as given, or as many as the pieces need."""
    if "parcels" in body:
        return integer_field(body, "parcels", 1, 999)
    return -(-integer_field(body, "pieces", 1, 100_000_000) // PIECES_PER_PARCEL)


def _cost(country: str, parcels: int, weight_grams: int | None) -> int:
    """Return the price in pence: 4.95, 1.50 for each further parcel, 0.80 per started kilogram, 9.00 abroad."""
    kilograms = -(-(weight_grams or 0) // 1000)
    return 495 + 150 * (parcels - 1) + 80 * kilograms + (900 if country != HOME_COUNTRY else 0)


def _move(tx: sqlite3.Connection, reference: str, order: str, status: str, operation: str) -> None:
    tx.execute("INSERT INTO shipment_events (reference, status, at) VALUES (?, ?, ?)", (reference, status, time.time()))
    record(tx, partner="carrier", operation=operation, order=order, object_id=reference, key=reference)


def _as_json(row: sqlite3.Row, base_url: str) -> dict[str, Any]:
    number = row["tracking_number"]
    return {
        "reference": row["reference"],
        "order": row["order_ref"],
        "carrier": "SimPost",
        "status": row["status"],
        "tracking_number": number,
        "parcels": row["parcels"],
        "country": row["country"],
        "cost_minor": row["cost_minor"],
        "currency": CURRENCY,
        "label_url": f"{base_url}/carrier/labels/{number}" if number else None,
    }
