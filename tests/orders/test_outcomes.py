"""An undo that cannot end by itself: refused for good it is owed, unknown for too long it is a person's to find out."""

from collections.abc import Callable

import pytest
from django.db import transaction
from django.test import Client
from pytest_django.fixtures import Settings

from orders import fence
from orders.errors import CarrierRejected, InvalidInput, PartnerUnavailable, StaleAttempt, WrongState
from orders.models import Order, OutboxMessage, Payment, Refund, StaffTask, Step, StockItem
from orders.partners import carrier
from orders.partners import payments as gateway
from orders.services import invariants, payments, process, refunding, repaying, resolving, shipping, stock
from orders.vocabulary import (
    EventType,
    FailureType,
    OrderStatus,
    PaymentStatus,
    RefundStatus,
    StepName,
    StepStatus,
    TaskKind,
    TaskLevel,
    TaskStatus,
    Topic,
)
from tests.factories import TEST_ACTOR, begin_undo, make_prepared_order
from tests.orders.api_calls import token_client
from tests.orders.connections import PATIENCE, connections
from tests.orders.staff import make_user
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
OUTSTANDING = " \u2013 refund outstanding"
TOTAL = 2_000


@pytest.fixture
def order(partners: Http, settings: Settings) -> Order:
    """Charged, shipped, and told to be undone."""
    settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 3600
    order = make_prepared_order()
    payments.charge(str(order.pk), actor=TEST_ACTOR)
    shipping.ship(str(order.pk), actor=TEST_ACTOR)
    return order


def begin(order: Order, failure: FailureType = FailureType.CANCELLED) -> None:
    process.begin_undo(str(order.pk), failure_type=failure, message="Cancelled by anna: asked", actor=TEST_ACTOR)


def undo(order: Order, *steps: Callable[..., object]) -> Order:
    for step in steps or (shipping.undo_ship, payments.undo_charge, stock.release, process.close):
        step(str(order.pk), actor=TEST_ACTOR)
    order.refresh_from_db()
    return order


def assert_sound(order: Order) -> None:
    found = [*invariants.check_database(), *invariants.check_books()]
    # The stand-in run of these tests has no relay.
    assert [one for one in found if one.subject == order.number and one.invariant != "outbox"] == []


def refuse_refunds(partners: Http) -> None:
    partners.fault(partner="payments", operation="refunds.create", mode="decline", times=1)


def task_of(order: Order) -> StaffTask:
    return StaffTask.objects.get(order=order)


def step_of(order: Order, name: StepName) -> Step:
    return Step.objects.get(pk=fence.step_key(order.pk, name))


