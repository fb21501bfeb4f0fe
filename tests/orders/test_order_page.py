import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from orders.errors import OutOfStock
from orders.models import Command, Order, OutboxMessage, PartnerHealth, ServiceBeat
from orders.services import health, holding, placing
from orders.vocabulary import FailureType, OrderStatus
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders import driving
from tests.orders.staff import START_ORDER, VIEW_ORDER, make_user, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker() -> None:
    health.beat("worker 1@test", service="worker", reached_temporal=True, detail="orders")


def page(order: Order, client: Client | None = None) -> str:
    response = (client or signed_in(VIEW_ORDER)).get(reverse("orders:page", args=[order.number]))
    assert response.status_code == 200
    return response.content.decode()


def queued() -> Order:
    return make_order(started=True)


def completed() -> Order:
    return driving.drive(make_order())


def declined() -> Order:
    return driving.drive(make_order(), gateway=driving.decline())


def charging() -> Order:
    return driving.drive(make_order(), gateway=driving.outage())


def undoing() -> Order:
    return driving.undo(charging(), FailureType.OUT_OF_STOCK, "SKU-1 is short", to_the_end=False)


def cancelled() -> Order:
    return driving.undo(
        driving.drive(make_order(), carrier=driving.outage()), FailureType.CANCELLED, "No longer wanted"
    )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (make_order, ["Placed. Nobody has asked", "To come", "Start processing is not offered", "orders.start_order"]),
        (
            lambda: make_order(started=True),
            ["Queued. The engine takes it up", "Processing asked for", "Placed → Queued"],
        ),
        (charging, ["attempt 1 failed", "The payment gateway answered 503", "Payment, attempt 1", "Held"]),
        (undoing, ["Undoing what was done", "there was not enough stock", "SKU-1 is short"]),
        (
            lambda: driving.drive(make_order()),
            ["Completed: £20.00 paid", "Parcel Line", "Customer → Gateway", "Shipped"],
        ),
        (
            lambda: driving.drive(make_order(), gateway=driving.decline()),
            ["the payment was declined", "No money was taken"],
        ),
        (cancelled, ["Cancelled. £20.00 went back to the customer", "No longer wanted", "Given back", "Undone"]),
    ],
    ids=["placed", "queued", "retrying", "undoing", "completed", "failed", "cancelled"],
)
def test_page_tells_the_story_of_every_state(worker: None, make: Callable[[], Order], says: list[str]) -> None:
    text = page(make())

    for words in says:
        assert words in text
    assert "Unbroken" in text
    assert 'aria-live="polite"' in text


