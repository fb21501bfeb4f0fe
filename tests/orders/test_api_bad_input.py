"""What strangers send: always a 4xx that names the field, never a row, never an outbox message."""

import json
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper
from django.test import Client
from rest_framework.exceptions import ValidationError

from orders.api.problems import describe
from orders.models import Product
from orders.vocabulary import MAX_LINE_QUANTITY, MAX_ORDER_LINES
from tests.factories import make_product
from tests.orders.api_calls import PLACER, assert_problem, new_key, order_body, post_order, row_counts, token_client

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return token_client(*PLACER)


@pytest.fixture
def product() -> Product:
    return make_product("LAMP")


def body_of(changes: dict[str, Any]) -> dict[str, Any]:
    """A good body with changes at dotted paths; `...` removes."""
    body = order_body(lines=[{"sku": "LAMP", "quantity": 1}])
    for path, value in changes.items():
        *parents, last = path.split(".")
        target: Any = body
        for name in parents:
            target = target[int(name) if name.isdecimal() else name]
        if value is ...:
            del target[last]
        else:
            target[last] = value
    return body


FIELDS: list[tuple[dict[str, Any], str]] = [
    # Fields that are nobody's to send, at every level.
    ({"status": "completed"}, "status"),
    ({"number": "SO-1"}, "number"),
    ({"total_minor": 1}, "total_minor"),
    ({"approved_by": "me"}, "approved_by"),
    ({"id": "x"}, "id"),
    ({"channel": "admin"}, "channel"),
    ({"lines.0.unit_price": "0.01"}, "lines.0.unit_price"),
    ({"lines.0.total_minor": 1}, "lines.0.total_minor"),
    ({"customer.id": 1}, "customer.id"),
    # Numbers that are none.
    ({"lines.0.quantity": True}, "lines.0.quantity"),
    ({"lines.0.quantity": 1.0}, "lines.0.quantity"),
    ({"lines.0.quantity": "1"}, "lines.0.quantity"),
    ({"lines.0.quantity": None}, "lines.0.quantity"),
    ({"lines.0.quantity": float("nan")}, "lines.0.quantity"),
    ({"lines.0.quantity": float("inf")}, "lines.0.quantity"),
    ({"lines.0.quantity": 0}, "lines.0.quantity"),
    ({"lines.0.quantity": -1}, "lines.0.quantity"),
    ({"lines.0.quantity": 2**70}, "lines.0.quantity"),
    ({"lines.0.quantity": MAX_LINE_QUANTITY + 1}, "lines.0.quantity"),
    ({"lines.0.quantity": [1]}, "lines.0.quantity"),
    ({"lines.0.quantity": ...}, "lines.0.quantity"),
    # Text that is none, or that cannot be stored.
    ({"lines.0.sku": 5}, "lines.0.sku"),
    ({"lines.0.sku": True}, "lines.0.sku"),
    ({"lines.0.sku": ""}, "lines.0.sku"),
    ({"lines.0.sku": "x" * 65}, "lines.0.sku"),
    ({"lines.0.sku": "LA\0MP"}, "lines.0.sku"),
    ({"lines.0.sku": "UNKNOWN"}, "lines.0.sku"),
    ({"lines.0.description": "\ud800"}, "lines.0.description"),
    ({"lines.0.description": "x" * 201}, "lines.0.description"),
    ({"customer.name": "Ada\0"}, "customer.name"),
    ({"customer.name": "Ada\r\nForged: log line"}, "customer.name"),
    ({"customer.reference": "\udfff"}, "customer.reference"),
    ({"customer.reference": ...}, "customer.reference"),
    ({"customer.email": "not an address"}, "customer.email"),
    ({"customer": "Ada"}, "customer"),
    ({"customer": []}, "customer"),
    ({"reference": "x" * 129}, "reference"),
    ({"reference": {"a": 1}}, "reference"),
    ({"source": ""}, "source"),
    ({"ship_to_country": None}, "ship_to_country"),
    ({"ship_to_country": ...}, "ship_to_country"),
    # Words and tokens.
    ({"currency": "JPY"}, "currency"),
    ({"currency": "gbp"}, "currency"),
    ({"currency": ["GBP"]}, "currency"),
    ({"currency": ...}, "currency"),
    ({"payment_method": "4242424242424242"}, "payment_method"),
    ({"payment_method": "pm_" + "x" * 121}, "payment_method"),
    ({"payment_method": "pm_card visa"}, "payment_method"),
    ({"payment_method": "pm_"}, "payment_method"),
    ({"payment_method": None}, "payment_method"),
    ({"process": "yes"}, "process"),
    ({"process": 1}, "process"),
    ({"process": None}, "process"),
    # Moments.
    ({"placed_at": "2026-01-31 09:30"}, "placed_at"),
    ({"placed_at": "2026-01-31T09:30:00"}, "placed_at"),
    ({"placed_at": "2026-02-31T09:30:00Z"}, "placed_at"),
    ({"placed_at": "0001-01-01T00:00:00+14:00"}, "placed_at"),
    ({"placed_at": "8000-01-01T00:00:00Z"}, "placed_at"),
    ({"placed_at": 1_700_000_000}, "placed_at"),
    ({"placed_at": None}, "placed_at"),
    # Lines.
    ({"lines": []}, "lines"),
    ({"lines": ...}, "lines"),
    ({"lines": {"sku": "LAMP", "quantity": 1}}, "lines"),
    ({"lines": "LAMP"}, "lines"),
    ({"lines": [None]}, "lines.0"),
    ({"lines": [{"sku": "LAMP", "quantity": 1}] * (MAX_ORDER_LINES + 1)}, "lines"),
    ({"lines": [{"sku": "LAMP", "quantity": 1_000_000}]}, "lines"),
    ({"lines": [{"sku": "LAMP", "quantity": 1}, {"sku": "LAMP", "quantity": 0}]}, "lines.1.quantity"),
]


