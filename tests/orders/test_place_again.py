"""An order that failed is placed again as a new one: once, with the same things in it, and both histories say so."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from orders import history
from orders.actor import person
from orders.errors import NotPermitted, WrongState
from orders.models import Batch, Command, Order
from orders.services import batches, erasing, placing_again
from orders.services.batches.working import Where
from orders.vocabulary import BatchAction, Channel, Verdict
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders import driving
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.staff import make_user, signed_in

pytestmark = pytest.mark.django_db


def make_failed_order(**options: Any) -> Order:
    return driving.drive(make_order(**options), gateway=driving.decline())


def place_again(order: Order) -> Order:
    return placing_again.place_again(order.number, actor=TEST_ACTOR, reason="The card is good now")


def lines_of(order: Order) -> list[tuple[Any, ...]]:
    return list(order.lines.values_list("position", "product", "description", "quantity", "unit_price", "total_minor"))


def chain_holds(order: Order) -> bool:
    order.refresh_from_db()
    return history.verify_chain(order, order.events.order_by("sequence")) is None


def test_the_new_order_is_as_the_failed_one_and_runs_to_its_end() -> None:
    failed = make_failed_order(quantity=3, country="IE")
    made = place_again(failed)
    same = ("customer", "currency", "total_minor", "line_count", "payment_method", "ship_to_country", "source")
    assert [getattr(made, name) for name in same] == [getattr(failed, name) for name in same]
    assert lines_of(made) == lines_of(failed)
    assert (made.status, made.reference, made.process_run_id) == ("placed", "", "")
    assert made.number != failed.number
    assert driving.drive(made).status == "completed"
    failed.refresh_from_db()
    assert failed.status == "failed"


def test_both_histories_name_the_other() -> None:
    failed = make_failed_order()
    made = place_again(failed)
    first, last = made.events.get(), failed.events.last()
    assert last is not None
    assert (first.type, first.data["again_of"]) == ("order.placed", failed.number)
    assert first.reason == f"Placed again after {failed.number} failed: The card is good now"
    assert (last.type, last.data["placed_as"]) == ("order.placed_again", made.number)
    assert last.reason == f"Placed again as {made.number}: The card is good now"
    assert chain_holds(failed)
    assert chain_holds(made)


def test_the_failed_order_says_as_what_it_was_placed_again() -> None:
    failed = make_failed_order()
    made = place_again(failed)
    told = token_client("view_order").get(f"/api/orders/{failed.number}/why/").json()
    assert told["coming"] == f"It was placed again as {made.number}."
    assert told["you_can"] == f"Look at {made.number}."
    told = token_client("view_order").get(f"/api/orders/{make_failed_order().number}/why/").json()
    assert told["coming"] == "Nothing more happens by itself."


def test_the_second_of_two_hears_who_was_first_when_and_as_what() -> None:
    failed = make_failed_order()
    made = place_again(failed)
    with pytest.raises(WrongState, match=rf"Placed again as {made.number} by test at \d{{4}}-"):
        place_again(failed)
    assert Order.objects.count() == 2


@pytest.mark.parametrize(
    "make",
    [make_order, lambda: driving.drive(make_order()), lambda: make_order(started=True)],
    ids=["placed", "completed", "started"],
)
def test_only_a_failed_order_is_placed_again(make: Any) -> None:
    with pytest.raises(WrongState, match="only one that failed is placed again"):
        place_again(make())
    assert Order.objects.count() == 1


def test_while_money_is_owed_back_for_it_it_is_not_charged_anew() -> None:
    failed = make_failed_order()
    failed.payment.refunding_minor = 500
    type(failed.payment).objects.update(captured_minor=2_000, refunding_minor=500)
    with pytest.raises(WrongState, match=r"£5\.00 are owed back to the customer"):
        place_again(failed)


def test_an_order_of_a_customer_who_was_erased_is_not_copied() -> None:
    failed = make_failed_order()
    assert failed.customer is not None
    erasing.erase_customer(failed.customer.reference, actor=TEST_ACTOR, reason="Asked for")
    with pytest.raises(WrongState, match="was erased"):
        place_again(failed)


def test_it_takes_the_permission_to_place_orders() -> None:
    actor = person(make_user("orders.start_order"), Channel.ADMIN)
    with pytest.raises(NotPermitted):
        placing_again.place_again(make_failed_order().number, actor=actor, reason="x")


# --- The doors --------------------------------------------------------------------------------------------------------


def test_the_button_stands_on_the_page_of_a_failed_order_until_it_was_pressed() -> None:
    failed, browser = make_failed_order(), signed_in("orders.view_order", "orders.place_order")
    address = reverse("orders:place-again", args=[failed.number])
    page = reverse("orders:page", args=[failed.number])
    assert address in browser.get(page).content.decode()
    after = browser.post(address, {"reason": "Card is good"}, follow=True).content.decode()
    made = Order.objects.exclude(pk=failed.pk).get()
    assert f"{failed.number} was placed again as {made.number}." in after
    assert address not in after
    again = browser.post(address, {"reason": "Twice"}, follow=True).content.decode()
    assert f"Placed again as {made.number} by olivia" in again


def test_a_program_places_it_again_and_is_answered_with_the_new_order() -> None:
    failed, client = make_failed_order(), token_client("place_order", "view_order")
    answer = post(client, f"/api/orders/{failed.number}/place-again/", {"reason": "Card is good"})
    assert answer.status_code == 201
    made = Order.objects.exclude(pk=failed.pk).get()
    assert (answer.json()["number"], answer.json()["status"]) == (made.number, "placed")
    assert answer["Location"].endswith(f"/api/orders/{made.number}/")
    second = post(client, f"/api/orders/{failed.number}/place-again/", {"reason": "Twice"})
    assert_problem(second, 409, None, f"Placed again as {made.number}")
    assert_problem(post(client, f"/api/orders/{failed.number}/place-again/", {}), 400, "reason")
    assert_problem(post(client, "/api/orders/SO-0/place-again/", {"reason": "x"}), 404)


def post(client: Client, address: str, body: dict[str, str]) -> Any:
    return client.post(address, json.dumps(body), content_type="application/json")


# --- Batches ----------------------------------------------------------------------------------------------------------


def make_batch(action: BatchAction) -> Batch:
    everything = batches.Selection(orders=Order.objects.all(), asked={})
    return batches.create(everything, action, actor=TEST_ACTOR, reason="Card is good", auto_pause_percent=0)


def test_what_failed_in_a_start_batch_is_placed_again_by_a_batch_and_started_by_a_third() -> None:
    lamp = make_product("LAMP")
    good, bad = make_order(product=lamp), make_order(product=lamp)
    started = make_batch(BatchAction.START)
    batches.begin_orders(started.pk, where=Where())
    driving.drive(driving.refreshed(good))
    driving.drive(driving.refreshed(bad), gateway=driving.decline())
    assert batches.begin_orders(started.pk, where=Where()).verdict is Verdict.ENDED
    item = started.items.get(order=bad)
    assert (item.status, item.error_type) == ("failed", "payment_declined")

    again = make_batch(BatchAction.PLACE_AGAIN)
    assert batches.run_chunk(again.pk, where=Where()) is Verdict.ENDED
    copied = again.items.get(order=bad)
    made = Order.objects.exclude(pk__in=[good.pk, bad.pk]).get()
    assert (copied.status, copied.outcome, copied.error_message) == ("done", "Placed again", f"As {made.number}")
    assert again.items.get(order=good).outcome == "not_failed"
    assert Command.objects.get(kind="place_again").batch == again
    assert all(chain_holds(order) for order in (bad, made))

    third = make_batch(BatchAction.START)
    batches.begin_orders(third.pk, where=Where())
    driving.drive(driving.refreshed(made))
    assert batches.begin_orders(third.pk, where=Where()).verdict is Verdict.ENDED
    assert third.items.get(order=made).outcome == "Completed"


def test_what_was_placed_again_or_is_owed_back_is_left_out() -> None:
    place_again(make_failed_order())
    owed = make_failed_order()
    type(owed.payment).objects.filter(order=owed).update(captured_minor=2_000, refunding_minor=500)
    make_failed_order()
    everything = batches.Selection(orders=Order.objects.all(), asked={})
    shown = batches.preview(everything, BatchAction.PLACE_AGAIN, actor=TEST_ACTOR)
    assert shown.seen.count == 1
    assert shown.excluded == {"placed_again_already": 1, "refund_outstanding": 1, "not_failed": 1}
