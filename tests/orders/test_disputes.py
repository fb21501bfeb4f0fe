"""A payment that the customer's bank questions: booked by its funds, kept out of refunds, and put before a lead."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from orders import history
from orders.errors import WrongState
from orders.models import Dispute, LedgerTransfer, Order, OutboxMessage, Refund, StaffTask
from orders.partners import disputes
from orders.partners import payments as gateway
from orders.partners.disputes import DisputeState
from orders.services import disputing, invariants, process, refunding, resolving, settlement, shipping
from orders.vocabulary import (
    DisputeStatus,
    EventType,
    LedgerAccount,
    RefundStatus,
    TaskKind,
    TaskStatus,
    Topic,
)
from tests.factories import TEST_ACTOR
from tests.orders.gateway_books import (
    TOTAL,
    ask,
    assert_all_agree,
    balances,
    cancelled_order,
    charged_order,
    figures,
    later,
    paid_order,
    payment,
    send,
    settle,
    undo,
)
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(partners: Http) -> Order:
    """A completed order whose payment is disputed."""
    order = paid_order("pm_card_createDispute")
    later(partners)
    settle(order)
    return order


def answer(order: Order, partners: Http, text: str) -> None:
    """Send the gateway the evidence that decides the dispute."""
    dispute = Dispute.objects.get(order=order)
    gateway.client().v1.disputes.update(
        dispute.gateway_reference, {"evidence": {"uncategorized_text": text}, "submit": True}
    )
    later(partners)


def task(order: Order) -> StaffTask:
    return StaffTask.objects.exclude(status=TaskStatus.DONE).get(order=order, kind=TaskKind.DISPUTE)


def test_what_the_bank_has_stands_in_an_account_of_its_own(order: Order, partners: Http) -> None:
    settle(order)
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.gateway_status, dispute.amount_minor) == ("open", "needs_response", TOTAL)
    assert dispute.evidence_due_at is not None
    assert balances(order) == {LedgerAccount.DISPUTED: TOTAL, LedgerAccount.SALES: -TOTAL}
    assert payment(order).disputed_minor == TOTAL
    assert (task(order).level, f"{dispute.evidence_due_at:%Y-%m-%d}" in task(order).says) == ("lead", True)
    assert order.events.filter(type=EventType.DISPUTE_OPENED).count() == 1
    assert_all_agree(order, partners)


def test_a_disputed_payment_is_not_refunded(order: Order) -> None:
    with pytest.raises(WrongState, match="a disputed payment cannot be refunded until the bank has decided"):
        ask(order)
    assert not Refund.objects.exists()


def test_a_refund_that_the_gateway_refuses_for_a_dispute_tells_us_of_the_dispute(partners: Http) -> None:
    order = paid_order("pm_card_createDispute")
    refund = ask(order)
    later(partners)

    assert send(refund) is RefundStatus.REFUSED

    assert Dispute.objects.get().status == DisputeStatus.OPEN
    assert_all_agree(order, partners)
    with pytest.raises(WrongState, match="disputed"):
        refunding.retry(order.number, actor=TEST_ACTOR, reason="Again")


def test_a_dispute_that_is_won_brings_the_money_back(order: Order, partners: Http) -> None:
    opened = task(order)
    answer(order, partners, "winning_evidence")
    settle(order)
    settle(order)

    assert Dispute.objects.get().status == DisputeStatus.WON
    assert balances(order) == {LedgerAccount.GATEWAY: TOTAL, LedgerAccount.SALES: -TOTAL}
    assert figures(order) == (0, 0, TOTAL)
    opened.refresh_from_db()
    assert opened.status == TaskStatus.DONE
    assert_all_agree(order, partners)
    assert send(ask(order)) is RefundStatus.DONE


def test_a_dispute_that_is_lost_is_earned_no_more_and_a_lead_hears_of_it(order: Order, partners: Http) -> None:
    answer(order, partners, "losing_evidence")
    settle(order)
    settle(order)

    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.withdrawn_minor) == (DisputeStatus.LOST, TOTAL)
    assert balances(order) == {}
    assert figures(order) == (0, 0, 0)
    assert "are lost" in task(order).says
    assert_all_agree(order, partners)
    resolving.resolve(task(order).pk, note="Accepted", reference="T-1", actor=TEST_ACTOR)


def test_a_refund_that_is_owed_is_owed_no_more_when_the_bank_keeps_the_money(partners: Http) -> None:
    order = paid_order("pm_card_createDispute")
    refund = ask(order)
    later(partners)
    send(refund)
    answer(order, partners, "losing_evidence")

    settle(order)

    refund.refresh_from_db()
    assert refund.status == RefundStatus.DROPPED
    told = OutboxMessage.objects.filter(topic=Topic.SEND_REFUND, aggregate=f"refund:{refund.pk}").count()
    assert told == 2, "its process is started, and told that it has nothing to wait for"
    assert figures(order) == (0, 0, 0)
    owed = StaffTask.objects.get(order=order, kind=TaskKind.REFUND_OWED)
    assert (owed.status, owed.resolution) == (TaskStatus.DONE, "The customer's bank took the money back.")
    assert_all_agree(order, partners)


def test_a_cancelled_order_can_be_disputed_after_its_money_went_back(partners: Http) -> None:
    order = cancelled_order()
    reference = payment(order).gateway_reference
    lost = disputes.GatewayDispute(
        id="dp_1",
        status="lost",
        amount_minor=TOTAL,
        currency="GBP",
        reason="credit_not_processed",
        withdrawn_minor=TOTAL,
        opened_at=timezone.now(),
    )
    books = settlement.read(reference)
    with transaction.atomic():
        settlement.book(history.lock_order(order.pk), replace(books, disputes=(lost,)), actor=TEST_ACTOR)

    # The customer has the money twice: once by the refund, once by their bank.
    assert balances(order) == {LedgerAccount.GATEWAY: -TOTAL, LedgerAccount.CUSTOMER: TOTAL}
    assert figures(order) == (TOTAL, 0, 0)
    assert [one for one in invariants.check_database() if one.invariant in {"ledger", "disputes", "refunds"}] == []


def test_the_undo_of_a_disputed_order_is_owed_until_the_bank_has_decided(partners: Http) -> None:
    order = charged_order("pm_card_createDispute")
    later(partners)
    # The dispute stands while the order is under way; what becomes of it is booked at the end.
    settle(order)
    assert Dispute.objects.get().status == DisputeStatus.OPEN
    undo(order)
    assert order.refund_outstanding_minor == TOTAL
    assert_all_agree(order, partners)

    answer(order, partners, "losing_evidence")
    settle(order)

    order.refresh_from_db()
    assert (order.refund_outstanding_minor, balances(order)) == (0, {})
    assert_all_agree(order, partners)


def test_a_loss_of_an_order_under_way_is_booked_when_it_has_ended(partners: Http) -> None:
    order = charged_order("pm_card_createDispute")
    later(partners)
    settle(order)
    answer(order, partners, "losing_evidence")
    assert not settle(order).is_whole
    assert balances(order) == {LedgerAccount.DISPUTED: TOTAL, LedgerAccount.CUSTOMER: -TOTAL}
    shipping.ship(str(order.pk), actor=TEST_ACTOR)
    looks = OutboxMessage.objects.filter(topic=Topic.GATEWAY_EVENT)
    assert not looks.exists()
    process.complete(str(order.pk), actor=TEST_ACTOR)
    # At once: the process that waits for the end looks again in an hour only.
    assert [look.body for look in looks] == [{"payment": payment(order).gateway_reference}]

    assert settle(order).is_whole

    assert balances(order) == {}
    assert_all_agree(order, partners)


def test_an_inquiry_takes_no_money_and_forbids_no_refund(partners: Http) -> None:
    order = paid_order("pm_card_createDisputeInquiry")
    later(partners)
    settle(order)

    assert Dispute.objects.get().status == DisputeStatus.INQUIRY
    assert balances(order) == {LedgerAccount.GATEWAY: TOTAL, LedgerAccount.SALES: -TOTAL}
    assert "asks about" in task(order).says
    assert_all_agree(order, partners)
    answer(order, partners, "escalate_inquiry_evidence")
    settle(order)
    assert Dispute.objects.get().status == DisputeStatus.OPEN
    assert "has taken back" in task(order).says
    assert_all_agree(order, partners)


def test_every_published_status_has_a_meaning() -> None:
    assert set(disputing.STATUS_OF) == set(DisputeState)


def test_a_word_that_nobody_knows_keeps_the_payment_out_of_refunds(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = disputes.disputes_of

    def strange(reference: str) -> list[Any]:
        return [replace(one, status="arbitration") for one in real(reference)]

    monkeypatch.setattr(settlement.disputes, "disputes_of", strange)
    settle(order)

    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.gateway_status) == (DisputeStatus.OPEN, "arbitration")
    with pytest.raises(WrongState, match="disputed"):
        ask(order)


def test_each_movement_of_a_dispute_is_one_row_of_the_ledger(order: Order, partners: Http) -> None:
    answer(order, partners, "winning_evidence")
    for _ in range(3):
        settle(order)
    rows = LedgerTransfer.objects.filter(key__contains=":dispute:").order_by("pk")
    assert list(rows.values_list("credit_account", "debit_account", "amount_minor")) == [
        ("gateway", "disputed", TOTAL),
        ("disputed", "gateway", TOTAL),
    ]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE orders_payment SET disputed_minor = 5", "disputes"),
        ("UPDATE orders_dispute SET withdrawn_minor = 5", "disputes"),
        ("UPDATE orders_dispute SET status = 'lost', closed_at = now()", "ledger"),
        ("DELETE FROM orders_ledgertransfer WHERE key LIKE '%%:dispute:%%'", "ledger"),
    ],
)
def test_books_that_do_not_bear_the_dispute_out_are_named(
    order: Order, tamper: Callable[..., None], change: str, named: str
) -> None:
    tamper(change)
    assert (named, order.number) in [(one.invariant, one.subject) for one in invariants.check_database()]
