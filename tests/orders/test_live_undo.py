"""The undo, line by line: each line that the plan promised gets its tick, on the page and over the API."""

import pytest
from django.urls import reverse

from orders.models import Order
from orders.selectors.undoing import undo_of
from orders.services import cancelling, payments, process, shipping, stock
from orders.vocabulary import FailureType, StepName
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving
from tests.orders.api_calls import token_client
from tests.orders.staff import VIEW_ORDER, signed_in

pytestmark = pytest.mark.django_db


def shipped() -> Order:
    order = make_prepared_order()
    with driving.partners():
        payments.charge(str(order.pk), actor=TEST_ACTOR)
        shipping.ship(str(order.pk), actor=TEST_ACTOR)
    order.refresh_from_db()
    return order


def over_the_api(order: Order) -> dict | None:  # type: ignore[type-arg]
    undo = token_client("view_order").get(f"/api/orders/{order.number}/").json()["undo"]
    assert undo is None or isinstance(undo, dict)
    return undo


def ticks(order: Order) -> list[tuple[str, bool]]:
    undo = over_the_api(order)
    assert undo is not None
    return [(line["step"], line["done"]) for line in undo["lines"]]


def page(order: Order) -> str:
    client = signed_in(VIEW_ORDER, name=f"viewer-{order.event_count}-{Order.objects.count()}")
    return client.get(reverse("orders:page", args=[order.number])).content.decode()


def test_an_order_that_nobody_cancels_shows_no_undo() -> None:
    order = shipped()
    assert over_the_api(order) is None
    assert "What is undone" not in page(order)


def test_each_line_of_the_plan_gets_its_tick_when_it_is_undone() -> None:
    order = shipped()
    planned = cancelling.plan(order).undo
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Recalled")
    steps = [StepName.RECALL, StepName.REFUND, StepName.RELEASE]
    assert ticks(order) == [(step, False) for step in steps], "Asked for, and not begun."
    assert "What is undone" in page(order)
    process.begin_undo(str(order.pk), failure_type=FailureType.CANCELLED, message="", actor=TEST_ACTOR)
    with driving.partners():
        for done, undo in enumerate((shipping.undo_ship, payments.undo_charge, stock.release), start=1):
            undo(str(order.pk), actor=TEST_ACTOR)
            assert ticks(order) == [(step, number < done) for number, step in enumerate(steps)]
    order.refresh_from_db()
    assert [line.says for line in undo_of(order).lines] == [line.says for line in planned]
    assert page(order).count("check_circle</span><span>") >= 3
    process.close(str(order.pk), actor=TEST_ACTOR)
    assert all(done for _, done in ticks(order)), "The closed order still shows what was undone."


def test_an_order_that_failed_by_itself_shows_its_undo_too() -> None:
    order = driving.drive(make_order(), gateway=driving.decline())
    assert ticks(order) == [("release", True)]


def test_what_a_step_did_after_the_plan_is_one_more_line() -> None:
    order = make_prepared_order()
    assert [line.step for line in cancelling.plan(order).undo] == [StepName.RELEASE]
    with driving.partners():
        payments.charge(str(order.pk), actor=TEST_ACTOR)
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Recalled")
    assert [step for step, _ in ticks(order)] == [StepName.REFUND, StepName.RELEASE]


def test_an_order_to_which_nothing_had_happened_says_so() -> None:
    order = make_order()
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Recalled")
    order.refresh_from_db()
    assert over_the_api(order) == {"lines": [], "stays": []}
    assert "Nothing had happened that must be undone." in page(order)


def test_the_api_plan_says_that_nothing_of_it_is_done() -> None:
    answer = token_client("view_order", "cancel_order").get(f"/api/orders/{shipped().number}/cancel/").json()
    assert [line["done"] for line in answer["undo"]] == [False, False, False]
