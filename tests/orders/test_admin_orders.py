from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from orders.admin import orders as order_admin
from orders.admin import reading
from orders.models import Command, Order
from orders.vocabulary import OrderStatus
from tests.factories import make_order, make_product
from tests.orders import driving
from tests.orders.staff import START_ORDER, VIEW_ORDER, signed_in

pytestmark = pytest.mark.django_db
LIST = "/admin/orders/order/"


def numbers(client: Client, **query: str) -> set[str]:
    response = client.get(LIST, query)
    assert response.status_code == 200, response
    return {order.number for order in response.context["cl"].result_list}


def press_start(client: Client, *orders: Order, **form: str) -> HttpResponse:
    ticked = [str(order.pk) for order in orders]
    data = {"action": "start_processing", "_selected_action": ticked, "index": "0", **form}
    return client.post(LIST, data, follow=True)


def test_list_shows_each_order_in_words_and_leads_to_its_page() -> None:
    order = driving.drive(make_order(product=make_product(unit_price="1234.50")))

    text = signed_in(VIEW_ORDER).get(LIST).content.decode()

    assert reverse("orders:page", args=[order.number]) in text
    for words in ("Completed", "£2,469.00", "Ada Buyer", "check_circle"):
        assert words in text


def test_list_needs_few_queries_whatever_its_length(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(30):
        make_order()
    client = signed_in(VIEW_ORDER, START_ORDER)

    with django_assert_max_num_queries(9):
        assert len(numbers(client)) == 30


def test_search_finds_number_reference_and_beginning_of_a_customer() -> None:
    order, other = make_order(), make_order()
    Order.objects.filter(pk=order.pk).update(reference="W-77")
    client = signed_in(VIEW_ORDER)
    assert order.customer is not None

    assert numbers(client, q=order.number.lower()) == {order.number}
    assert numbers(client, q="W-77") == {order.number}
    assert numbers(client, q=order.customer.reference) == {order.number}
    assert numbers(client, q="C-") == {order.number, other.number}
    assert numbers(client, q="W-7") == set()
    assert numbers(client, q="  ") == {order.number, other.number}


def test_filters_answer_what_they_say() -> None:
    cheap = make_order(product=make_product(unit_price="5.00"), guest=True)
    failed = driving.drive(make_order(), gateway=driving.decline())
    retrying = driving.drive(make_order(), gateway=driving.outage())
    stuck = make_order(started=True)
    Order.objects.filter(pk=stuck.pk).update(status_since=timezone.now() - timedelta(minutes=5))
    old = make_order()
    Order.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=9))
    client = signed_in(VIEW_ORDER)
    today = timezone.now().date()

    assert numbers(client, status__exact="failed") == {failed.number}
    assert numbers(client, attention="failed") == {failed.number}
    assert numbers(client, attention="retrying") == {retrying.number}
    assert numbers(client, attention="not_moving") == {stuck.number}
    assert numbers(client, buyer="guest") == {cheap.number}
    assert numbers(client, total_to="10") == {cheap.number}
    assert cheap.number not in numbers(client, total_from="10.01")
    assert numbers(client, created_at_to=str(today - timedelta(days=1))) == {old.number}
    assert old.number not in numbers(client, created_at_from=str(today), created_at_to=str(today))
    assert len(numbers(client, created_at_from=str(today), created_at_to=str(today))) == 4
    assert len(numbers(client, channel__exact="cli")) == 5


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "status__exact=%00",
        "status__exact=nonsense",
        "attention=nonsense",
        "buyer=nonsense",
        "total_from=abc&total_to=1e999",
        "total_from=NaN",
        "total_from=999999999999999999999999",
        "created_at_from=2026-99-99&created_at_to=rubbish",
        "created_at_to=9999-12-31",
        "p=rubbish",
        "p=99999999999999999999",
        "o=9.-3.zz",
        "unknown=1",
    ],
)
def test_no_question_breaks_the_list(query: str) -> None:
    make_order()

    response = signed_in(VIEW_ORDER).get(f"{LIST}?{query}")

    assert response.status_code == (200 if query.startswith("o=") else 400)


def test_unfiltered_list_takes_the_planners_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    make_order()
    monkeypatch.setattr(reading, "estimated_rows", lambda model: 1_234_567)
    client = signed_in(VIEW_ORDER)

    assert client.get(LIST).context["cl"].result_count == 1_234_567
    assert "About 1,234,567 orders" in client.get(LIST).content.decode()
    assert client.get(LIST, {"status__exact": "placed"}).context["cl"].result_count == 1
    assert client.get(LIST, {"p": "20000"}).status_code == 200


