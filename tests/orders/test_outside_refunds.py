"""Money that went back at the gateway without us: booked, shown, and never owed or paid a second time."""

import pytest

from orders.errors import InvalidInput, WrongState
from orders.models import Order, Refund, StaffTask
from orders.services import refunding, resolving, returning
from orders.services.returning import Announced, Received
from orders.vocabulary import EventType, LedgerAccount, RefundStatus, ReturnStatus, TaskKind, TaskStatus
from tests.factories import TEST_ACTOR
from tests.orders.gateway_books import (
    TOTAL,
    ask,
    assert_all_agree,
    balances,
    cancelled_order,
    figures,
    later,
    outside,
    paid_order,
    payment,
    send,
    settle,
)
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(partners: Http) -> Order:
    return paid_order()


def refuse_next(partners: Http) -> None:
    partners.fault(partner="payments", operation="refunds.create", mode="decline", times=1)


def test_a_refund_made_outside_is_booked_once_and_a_person_is_asked(order: Order, partners: Http) -> None:
    made = outside(order, 400)

    settle(order)
    settle(order)

    refund = Refund.objects.get()
    assert (refund.outside, refund.status, refund.gateway_reference) == (True, RefundStatus.DONE, made.id)
    assert figures(order) == (400, 0, 1_600)
    task = StaffTask.objects.get(order=order)
    assert (task.kind, task.level, made.id in task.says) == (TaskKind.REFUND_OUTSIDE, "lead", True)
    assert order.events.filter(type=EventType.REFUNDED_OUTSIDE).count() == 1
    assert_all_agree(order, partners)
    resolving.resolve(task.pk, note="The shop did it on the phone", actor=TEST_ACTOR)
    with pytest.raises(InvalidInput, match="1 to 1600"):
        ask(order, TOTAL)


def test_a_refund_that_is_asked_for_before_we_know_of_it_is_owed_only_as_far_as_money_is_left(
    order: Order, partners: Http
) -> None:
    outside(order, 400)
    refund = ask(order, TOTAL)

    assert send(refund) is RefundStatus.REFUSED

    assert figures(order) == (400, 1_600, 0)
    refund.refresh_from_db()
    assert refund.amount_minor == 1_600
    assert "£16.00 of" in StaffTask.objects.get(order=order, kind=TaskKind.REFUND_OWED, status=TaskStatus.OPEN).says
    assert_all_agree(order, partners)
    refunding.retry(order.number, actor=TEST_ACTOR, reason="The rest")
    assert send(refund) is RefundStatus.DONE
    assert figures(order) == (TOTAL, 0, 0)
    assert_all_agree(order, partners)


def test_nothing_is_owed_when_all_went_back_outside(order: Order, partners: Http) -> None:
    outside(order, TOTAL)
    refund = ask(order, 500)

    assert send(refund) is RefundStatus.DONE

    assert figures(order) == (TOTAL, 0, 0)
    assert not StaffTask.objects.filter(order=order, kind=TaskKind.REFUND_OWED).exclude(status=TaskStatus.DONE).exists()
    assert_all_agree(order, partners)


def test_what_is_owed_is_paid_first(order: Order, partners: Http) -> None:
    refund = ask(order, 500)
    refuse_next(partners)
    send(refund)
    outside(order, 700)

    settle(order)

    refund.refresh_from_db()
    assert refund.status == RefundStatus.DONE
    assert sorted(Refund.objects.values_list("amount_minor", "outside", "status")) == [
        (200, True, "done"),
        (500, False, "done"),
    ]
    assert StaffTask.objects.get(order=order, kind=TaskKind.REFUND_OWED).status == TaskStatus.DONE
    assert figures(order) == (700, 0, 1_300)
    assert_all_agree(order, partners)


def test_the_refund_of_a_return_is_not_cut_while_other_money_is_left(order: Order, partners: Http) -> None:
    case = returning.announce(order.number, lines=[Announced(position=1, quantity=1)], actor=TEST_ACTOR, reason="x")
    returning.receive(case.pk, lines=[Received(position=1, received=1)], actor=TEST_ACTOR, reason="x")
    refund = returning.refund(case.pk, amount_minor=1_000, actor=TEST_ACTOR, reason="x")
    assert isinstance(refund, Refund)
    refuse_next(partners)
    send(refund)
    outside(order, 400)
    settle(order)
    assert figures(order) == (400, 1_000, 600)
    assert_all_agree(order, partners)

    outside(order, 1_600, key="again")
    settle(order)

    assert figures(order) == (TOTAL, 0, 0)
    case.refresh_from_db()
    assert case.status == ReturnStatus.REFUNDED
    assert_all_agree(order, partners)


def test_it_waits_for_a_refund_of_ours_that_is_being_sent(order: Order, partners: Http) -> None:
    outside(order, 400)
    refund = ask(order, TOTAL)

    assert not settle(order).is_whole

    assert figures(order) == (0, TOTAL, 0)
    send(refund)
    assert settle(order).is_whole
    assert_all_agree(order, partners)


def test_one_that_is_on_its_way_is_kept_back_and_booked_when_it_arrives(partners: Http) -> None:
    order = paid_order("pm_card_pendingRefund")
    outside(order, 400)
    settle(order)
    assert figures(order) == (0, 400, 1_600)
    later(partners)

    settle(order)

    assert figures(order) == (400, 0, 1_600)
    assert_all_agree(order, partners)


def test_one_that_fails_later_is_turned_back_and_owed_to_nobody(partners: Http) -> None:
    order = paid_order("pm_card_refundFail")
    outside(order, 400)
    settle(order)
    later(partners)

    settle(order)
    settle(order)

    assert figures(order) == (0, 0, TOTAL)
    assert Refund.objects.get().status == RefundStatus.DROPPED
    assert balances(order) == {LedgerAccount.GATEWAY: TOTAL, LedgerAccount.SALES: -TOTAL}
    assert_all_agree(order, partners)


def test_what_it_paid_of_our_debt_is_owed_again_when_it_fails_later(partners: Http) -> None:
    order = paid_order("pm_card_refundFail")
    refund = ask(order, 1_000)
    refuse_next(partners)
    send(refund)
    outside(order, 400)
    settle(order)
    assert figures(order) == (400, 600, 1_000)
    later(partners)

    settle(order)

    assert figures(order) == (0, 1_000, 1_000)
    assert_all_agree(order, partners)


def test_money_of_a_cancelled_order_that_goes_back_outside_ends_what_is_owed(partners: Http) -> None:
    order = cancelled_order("pm_card_refundFail")
    later(partners)
    settle(order)
    assert figures(order) == (0, TOTAL, 0)
    outside(order, TOTAL)

    settle(order)

    assert figures(order) == (TOTAL, 0, 0)
    order.refresh_from_db()
    assert order.refund_outstanding_minor == 0
    assert_all_agree(order, partners)


def test_a_person_who_refunds_now_may_not_give_back_what_went_back_outside(order: Order) -> None:
    outside(order, 1_800)
    settle(order)
    with pytest.raises(WrongState, match=r"2\.00 .* are left to refund"):
        ask(order, 500, left_minor=TOTAL)
    assert payment(order).left_minor == 200
