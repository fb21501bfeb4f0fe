from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from orders.admin import navigation
from orders.models import CreditNote, FeedImport, Order, OutboxMessage, PartnerHealth, ServiceBeat
from orders.selectors import dashboard as selectors
from orders.services import health
from orders.vocabulary import FeedStatus
from tests.factories import make_order
from tests.orders import driving
from tests.orders.staff import VIEW_ORDER, signed_in

pytestmark = pytest.mark.django_db
EVERYTHING = (VIEW_ORDER, "orders.view_outboxmessage", "orders.view_creditnote", "orders.view_feedimport")
LONG_AGO = timedelta(minutes=5)


def landing(*permissions: str, name: str = "olivia") -> str:
    response = signed_in(*permissions, name=name).get("/admin/")
    assert response.status_code == 200
    return response.content.decode()


def test_empty_house_says_how_orders_come_in() -> None:
    text = landing(*EVERYTHING, "orders.import_feed")

    assert "No orders yet" in text
    assert reverse("admin:orders_feedimport_import") in text
    assert "POST /api/orders/" in text
    assert "No worker has been seen yet: orders wait" in text


def test_tiles_count_and_lead_to_the_filtered_list() -> None:
    make_order()
    driving.drive(make_order())

    text = landing(VIEW_ORDER)
    counts = {entry.status: entry.count for entry in selectors.status_counts()}

    assert counts["placed"] == counts["completed"] == 1
    assert sum(counts.values()) == 2
    assert f"{reverse('admin:orders_order_changelist')}?status__exact=completed" in text


def test_count_stops_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "COUNT_CAP", 1)
    for _ in range(3):
        make_order()

    placed = selectors.status_counts()[0]

    assert (placed.count, placed.shown) == (2, "1+")


def test_chart_counts_received_and_completed_by_minute() -> None:
    driving.drive(make_order())
    old = make_order()
    Order.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(hours=2))

    chart = selectors.orders_per_minute()

    assert len(chart.labels) == len(chart.received) == len(chart.completed) == 60
    assert (sum(chart.received), sum(chart.completed)) == (1, 1)
    assert chart.words == "In the last 60 minutes 1 received and 1 completed"


def test_all_that_needs_a_human_is_listed() -> None:
    failed = driving.drive(make_order(), gateway=driving.decline())
    retrying = driving.drive(make_order(), gateway=driving.outage())
    stuck = make_order(started=True)
    Order.objects.filter(pk=stuck.pk).update(status_since=timezone.now() - LONG_AGO)
    OutboxMessage.objects.update(last_error="Temporal did not answer")
    CreditNote.objects.create(source="s", number="C1", currency="GBP", total_minor=1, issued_at=timezone.now())
    feed = FeedImport.objects.create(
        name="monday.csv", layout="online-retail", content=b"x", sha256="0", size_bytes=1, actor="olivia",
        status=FeedStatus.FAILED, failure_message="no header",
    )  # fmt: skip

    text = landing(*EVERYTHING)

    assert f"{failed.number}: the payment was declined" in text
    assert f"{retrying.number} taking the payment, attempt 1" in text
    assert f"{stuck.number} does not move" in text
    assert "Temporal did not answer" in text
    assert "1 credit note without an order" in text
    assert "Import of monday.csv failed" in text
    assert reverse("admin:orders_feedimport_change", args=[feed.pk]) in text


def test_old_failures_and_moving_orders_need_nobody() -> None:
    failed = driving.drive(make_order(), gateway=driving.decline())
    Order.objects.filter(pk=failed.pk).update(closed_at=timezone.now() - timedelta(days=2))
    make_order(started=True)

    assert "Nothing. Every order moves or has ended well." in landing(VIEW_ORDER)


def test_retrying_order_that_is_also_stuck_is_listed_once() -> None:
    order = driving.drive(make_order(), gateway=driving.outage())
    Order.objects.update(status_since=timezone.now() - LONG_AGO)

    group = next(group for group in selectors.dashboard(_superuser()).groups if "Retrying" in group.title)

    assert [row.order_number for row in group.rows] == [order.number]


