"""The gateway's answer decides what became of a refund: given back, on its way, refused, or come back later."""

from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.errors import PartnerUnavailable, StaleAttempt, WrongState
from orders.models import LedgerTransfer, Order, OrderEvent, OutboxMessage, Refund, ReturnCase, StaffTask
from orders.partners import payments as gateway
from orders.services import payments, process, refunding, resolving, returning, shipping
from orders.services.returning import Announced, Received
from orders.vocabulary import (
    EventType,
    FailureType,
    LedgerAccount,
    PaymentStatus,
    RefundStatus,
    ReturnStatus,
    TaskKind,
    TaskStatus,
    Topic,
)
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
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
)
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db


def answered(status: str) -> Any:
    """The gateway's client, which answers every refund with this state."""
    made = SimpleNamespace(id="re_1", status=status, amount=500, metadata=None)
    refunds = SimpleNamespace(create=lambda params, options: made)
    return SimpleNamespace(v1=SimpleNamespace(refunds=refunds))


def send_answered(refund: Refund, status: str) -> RefundStatus:
    with (
        mock.patch("orders.partners.payments.client", return_value=answered(status)),
        mock.patch("orders.partners.payments.observed", return_value=nullcontext()),
    ):
        return send(refund)


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_the_gateway_did_not_make_is_owed_and_booked_nowhere(status: str) -> None:
    order = driving.drive(make_order())
    refund = ask(order)

    assert send_answered(refund, status) is RefundStatus.REFUSED

    assert figures(order) == (0, 500, 1_500)
    assert not LedgerTransfer.objects.filter(key__contains=":refund:").exists()
    assert status in StaffTask.objects.get(order=order, kind=TaskKind.REFUND_OWED).says


@pytest.mark.parametrize("status", ["pending", "requires_action"])
def test_a_refund_that_is_on_its_way_keeps_its_amount_back_and_books_nothing(status: str) -> None:
    order = driving.drive(make_order())

    assert send_answered(ask(order), status) is RefundStatus.PENDING

    assert figures(order) == (0, 500, 1_500)
    assert not LedgerTransfer.objects.filter(key__contains=":refund:").exists()
    assert order.events.filter(type=EventType.REFUND_PENDING).count() == 1
    assert Refund.objects.get().gateway_status == status


def test_a_word_that_nobody_knows_is_never_money_given_back() -> None:
    order = driving.drive(make_order())
    refund = ask(order)

    assert send_answered(refund, "settling") is RefundStatus.SENT

    assert figures(order) == (0, 500, 1_500)
    task = StaffTask.objects.get(order=order)
    assert (task.kind, "settling" in task.says) == (TaskKind.OUTCOME_UNKNOWN, True)


def test_a_pending_refund_is_booked_when_it_has_arrived(partners: Http) -> None:
    order = paid_order("pm_card_pendingRefund")
    refund = ask(order)
    assert send(refund) is RefundStatus.PENDING
    assert send(refund) is RefundStatus.PENDING, "it is looked at, and not made again"

    later(partners)

    assert send(refund) is RefundStatus.DONE
    assert figures(order) == (500, 0, 1_500)
    assert_all_agree(order, partners)


def test_another_refund_may_go_out_while_one_is_on_its_way(partners: Http) -> None:
    order = paid_order("pm_card_pendingRefund")
    assert send(ask(order)) is RefundStatus.PENDING
    assert send(ask(order, 300)) is RefundStatus.PENDING
    assert figures(order) == (0, 800, 1_200)


def test_a_refund_that_is_on_its_way_for_too_long_becomes_a_task(partners: Http, settings: Settings) -> None:
    settings.REFUND_PENDING_DAYS = 0
    order = paid_order("pm_card_pendingRefund")
    refund = ask(order)
    send(refund)

    send(refund)

    assert StaffTask.objects.get(order=order).kind == TaskKind.OUTCOME_UNKNOWN
    later(partners)
    assert send(refund) is RefundStatus.DONE
    assert StaffTask.objects.get(order=order).status == TaskStatus.DONE