@pytest.mark.parametrize(("changes", "field"), FIELDS, ids=lambda value: str(value)[:50])
def test_a_bad_field_is_named_and_nothing_is_stored(
    client: Client, product: Product, changes: dict[str, Any], field: str
) -> None:
    before = row_counts()
    assert_problem(post_order(client, body_of(changes)), 400, field)
    assert row_counts() == before


GOOD = b'{"currency":"GBP","payment_method":"pm_card_visa","ship_to_country":"GB","lines":[{"sku":"LAMP","quantity":1}]'
BODIES: list[tuple[str, bytes, str]] = [
    ("an empty body", b"", "currency"),
    ("an empty object", b"{}", "currency"),
    ("not JSON", b"currency=GBP", "body"),
    ("half a body", GOOD, "body"),
    ("a list", b"[]", "body"),
    ("null", b"null", "body"),
    ("a number", b"1", "body"),
    ("NaN", b"NaN", "body"),
    ("two bodies", GOOD + b"}{}", "body"),
    ("latin-1", GOOD + b',"reference":"caf\xe9"}', "body"),
    ("UTF-16", (GOOD + b"}").decode().encode("utf-16"), "body"),
    ("a byte order mark", b"\xef\xbb\xbf" + GOOD + b"}", "body"),
    ("a key twice", GOOD + b',"currency":"EUR"}', "currency"),
    ("a NUL in a key", GOOD + b',"a\\u0000b":1}', "a?b"),
    ("a lone surrogate in a key", GOOD + b',"\\ud800":1}', "?"),
    ("a surrogate in an unknown field", GOOD + b',"note":{"deep":["\\udc00"]}}', "note.deep.0"),
    ("20,000 brackets", b"[" * 20_000, "body"),
    ("20,000 brackets that close", b"[" * 20_000 + b"]" * 20_000, "body"),
    ("20,000 objects", b'{"a":' * 20_000, "body"),
    ("5,000 digits", GOOD[:-2].replace(b":1", b":" + b"9" * 5_000) + b"}]}", "body"),
    ("a huge exponent", GOOD + b',"reference":1e999}', "reference"),
]


@pytest.mark.parametrize(("content", "field"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
def test_a_body_that_cannot_be_read_is_refused(client: Client, product: Product, content: bytes, field: str) -> None:
    before = row_counts()
    assert_problem(post_order(client, content), 400, field)
    assert row_counts() == before


def test_brackets_inside_text_do_not_nest(client: Client, product: Product) -> None:
    response = post_order(client, body_of({"reference": "[" * 100 + '\\"{'}))
    assert response.status_code == 201


def test_nesting_names_its_limit(client: Client) -> None:
    limit = settings.API_MAX_JSON_DEPTH
    assert_problem(post_order(client, b"[" * (limit + 1) + b"]" * (limit + 1)), 400, "body", f"{limit} levels")


def test_a_hostile_body_of_quotes_is_scanned_in_no_time(client: Client) -> None:
    # Quadratic scanning would need minutes for this; pytest's timeout is the assertion.
    assert_problem(post_order(client, b'"' + b'\\"' * 1_000_000), 400, "body")


def test_a_body_over_the_limit_is_refused_with_the_limit(client: Client, product: Product) -> None:
    before = row_counts()
    content = json.dumps(body_of({"reference": "x" * settings.API_MAX_BODY_BYTES})).encode()
    document = assert_problem(post_order(client, content), 413, "body", str(settings.API_MAX_BODY_BYTES))
    assert document["type"] == "/problems/too-large"
    assert row_counts() == before


def test_a_body_longer_than_announced_is_refused_while_reading(client: Client) -> None:
    from io import BytesIO

    from orders.api.parsers import read_bounded
    from orders.api.problems import Refused

    class Request:
        META = {"CONTENT_LENGTH": "10"}

    with pytest.raises(Refused, match="larger than 100 bytes"):
        read_bounded(BytesIO(b"x" * 101), 100, {"request": Request()})


def test_a_body_of_unknown_length_is_refused_instead_of_taken_for_empty(client: Client) -> None:
    response = client.generic(
        "POST",
        "/api/orders/",
        b"",
        content_type="application/json",
        headers={"Idempotency-Key": new_key(), "Transfer-Encoding": "chunked"},
    )
    assert_problem(response, 411)


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "application/xml", ""])
def test_only_json_is_taken(client: Client, content_type: str) -> None:
    response = client.generic(
        "POST", "/api/orders/", b"{}", content_type=content_type, headers={"Idempotency-Key": new_key()}
    )
    assert_problem(response, 415)


