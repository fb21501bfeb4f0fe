"""Money after the fact: never more than was taken, never twice, by two people above a limit, and owed when refused."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders import history
from orders.actor import person
from orders.errors import InvalidInput, NotPermitted, PartnerUnavailable, StaleAttempt, WrongState
from orders.models import Approval, Order, OutboxMessage, Payment, Refund, StaffTask
from orders.partners import payments as gateway
from orders.services import approvals, deciding, invariants, payments, process, refunding, repaying, resolving, shipping
from orders.vocabulary import Channel, EventType, LedgerAccount, RefundStatus, TaskKind, TaskStatus, Topic
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, new_key, token_client
from tests.orders.connections import PATIENCE, connections, wait_for_a_blocked_connection
from tests.orders.staff import make_user
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
TOTAL = 2_000


@pytest.fixture
def order(partners: Http) -> Order:
    """A completed order of 20.00, as the gateway and the carrier know it too."""
    return completed(make_prepared_order())


def completed(order: Order) -> Order:
    for step in (payments.charge, shipping.ship, process.complete):
        step(str(order.pk), actor=TEST_ACTOR)
    order.refresh_from_db()
    return order


def ask(order: Order, amount: int = 500, **options: Any) -> Refund:
    asked = refunding.request(
        order.number, amount_minor=amount, **{"actor": TEST_ACTOR, "reason": "Broken lamp", **options}
    )
    assert isinstance(asked, Refund)
    return asked


def send(refund: Refund) -> RefundStatus:
    return repaying.send(str(refund.pk), actor=TEST_ACTOR)


def agent(name: str, *more: str) -> User:
    return make_user("orders.refund_order", "orders.view_refund", "orders.view_order", *more, name=name)


def assert_all_agree(order: Order, partners: Http, *, refunded: int, by_hand: int = 0) -> None:
    """The gateway, the ledger, the payment and the refunds say the same."""
    assert partners.books(str(order.pk))["refunded_minor"] == refunded
    payment = Payment.objects.get(order=order)
    assert payment.refunded_minor == refunded + by_hand
    balances = invariants.ledger_balances()[str(order.pk)]
    assert balances[LedgerAccount.GATEWAY] == TOTAL - refunded
    assert balances[LedgerAccount.SALES] == refunded + by_hand - TOTAL
    found = [one for one in (*invariants.check_database(), *invariants.check_books()) if one.invariant != "outbox"]
    # The stand-in run of these tests has no start and so no workflow; everything else must hold.
    assert [one for one in found if one.subject == order.number and one.invariant != "one run"] == []


def test_parts_and_then_the_rest_go_back_and_all_books_agree(order: Order, partners: Http) -> None:
    assert send(ask(order, 500)) is RefundStatus.DONE
    assert_all_agree(order, partners, refunded=500)

    assert send(ask(order, 1_500)) is RefundStatus.DONE

    assert_all_agree(order, partners, refunded=TOTAL)
    assert Payment.objects.get(order=order).status == "refunded"
    told = order.events.filter(type__in=[EventType.REFUND_ASKED, EventType.REFUNDED]).values_list("type", flat=True)
    assert sorted(told) == sorted([EventType.REFUND_ASKED, EventType.REFUNDED] * 2)
    with pytest.raises(InvalidInput, match="1 to 0"):
        ask(order, 1)


@pytest.mark.parametrize("amount", [0, -1, TOTAL + 1])
def test_an_amount_beyond_what_was_taken_is_refused_and_nothing_is_stored(order: Order, amount: int) -> None:
    with pytest.raises(InvalidInput, match=r"1 to 2000"):
        ask(order, amount)
    assert not Refund.objects.exists()
    assert not OutboxMessage.objects.filter(topic=Topic.SEND_REFUND).exists()


def test_only_a_completed_order_is_refunded(partners: Http) -> None:
    with pytest.raises(WrongState, match="only a completed order"):
        ask(make_prepared_order())


def test_the_database_itself_keeps_what_is_under_way_out_of_the_next_refund(order: Order) -> None:
    ask(order, 1_500)
    payment = Payment.objects.get(order=order)
    assert (payment.refunding_minor, payment.left_minor) == (1_500, 500)
    with pytest.raises(Exception, match="payment_refund_within_capture"):
        Payment.objects.filter(order=order).update(refunded_minor=501)


def test_the_second_person_is_told_who_was_first_while_it_is_open_and_after(order: Order, partners: Http) -> None:
    anna = person(agent("anna"), Channel.ADMIN)
    first = ask(order, 500, actor=anna, left_minor=TOTAL)
    with pytest.raises(WrongState, match=r"is requested already, asked for by anna at .* UTC"):
        ask(order, 500, left_minor=TOTAL)
    send(first)
    with pytest.raises(WrongState, match=r"15\.00 .* are left to refund, not .*20\.00; anna refunded at"):
        ask(order, 500, left_minor=TOTAL)
    assert Refund.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_people_who_refund_at_once_make_one_refund(partners: Http) -> None:
    order = completed(make_prepared_order())
    start, outcomes = threading.Barrier(2), []

    def press() -> None:
        try:
            start.wait(PATIENCE)
            outcomes.append(ask(order, 1_500).status)
        except WrongState as refusal:
            outcomes.append("already" if "already" in str(refusal) else str(refusal))
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(outcomes) == ["already", "requested"]
    assert Payment.objects.get(order=order).refunding_minor == 1_500


@pytest.mark.django_db(transaction=True)
def test_a_refund_waits_for_whoever_has_the_order_before_it_takes_the_payment(partners: Http) -> None:
    order = completed(make_prepared_order())
    with connections(1) as others:
        with transaction.atomic():
            history.lock_order(order.pk)
            asking = others.begin(ask, order)
            wait_for_a_blocked_connection()
            # Whoever ends another refund holds the order and wants the payment: the other way round is a deadlock.
            Payment.objects.select_for_update(nowait=True).get(order=order)
        assert asking.result(PATIENCE).status == RefundStatus.REQUESTED


def test_a_lost_answer_is_looked_up_and_not_sent_again(order: Order, partners: Http) -> None:
    refund = ask(order)
    partners.fault(partner="payments", operation="refunds.create", mode="drop_after", times=1)
    with pytest.raises(PartnerUnavailable):
        send(refund)
    # A gateway that has forgotten the key, as it does after a day, would pay a second time if it were asked again.
    Refund.objects.filter(pk=refund.pk).update(key="forgotten")

    assert send(refund) is RefundStatus.DONE

    assert_all_agree(order, partners, refunded=500)
    event = order.events.get(type=EventType.REFUNDED)
    assert event.data["resolved_by_lookup"] is True


def test_sending_again_asks_the_gateway_nothing(order: Order, partners: Http) -> None:
    refund = ask(order)
    send(refund)
    partners.fault(partner="payments", mode="error_before")
    assert send(refund) is RefundStatus.DONE


def test_an_attempt_that_lost_its_claim_moves_and_books_nothing(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    refund, real = ask(order), gateway.refund

    def stalled(*arguments: Any, **options: Any) -> str:
        monkeypatch.setattr(gateway, "refund", real)
        assert send(refund) is RefundStatus.DONE  # another attempt overtakes this one
        return real(*arguments, **options)

    monkeypatch.setattr(gateway, "refund", stalled)
    with pytest.raises(StaleAttempt):
        send(refund)
    assert_all_agree(order, partners, refunded=500)


@pytest.mark.parametrize(("answer", "refunded"), [(RefundStatus.REFUSED, 0), (RefundStatus.DONE, 500)])
def test_an_answer_that_comes_after_a_later_attempt_has_begun_is_not_the_last_word(
    order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch, answer: RefundStatus, refunded: int
) -> None:
    refund, real = ask(order), gateway.refund

    def stalled(*arguments: Any, **options: Any) -> str:
        monkeypatch.setattr(gateway, "refund", real)
        # A later attempt claims the refund and gets no answer; from now on the refund is its own.
        partners.fault(partner="payments", mode="error_before", times=1)
        with pytest.raises(PartnerUnavailable):
            send(refund)
        if answer is RefundStatus.REFUSED:
            refuse(partners)
        return real(*arguments, **options)

    monkeypatch.setattr(gateway, "refund", stalled)
    with pytest.raises(StaleAttempt):
        send(refund)

    assert Payment.objects.get(order=order).refunded_minor == 0
    assert not StaffTask.objects.filter(order=order).exists()
    assert not order.events.filter(type__in=[EventType.REFUNDED, EventType.REFUND_REFUSED]).exists()
    monkeypatch.setattr(gateway, "refund", real)
    assert send(refund) is answer
    assert_all_agree(order, partners, refunded=refunded)


def test_a_refund_that_a_person_settles_while_it_is_looked_up_is_not_paid_by_the_gateway_too(
    order: Order, partners: Http, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
    refund, real = ask(order), gateway.refunds_of
    partners.fault(partner="payments", operation="refunds.create", mode="error_before", times=1)
    with pytest.raises(PartnerUnavailable):
        send(refund)
    task = StaffTask.objects.get(order=order, kind=TaskKind.OUTCOME_UNKNOWN)

    def settled_meanwhile(*arguments: Any, **options: Any) -> list[gateway.GatewayRefund]:
        found = real(*arguments, **options)
        resolving.resolve(task.pk, note="Paid by bank", reference="B-1", actor=TEST_ACTOR)
        return found

    monkeypatch.setattr(gateway, "refunds_of", settled_meanwhile)
    with pytest.raises(StaleAttempt):
        send(refund)

    assert send(refund) is RefundStatus.SETTLED
    assert_all_agree(order, partners, refunded=0, by_hand=500)


def refuse(partners: Http) -> None:
    partners.fault(partner="payments", operation="refunds.create", mode="decline", times=1)


def test_a_refusal_is_owed_until_a_retry_under_a_new_key_succeeds(order: Order, partners: Http, client: Client) -> None:
    refund = ask(order)
    refuse(partners)
    assert send(refund) is RefundStatus.REFUSED

    task = StaffTask.objects.get(order=order)
    assert (task.kind, task.level, task.status) == (TaskKind.REFUND_OWED, "lead", TaskStatus.OPEN)
    assert "balance_insufficient" in task.says
    client.force_login(agent("anna"))
    assert "a refund is owed" in client.get(f"/orders/{order.number}/").content.decode()
    payment = client.get(f"/api/orders/{order.number}/").json()["payment"]
    assert (payment["refunded_minor"], payment["refunding_minor"], payment["owed_minor"]) == (0, 500, 500)
    assert send(refund) is RefundStatus.REFUSED, "nobody decided anything"

    client.post(f"/orders/{order.number}/refund/retry/", {"reason": "Balance is filled"})
    again = Refund.objects.get()
    assert again.key != refund.key
    assert send(refund) is RefundStatus.DONE
    assert_all_agree(order, partners, refunded=500)
    task.refresh_from_db()
    assert (task.status, task.resolution) == (TaskStatus.DONE, "The gateway gave the money back.")


def test_whoever_tries_a_refused_refund_again_answers_for_it(order: Order, partners: Http) -> None:
    anna, ben = agent("anna"), agent("ben")
    refund = ask(order, actor=person(anna, Channel.ADMIN))
    refuse(partners)
    send(refund)
    anna.user_permissions.clear()

    refunding.retry(order.number, actor=person(ben, Channel.ADMIN), reason="Balance is filled")

    assert send(refund) is RefundStatus.DONE
    assert_all_agree(order, partners, refunded=500)


def test_a_refusal_is_settled_by_hand_with_a_reference_once(order: Order, partners: Http) -> None:
    refund = ask(order)
    refuse(partners)
    send(refund)
    task = StaffTask.objects.get(order=order)
    with pytest.raises(InvalidInput, match="reference"):
        resolving.resolve(task.pk, note="Paid by bank", actor=TEST_ACTOR)

    resolving.resolve(task.pk, note="Paid by bank", reference="B-1", actor=TEST_ACTOR)

    assert send(refund) is RefundStatus.SETTLED
    assert_all_agree(order, partners, refunded=0, by_hand=500)
    assert invariants.ledger_balances()[str(order.pk)][LedgerAccount.BY_HAND] == -500
    with pytest.raises(WrongState, match=r"No refund .* is refused"):
        refunding.retry(order.number, actor=TEST_ACTOR, reason="Again")


def test_whoever_lost_the_permission_meanwhile_refunds_nothing(order: Order, partners: Http) -> None:
    anna = agent("anna")
    refund = ask(order, actor=person(anna, Channel.ADMIN))
    anna.user_permissions.clear()

    assert send(refund) is RefundStatus.DROPPED

    assert_all_agree(order, partners, refunded=0)
    assert Payment.objects.get(order=order).refunding_minor == 0
    with pytest.raises(NotPermitted):
        ask(order, actor=person(User.objects.get(pk=anna.pk), Channel.API))


class TestTwoPeople:
    """Above the limit, which many small refunds reach too."""

    @pytest.fixture(autouse=True)
    def limit(self, settings: Settings) -> None:
        settings.REFUND_SECOND_PERSON_OVER_MINOR = 800

    def lead(self, name: str) -> User:
        return agent(name, "orders.decide_approval")

    def ask(self, order: Order, user: User, amount: int = 900) -> Approval:
        asked = refunding.request(
            order.number, amount_minor=amount, actor=person(user, Channel.ADMIN), reason="Broken lamp"
        )
        assert isinstance(asked, Approval)
        return asked

    def test_nothing_is_sent_before_a_second_person_agrees(self, order: Order, partners: Http) -> None:
        anna, ben = self.lead("anna"), self.lead("ben")
        approval = self.ask(order, anna)
        assert not Refund.objects.exists()
        with pytest.raises(WrongState, match="waits for a second person, asked for by anna"):
            ask(order, 100)
        with pytest.raises(NotPermitted):
            deciding.approve(approval.pk, actor=person(anna, Channel.ADMIN))

        deciding.approve(approval.pk, actor=person(ben, Channel.ADMIN))

        assert send(Refund.objects.get()) is RefundStatus.DONE
        assert_all_agree(order, partners, refunded=900)

    def test_both_are_asked_for_the_permission_again_before_it_is_sent(self, order: Order, partners: Http) -> None:
        anna, ben = self.lead("anna"), self.lead("ben")
        deciding.approve(self.ask(order, anna).pk, actor=person(ben, Channel.ADMIN))
        ben.user_permissions.clear()

        assert send(Refund.objects.get()) is RefundStatus.DROPPED
        assert_all_agree(order, partners, refunded=0)

    def test_small_refunds_add_up_to_one_that_needs_two(self, order: Order, partners: Http) -> None:
        anna = self.lead("anna")
        send(ask(order, 500, actor=person(anna, Channel.ADMIN)))
        self.ask(order, anna, 301)

    def test_exactly_the_limit_takes_one_person(self, order: Order) -> None:
        assert ask(order, 800).amount_minor == 800

    def test_what_two_people_gave_back_does_not_count_against_one_alone(self, order: Order, partners: Http) -> None:
        deciding.approve(self.ask(order, self.lead("anna")).pk, actor=person(self.lead("ben"), Channel.ADMIN))
        send(Refund.objects.get())

        assert send(ask(order, 500)) is RefundStatus.DONE

        assert_all_agree(order, partners, refunded=1_400)

    def test_what_was_dropped_does_not_count_against_one_alone(self, order: Order, partners: Http) -> None:
        anna = self.lead("anna")
        dropped = ask(order, 500, actor=person(anna, Channel.ADMIN))
        anna.user_permissions.clear()
        assert send(dropped) is RefundStatus.DROPPED

        assert send(ask(order, 500)) is RefundStatus.DONE

    def test_an_approval_is_void_while_another_refund_is_open(self, order: Order, partners: Http) -> None:
        approval = self.ask(order, self.lead("anna"))
        with time_machine.travel(timezone.now() + approvals.LIFE + timedelta(seconds=1), tick=False):
            ask(order, 100)  # by then nobody could agree to the first one any more

        # On a machine whose clock is late, somebody still can.
        with pytest.raises(WrongState, match=r"£1\.00 .* is requested already"):
            deciding.approve(approval.pk, actor=person(self.lead("ben"), Channel.ADMIN))

        approval.refresh_from_db()
        assert (approval.status, Refund.objects.get().amount_minor) == ("void", 100)

    def test_what_is_not_there_any_more_is_void(
        self, order: Order, partners: Http, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        approval = self.ask(order, self.lead("anna"), TOTAL)
        Payment.objects.filter(order=order).update(refunding_minor=1_000)
        with pytest.raises(WrongState, match=r"Only .*10\.00 are left"):
            deciding.approve(approval.pk, actor=person(self.lead("ben"), Channel.ADMIN))
        approval.refresh_from_db()
        assert approval.status == "void"


def test_a_program_refunds_once_however_often_it_sends_the_key(order: Order, partners: Http) -> None:
    client = token_client(user=agent("anna"))
    address, key, body = f"/api/orders/{order.number}/refunds/", new_key(), {"amount_minor": 500, "reason": "Broken"}

    def post(**changes: Any) -> Any:
        return client.post(
            address, {**body, **changes}, content_type="application/json", headers={"Idempotency-Key": key}
        )

    first = post()
    assert (first.status_code, first.json()["status"], first.json()["requested_by"]) == (202, "requested", "anna")
    assert post().json()["id"] == first.json()["id"]
    key = new_key()
    assert_problem(post(), 409, None, "asked for by anna", "UTC")
    send(Refund.objects.get())
    assert_problem(post(amount_minor=1_501), 400, "amount_minor", "1500")
    assert_problem(post(left_minor=TOTAL), 409, None, "anna refunded at")
    assert [one["status"] for one in client.get(address).json()] == ["done"]


def test_the_page_shows_the_ceiling_and_a_double_click_is_told(order: Order, partners: Http, client: Client) -> None:
    client.force_login(agent("anna"))
    page = f"/orders/{order.number}/refund/"
    assert "Refund…" in client.get(f"/orders/{order.number}/").content.decode()
    text = client.get(page).content.decode()
    assert "20.00" in text
    form = {"amount": "5.00", "left_minor": "2000", "reason": "Broken lamp"}
    assert "goes to the gateway" in client.post(page, form, follow=True).content.decode()
    assert "asked for by anna at" in client.post(page, form, follow=True).content.decode()
    refund = Refund.objects.get()
    assert refund.amount_minor == 500
    send(refund)
    shown = client.get(f"/orders/{order.number}/").content.decode()
    assert "5.00 went back to the customer" in shown
    client.force_login(make_user("orders.view_order", name="viewer"))
    assert "Refund…" not in client.get(f"/orders/{order.number}/").content.decode()
    assert client.get(page).status_code == 403


def test_a_refund_that_our_tables_forgot_is_found(order: Order, partners: Http) -> None:
    intent = Payment.objects.get(order=order).gateway_reference
    gateway.refund(intent, amount_minor=100, key="stray", order=str(order.pk))
    assert any("the gateway holds 1900" in one.detail for one in invariants.check_books())
    Payment.objects.filter(order=order).update(refunded_minor=100)
    assert [one.subject for one in invariants.refunds_add_up()] == [order.number]


def test_a_completed_order_without_a_refund_offers_no_retry() -> None:
    order = driving.drive(make_order())
    with pytest.raises(WrongState, match="No refund"):
        refunding.retry(order.number, actor=TEST_ACTOR, reason="Why not")


@pytest.mark.parametrize("mode", ["hang_after", "drop_after"])
def test_a_refund_that_timed_out_after_it_was_made_is_made_once(
    order: Order, partners: Http, settings: Settings, mode: str
) -> None:
    refund = ask(order)
    settings.PARTNER_TIMEOUT_SECONDS = 0.4
    gateway.client.cache_clear()
    partners.fault(partner="payments", operation="refunds.create", mode=mode, seconds=60, times=1)
    with pytest.raises(PartnerUnavailable):
        send(refund)
    settings.PARTNER_TIMEOUT_SECONDS = 10
    gateway.client.cache_clear()
    Refund.objects.filter(pk=refund.pk).update(key="forgotten")

    assert send(refund) is RefundStatus.DONE

    assert_all_agree(order, partners, refunded=500)
