"""Refunds that come back, disputes and signed events, on the real servers: nobody asks, and our books follow."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from orders.actor import system
from orders.models import Dispute, GatewayEvent, LedgerTransfer, Order, Payment, Refund, StaffTask
from orders.services import invariants, refunding
from orders.vocabulary import Channel, DisputeStatus, EventSource, LedgerAccount, RefundStatus, TaskKind, TaskStatus
from tests.e2e.engine import Engine, eventually
from tests.factories import make_order, make_product

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
CLERK = system("clerk", Channel.CLI)


class Gateway:
    """The simulator's switches, and what it has."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, path: str, data: Any = None, *, method: str = "POST") -> Any:
        headers = {"Authorization": "Bearer sk_test_simulator"}
        answer = requests.request(method, f"{self.url}{path}", data=data, headers=headers, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def behave(self, **switches: Any) -> None:
        body = json.dumps(switches)
        requests.put(f"{self.url}/behaviour", data=body, timeout=10).raise_for_status()


@pytest.fixture
def told(running_engine: Engine) -> Iterator[Gateway]:
    """The simulator sends its events, signed, to a web server of ours."""
    double = Gateway(running_engine.simulator.url)
    # Its secret is told once, when the endpoint is made; the address of the web is known only after that.
    made = double.call("/v1/webhook_endpoints", {"url": "http://127.0.0.1:1/", "enabled_events[]": "*"})
    web = running_engine.start_web(STRIPE_WEBHOOK_SECRETS=made["secret"])
    double.call(f"/v1/webhook_endpoints/{made['id']}", {"url": f"{web}/api/gateway/events/"})
    double.behave(refund_seconds=1.0, dispute_seconds=1.0, evidence_seconds=1.0)
    yield double
    double.call(f"/v1/webhook_endpoints/{made['id']}", method="DELETE")


def completed(method: str) -> Order:
    order = make_order(product=make_product(), payment_method=method, started=True)
    eventually(lambda: Order.objects.get(pk=order.pk).status == "completed", what="the completed order")
    order.refresh_from_db()
    return order


def task(order: Order, kind: TaskKind) -> StaffTask | None:
    return StaffTask.objects.filter(order=order, kind=kind).exclude(status=TaskStatus.DONE).first()


def nothing_is_left() -> bool:
    return GatewayEvent.objects.exists() and not GatewayEvent.objects.filter(handled_at=None).exists()


def sound() -> None:
    eventually(nothing_is_left, what="the last event")
    assert list(invariants.check_database()) == []
    assert list(invariants.check_books()) == []


def test_a_refund_that_comes_back_ends_as_owed_with_a_task(told: Gateway) -> None:
    order = completed("pm_card_refundFail")
    refunding.request(order.number, amount_minor=500, actor=CLERK, reason="Broken lamp")

    eventually(lambda: task(order, TaskKind.REFUND_OWED), what="the task")

    refund = Refund.objects.get()
    assert (refund.status, refund.gateway_status) == (RefundStatus.REFUSED, "failed")
    payment = Payment.objects.get(order=order)
    assert (payment.refunded_minor, payment.refunding_minor) == (0, 500)
    assert set(GatewayEvent.objects.values_list("source", flat=True)) == {EventSource.WEBHOOK}
    sound()


def test_a_refund_on_its_way_is_done_when_the_gateway_says_so(told: Gateway) -> None:
    order = completed("pm_card_pendingRefund")
    refunding.request(order.number, amount_minor=500, actor=CLERK, reason="Broken lamp")
    eventually(lambda: Refund.objects.get().status == RefundStatus.DONE, what="the refund")
    assert order.events.filter(type="order.refund_pending").exists()
    sound()


def test_a_dispute_stands_on_the_order_and_in_the_ledger_until_the_bank_decides(told: Gateway) -> None:
    order = completed("pm_card_createDispute")

    eventually(lambda: task(order, TaskKind.DISPUTE), what="the task")

    dispute = Dispute.objects.get(order=order)
    assert (dispute.status, dispute.withdrawn_minor) == (DisputeStatus.OPEN, order.total_minor)
    moved = LedgerTransfer.objects.get(order=order, debit_account=LedgerAccount.DISPUTED)
    assert moved.amount_minor == order.total_minor
    sound()

    told.call(f"/v1/disputes/{dispute.gateway_reference}", {"evidence[uncategorized_text]": "winning_evidence"})

    eventually(lambda: Dispute.objects.get().status == DisputeStatus.WON, what="the bank's decision")
    eventually(lambda: Payment.objects.get(order=order).disputed_minor == 0, what="the money")
    sound()


def test_events_that_are_doubled_disordered_or_lost_end_in_the_same_books(
    told: Gateway, running_engine: Engine
) -> None:
    running_engine.faults(
        {"partner": "events", "mode": "lost", "probability": 0.3, "seed": 7},
        {"partner": "events", "mode": "duplicate", "seconds": 0.5},
        {"partner": "events", "mode": "disorder", "seconds": 1.0},
    )
    orders = [completed(method) for method in ("pm_card_refundFail", "pm_card_pendingRefund", "pm_card_createDispute")]
    for order in orders[:2]:
        refunding.request(order.number, amount_minor=500, actor=CLERK, reason="Broken lamp")
    reference = Payment.objects.get(order=orders[1]).gateway_reference
    made = told.call("/v1/refunds", {"payment_intent": reference, "amount": "300"})

    # What is lost is read from the gateway's list by the sweep, twice a minute.
    eventually(lambda: task(orders[0], TaskKind.REFUND_OWED), what="the refund that came back")
    eventually(lambda: task(orders[2], TaskKind.DISPUTE), what="the dispute")
    done = Refund.objects.filter(order=orders[1], status=RefundStatus.DONE)
    eventually(lambda: done.count() == 2, what="both refunds")

    assert task(orders[1], TaskKind.REFUND_OUTSIDE) is not None
    assert Refund.objects.get(outside=True).gateway_reference == made["id"]
    sound()
