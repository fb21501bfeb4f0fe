"""POST /api/orders/: what a good request makes, in one transaction."""

import pytest
from django.test import Client

from orders.models import Command, Order, OrderEvent, OutboxMessage
from orders.vocabulary import OrderStatus
from tests.factories import make_product
from tests.orders.api_calls import (
    PLACER,
    assert_problem,
    make_user,
    new_key,
    order_body,
    post_order,
    row_counts,
    token_client,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return token_client(*PLACER)


def test_an_order_is_placed_and_started_in_one_request(client: Client) -> None:
    product = make_product(unit_price="2.555")
    response = post_order(client, order_body(lines=[{"sku": product.sku, "quantity": 3, "description": "Lamp"}]))
    assert response.status_code == 201, response.content
    answer = response.json()
    order = Order.objects.get(number=answer["number"])
    assert (order.status, answer["status"]) == (OrderStatus.QUEUED, "queued")
    assert answer["total_minor"] == 767
    assert answer["lines"] == [
        {
            "position": 1,
            "sku": product.sku,
            "description": "Lamp",
            "quantity": 3,
            "unit_price": "2.5550",
            "total_minor": 767,
        }
    ]
    assert answer["payment"] is None
    assert answer["failure"] is None
    assert response["Location"] == answer["links"]["self"] == f"http://testserver/api/orders/{order.number}/"
    assert OutboxMessage.objects.get().body["number"] == order.number
    assert Command.objects.get().channel == "api"
    assert list(OrderEvent.objects.values_list("type", "channel")) == [
        ("order.placed", "api"),
        ("order.start_requested", "api"),
    ]


def test_an_order_can_be_placed_without_starting_it(client: Client) -> None:
    answer = post_order(client, order_body(process=False)).json()
    assert answer["status"] == "placed"
    assert answer["links"]["start"].endswith(f"/api/orders/{answer['number']}/start/")
    assert not OutboxMessage.objects.exists()


def test_a_guest_has_no_customer(client: Client) -> None:
    assert post_order(client, order_body(customer=None)).json()["customer"] is None


def test_the_moment_the_customer_ordered_is_kept(client: Client) -> None:
    answer = post_order(client, order_body(placed_at="2010-12-01T10:26:00+02:00")).json()
    assert answer["placed_at"] == "2010-12-01T08:26:00Z"


def test_the_same_reference_of_one_source_is_a_conflict(client: Client) -> None:
    body = order_body(source="shop", reference="A-1")
    assert post_order(client, body).status_code == 201
    document = assert_problem(post_order(client, body), 409, "reference", "A-1")
    assert document["type"] == "/problems/already-exists"
    assert Order.objects.count() == 1


def test_who_may_place_but_not_start_stores_nothing_when_both_are_asked(client: Client) -> None:
    placer = token_client("place_order")
    body = order_body()
    before = row_counts()
    assert_problem(post_order(placer, body), 403, None, "orders.start_order")
    assert row_counts() == before
    assert post_order(placer, body | {"process": False}).status_code == 201


def test_a_browser_session_needs_the_csrf_token() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_user(*PLACER))
    body = order_body()
    before = row_counts()
    assert_problem(post_order(browser, body), 403, None, "CSRF")
    assert row_counts() == before
    browser.cookies["csrftoken"] = "a" * 32
    response = browser.post(
        "/api/orders/",
        body,
        content_type="application/json",
        headers={"Idempotency-Key": new_key(), "X-CSRFToken": "a" * 32},
    )
    assert response.status_code == 201
