"""Disputes and outside refunds where people and programs see them: page, order, lists."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from orders.models import Dispute, GatewayEvent, Order
from orders.partners import payments as gateway
from orders.vocabulary import RefundStatus, TaskKind
from tests.orders.api_calls import assert_problem, new_key, token_client
from tests.orders.gateway_books import (
    ask,
    later,
    outside,
    paid_order,
    send,
    settle,
)
from tests.orders.staff import make_user
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(partners: Http) -> Order:
    """A completed order whose payment is disputed."""
    order = paid_order("pm_card_createDispute")
    later(partners)
    settle(order)
    return order


def clerk(*more: str) -> User:
    return make_user(
        "orders.view_order", "orders.view_dispute", "orders.view_refund", "orders.refund_order", *more, name="clerk"
    )


def page(client: Client, order: Order) -> str:
    return client.get(f"/orders/{order.number}/").content.decode()


def test_the_page_says_that_the_payment_is_disputed_and_offers_no_refund(order: Order, client: Client) -> None:
    client.force_login(clerk())
    shown = page(client, order)
    assert "Completed, but disputed: the customer&#x27;s bank has taken £20.00 back" in shown
    assert "Evidence until" in shown
    assert Dispute.objects.get().gateway_reference in shown
    assert "Refund…" not in shown
    assert shown.count("With the bank") == 1


def test_the_page_of_a_disputed_order_that_cannot_be_refunded_says_why(order: Order, client: Client) -> None:
    client.force_login(clerk())
    form = {"amount": "5.00", "left_minor": "2000", "reason": "Broken lamp"}
    answer = client.post(f"/orders/{order.number}/refund/", form, follow=True)
    assert "a disputed payment cannot be refunded" in answer.content.decode()


def test_the_order_and_the_list_tell_of_the_dispute(order: Order) -> None:
    client = token_client(user=clerk())
    told = client.get(f"/api/orders/{order.number}/").json()
    (dispute,) = told["disputes"]
    assert (dispute["status"], dispute["amount_minor"], dispute["reason"]) == ("open", 2_000, "fraudulent")
    assert told["payment"]["disputed_minor"] == 2_000
    listed = client.get("/api/disputes/").json()["results"]
    assert listed == [dispute]
    assert client.get("/api/disputes/?status=won").json()["results"] == []
    assert client.get(f"/api/orders/{order.number}/why/").json()["headline"].startswith("Completed, but disputed")


@pytest.mark.parametrize("asked", ["status=OPEN", "status=", "status=open&order=1"])
def test_a_filter_that_is_none_is_refused(order: Order, asked: str) -> None:
    assert_problem(token_client(user=clerk()).get(f"/api/disputes/?{asked}"), 400)


def test_whoever_may_not_see_disputes_gets_none(order: Order) -> None:
    client = token_client(user=make_user("orders.view_order", name="other"))
    assert_problem(client.get("/api/disputes/"), 403)


def test_a_refund_of_a_disputed_payment_is_a_conflict_that_says_since_when(order: Order) -> None:
    answer = token_client(user=clerk()).post(
        f"/api/orders/{order.number}/refunds/",
        {"amount_minor": 500, "reason": "Broken"},
        content_type="application/json",
        headers={"Idempotency-Key": new_key()},
    )
    assert_problem(answer, 409, None, "disputed since", "UTC")


@pytest.mark.parametrize(
    ("text", "said"),
    [("winning_evidence", "Completed: £20.00 paid"), ("losing_evidence", "£20.00 were lost in a dispute")],
)
def test_the_page_tells_how_it_ended(order: Order, partners: Http, client: Client, text: str, said: str) -> None:
    dispute = Dispute.objects.get()
    evidence: Any = {"evidence": {"uncategorized_text": text}}
    gateway.client().v1.disputes.update(dispute.gateway_reference, evidence)
    later(partners)
    settle(order)
    client.force_login(clerk())
    assert said in page(client, order)


def test_a_refund_on_its_way_is_told_and_another_one_may_be_asked_for(partners: Http, client: Client) -> None:
    order = paid_order("pm_card_pendingRefund")
    assert send(ask(order)) is RefundStatus.PENDING
    client.force_login(clerk())
    shown = page(client, order)
    assert "Completed; a refund of £5.00 is on its way to the customer." in shown
    assert "Refund…" in shown
    listed = client.get(f"/api/orders/{order.number}/refunds/").json()
    assert [(one["status"], one["outside"]) for one in listed] == [("pending", False)]


def test_a_refund_made_outside_is_shown_as_that(partners: Http, client: Client) -> None:
    order = paid_order()
    made = outside(order, 400)
    settle(order)
    client.force_login(clerk())
    shown = page(client, order)
    assert "Refunded at the gateway, not through this office" in shown
    assert made.id in shown
    listed = client.get(f"/api/orders/{order.number}/refunds/").json()
    assert [(one["status"], one["outside"], one["amount_minor"]) for one in listed] == [("done", True, 400)]
    assert order.tasks.get().kind == TaskKind.REFUND_OUTSIDE


def test_a_program_names_the_refund_that_is_tried_again(partners: Http) -> None:
    order = paid_order("pm_card_refundFail")
    for amount in (500, 300):
        send(ask(order, amount))
    later(partners)
    settle(order)
    client = token_client(user=clerk())
    address = f"/api/orders/{order.number}/refunds/retry/"
    newest = order.refunds.order_by("created_at").last()
    assert newest is not None
    assert client.get(f"/api/orders/{order.number}/").json()["payment"]["owed_minor"] == 800

    def post(**body: Any) -> Any:
        return client.post(
            address,
            {"reason": "Another card", **body},
            content_type="application/json",
            headers={"Idempotency-Key": new_key()},
        )

    assert_problem(post(refund="7"), 400, "refund")
    assert_problem(post(refund="00000000-0000-4000-8000-000000000000"), 409, None, "is not refused")
    assert post(refund=str(newest.pk)).json()["amount_minor"] == 300


def test_staff_find_disputes_and_events_in_their_lists(order: Order, client: Client) -> None:
    GatewayEvent.objects.create(
        id="evt_1", type="refund.updated", payment_reference="pi_1", source="webhook", created_at=timezone.now()
    )
    client.force_login(User.objects.create_superuser("chief"))
    listed = client.get("/admin/orders/dispute/").content.decode()
    assert (order.number in listed, "The bank has the money" in listed) == (True, True)
    assert client.get(f"/admin/orders/dispute/{Dispute.objects.get().pk}/change/").status_code == 200
    assert "To be carried out" in client.get("/admin/orders/gatewayevent/?handled=no").content.decode()
    assert "evt_1" not in client.get("/admin/orders/gatewayevent/?handled=yes").content.decode()
    assert client.get("/admin/orders/refund/?status__exact=pending").status_code == 200