def test_a_refused_card_number_is_not_repeated(client: Client, product: Product) -> None:
    response = post_order(client, body_of({"payment_method": "4242424242424242"}))
    assert b"4242" not in response.content


def test_one_answer_names_every_bad_field(client: Client) -> None:
    document = assert_problem(post_order(client, {"currency": "JPY", "lines": [{}], "status": "x"}), 400)
    assert {error["field"] for error in document["errors"]} == {
        "currency",
        "payment_method",
        "ship_to_country",
        "lines.0.sku",
        "lines.0.quantity",
        "status",
    }


def test_a_database_that_is_away_is_a_503_to_be_tried_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    body = order_body()

    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", away)
        response = post_order(client, body)
    assert_problem(response, 503, None, "try again")
    assert response["Retry-After"] == "5"


@pytest.mark.parametrize(
    "address", ["/api/nothing/", "/api/orders", "/api/orders/SO-1/refund/", "/api/%0A", "/api/a/b"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_an_unknown_address_is_a_problem_document(client: Client, address: str, method: str) -> None:
    assert_problem(client.generic(method, address, b"{}", content_type="application/json"), 404)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_a_wrong_method_is_a_problem_document(client: Client, method: str) -> None:
    response = client.generic(method, "/api/orders/")
    assert_problem(response, 405)
    assert set(response["Allow"].split(", ")) == {"GET", "POST", "HEAD"}


def test_a_format_we_do_not_speak_is_a_problem_document(client: Client) -> None:
    assert_problem(client.get("/api/orders/", headers={"Accept": "application/xml"}), 406)


def test_the_callers_request_id_is_used_when_it_is_harmless(client: Client) -> None:
    assert client.get("/api/nothing/", headers={"X-Request-Id": "abc-1"})["X-Request-Id"] == "abc-1"
    assert client.get("/api/nothing/", headers={"X-Request-Id": "a b<script>"})["X-Request-Id"] != "a b<script>"


@pytest.mark.parametrize(
    ("detail", "errors"),
    [
        ({"numbers": "There are no orders SO-1."}, [("numbers", "There are no orders SO-1.")]),
        ({"numbers": ["One.", "Two."]}, [("numbers", "One."), ("numbers", "Two.")]),
        ({"lines": [{}, {"sku": "No."}]}, [("lines.1.sku", "No.")]),
        ({"non_field_errors": "Both."}, [("body", "Both.")]),
        ("All of it.", [("body", "All of it.")]),
    ],
)
def test_a_sentence_is_one_error_however_it_was_raised(detail: Any, errors: list[tuple[str, str]]) -> None:
    told = describe(ValidationError(detail)).errors
    assert [(error.field, error.message) for error in told] == errors


def test_orders_that_are_not_there_are_named_in_one_error() -> None:
    body = {"action": "hold", "reason": "Recall", "numbers": ["SO-1", "SO-2"]}
    client = token_client("run_batch", "hold_order", "view_order")
    answer = client.post(
        "/api/batches/", json.dumps(body), content_type="application/json", headers={"Idempotency-Key": "k"}
    )
    document = assert_problem(answer, 400, "numbers", "There are no orders SO-1, SO-2.")
    assert len(document["errors"]) == 1


def test_a_body_of_too_many_keys_is_refused_with_the_limit(client: Client) -> None:
    limit = settings.API_MAX_JSON_KEYS
    many = json.dumps({f"k{number}": 1 for number in range(limit + 1)}).encode()
    assert_problem(post_order(client, many), 400, "body", f"more than {limit} keys")


def test_colons_inside_text_are_no_keys(client: Client, product: Product) -> None:
    limit = settings.API_MAX_JSON_KEYS
    assert_problem(post_order(client, body_of({"reference": ":" * (limit + 1)})), 400, "reference")
