"""GET /api/orders/{number}/."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders.models import Order, Payment, Shipment
from orders.vocabulary import FailureType, PaymentStatus
from tests.factories import make_order, make_product
from tests.orders.api_calls import PLACER, assert_problem, order_body, post_order, token_client

pytestmark = pytest.mark.django_db


def test_an_order_tells_all_that_hangs_on_it() -> None:
    order = make_order()
    Payment.objects.create(
        order=order, amount_minor=2000, captured_minor=2000, currency="GBP", status=PaymentStatus.CAPTURED
    )
    Shipment.objects.create(order=order, reference="ship-1", carrier="Parcel", tracking_number="T1")
    answer = token_client("view_order").get(f"/api/orders/{order.number}/").json()
    assert (answer["number"], answer["status"], answer["total_minor"]) == (order.number, "placed", 2000)
    assert answer["customer"]["name"] == "Ada Buyer"
    assert answer["payment"] == {
        "status": "captured",
        "amount_minor": 2000,
        "captured_minor": 2000,
        "refunded_minor": 0,
        "refunding_minor": 0,
        "owed_minor": 0,
        "disputed_minor": 0,
        "currency": "GBP",
        "decline_code": "",
        "gateway_status": "",
        "waits_for": "",
        "waiting_since": None,
        "wait_until": None,
        "action_url": "",
    }
    assert answer["disputes"] == []
    assert [shipment["tracking_number"] for shipment in answer["shipments"]] == ["T1"]
    assert answer["failure"] is None
    assert "payment_method" not in answer


def test_a_failed_order_says_why() -> None:
    order = make_order()
    Order.objects.filter(pk=order.pk).update(failure_type=FailureType.OUT_OF_STOCK, failure_message="1 left")
    answer = token_client("view_order").get(f"/api/orders/{order.number}/").json()
    assert answer["failure"] == {"type": "out_of_stock", "message": "1 left"}


def test_the_start_link_is_there_only_for_who_may_start_and_only_while_it_can_be() -> None:
    placed, started = make_order(), make_order(started=True)
    viewer, placer = token_client("view_order"), token_client(*PLACER)
    assert "start" not in viewer.get(f"/api/orders/{placed.number}/").json()["links"]
    assert "start" in placer.get(f"/api/orders/{placed.number}/").json()["links"]
    assert "start" not in placer.get(f"/api/orders/{started.number}/").json()["links"]


def test_links_lead_somewhere() -> None:
    client = token_client(*PLACER)
    links = client.get(f"/api/orders/{make_order().number}/").json()["links"]
    assert client.get(links["self"]).status_code == 200
    assert client.get(links["history"]).status_code == 200
    assert links["page"].startswith("http://testserver/orders/")


def test_a_long_order_costs_no_more_than_eleven_queries() -> None:
    client = token_client(*PLACER)
    lines = [{"sku": make_product().sku, "quantity": 1} for _ in range(30)]
    number = post_order(client, order_body(lines=lines)).json()["number"]
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"/api/orders/{number}/").json()
    assert len(answer["lines"]) == 30
    assert len(queries) <= 11, [query["sql"] for query in queries]


@pytest.mark.parametrize("number", ["SO-1", "%00", "x" * 33, "SO-1%0A", "..", "\u0665", "1' OR '1'='1"])
def test_an_unknown_number_is_not_found(number: str) -> None:
    assert_problem(token_client("view_order").get(f"/api/orders/{number}/"), 404)


def test_to_a_stranger_an_order_does_not_exist() -> None:
    order = make_order()
    stranger = token_client()
    for number in (order.number, "SO-1"):
        for address in (f"/api/orders/{number}/", f"/api/orders/{number}/history/"):
            document = assert_problem(stranger.get(address), 404)
            assert document["detail"] == "There is no order of that number, or you may not see it."
