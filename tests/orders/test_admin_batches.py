"""The pages of batches: what was filtered is what is frozen, and what can be done now is offered."""

import html
import json
import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from orders.models import Batch, Order
from orders.services import batches, holding, seeding
from orders.services.batches.working import Where
from orders.vocabulary import BatchAction
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders import driving
from tests.orders.staff import make_user, signed_in

pytestmark = pytest.mark.django_db
RUNNER = ("orders.view_order", "orders.view_batch", "orders.run_batch", "orders.hold_order")


@pytest.fixture
def browser() -> Client:
    return signed_in(*RUNNER)


def choose(browser: Client, *orders: Order, query: str = "", all_matching: bool = False) -> str:
    """Tick rows and choose "Batch…"; the address of the preview."""
    ticked = [str(order.pk) for order in orders]
    form = {"action": "run_batch", "_selected_action": ticked, "select_across": "1" if all_matching else "0"}
    answer = browser.post(f"{reverse('admin:orders_order_changelist')}{query}", {**form, "index": "0"})
    assert answer.status_code == 302, answer.content
    return str(answer["Location"])


def look(browser: Client, address: str, action: str = "hold") -> tuple[str, dict[str, str]]:
    """The text of the preview, and the hidden fields of its form."""
    page = browser.get(f"{address}&action={action}")
    assert page.status_code == 200
    text = html.unescape(page.content.decode())
    return text, dict(re.findall(r'name="(seen_\w+)" value="([^>]*)">', text))


def start(browser: Client, address: str, seen: dict[str, str], action: str = "hold", **changes: Any) -> HttpResponse:
    form = {"reason": "Recall", "auto_pause_percent": "20", **seen, **changes}
    return browser.post(f"{address}&action={action}", form)


def test_ticked_orders_are_previewed_and_frozen(browser: Client) -> None:
    orders = [make_order(), driving.drive(make_order()), make_order()]
    address = choose(browser, *orders[:2])
    text, seen = look(browser, address)
    assert "1 of 2 orders, £20.00" in text
    assert "shipped already" in text
    assert orders[0].number in text
    answer = start(browser, address, seen)
    batch = Batch.objects.get()
    assert answer["Location"] == reverse("admin:orders_batch_change", args=[batch.pk])
    assert {item.order_id for item in batch.items.all()} == {orders[0].pk, orders[1].pk}
    assert (batch.reason, batch.actor, batch.channel) == ("Recall", "olivia", "admin")


def test_all_that_match_the_filter_are_exactly_those_that_the_list_shows(browser: Client) -> None:
    dear = make_product(unit_price="500.00")
    wanted = [make_order(product=dear, quantity=1) for _ in range(60)]
    make_order()
    driving.drive(make_order(product=dear, quantity=1))
    query = "?status__exact=placed&total_from=100"
    assert "60 orders" in browser.get(f"{reverse('admin:orders_order_changelist')}{query}").content.decode()
    address = choose(browser, wanted[0], query=query, all_matching=True)
    text, seen = look(browser, address)
    assert "60 of 60 orders, £30,000.00" in text
    start(browser, address, seen)
    assert {item.order_id for item in Batch.objects.get().items.all()} == {order.pk for order in wanted}


def test_a_search_is_part_of_the_filter(browser: Client) -> None:
    order, _ = make_order(), make_order()
    address = choose(browser, order, query=f"?q={order.number}", all_matching=True)
    assert "1 of 1 orders" in look(browser, address)[0]


def test_a_selection_that_drifted_is_shown_again_and_not_acted_on(browser: Client) -> None:
    address = choose(browser, make_order(), query="?status__exact=placed", all_matching=True)
    _, seen = look(browser, address)
    make_order()
    answer = start(browser, address, seen)
    assert answer.status_code == 409
    assert "has changed since it was shown" in answer.content.decode()
    assert "2 of 2 orders" in answer.content.decode()
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"reason": ""}, 400), ({"seen_sums": "[]"}, 400), ({"seen_count": "x"}, 400), ({"seen_count": "7"}, 409)],
)
def test_a_forged_or_unfinished_form_starts_nothing(browser: Client, changes: dict[str, str], status: int) -> None:
    address = choose(browser, make_order())
    _, seen = look(browser, address)
    assert start(browser, address, seen, **changes).status_code == status
    assert not Batch.objects.exists()