def test_health_is_said_in_words() -> None:
    health.beat("worker 1@a", service="worker", reached_temporal=True, detail="")
    PartnerHealth.objects.create(
        partner="payments", failures_in_a_row=3, failed_subjects=["a", "b", "c"], last_error="answered 503"
    )
    PartnerHealth.objects.create(partner="carrier", last_ok_at=timezone.now())

    text = landing()

    assert "1 running, seen 0 s ago" in text
    assert "3 calls in a row failed: answered 503" in text
    assert "Everything was handed to Temporal" in text


@pytest.mark.parametrize(
    ("worker_ago", "temporal_ago", "worker_says", "temporal_says"),
    [
        (180, 180, "No worker has been seen for 3 min: orders wait", "no worker asks it now"),
        (2, 120, "1 running, seen 2 s ago", "No answer for 2 min: orders are accepted and wait"),
        (2, None, "1 running", "No worker has reached it yet"),
    ],
)
def test_what_is_missing_is_named(
    worker_ago: int, temporal_ago: int | None, worker_says: str, temporal_says: str
) -> None:
    now = timezone.now()
    ServiceBeat.objects.create(
        identity="w", service="worker", at=now - timedelta(seconds=worker_ago),
        temporal_ok_at=None if temporal_ago is None else now - timedelta(seconds=temporal_ago),
    )  # fmt: skip

    text = landing()

    assert worker_says in text
    assert temporal_says in text


def test_without_permission_the_landing_page_shows_no_orders() -> None:
    order = driving.drive(make_order(), gateway=driving.decline())

    text = landing()

    assert order.number not in text
    assert "Orders by status" not in text
    assert "Nothing. Every order moves" not in text
    assert "Health" in text


def test_landing_page_needs_at_most_20_queries(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(8):
        driving.drive(make_order(), gateway=driving.decline())
    driving.drive(make_order(), gateway=driving.outage())
    client = signed_in(*EVERYTHING)

    with django_assert_max_num_queries(20):
        assert client.get("/admin/").status_code == 200
    with django_assert_max_num_queries(20):
        assert client.get(reverse("orders:dashboard-live")).status_code == 200


def test_live_part_is_for_staff() -> None:
    url = reverse("orders:dashboard-live")

    assert Client().get(url)["HX-Redirect"] == "/accounts/login/?next=/admin/"
    assert signed_in(VIEW_ORDER, name="shopper", staff=False).get(url).status_code == 403


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("/orders/SO-1/", "All orders"),
        ("/admin/orders/order/", "All orders"),
        ("/orders/approvals/", "What I asked for"),
        ("/orders/approvals/8f0c6d9e-5a53-4a6f-9d53-0f9a3c1b2d4e/", "Second person"),
        ("/admin/orders/approval/", "Second person"),
        ("/orders/playbooks/address_fix/", "Playbooks"),
        ("/orders/playbook-new/", "Playbooks"),
        ("/admin/orders/exportplan/", "Export plans"),
    ],
)
def test_sidebar_marks_the_one_entry_that_a_page_belongs_to(rf: RequestFactory, path: str, entry: str) -> None:
    request = rf.get(path)
    request.user = User.objects.create_superuser("root")
    marked = [
        item["title"] for section in navigation.sections(request) for item in section["items"] if item.get("active")
    ]
    assert marked == [entry]


def test_sidebar_shows_only_what_is_permitted_and_counts_what_needs_a_human() -> None:
    driving.drive(make_order(), gateway=driving.decline())

    narrow = landing(VIEW_ORDER)
    assert "All orders" in narrow
    assert reverse("admin:orders_payment_changelist") not in narrow
    assert "Machinery" not in narrow
    wide = landing(VIEW_ORDER, "orders.view_payment", name="wide")
    assert reverse("admin:orders_payment_changelist") in wide


def _superuser() -> object:
    from django.contrib.auth.models import User

    return User.objects.create_superuser("root")
