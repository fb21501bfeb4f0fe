"""Work queues: the same orders on the landing page, in the order list and over the API."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from orders import history
from orders.models import Order, PartnerHealth, ReviewCase
from orders.selectors.queues import Queue, counts_for
from orders.services import holding
from orders.services.sweeping import findings
from orders.vocabulary import FindingKind
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.staff import VIEW_ORDER, make_user, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def members() -> dict[Queue, set[str]]:
    """Orders in every state; answers which belong where."""
    make_order()
    driving.drive(make_order())
    driving.drive(make_order(), gateway=driving.decline())
    held, stuck, queued = make_order(), make_order(started=True), make_order(started=True)
    holding.hold(held.number, actor=TEST_ACTOR, reason="Wait")
    Order.objects.filter(pk=stuck.pk).update(status_since=timezone.now() - timedelta(minutes=5))
    retrying = driving.drive(make_order(), gateway=driving.outage())
    parked = driving.drive(make_order(), carrier=driving.outage())
    PartnerHealth.objects.update_or_create(
        partner="carrier", defaults={"state": "open", "opened_at": timezone.now(), "next_try_at": timezone.now()}
    )
    wedged = driving.adopt(make_order(started=True))
    with transaction.atomic():
        findings.note(FindingKind.WEDGED, history.lock_order(wedged.pk), says="Fails.", actor=TEST_ACTOR)
    review, missed, escalated = (driving.make_order_in_review() for _ in range(3))
    ReviewCase.objects.filter(order=missed).update(deadline_at=timezone.now() - timedelta(minutes=1))
    ReviewCase.objects.filter(order=escalated).update(escalated_at=timezone.now())
    reviews = {review.number, missed.number, escalated.number}
    return {
        Queue.NEEDS_HUMAN: {held.number, *reviews},
        Queue.RETRYING: {retrying.number},
        Queue.WAITING: {queued.number, stuck.number, wedged.number},
        Queue.PARKED: {parked.number},
        Queue.OVERDUE: {stuck.number, missed.number, escalated.number},
        Queue.WEDGED: {wedged.number},
    }


def test_each_queue_holds_its_orders_over_the_api_and_in_the_list(members: dict[Queue, set[str]]) -> None:
    api, browser = token_client("view_order"), signed_in(VIEW_ORDER)
    for queue, numbers in members.items():
        answer = api.get("/api/orders/", {"queue": queue.value}).json()
        assert {order["number"] for order in answer["results"]} == numbers, queue
        listed = browser.get(reverse("admin:orders_order_changelist"), {"attention": queue.value})
        assert {order.number for order in listed.context["cl"].result_list} == numbers, queue


def test_the_landing_page_counts_them_and_leads_to_them(members: dict[Queue, set[str]]) -> None:
    text = signed_in(VIEW_ORDER).get("/admin/").content.decode()
    for queue in Queue:
        assert f"?attention={queue}" in text


def test_counting_all_queues_is_one_query_and_stops_at_the_cap(
    members: dict[Queue, set[str]],
    django_assert_num_queries: DjangoAssertNumQueries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer, stranger = make_user(VIEW_ORDER), make_user(name="stranger")
    assert viewer.has_perm(VIEW_ORDER)  # asked and kept
    with django_assert_num_queries(1):
        found = counts_for(viewer)
    assert {entry.queue: entry.count for entry in found} == {queue: len(numbers) for queue, numbers in members.items()}
    monkeypatch.setattr("orders.selectors.queues.COUNT_CAP", 2)
    assert [entry.shown for entry in counts_for(viewer)] == ["2+", "1", "2+", "1", "2+", "1"]
    assert counts_for(stranger) == []


def test_an_unknown_queue_is_refused() -> None:
    assert_problem(token_client("view_order").get("/api/orders/?queue=mine"), 400, "queue")
