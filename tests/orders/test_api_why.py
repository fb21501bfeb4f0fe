"""GET /api/orders/{number}/why/: the page's first sentence as data, from the database alone."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from orders.models import Order
from orders.services import health
from tests.factories import make_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, token_client

pytestmark = pytest.mark.django_db

ALL = (
    "view_order",
    "start_order",
    "hold_order",
    "cancel_order",
    "drive_step",
    "decide_review",
    "change_payment_method",
)


@pytest.fixture(autouse=True)
def worker() -> None:
    health.beat("worker 1@test", service="worker", reached_temporal=True, detail="orders")


def ask(order: Order, *codenames: str) -> dict[str, Any]:
    response = token_client(*(codenames or ALL)).get(f"/api/orders/{order.number}/why/")
    assert response.status_code == 200, response.content
    return dict(response.json())


def charging() -> Order:
    return driving.drive(make_order(), gateway=driving.outage())


@pytest.mark.parametrize(
    ("make", "says", "commands"),
    [
        (make_order, "Placed. Nobody has asked", ["start", "hold", "payment-method", "cancel"]),
        (lambda: make_order(started=True), "Queued. The engine takes it up", ["hold", "payment-method", "cancel"]),
        (
            charging,
            "Taking the payment of £20.00: attempt 1 failed",
            ["hold", "payment-method", "cancel", "step-retry", "step-pause"],
        ),
        (
            driving.make_order_in_review,
            "In review: a person must decide",
            ["hold", "payment-method", "cancel", "review-approve", "review-reject", "review-ask", "review-claim"],
        ),
        (lambda: driving.drive(make_order()), "Completed: £20.00 paid", ["refund", "return-announce"]),
        (driving.make_order_that_is_owed, "Completed", ["refund-retry", "return-announce"]),
    ],
    ids=["placed", "queued", "retrying", "in review", "completed", "owed"],
)
def test_it_says_what_the_page_says_and_who_can_act(make: Callable[[], Order], says: str, commands: list[str]) -> None:
    order = make()
    answer = ask(order)
    assert answer["headline"].startswith(says)
    assert answer["status"] == order.status
    assert [act["command"] for act in answer["can_act"]] == commands


def test_a_failing_step_tells_its_attempt_and_its_last_error() -> None:
    order = charging()
    step = order.steps.get(name="charge")
    attempt = ask(order)["attempt"]
    assert (attempt["step"], attempt["number"], attempt["limit"], attempt["failed"]) == ("charge", 1, None, True)
    assert attempt["doing"] == "taking the payment"
    assert attempt["last_error"] == "The payment gateway answered 503"
    assert attempt["last_error_at"] == step.last_error_at.isoformat().replace("+00:00", "Z")


def test_an_order_in_review_has_the_deadline_of_its_case() -> None:
    order = driving.make_order_in_review()
    assert ask(order)["deadline_at"] == order.review.deadline_at.isoformat().replace("+00:00", "Z")
    assert ask(make_order())["deadline_at"] is None


def test_whoever_may_not_act_reads_who_may() -> None:
    acts = {act["command"]: act for act in ask(make_order(), "view_order", "hold_order")["can_act"]}
    assert (acts["hold"]["yours"], acts["start"]["yours"]) == (True, False)
    assert (acts["start"]["permission"], acts["start"]["roles"]) == ("orders.start_order", ["agent", "lead"])


def test_every_link_leads_to_a_command() -> None:
    client = token_client(*ALL)
    for order in (make_order(), charging(), driving.make_order_in_review()):
        for act in ask(order)["can_act"]:
            # Without a reason nothing is done, but the address exists and takes a command.
            assert client.post(act["link"], b"[]", content_type="application/json").status_code == 400, act


def test_it_costs_few_queries_whatever_the_order(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    order, client = driving.make_order_in_review(), token_client(*ALL)
    with django_assert_max_num_queries(9):
        assert client.get(f"/api/orders/{order.number}/why/").status_code == 200


def test_without_temporal_the_live_details_are_missing_with_a_word() -> None:
    answer = ask(charging())
    assert (answer["live"], answer["live_missing"]) == (None, "No Temporal is configured for this process.")


def test_to_a_stranger_the_order_does_not_exist() -> None:
    assert_problem(token_client("hold_order").get(f"/api/orders/{make_order().number}/why/"), 404)
    assert_problem(token_client("view_order").get("/api/orders/SO-1/why/"), 404)
