"""GET /api/orders/{number}/history/."""

import pytest

from orders import history
from orders.models import Order
from orders.vocabulary import EventType
from tests.factories import TEST_ACTOR, make_order
from tests.orders.api_calls import assert_problem, token_client

pytestmark = pytest.mark.django_db


def test_the_history_tells_who_did_what_and_why_oldest_first() -> None:
    order = make_order(started=True)
    answer = token_client("view_order").get(f"/api/orders/{order.number}/history/").json()
    placed, requested = answer["results"]
    assert (placed["sequence"], placed["type"]) == (1, "order.placed")
    assert (requested["sequence"], requested["type"]) == (2, "order.start_requested")
    assert requested["actor"] == {"kind": "system", "name": "test"}
    assert (requested["channel"], requested["reason"]) == ("cli", "Processing requested")
    assert (requested["status_before"], requested["status_after"]) == ("placed", "queued")
    assert set(requested["data"]) == {"command"}
    assert requested["previous_hash"] == placed["hash"]
    assert len(placed["hash"]) == 64


def test_a_long_history_comes_in_pages() -> None:
    order = make_order(started=True)
    for _ in range(5):
        history.record(order, EventType.STEP_RETRYING, actor=TEST_ACTOR, reason="Again", step="charge")
    client = token_client("view_order")
    seen, address = [], f"/api/orders/{order.number}/history/?page_size=3"
    while address:
        page = client.get(address).json()
        seen += [event["sequence"] for event in page["results"]]
        address = page["next"]
    assert seen == list(range(1, 8))


def test_one_order_never_shows_the_history_of_another() -> None:
    order, _ = make_order(), make_order()
    results = token_client("view_order").get(f"/api/orders/{order.number}/history/").json()["results"]
    assert [event["data"]["total_minor"] for event in results] == [Order.objects.get(pk=order.pk).total_minor]


@pytest.mark.parametrize("query", ["cursor=cD1ydWJiaXNo", "cursor=cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk=", "step=charge"])
def test_a_bad_parameter_is_refused_by_name(query: str) -> None:
    response = token_client("view_order").get(f"/api/orders/{make_order().number}/history/?{query}")
    assert_problem(response, 400, query.partition("=")[0])


def test_an_unknown_order_has_no_history() -> None:
    assert_problem(token_client("view_order").get("/api/orders/SO-1/history/"), 404)