class TestRefusedForGood:
    def test_the_order_ends_and_says_everywhere_that_its_refund_is_outstanding(
        self, order: Order, partners: Http, client: Client
    ) -> None:
        refuse_refunds(partners)
        begin(order)
        assert undo(order).status == OrderStatus.CANCELLED

        task = task_of(order)
        assert (task.kind, task.level, task.status) == (TaskKind.REFUND_OWED, TaskLevel.LEAD, TaskStatus.OPEN)
        user = make_user("orders.view_order", "orders.refund_order", name="anna")
        client.force_login(user)
        page = client.get(f"/orders/{order.number}/").content.decode()
        assert f"Cancelled{OUTSTANDING}: £20.00 is owed to the customer." in page
        assert "Try the refund again" in page
        assert "<b>Payment</b> <span>Refund outstanding</span>" in page
        assert f"Cancelled{OUTSTANDING}" in client.get("/admin/orders/order/").content.decode()
        program = token_client(user=user)
        for row in (
            program.get(f"/api/orders/{order.number}/").json(),
            program.get("/api/orders/").json()["results"][0],
        ):
            assert row["status_words"] == f"Cancelled{OUTSTANDING}"
            assert row["refund_outstanding_minor"] == TOTAL
        why = program.get(f"/api/orders/{order.number}/why/").json()
        assert [act["command"] for act in why["can_act"]] == ["refund-retry"]
        assert_sound(order)

    def test_a_retry_that_succeeds_makes_it_plainly_cancelled(
        self, order: Order, partners: Http, client: Client
    ) -> None:
        refuse_refunds(partners)
        begin(order)
        undo(order)
        client.force_login(make_user("orders.view_order", "orders.refund_order", name="anna"))
        client.post(f"/orders/{order.number}/refund/retry/", {"reason": "The balance is filled"})
        assert OutboxMessage.objects.filter(topic=Topic.SEND_REFUND).count() == 1

        refund = Refund.objects.get(order=order)
        assert repaying.send(str(refund.pk), actor=TEST_ACTOR) is RefundStatus.DONE

        assert (task_of(order).status, partners.books(str(order.pk))["refunded_minor"]) == (TaskStatus.DONE, TOTAL)
        page = client.get(f"/orders/{order.number}/").content.decode()
        assert "refund outstanding" not in page
        assert "£20.00 went back to the customer" in page
        assert Payment.objects.get(order=order).status == PaymentStatus.REFUNDED
        assert_sound(order)

    def test_a_settlement_by_hand_does_so_too(self, order: Order, partners: Http) -> None:
        refuse_refunds(partners)
        begin(order)
        undo(order)

        resolving.resolve(task_of(order).pk, note="Paid by bank", reference="B-1", actor=TEST_ACTOR)

        order = Order.objects.select_related("payment").get(pk=order.pk)
        assert (order.refund_outstanding_minor, order.payment.status) == (0, PaymentStatus.REFUNDED)
        with pytest.raises(WrongState, match="No refund"):
            refunding.retry(order.number, actor=TEST_ACTOR, reason="Again")
        assert_sound(order)

    def test_a_failed_order_says_it_too(self, order: Order, partners: Http, client: Client) -> None:
        refuse_refunds(partners)
        begin(order, FailureType.OUTCOME_UNKNOWN)
        undo(order)
        client.force_login(make_user("orders.view_order", name="anna"))
        page = client.get(f"/orders/{order.number}/").content.decode()
        assert f"Failed: a partner did not answer in time{OUTSTANDING}: £20.00" in page

    def test_an_invariant_finds_a_debt_that_no_refund_names(self, order: Order, partners: Http) -> None:
        refuse_refunds(partners)
        begin(order)
        undo(order)
        Refund.objects.filter(order=order).update(amount_minor=1)
        broken = {one.invariant for one in invariants.check_database() if one.subject == order.number}
        assert {"ledger", "refunds"} <= broken