def test_a_refund_that_fails_after_it_had_succeeded_is_owed_again(partners: Http) -> None:
    order = paid_order("pm_card_refundFail")
    refund = ask(order, TOTAL)
    assert send(refund) is RefundStatus.DONE
    assert payment(order).status == PaymentStatus.REFUNDED
    later(partners)

    settle(order)
    settle(order)

    refund.refresh_from_db()
    assert (refund.status, refund.finished_at, refund.gateway_status) == (RefundStatus.REFUSED, None, "failed")
    assert figures(order) == (0, TOTAL, 0)
    assert payment(order).status == PaymentStatus.CAPTURED
    assert balances(order) == {LedgerAccount.GATEWAY: TOTAL, LedgerAccount.SALES: -TOTAL}
    task = StaffTask.objects.get(order=order)
    assert (task.kind, "expired or canceled card" in task.says) == (TaskKind.REFUND_OWED, True)
    assert order.events.filter(type=EventType.REFUND_FAILED).count() == 1
    assert_all_agree(order, partners)

    again = refunding.retry(order.number, actor=TEST_ACTOR, reason="Another card")
    assert again.key != refund.key
    assert send(again) is RefundStatus.DONE
    assert_all_agree(order, partners)
    task.refresh_from_db()
    assert task.status == TaskStatus.DONE
    later(partners)
    settle(order)
    assert Refund.objects.get().status == RefundStatus.REFUSED, "the second try failed as well"
    assert_all_agree(order, partners)


def test_a_second_try_that_was_booked_without_its_number_comes_back_too(partners: Http) -> None:
    order = paid_order("pm_card_refundFail")
    refund = ask(order)
    send(refund)
    Refund.objects.update(tries=2)

    later(partners)
    settle(order)

    refund.refresh_from_db()
    assert (refund.status, refund.tries) == (RefundStatus.REFUSED, 3)
    assert LedgerTransfer.objects.filter(key=f"{order.id}:refund:{refund.pk}:failed").exists()
    assert_all_agree(order, partners)


def test_an_answer_that_was_lost_and_a_refund_that_failed_meanwhile_are_not_taken_for_success(partners: Http) -> None:
    order = paid_order("pm_card_refundFail")
    refund = ask(order)
    partners.fault(partner="payments", operation="refunds.create", mode="drop_after", times=1)
    with pytest.raises(PartnerUnavailable):
        send(refund)
    later(partners)

    # The gateway would repeat its first answer under our key: succeeded.
    assert send(refund) is RefundStatus.REFUSED

    assert figures(order) == (0, 500, 1_500)
    assert_all_agree(order, partners)


def test_the_refund_of_an_undo_that_fails_later_is_owed(partners: Http) -> None:
    order = cancelled_order("pm_card_refundFail")
    assert figures(order) == (TOTAL, 0, 0)
    later(partners)

    settle(order)
    settle(order)

    refund = Refund.objects.get()
    assert (refund.status, refund.amount_minor) == (RefundStatus.REFUSED, TOTAL)
    assert figures(order) == (0, TOTAL, 0)
    order.refresh_from_db()
    assert order.refund_outstanding_minor == TOTAL
    assert StaffTask.objects.get(order=order, kind=TaskKind.REFUND_OWED).status == TaskStatus.OPEN
    assert_all_agree(order, partners)
    refunding.retry(order.number, actor=TEST_ACTOR, reason="Again")
    assert send(refund) is RefundStatus.DONE
    assert_all_agree(order, partners)