def test_page_of_1100_lines_needs_at_most_12_queries(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    product = make_product(stock=5_000)
    order = placing.place(
        placing.NewOrder(
            currency="GBP",
            payment_method="pm_card_visa",
            ship_to_country="GB",
            lines=tuple(placing.NewLine(sku=product.sku, quantity=1) for _ in range(1_100)),
        ),
        actor=TEST_ACTOR,
    )
    driving.drive(order)
    client = signed_in(VIEW_ORDER, START_ORDER)

    with django_assert_max_num_queries(12):
        text = page(order, client)

    assert "Lines 1 to 50 of 1,100" in text
    last = client.get(reverse("orders:page", args=[order.number]), {"page": "22"}).content.decode()
    assert "Lines 1,051 to 1,100 of 1,100" in last
    assert client.get(reverse("orders:page", args=[order.number]), {"page": "rubbish"}).status_code == 200


def test_the_deadline_of_a_review_is_a_moment_to_come_and_none_that_passed() -> None:
    order = driving.drive(make_order(product=make_product(unit_price="6000.00"), quantity=1))
    assert order.status == OrderStatus.IN_REVIEW
    told = re.search(r"<dt>Deadline</dt><dd>(.*?)</dd>", page(order))
    assert told is not None
    assert f"{order.review.deadline_at:%H:%M:%S}" in told[1]
    assert "ago" not in told[1]


def test_the_name_of_whoever_holds_an_order_is_told_as_it_is_written() -> None:
    order = make_order()
    holding.hold(order.number, actor=TEST_ACTOR, reason="Ask the customer")
    assert "<dd>Held by test: Ask the customer.</dd>" in page(order)


def test_page_without_a_worker_says_that_the_order_waits() -> None:
    assert "this order starts when it is back" in page(make_order())
    waiting = page(make_order(started=True), signed_in(VIEW_ORDER, name="other"))
    assert "Waiting for the engine, which is not running" in waiting
    assert "No worker has been seen yet" in waiting


def test_page_says_that_temporal_could_not_be_told(worker: None) -> None:
    order = make_order(started=True)
    OutboxMessage.objects.update(last_error="connection refused")

    assert "Temporal could not be told yet: Connection refused." in page(order)


def test_run_in_temporal_is_linked_when_there_is_a_ui(settings: Settings) -> None:
    order = driving.drive(make_order())
    settings.TEMPORAL_UI_URL, settings.TEMPORAL_NAMESPACE = "", "shop"
    assert "Run in Temporal" not in page(order)

    settings.TEMPORAL_UI_URL = "http://127.0.0.1:8233/"
    text = page(order, signed_in(VIEW_ORDER, name="other"))

    link = f"http://127.0.0.1:8233/namespaces/shop/workflows/order:{order.pk}/{order.process_run_id}/history"
    assert link in text


def test_broken_chain_is_said_loudly(tamper: Callable[..., None]) -> None:
    order = driving.drive(make_order())
    tamper("UPDATE orders_orderevent SET reason = 'never mind' WHERE order_id = %s AND sequence = 3", order.pk)

    assert "BROKEN at line 3" in page(order)


def test_page_needs_sign_in_and_permission() -> None:
    order = make_order()
    url = reverse("orders:page", args=[order.number])

    assert Client().get(url)["Location"] == f"/accounts/login/?next={url}"
    assert signed_in(name="nobody").get(url).status_code == 403
    assert signed_in(name="stranger").get(reverse("orders:live", args=[order.number])).status_code == 403


@pytest.mark.parametrize("number", ["SO-1", "nonsense", "a" * 300, "%00"])
def test_unknown_number_is_a_404_in_the_same_look(number: str) -> None:
    response = signed_in(VIEW_ORDER).get(f"/orders/{number}/")

    assert response.status_code == 404
    assert "There is no order" in response.content.decode()
    assert "nav-sidebar" in response.content.decode()


def test_text_of_others_is_escaped() -> None:
    order = make_order()
    driving.drive(order, gateway=driving.Declined("x", "<script>alert(1)</script>"))

    assert "<script>alert(1)" not in page(order)


# --- The part that polls ----------------------------------------------------------------------------------------------


def test_unchanged_order_answers_304_and_a_change_answers_200(worker: None) -> None:
    order, client = make_order(), signed_in(VIEW_ORDER)
    url = reverse("orders:live", args=[order.number])
    first = client.get(url)
    assert first.status_code == 200
    assert first["Cache-Control"] == "private, no-store"

    same = client.get(url, headers={"If-None-Match": first["ETag"]})
    assert (same.status_code, same.content) == (304, b"")

    placing.start(order.number, actor=TEST_ACTOR)
    changed = client.get(url, headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert 'hx-swap-oob="morph"' in changed.content.decode()


def test_a_worker_that_goes_silent_changes_the_part(worker: None) -> None:
    order, client = make_order(started=True), signed_in(VIEW_ORDER)
    url = reverse("orders:live", args=[order.number])
    before = client.get(url)["ETag"]

    ServiceBeat.objects.update(at=timezone.now() - timedelta(minutes=3))

    answer = client.get(url, headers={"If-None-Match": before})
    assert answer.status_code == 200
    assert "No worker has been seen for 3 min" in answer.content.decode()


def test_order_behind_an_outage_says_so_and_changes_with_it(worker: None) -> None:
    order, client = driving.drive(make_order(), carrier=driving.outage()), signed_in(VIEW_ORDER)
    url = reverse("orders:live", args=[order.number])
    now = timezone.now()
    outage = {"state": "open", "opened_at": now, "next_try_at": now}
    down, _ = PartnerHealth.objects.update_or_create(partner="carrier", defaults=outage)

    told = client.get(url)

    assert "The carrier is out of order since" in told.content.decode()
    assert client.get(url, headers={"If-None-Match": told["ETag"]}).status_code == 304
    down.state, down.opened_at, down.next_try_at = "closed", None, None
    down.save()
    told = client.get(url, headers={"If-None-Match": told["ETag"]})
    assert "out of order" not in told.content.decode()


def test_closed_order_stops_the_polling(worker: None) -> None:
    order, client = driving.drive(make_order()), signed_in(VIEW_ORDER)
    url = reverse("orders:live", args=[order.number])

    answer = client.get(url)

    assert answer.status_code == 286
    assert "Completed" in answer.content.decode()
    assert client.get(url, headers={"If-None-Match": answer["ETag"]}).status_code == 286
    assert "every 2s" not in page(order, client)


def test_304_costs_few_queries(worker: None, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    order, client = make_order(started=True), signed_in(VIEW_ORDER)
    url = reverse("orders:live", args=[order.number])
    etag = client.get(url)["ETag"]

    with django_assert_max_num_queries(6):
        assert client.get(url, headers={"If-None-Match": etag}).status_code == 304


def test_ended_session_sends_the_whole_page_to_sign_in() -> None:
    order = make_order()
    url = reverse("orders:live", args=[order.number])

    answer = Client().get(url, headers={"HX-Current-URL": f"http://testserver/orders/{order.number}/"})

    assert answer.status_code == 204
    assert answer["HX-Redirect"].startswith("/accounts/login/?next=http")
    elsewhere = Client().get(url, headers={"HX-Current-URL": "https://evil.example/"})
    assert elsewhere["HX-Redirect"] == "/accounts/login/?next=/admin/"


# --- Start processing -------------------------------------------------------------------------------------------------


def start(client: Client, order: Order, **form: str) -> str:
    response = client.post(reverse("orders:start", args=[order.number]), form, follow=True)
    assert response.status_code in {200, 400, 409}
    return response.content.decode()


def test_start_is_recorded_with_who_and_why() -> None:
    order = make_order()

    text = start(signed_in(VIEW_ORDER, START_ORDER), order, reason="Customer called")

    order.refresh_from_db()
    command = Command.objects.get(order=order)
    assert order.status == OrderStatus.QUEUED
    assert (command.actor, command.channel, command.reason) == ("olivia", "admin", "Customer called")
    assert f"Processing of {order.number} was asked for" in text
    assert "Customer called" in text


def test_second_click_is_told_who_was_first() -> None:
    order = make_order()
    start(signed_in(VIEW_ORDER, START_ORDER), order)

    text = start(signed_in(VIEW_ORDER, START_ORDER, name="peter"), order)

    assert "was already started by olivia at" in text
    assert Command.objects.count() == 1
    assert OutboxMessage.objects.count() == 1


def test_forged_start_without_permission_starts_nothing() -> None:
    order = make_order()

    response = signed_in(VIEW_ORDER).post(reverse("orders:start", args=[order.number]))

    assert response.status_code == 403
    assert not Command.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_start_needs_a_csrf_token_and_a_post() -> None:
    order = make_order()
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(VIEW_ORDER, START_ORDER))
    url = reverse("orders:start", args=[order.number])

    assert client.post(url).status_code == 403
    assert client.get(url).status_code == 405
    assert not Command.objects.exists()


@pytest.mark.parametrize("reason", ["x" * 501, "nul \x00 inside"])
def test_bad_reason_is_refused_and_starts_nothing(reason: str) -> None:
    order = make_order()

    text = start(signed_in(VIEW_ORDER, START_ORDER), order, reason=reason)

    assert "Nothing was done. Reason: " in text
    assert not Command.objects.exists()


def test_start_of_an_unknown_order_is_a_404() -> None:
    client = signed_in(VIEW_ORDER, START_ORDER)

    assert client.post(reverse("orders:start", args=["SO-1"])).status_code == 404
    assert client.post("/orders/%00/start/").status_code == 404


def test_out_of_stock_names_what_is_short() -> None:
    order = make_order(product=make_product("RARE", stock=1), quantity=3)
    with pytest.raises(OutOfStock, match="RARE"):
        driving.stock.reserve(str(driving.adopt(order).pk), actor=TEST_ACTOR)

    driving.drive(order)

    assert "RARE: wanted 3, available 1" in page(order)