def test_filtered_count_stops_at_its_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        make_order()
    monkeypatch.setattr(reading, "COUNT_CAP", 2)
    client = signed_in(VIEW_ORDER)

    assert client.get(LIST, {"status__exact": "placed"}).context["cl"].result_count == 3
    assert "More than 2 orders" in client.get(LIST, {"status__exact": "placed"}).content.decode()


def test_estimate_of_a_table_that_was_never_analysed_is_not_negative() -> None:
    assert reading.estimated_rows(Order) >= 0


def test_orders_are_neither_added_changed_nor_deleted() -> None:
    order = make_order()
    client = signed_in(VIEW_ORDER, START_ORDER)
    client.raise_request_exception = False

    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{order.pk}/delete/", {"post": "yes"}).status_code == 403
    change = client.post(f"{LIST}{order.pk}/change/", {"status": "completed"})
    assert change["Location"] == reverse("orders:page", args=[order.number])
    assert client.get(f"{LIST}rubbish/change/", follow=True).status_code == 404
    order.refresh_from_db()
    assert order.status == OrderStatus.PLACED
    assert "delete_selected" not in client.get(LIST).content.decode()


# --- Start processing -------------------------------------------------------------------------------------------------


def test_ticked_orders_are_started_and_the_others_explained() -> None:
    placed, begun, done = make_order(), make_order(started=True), driving.drive(make_order())

    text = press_start(signed_in(VIEW_ORDER, START_ORDER), placed, begun, done).content.decode()

    placed.refresh_from_db()
    assert placed.status == OrderStatus.QUEUED
    assert Command.objects.get(order=placed).actor == "olivia"
    assert "Started 1, skipped 2." in text
    assert f"Order {begun.number} was already started by test" in text


def test_only_the_first_reasons_are_listed() -> None:
    begun = [make_order(started=True) for _ in range(7)]

    text = press_start(signed_in(VIEW_ORDER, START_ORDER), *begun).content.decode()

    assert "Started 0, skipped 7." in text
    assert "and 2 more." in text


def test_forged_bulk_start_without_permission_gets_403_and_starts_nothing() -> None:
    order = make_order()

    response = press_start(signed_in(VIEW_ORDER), order)

    assert response.status_code == 403
    assert not Command.objects.exists()


def test_too_many_ticked_orders_start_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_admin, "MAX_TICKED", 2)
    orders = [make_order() for _ in range(3)]

    text = press_start(signed_in(VIEW_ORDER, START_ORDER), orders[0], select_across="1").content.decode()

    assert "one click starts at most 2" in text
    assert not Command.objects.exists()


def test_row_action_asks_before_it_starts() -> None:
    order = make_order()
    client = signed_in(VIEW_ORDER, START_ORDER)
    url = f"{LIST}{order.pk}/start_one/"

    assert "Reason" in client.get(url).content.decode()
    assert not Command.objects.exists()

    answer = client.post(url, {"_form_submitted": "on", "reason": "Urgent"}, headers={"HX-Request": "true"})
    assert answer["HX-Redirect"] == LIST
    assert Command.objects.get(order=order).reason == "Urgent"
    client.post(url, {"_form_submitted": "on"})
    assert Command.objects.count() == 1


def test_forged_row_action_without_permission_starts_nothing() -> None:
    order = make_order()

    response = signed_in(VIEW_ORDER).post(f"{LIST}{order.pk}/start_one/", {"_form_submitted": "on"})

    assert response.status_code == 403
    assert not Command.objects.exists()


def test_palette_finds_an_order_by_number_and_reference() -> None:
    order = make_order()
    Order.objects.filter(pk=order.pk).update(reference="W-78")
    client = signed_in(VIEW_ORDER)

    for term in (order.number, "W-78"):
        text = client.get("/admin/search/", {"s": term, "extended": "1"}).content.decode()
        assert reverse("orders:page", args=[order.number]) in text
    stranger = signed_in(name="stranger").get("/admin/search/", {"s": order.number, "extended": "1"}).content.decode()
    assert order.number not in stranger


def test_palette_forgets_what_it_found_when_the_right_to_see_it_goes() -> None:
    order = make_order()
    client = signed_in(VIEW_ORDER)
    asked = {"s": order.number, "extended": "1"}
    assert order.number in client.get("/admin/search/", asked).content.decode()

    User.objects.get().user_permissions.clear()
    assert order.number not in client.get("/admin/search/", asked).content.decode()