def test_an_action_that_one_may_not_do_is_not_offered_and_not_taken(browser: Client) -> None:
    address = choose(browser, make_order())
    text, seen = look(browser, address)
    assert 'value="hold"' in text
    assert 'value="cancel"' not in text
    browser.raise_request_exception = False
    assert start(browser, address, seen, action="cancel").status_code == 403
    assert not Batch.objects.exists()


@pytest.mark.parametrize("query", ["?ids=nonsense", "?filter=nonsense__x%3D1", "?filter=q%3Da%2500", ""])
def test_an_address_that_was_tampered_with_freezes_nothing(browser: Client, query: str) -> None:
    answer = browser.get(f"{reverse('admin:orders_batch_new')}{query}")
    assert answer.status_code in {400, 404}
    assert not Batch.objects.exists()


def make_failed_batch() -> Batch:
    orders = [make_order() for _ in range(3)]
    chosen = batches.Selection(orders=Order.objects.all(), asked={})
    batch = batches.create(chosen, BatchAction.HOLD, actor=TEST_ACTOR, reason="Recall")
    holding.hold(orders[1].number, actor=TEST_ACTOR, reason="Mine")
    batches.run_chunk(batch.pk, where=Where())
    return batch


def test_the_page_shows_progress_groups_and_what_can_be_done(browser: Client) -> None:
    batch = make_failed_batch()
    text = html.unescape(browser.get(reverse("admin:orders_batch_change", args=[batch.pk])).content.decode())
    for said in ("3 of 3 orders: 2 done, 1 failed", "1: the order is in another state by now", "On hold"):
        assert said in text
    assert "Retry failed: 1 order" in text
    assert "Undo" in text
    assert "command-pause" not in text
    series = json.loads(re.search(r'batch-chart-data" type="application/json">(.*?)</script>', text).group(1))  # type: ignore[union-attr]
    assert (sum(series["completed"]), sum(series["failed"])) == (2, 1)


def test_the_live_part_polls_until_the_batch_has_ended(browser: Client) -> None:
    make_order()
    chosen = batches.Selection(orders=Order.objects.all(), asked={})
    batch = batches.create(chosen, BatchAction.HOLD, actor=TEST_ACTOR, reason="Recall")
    live = reverse("admin:orders_batch_live", args=[batch.pk])
    assert browser.get(live).status_code == 200
    batches.run_chunk(batch.pk, where=Where())
    assert browser.get(live).status_code == 286


def test_buttons_need_a_reason_and_the_permissions(browser: Client) -> None:
    batch = make_failed_batch()
    retry = reverse("admin:orders_batch_retry", args=[batch.pk])
    assert "Say why" in browser.post(retry, {}, follow=True).content.decode()
    stranger = Client(raise_request_exception=False)
    stranger.force_login(make_user("orders.view_batch", "orders.run_batch", name="paul"))
    assert stranger.post(retry, {"reason": "x"}).status_code == 403
    assert "Retry failed" not in stranger.get(reverse("admin:orders_batch_change", args=[batch.pk])).content.decode()
    assert browser.get(retry).status_code == 405


def test_failures_are_downloaded(browser: Client) -> None:
    batch = make_failed_batch()
    answer = browser.get(f"{reverse('admin:orders_batch_items', args=[batch.pk])}?status=failed")
    text = b"".join(answer).decode()  # type: ignore[arg-type]
    assert text.count("wrong_state") == 1
    assert len(text.splitlines()) == 2


def test_the_page_of_a_large_batch_costs_a_bounded_number_of_queries(
    browser: Client, django_assert_max_num_queries: Any
) -> None:
    seeding.seed(count=1_000, seed=1, actor=TEST_ACTOR)
    chosen = batches.Selection(orders=Order.objects.all(), asked={})
    batch = batches.create(chosen, BatchAction.HOLD, actor=TEST_ACTOR, reason="Recall")
    with django_assert_max_num_queries(25):
        browser.get(reverse("admin:orders_batch_live", args=[batch.pk]))


def test_a_batch_that_paused_by_itself_is_on_the_landing_page() -> None:
    make_order()
    chosen = batches.Selection(orders=Order.objects.all(), asked={})
    batch = batches.create(chosen, BatchAction.HOLD, actor=TEST_ACTOR, reason="Recall")
    Batch.objects.filter(pk=batch.pk).update(note="Paused by itself: 4 of 20 failed.", status="paused")
    page = signed_in("orders.view_batch", "orders.view_order", name="lead").get("/admin/").content.decode()
    assert "Paused by itself: 4 of 20 failed." in page
    assert reverse("admin:orders_batch_change", args=[batch.pk]) in page
