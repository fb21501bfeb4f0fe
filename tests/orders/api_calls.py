"""Plain functions that talk to the API as a client does: a token, JSON bytes, headers."""

import itertools
import json
from typing import Any

from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client

from orders.models import ApiToken, Command, Customer, IdempotencyRecord, Order, OrderEvent, OutboxMessage
from tests.factories import make_product

PLACER = ("place_order", "start_order", "view_order")
#: every table that a refused request must leave alone
STORED: tuple[type[Model], ...] = (Order, Customer, OrderEvent, OutboxMessage, Command, IdempotencyRecord)
_numbers = itertools.count(1)


def make_user(*codenames: str) -> User:
    """A user who holds exactly these permissions of ours."""
    user = User.objects.create_user(f"user-{next(_numbers)}")
    permissions = Permission.objects.filter(content_type__app_label="orders", codename__in=codenames)
    assert len(permissions) == len(codenames), codenames
    user.user_permissions.set(permissions)
    return user


def token_client(*codenames: str, user: User | None = None, scopes: tuple[str, ...] = ("full",)) -> Client:
    """A client with a token of `user`, or of a new user with these permissions."""
    token = make_token(user or make_user(*codenames), *scopes)
    return Client(headers={"Authorization": f"Token {token}"}, raise_request_exception=False)


def make_token(user: User, *scopes: str, **fields: Any) -> str:
    """A new token's secret, whoever may issue one."""
    _, secret = ApiToken.objects.create(user=user, scopes=list(scopes), name="test", issued_by="test", **fields)
    return str(secret)


def order_body(**changes: Any) -> dict[str, Any]:
    """A body that POST /api/orders/ takes; makes the product it orders unless `lines` are given."""
    body = {
        "customer": {"reference": f"C-{next(_numbers)}", "name": "Ada Buyer", "email": "ada@example.com"},
        "currency": "GBP",
        "payment_method": "pm_card_visa",
        "ship_to_country": "GB",
    }
    if "lines" not in changes:
        body["lines"] = [{"sku": make_product().sku, "quantity": 2}]
    return body | changes


def new_key() -> str:
    return f"key-{next(_numbers)}"


def post_order(client: Client, body: Any, *, key: str | None = None) -> HttpResponse:
    """POST /api/orders/ with a key of its own unless one is given; bytes are sent as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(
        "/api/orders/", content, content_type="application/json", headers={"Idempotency-Key": key or new_key()}
    )


def post_start(client: Client, number: str, body: Any = None, *, key: str | None = None) -> HttpResponse:
    """POST /api/orders/{number}/start/; without a body nothing at all is sent."""
    return client.post(
        f"/api/orders/{number}/start/",
        b"" if body is None else json.dumps(body).encode(),
        content_type="application/json",
        headers={"Idempotency-Key": key} if key else {},
    )


def assert_problem(response: HttpResponse, status: int, field: str | None = None, *words: str) -> dict[str, Any]:
    """The answer is a problem document of this status that names the field and says these words."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(response.content)
    assert set(document) == {"type", "title", "status", "detail", "instance", "request_id", "errors"}
    assert document["status"] == status
    assert document["type"].startswith("/problems/")
    assert document["request_id"] == response["X-Request-Id"]
    if field is not None:
        assert field in {error["field"] for error in document["errors"]}, document
    for word in words:
        assert word in json.dumps(document, ensure_ascii=False), (word, document)
    return document


def row_counts() -> dict[str, int]:
    return {model.__name__: model._default_manager.count() for model in STORED}