class TestUnknown:
    @pytest.fixture
    def silent(self, order: Order, partners: Http) -> Order:
        """Its gateway does not say whether the money went back."""
        partners.fault(partner="payments", mode="unavailable")
        begin(order)
        undo(order, shipping.undo_ship)
        return order

    def try_refund(self, order: Order) -> None:
        with pytest.raises(PartnerUnavailable):
            payments.undo_charge(str(order.pk), actor=TEST_ACTOR)

    def test_within_its_time_nobody_is_asked(self, silent: Order) -> None:
        self.try_refund(silent)
        assert not StaffTask.objects.exists()

    def test_after_it_one_task_says_what_is_not_known_its_key_and_since_when(
        self, silent: Order, settings: Settings
    ) -> None:
        settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
        self.try_refund(silent)
        since = step_of(silent, StepName.REFUND).begun_at
        self.try_refund(silent)
        task = task_of(silent)
        assert (task.kind, task.level) == (TaskKind.OUTCOME_UNKNOWN, TaskLevel.LEAD)
        for word in ("whether the payment was taken", f"{silent.pk}:refund", f"{since:%Y-%m-%d %H:%M} UTC"):
            assert word in task.says
        assert step_of(silent, StepName.REFUND).begun_at == since, "a retry does not make it younger"

    def test_a_step_whose_own_time_was_over_is_asked_about_at_once(self, order: Order, partners: Http) -> None:
        partners.fault(partner="payments", mode="unavailable")
        begin(order, FailureType.OUTCOME_UNKNOWN)
        undo(order, shipping.undo_ship)
        self.try_refund(order)
        assert task_of(order).kind == TaskKind.OUTCOME_UNKNOWN

    def test_an_answer_after_all_closes_the_task_and_the_order(
        self, silent: Order, partners: Http, settings: Settings
    ) -> None:
        settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
        self.try_refund(silent)
        partners.request("DELETE", "/faults")

        assert undo(silent, payments.undo_charge, stock.release, process.close).status == OrderStatus.CANCELLED

        assert task_of(silent).resolution == "The partner answered: the undo is done."
        assert_sound(silent)

    def test_a_persons_word_with_a_reference_lets_the_order_close(
        self, silent: Order, partners: Http, settings: Settings
    ) -> None:
        settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
        self.try_refund(silent)
        task = task_of(silent)
        with pytest.raises(InvalidInput, match="reference"):
            resolving.resolve(task.pk, note="Paid by bank", actor=TEST_ACTOR)

        resolving.resolve(task.pk, note="Paid by bank", reference="B-1", actor=TEST_ACTOR)

        assert undo(silent, payments.undo_charge, stock.release, process.close).status == OrderStatus.CANCELLED
        said = silent.events.get(type=EventType.SETTLED_BY_HAND)
        assert (said.reason, said.data["refunded_minor"]) == ("Paid by bank (reference B-1)", TOTAL)
        assert step_of(silent, StepName.REFUND).result == {"by_hand": "B-1"}
        partners.request("DELETE", "/faults")
        assert_sound(silent)

    def test_a_persons_word_about_a_payment_that_was_never_booked_books_no_money_back(
        self, partners: Http, settings: Settings
    ) -> None:
        settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
        order = make_prepared_order()
        partners.fault(partner="payments", mode="unavailable")
        with pytest.raises(PartnerUnavailable):
            payments.charge(str(order.pk), actor=TEST_ACTOR)
        begin(order)
        self.try_refund(order)

        resolving.resolve(task_of(order).pk, note="Nothing was taken", reference="M-1", actor=TEST_ACTOR)

        payment = Payment.objects.get(order=order)
        assert (payment.status, payment.captured_minor, payment.refunded_minor) == (PaymentStatus.VOIDED, 0, 0)
        assert not order.transfers.exists()
        assert undo(order, payments.undo_charge, stock.release, process.close).status == OrderStatus.CANCELLED
        partners.request("DELETE", "/faults")
        assert_sound(order)

    def test_an_attempt_that_hears_an_answer_after_the_persons_word_books_nothing(
        self, silent: Order, partners: Http, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
        self.try_refund(silent)
        partners.request("DELETE", "/faults")
        real = gateway.retrieve

        def stalled(intent: str) -> gateway.Intent:
            resolving.resolve(task_of(silent).pk, note="Paid", reference="B-1", actor=TEST_ACTOR)
            return real(intent)

        monkeypatch.setattr(gateway, "retrieve", stalled)
        with pytest.raises(StaleAttempt):
            payments.undo_charge(str(silent.pk), actor=TEST_ACTOR)
        assert Payment.objects.get(order=silent).refunded_minor == TOTAL
        assert not silent.events.filter(type=EventType.PAYMENT_UNDONE).exists()

    def test_a_task_whose_undo_has_ended_meanwhile_settles_nothing(self, silent: Order, settings: Settings) -> None:
        settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
        self.try_refund(silent)
        Step.objects.filter(order=silent, name=StepName.REFUND).update(status=StepStatus.DONE)
        with pytest.raises(WrongState, match="Nothing of this order is unknown"):
            resolving.resolve(task_of(silent).pk, note="Paid", reference="B-1", actor=TEST_ACTOR)

    def test_a_silent_carrier_is_settled_by_hand_and_the_pieces_come_back(
        self, order: Order, partners: Http, settings: Settings
    ) -> None:
        settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
        partners.fault(partner="carrier", mode="unavailable")
        begin(order)
        with pytest.raises(PartnerUnavailable):
            undo(order, shipping.undo_ship)
        task = task_of(order)
        assert "whether a parcel is booked" in task.says
        resolving.resolve(task.pk, note="Called them: it came back", reference="T-7", actor=TEST_ACTOR)

        undo(order)

        stocked = StockItem.objects.get()
        assert (stocked.on_hand, stocked.reserved, stocked.shipped) == (100, 0, 0)
        partners.request("DELETE", "/faults")
        assert_sound(order)

    def test_a_parcel_that_has_left_is_a_task_until_it_is_back(self, order: Order, partners: Http) -> None:
        assert partners.request("POST", f"/carrier/shipments/{order.id}:ship/advance")[0] == 200
        begin(order)
        for _ in range(2):
            with pytest.raises(CarrierRejected):
                undo(order, shipping.undo_ship)
        task = task_of(order)
        assert (task.kind, "in_transit" in task.says) == (TaskKind.PARCEL_LEFT, True)
        resolving.resolve(task.pk, note="On the shelf", reference="R-1", actor=TEST_ACTOR)
        assert undo(order).status == OrderStatus.CANCELLED
        assert_sound(order)

    def test_a_refund_of_a_completed_order_is_asked_about_too(
        self, order: Order, partners: Http, settings: Settings
    ) -> None:
        settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
        process.complete(str(order.pk), actor=TEST_ACTOR)
        refund = refunding.request(order.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
        partners.fault(partner="payments", mode="unavailable")
        with pytest.raises(PartnerUnavailable):
            repaying.send(str(refund.pk), actor=TEST_ACTOR)
        task = task_of(order)
        assert "refund of £5.00" in task.says
        resolving.resolve(task.pk, note="Paid by bank", reference="B-1", actor=TEST_ACTOR)
        assert repaying.send(str(refund.pk), actor=TEST_ACTOR) is RefundStatus.SETTLED
        partners.request("DELETE", "/faults")
        assert_sound(order)


@pytest.mark.django_db(transaction=True)
def test_a_word_that_meets_an_ending_attempt_is_asked_to_come_again(partners: Http, settings: Settings) -> None:
    """Both lock the step and the order, the other way round; waiting would be a deadlock."""
    settings.OUTCOME_UNKNOWN_AFTER_SECONDS = 0
    order = make_prepared_order()
    payments.charge(str(order.pk), actor=TEST_ACTOR)
    partners.fault(partner="payments", mode="unavailable")
    begin(order)
    with pytest.raises(PartnerUnavailable):
        payments.undo_charge(str(order.pk), actor=TEST_ACTOR)
    task = task_of(order)
    with transaction.atomic(), connections(1) as others:
        Step.objects.select_for_update().get(pk=fence.step_key(order.pk, StepName.REFUND))
        word = others.begin(resolving.resolve, task.pk, note="Paid", reference="B-1", actor=TEST_ACTOR)
        with pytest.raises(WrongState, match="look again"):
            word.result(PATIENCE)
    task.refresh_from_db()
    assert task.status == TaskStatus.OPEN


@pytest.mark.parametrize(
    ("partner", "operation", "act", "counted"),
    [
        ("payments", "payment_intents.confirm", "charge", "captures"),
        ("carrier", "shipments.book", "ship", "shipments_booked"),
        ("payments", "refunds.create", "undo_charge", "refunded_minor"),
    ],
)
def test_a_timeout_after_success_is_one_charge_one_label_and_one_refund(
    partners: Http, settings: Settings, partner: str, operation: str, act: str, counted: str
) -> None:
    settings.PARTNER_TIMEOUT_SECONDS = 0.5
    gateway.client.cache_clear()
    order = make_prepared_order()
    steps = {"charge": payments.charge, "ship": shipping.ship, "undo_charge": payments.undo_charge}
    for name, step in steps.items():
        if name == "undo_charge" != act:
            continue
        if name == "undo_charge":
            begin_undo(order)
        if name == act:
            partners.fault(partner=partner, operation=operation, mode="hang_after", seconds=5, times=1)
            with pytest.raises(PartnerUnavailable, match=r"Timeout|APIConnectionError"):
                step(str(order.pk), actor=TEST_ACTOR)
        step(str(order.pk), actor=TEST_ACTOR)
    books = partners.books(str(order.pk))
    assert books[counted] == (TOTAL if counted == "refunded_minor" else 1)
    assert partners.operations(str(order.pk)).count(operation.replace("confirm", "charge")) <= 1
    assert carrier.find(fence.step_key(order.pk, StepName.SHIP)) is not None or act == "charge"