def test_the_refund_of_an_undo_that_fails_before_the_order_has_ended_is_owed_then(partners: Http) -> None:
    order = charged_order("pm_card_refundFail")
    actor, order_id = driving.engine(order), str(order.pk)
    process.begin_undo(order_id, failure_type=FailureType.CANCELLED, message="Changed their mind", actor=actor)
    shipping.undo_ship(order_id, actor=actor)
    payments.undo_charge(order_id, actor=actor)
    later(partners)

    # Told of it now, the event must stay: nothing is booked before the end, and nobody tells of it again.
    assert not settle(order).is_whole

    driving.stock.release(order_id, actor=actor)
    process.close(order_id, actor=actor)
    assert settle(order).is_whole
    assert order.refunds.get().status == RefundStatus.REFUSED
    assert StaffTask.objects.get(order=order, kind=TaskKind.REFUND_OWED).status == TaskStatus.OPEN
    order.refresh_from_db()
    assert_all_agree(order, partners)


def test_a_return_waits_for_its_money_again_when_the_refund_came_back(partners: Http) -> None:
    order = paid_order("pm_card_refundFail")
    case = returning.announce(
        order.number, lines=[Announced(position=1, quantity=1)], actor=TEST_ACTOR, reason="Too small"
    )
    returning.receive(case.pk, lines=[Received(position=1, received=1)], actor=TEST_ACTOR, reason="Came")
    refund = returning.refund(case.pk, amount_minor=TOTAL // 2, actor=TEST_ACTOR, reason="Came")
    assert isinstance(refund, Refund)
    send(refund)
    assert ReturnCase.objects.get().status == ReturnStatus.REFUNDED
    later(partners)

    settle(order)

    assert ReturnCase.objects.get().status == ReturnStatus.RECEIVED
    assert_all_agree(order, partners)
    refunding.retry(order.number, actor=TEST_ACTOR, reason="Again")
    send(refund)
    assert ReturnCase.objects.get().status == ReturnStatus.REFUNDED
    assert_all_agree(order, partners)


def test_a_return_is_paid_once_while_its_refund_is_on_its_way(partners: Http) -> None:
    order = paid_order("pm_card_pendingRefund")
    case = returning.announce(order.number, lines=[Announced(position=1, quantity=1)], actor=TEST_ACTOR, reason="x")
    returning.receive(case.pk, lines=[Received(position=1, received=1)], actor=TEST_ACTOR, reason="x")
    refund = returning.refund(case.pk, amount_minor=1_000, actor=TEST_ACTOR, reason="x")
    assert isinstance(refund, Refund)
    assert send(refund) is RefundStatus.PENDING

    with pytest.raises(WrongState, match="is pending already"):
        returning.refund(case.pk, amount_minor=1_000, actor=TEST_ACTOR, reason="x")
    with pytest.raises(WrongState, match="under way or owed"):
        returning.close(case.pk, actor=TEST_ACTOR, reason="x")

    later(partners)
    settle(order)
    case.refresh_from_db()
    assert case.status == ReturnStatus.REFUNDED


def test_an_event_that_overtakes_the_answer_books_the_refund_once(
    partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = paid_order()
    refund, real = ask(order), gateway.refund

    def overtaken(*arguments: Any, **options: Any) -> Any:
        made = real(*arguments, **options)
        settle(order)
        return made

    monkeypatch.setattr(gateway, "refund", overtaken)
    with pytest.raises(StaleAttempt):
        send(refund)

    assert send(refund) is RefundStatus.DONE
    assert figures(order) == (500, 0, 1_500)
    assert order.events.filter(type=EventType.REFUNDED).count() == 1
    assert_all_agree(order, partners)


class TestSeveralOwed:
    """One order can owe more than one refund; each word of a person is about one amount."""

    @pytest.fixture
    def order(self, partners: Http) -> Order:
        """5.00 and 3.00 came back."""
        order = paid_order("pm_card_refundFail")
        for amount in (500, 300):
            send(ask(order, amount))
        later(partners)
        settle(order)
        return order

    def test_the_task_is_about_the_oldest_and_names_the_rest(self, order: Order) -> None:
        task = StaffTask.objects.exclude(status=TaskStatus.DONE).get(order=order)
        assert "£5.00 of" in task.says
        assert "£3.00 more are owed in 1 refund" in task.says

    def test_settling_the_task_books_the_oldest_and_asks_for_the_next(self, order: Order, partners: Http) -> None:
        task = StaffTask.objects.exclude(status=TaskStatus.DONE).get(order=order)
        resolving.resolve(task.pk, note="Paid by bank", reference="B-1", actor=TEST_ACTOR)

        assert figures(order) == (500, 300, 1_200)
        following = StaffTask.objects.exclude(status=TaskStatus.DONE).get(order=order)
        assert (following.pk != task.pk, "£3.00 of" in following.says) == (True, True)
        resolving.resolve(following.pk, note="Paid by bank", reference="B-2", actor=TEST_ACTOR)
        assert figures(order) == (800, 0, 1_200)
        assert balances(order)[LedgerAccount.BY_HAND] == -800
        assert_all_agree(order, partners)

    def test_the_oldest_is_tried_again_unless_another_one_is_named(self, order: Order) -> None:
        old, new = Refund.objects.order_by("created_at")
        assert refunding.retry(order.number, actor=TEST_ACTOR, reason="x", refund=new.pk).pk == new.pk
        with pytest.raises(WrongState, match="requested already"):
            refunding.retry(order.number, actor=TEST_ACTOR, reason="x")
        send(new)
        assert refunding.retry(order.number, actor=TEST_ACTOR, reason="x").pk == old.pk
        with pytest.raises(WrongState, match=f"Refund {new.pk} of order {order.number} is not refused"):
            refunding.retry(order.number, actor=TEST_ACTOR, reason="x", refund=new.pk)

    def test_whoever_still_looks_at_the_task_of_a_refund_that_goes_out_again_books_no_other_one(
        self, order: Order
    ) -> None:
        task = StaffTask.objects.exclude(status=TaskStatus.DONE).get(order=order)
        refunding.retry(order.number, actor=TEST_ACTOR, reason="Again")
        with pytest.raises(WrongState, match="was done by"):
            resolving.resolve(task.pk, note="Paid by bank", reference="B-1", actor=TEST_ACTOR)


class TestKeys:
    """The key of a try gets a new generation only when the gateway may keep a failure under the old one."""

    def test_a_saved_500_is_not_asked_for_again(self, partners: Http) -> None:
        order = paid_order()
        refund = ask(order)
        partners.fault(partner="payments", operation="refunds.create", mode="saved_error", times=1)
        with pytest.raises(PartnerUnavailable):
            send(refund)
        refund.refresh_from_db()
        assert refund.key_generation == 2

        assert send(refund) is RefundStatus.DONE
        assert_all_agree(order, partners)
        assert partners.books(str(order.pk))["refunds"] == 1

    def test_a_saved_500_behind_which_the_money_went_back_is_found_and_not_paid_again(self, partners: Http) -> None:
        order = paid_order()
        partners.fault(partner="payments", operation="refunds.create", mode="saved_error_after", times=1)
        assert send(ask(order)) is RefundStatus.DONE
        assert Refund.objects.get().key_generation == 1
        assert partners.books(str(order.pk))["refunds"] == 1
        assert order.events.get(type=EventType.REFUNDED).data["resolved_by_lookup"] is True

    @pytest.mark.parametrize("mode", ["hang_before", "hang_after", "drop_after"])
    def test_after_silence_the_key_stays_because_the_request_may_be_under_way(
        self, partners: Http, settings: Settings, mode: str
    ) -> None:
        order = paid_order()
        refund = ask(order)
        settings.PARTNER_TIMEOUT_SECONDS = 0.4
        gateway.client.cache_clear()
        partners.fault(partner="payments", operation="refunds.create", mode=mode, seconds=5, times=1)
        with pytest.raises(PartnerUnavailable):
            send(refund)
        refund.refresh_from_db()
        assert refund.key_generation == 1

    def test_no_generation_is_raised_while_the_look_up_is_not_answered(self, partners: Http) -> None:
        order = paid_order()
        refund = ask(order)
        partners.fault(partner="payments", operation="refunds.create", mode="saved_error", times=1)
        partners.fault(partner="payments", operation="refunds.list", mode="error_before", times=1)
        with pytest.raises(PartnerUnavailable):
            send(refund)
        refund.refresh_from_db()
        assert refund.key_generation == 1

    def test_a_new_try_begins_with_a_key_of_its_own(self, partners: Http) -> None:
        order = paid_order()
        refund = ask(order)
        partners.fault(partner="payments", operation="refunds.create", mode="saved_error", times=1)
        with pytest.raises(PartnerUnavailable):
            send(refund)
        partners.fault(partner="payments", operation="refunds.create", mode="decline", times=1)
        assert send(refund) is RefundStatus.REFUSED
        again = refunding.retry(order.number, actor=TEST_ACTOR, reason="Again")
        assert (again.tries, again.key_generation) == (2, 1)


class TestSettledByHand:
    """A person's word ends a refund that the gateway may have made all the same."""

    def unanswered(self, order: Order, partners: Http, settings: Settings, *, mode: str) -> Refund:
        settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
        refund = ask(order)
        partners.fault(partner="payments", operation="refunds.create", mode=mode, times=1)
        with pytest.raises(PartnerUnavailable):
            send(refund)
        return refund

    def by_hand(self, order: Order) -> None:
        task = StaffTask.objects.get(order=order, kind=TaskKind.OUTCOME_UNKNOWN)
        resolving.resolve(task.pk, note="Paid by bank", reference="B-1", actor=TEST_ACTOR)

    def test_no_attempt_that_was_under_way_commits_and_the_gateway_is_read_when_it_is_over(
        self, partners: Http, settings: Settings
    ) -> None:
        order = paid_order()
        refund = self.unanswered(order, partners, settings, mode="drop_after")
        token = Refund.objects.get().token

        self.by_hand(order)

        assert Refund.objects.get().token == token + 1
        later = OutboxMessage.objects.get(topic=Topic.GATEWAY_EVENT)
        assert later.available_at > timezone.now() + timedelta(seconds=60)
        assert later.body == {"payment": payment(order).gateway_reference}
        assert send(refund) is RefundStatus.SETTLED

    def test_money_that_the_gateway_gave_back_too_is_booked_as_a_second_refund(
        self, partners: Http, settings: Settings
    ) -> None:
        order = paid_order()
        self.unanswered(order, partners, settings, mode="drop_after")
        self.by_hand(order)

        settle(order)
        settle(order)

        assert figures(order) == (1_000, 0, 1_000)
        task = StaffTask.objects.get(order=order, kind=TaskKind.REFUND_OUTSIDE)
        assert "a second time" in task.says
        assert "B-1" in task.says
        assert_all_agree(order, partners)

    def test_more_than_was_paid_is_what_the_customer_owes_us(self, partners: Http, settings: Settings) -> None:
        order = paid_order()
        settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
        refund = ask(order, TOTAL)
        partners.fault(partner="payments", operation="refunds.create", mode="drop_after", times=1)
        with pytest.raises(PartnerUnavailable):
            send(refund)
        self.by_hand(order)

        settle(order)
        settle(order)

        assert figures(order) == (TOTAL, 0, 0)
        assert balances(order) == {LedgerAccount.CUSTOMER: TOTAL, LedgerAccount.BY_HAND: -TOTAL}
        assert "more than was paid" in StaffTask.objects.get(order=order, kind=TaskKind.REFUND_OUTSIDE).says
        assert OrderEvent.objects.filter(order=order, type=EventType.REFUNDED_OUTSIDE).count() == 1
        assert_all_agree(order, partners)
