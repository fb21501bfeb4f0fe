"""Goods that come back: never more than left, restocked once, paid as counted and never beyond what was taken."""

import itertools
import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders import history
from orders.actor import Actor, person
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Approval, Command, LedgerTransfer, Order, Payment, Refund, ReturnCase, StaffTask, StockItem
from orders.partners.payments import RefundRefused
from orders.services import approvals, deciding, erasing, invariants, placing, refunding, repaying, resolving, returning
from orders.services.returning import Announced, Received, share_minor
from orders.vocabulary import Channel, EventType, OrderStatus, RefundStatus, ReturnStatus
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders import driving
from tests.orders.connections import PATIENCE, connections, wait_for_a_blocked_connection
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
#: three lamps of 3.3333 and two mugs of 10.00
LAMPS, MUGS, TOTAL = 1, 2, 3_000


def make_completed() -> Order:
    """A completed order of 5 pieces in two lines, whose first line does not divide evenly: 3 pieces for 10.00."""
    lamp, mug = make_product(unit_price="3.3333"), make_product(unit_price="10.00")
    order = placing.place(
        placing.NewOrder(
            currency="GBP",
            payment_method="pm_card_visa",
            ship_to_country="GB",
            customer=placing.NewCustomer(reference=f"C-{lamp.sku}", name="Ada Buyer"),
            lines=(placing.NewLine(sku=lamp.sku, quantity=3), placing.NewLine(sku=mug.sku, quantity=2)),
        ),
        actor=TEST_ACTOR,
    )
    return driving.drive(order)


@pytest.fixture
def order() -> Order:
    return make_completed()


def announce(order: Order, *, actor: Actor = TEST_ACTOR, **pieces: int) -> ReturnCase:
    """`lamps=2` announces two pieces of the first line."""
    lines = [
        Announced(position=position, quantity=pieces[name])
        for name, position in (("lamps", LAMPS), ("mugs", MUGS))
        if name in pieces
    ]
    return returning.announce(order.number, lines=lines, actor=actor, reason="Too dark")


def receive(case: ReturnCase, *, actor: Actor = TEST_ACTOR, **pieces: int) -> ReturnCase:
    lines = [
        Received(position=position, received=pieces[name])
        for name, position in (("lamps", LAMPS), ("mugs", MUGS))
        if name in pieces
    ]
    return returning.receive(case.pk, lines=lines, actor=actor, reason="Parcel 7")


def pay(case: ReturnCase, amount: int, *, actor: Actor = TEST_ACTOR) -> Refund:
    asked = returning.refund(case.pk, amount_minor=amount, actor=actor, reason="Came back")
    assert isinstance(asked, Refund)
    return asked


def send(refund: Refund, *, refused: bool = False) -> RefundStatus:
    with driving.partners(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(repaying.gateway, "refunds_of", lambda *_: [])
        if refused:
            patch.setattr(repaying.gateway, "refund", _refuse)
        return repaying.send(str(refund.pk), actor=TEST_ACTOR)


def _refuse(*arguments: Any, **options: Any) -> str:
    raise RefundRefused("balance_insufficient")


def stock_of(order: Order, position: int) -> tuple[int, int]:
    """(on hand, shipped); 100 pieces were there."""
    item = StockItem.objects.get(product=order.lines.get(position=position).product)
    return item.on_hand, item.shipped


def status_of(case: ReturnCase) -> str:
    return ReturnCase.objects.values_list("status", flat=True).get(pk=case.pk)


def sentence(order: Order, user: User | None = None) -> str:
    client = Client()
    client.force_login(user or viewer())
    return str(client.get(f"/api/orders/{order.number}/why/").json()["headline"])


def viewer() -> User:
    found = User.objects.filter(username="viewer").first()
    return found or make_user("orders.view_order", "orders.view_returncase", name="viewer")


def agent(name: str, *more: str) -> User:
    return make_user(
        "orders.announce_return",
        "orders.receive_return",
        "orders.refund_order",
        "orders.view_order",
        "orders.view_returncase",
        *more,
        name=name,
    )


def assert_sound(order: Order) -> None:
    """Nothing is wrong from outside, the order's stand-in run and unsent messages aside."""
    found = [one for one in invariants.check_database() if one.invariant not in {"outbox", "one run"}]
    assert found == []
    payment = Payment.objects.get(order=order)
    assert payment.refunded_minor + payment.refunding_minor <= payment.captured_minor


def test_two_of_five_pieces_come_back_and_are_paid_as_counted(order: Order) -> None:
    case = announce(order, lamps=2, mugs=1)
    assert sentence(order) == "Completed; 3 pieces are announced to come back."
    assert stock_of(order, LAMPS) == (97, 3)

    receive(case, lamps=1, mugs=1)

    assert (stock_of(order, LAMPS), stock_of(order, MUGS)) == ((98, 2), (99, 1))
    assert sentence(order) == "Completed; 2 of 5 pieces came back, £13.33 not refunded yet."
    refund = pay(case, 1_333)
    assert status_of(case) == ReturnStatus.RECEIVED, "the money has not gone back"
    assert send(refund) is RefundStatus.DONE

    assert status_of(case) == ReturnStatus.REFUNDED
    assert sentence(order) == "Completed; 2 of 5 pieces came back, £13.33 refunded."
    told = list(order.events.order_by("sequence").values_list("type", flat=True))[-4:]
    assert told == [
        EventType.RETURN_ANNOUNCED,
        EventType.RETURN_RECEIVED,
        EventType.REFUND_ASKED,
        EventType.REFUNDED,
    ]
    kinds = Command.objects.filter(order=order).order_by("created_at").values_list("kind", flat=True)
    assert list(kinds)[-3:] == ["return_announce", "return_receive", "return_refund"]
    assert_sound(order)


def test_what_did_not_come_can_be_announced_again_and_the_parts_add_up_to_the_line(order: Order) -> None:
    shares = []
    for _ in range(3):
        case = receive(announce(order, lamps=order.lines.get(position=LAMPS).returnable), lamps=1)
        shares.append(case.due_minor())
        send(pay(case, case.due_minor()))

    assert sorted(shares) == [333, 333, 334]
    assert sum(shares) == order.lines.get(position=LAMPS).total_minor
    assert sentence(order) == "Completed; 3 of 5 pieces came back, £10.00 refunded."
    with pytest.raises(InvalidInput, match="1 is not within 1 to 0 pieces"):
        announce(order, lamps=1)
    assert_sound(order)


@pytest.mark.parametrize(("quantity", "total"), [(3, 1_000), (7, 1), (1, 999), (1_000_000, 99_999_999)])
def test_shares_of_a_line_add_up_to_its_total_however_it_is_cut(order: Order, quantity: int, total: int) -> None:
    line = order.lines.get(position=LAMPS)
    line.quantity, line.total_minor = quantity, total
    cuts = [0, quantity // 3, quantity // 2, quantity]
    parts = [share_minor(line, before=a, pieces=b - a) for a, b in itertools.pairwise(cuts)]
    assert sum(parts) == total
    assert min(parts) >= 0


class TestAnnounce:
    @pytest.mark.parametrize("pieces", [{"lamps": 4}, {"lamps": 0}, {"lamps": -1}, {}])
    def test_more_than_left_or_nothing_is_refused_and_nothing_is_stored(
        self, order: Order, pieces: dict[str, int]
    ) -> None:
        with pytest.raises(InvalidInput):
            announce(order, **pieces)
        assert not ReturnCase.objects.exists()
        assert order.lines.get(position=LAMPS).awaited == 0

    @pytest.mark.parametrize(
        ("lines", "says"),
        [
            ([(9, 1)], "has no line 9"),
            ([(1, 1), (1, 1)], "named more than once"),
            ([(n, 1) for n in range(1, 202)], "200 at most"),
        ],
    )
    def test_lines_that_cannot_be_are_named(self, order: Order, lines: list[tuple[int, int]], says: str) -> None:
        with pytest.raises(InvalidInput, match=says):
            returning.announce(
                order.number,
                lines=[Announced(position=position, quantity=pieces) for position, pieces in lines],
                actor=TEST_ACTOR,
                reason="Too dark",
            )
        assert not ReturnCase.objects.exists()

    def test_only_goods_of_a_completed_order_come_back(self) -> None:
        with pytest.raises(WrongState, match="only goods of a completed order"):
            announce(make_order(), lamps=1)

    @pytest.mark.django_db(transaction=True)
    def test_of_two_people_who_announce_at_once_the_second_is_told_who_was_first(self) -> None:
        order = make_completed()
        with connections(1) as others:
            with transaction.atomic():
                history.lock_order(order.pk)
                announcing = others.begin(announce, order, mugs=1)
                wait_for_a_blocked_connection()
                announce(order, lamps=1)
            with pytest.raises(WrongState, match="is open already: announced by test at"):
                announcing.result(PATIENCE)
        assert ReturnCase.objects.get().lines.get().announced == 1

    def test_an_order_has_one_open_return_and_the_second_person_is_told_who_was_first(self, order: Order) -> None:
        announce(order, lamps=1, actor=person(agent("anna"), Channel.ADMIN))
        with pytest.raises(WrongState, match=r"open already: announced by anna at .* UTC"):
            announce(order, mugs=1)
        assert ReturnCase.objects.count() == 1

    def test_it_needs_its_permission(self, order: Order) -> None:
        with pytest.raises(NotPermitted):
            announce(order, lamps=1, actor=person(make_user("orders.receive_return"), Channel.API))


class TestReceive:
    def test_more_than_announced_is_refused_and_nothing_is_restocked(self, order: Order) -> None:
        case = announce(order, lamps=2)
        for pieces, says in (
            ({"lamps": 3}, "not within 0 to the 2"),
            ({"mugs": 1}, "was not announced"),
            ({"lamps": 0}, "withdraw"),
        ):
            with pytest.raises(InvalidInput, match=says):
                receive(case, **pieces)
        assert (status_of(case), stock_of(order, LAMPS)) == (ReturnStatus.ANNOUNCED, (97, 3))

    def test_pieces_that_cannot_be_sold_stay_out_of_the_stock_and_are_paid(self, order: Order) -> None:
        case = announce(order, mugs=2)
        broken = Received(position=MUGS, received=2, unsellable=1, unsellable_reason="damaged")
        returning.receive(case.pk, lines=[broken], actor=TEST_ACTOR, reason="Parcel 7")
        assert stock_of(order, MUGS) == (99, 1)
        assert case.due_minor() == 2_000
        assert_sound(order)

    @pytest.mark.parametrize(
        ("unsellable", "reason"), [(1, ""), (0, "damaged"), (1, "smells"), (3, "damaged"), (-1, "damaged")]
    )
    def test_unsellable_pieces_need_a_known_reason_and_are_among_those_that_came(
        self, order: Order, unsellable: int, reason: str
    ) -> None:
        case = announce(order, mugs=2)
        line = Received(position=MUGS, received=2, unsellable=unsellable, unsellable_reason=reason)
        with pytest.raises(InvalidInput):
            returning.receive(case.pk, lines=[line], actor=TEST_ACTOR, reason="Parcel 7")
        assert stock_of(order, MUGS) == (98, 2)

    def test_a_second_click_is_told_and_restocks_nothing(self, order: Order) -> None:
        case = receive(announce(order, lamps=2), lamps=2, actor=person(agent("anna"), Channel.ADMIN))
        with pytest.raises(WrongState, match=r"is received: received by anna at .* UTC"):
            receive(case, lamps=2)
        assert stock_of(order, LAMPS) == (99, 1)

    def test_the_database_itself_lets_a_line_be_received_once(self, order: Order) -> None:
        line = receive(announce(order, lamps=2), lamps=1).lines.get()
        with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
            type(line).objects.filter(pk=line.pk).update(restocked=0, unsellable_reason="other")

    @pytest.mark.django_db(transaction=True)
    def test_whoever_receives_waits_for_the_order_before_they_take_the_return(self) -> None:
        order = make_completed()
        case = announce(order, lamps=1)
        with connections(1) as others:
            with transaction.atomic():
                history.lock_order(order.pk)
                receiving = others.begin(receive, case, lamps=1)
                wait_for_a_blocked_connection()
                # Whoever ends its refund holds the order and wants the return: the other way round is a deadlock.
                ReturnCase.objects.select_for_update(nowait=True).get(pk=case.pk)
            receiving.result(PATIENCE)
        assert status_of(case) == ReturnStatus.RECEIVED

    @pytest.mark.django_db(transaction=True)
    def test_two_people_who_receive_at_once_restock_once(self) -> None:
        order = make_completed()
        case = announce(order, lamps=2)
        start, outcomes = threading.Barrier(2), []

        def press() -> None:
            try:
                start.wait(PATIENCE)
                outcomes.append(receive(case, lamps=2).status)
            except WrongState as refusal:
                outcomes.append("told" if "received by" in str(refusal) else str(refusal))
            finally:
                connection.close()

        threads = [threading.Thread(target=press) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert sorted(outcomes) == ["received", "told"]
        assert stock_of(order, LAMPS) == (99, 1)

    def test_it_needs_its_permission(self, order: Order) -> None:
        case = announce(order, lamps=1)
        with pytest.raises(NotPermitted):
            receive(case, lamps=1, actor=person(make_user("orders.announce_return"), Channel.API))


class TestWithdraw:
    def test_its_pieces_may_be_announced_again(self, order: Order) -> None:
        case = announce(order, lamps=3)
        returning.withdraw(case.pk, actor=TEST_ACTOR, reason="Keeps them")
        assert status_of(case) == ReturnStatus.WITHDRAWN
        assert announce(order, lamps=3).status == ReturnStatus.ANNOUNCED
        with pytest.raises(WrongState, match="is withdrawn: withdrawn by test"):
            receive(case, lamps=1)
        assert_sound(order)

    def test_what_came_cannot_be_withdrawn(self, order: Order) -> None:
        case = receive(announce(order, lamps=1), lamps=1)
        with pytest.raises(WrongState, match="is received"):
            returning.withdraw(case.pk, actor=TEST_ACTOR, reason="Keeps them")

    def test_it_needs_its_permission(self, order: Order) -> None:
        case = announce(order, lamps=1)
        with pytest.raises(NotPermitted):
            returning.withdraw(case.pk, actor=person(make_user("orders.receive_return"), Channel.API), reason="No")


class TestRefund:
    def test_only_the_sum_that_is_due_is_refunded(self, order: Order) -> None:
        case = receive(announce(order, mugs=1), mugs=1)
        for amount in (999, 1_001, 3_000):
            with pytest.raises(WrongState, match=r"£10\.00 are to be refunded for what came back"):
                pay(case, amount)
        assert not Refund.objects.exists()

    def test_nothing_is_refunded_before_the_pieces_came(self, order: Order) -> None:
        with pytest.raises(WrongState, match="is announced"):
            pay(announce(order, mugs=1), 1_000)

    def test_the_second_person_is_told_who_was_first_while_it_is_open_and_after(self, order: Order) -> None:
        case = receive(announce(order, mugs=1), mugs=1)
        refund = pay(case, 1_000, actor=person(agent("anna"), Channel.ADMIN))
        with pytest.raises(WrongState, match=r"is requested already, asked for by anna at"):
            pay(case, 1_000)
        send(refund)
        with pytest.raises(WrongState, match=r"is refunded: refunded by anna at"):
            pay(case, 1_000)

    def test_never_more_than_is_left_of_what_was_taken(self, order: Order) -> None:
        goodwill = refunding.request(order.number, amount_minor=2_500, actor=TEST_ACTOR, reason="Sorry")
        assert isinstance(goodwill, Refund)
        send(goodwill)
        case = receive(announce(order, mugs=2), mugs=2)
        assert sentence(order) == "Completed; 2 of 5 pieces came back, £5.00 not refunded yet."
        with pytest.raises(WrongState, match=r"£5\.00 are to be refunded"):
            pay(case, 2_000)

        send(pay(case, 500))

        assert status_of(case) == ReturnStatus.REFUNDED
        last = receive(announce(order, lamps=3), lamps=3)
        assert sentence(order) == "Completed; 5 of 5 pieces came back, and nothing is left to refund."
        with pytest.raises(WrongState, match="Nothing is left"):
            pay(last, 1_000)
        assert_sound(order)
        returning.close(last.pk, actor=TEST_ACTOR, reason="Had been paid")
        assert sentence(order) == "Completed; 5 of 5 pieces came back, £30.00 refunded."
        assert_sound(order)

    def test_a_refusal_is_owed_and_settled_by_hand(self, order: Order) -> None:
        case = receive(announce(order, mugs=1), mugs=1)
        assert send(pay(case, 1_000), refused=True) is RefundStatus.REFUSED
        assert status_of(case) == ReturnStatus.RECEIVED
        assert "a refund is owed" in sentence(order)
        with pytest.raises(WrongState, match="under way or owed"):
            returning.close(case.pk, actor=TEST_ACTOR, reason="Never mind")
        assert_sound(order)

        resolving.resolve(StaffTask.objects.get(order=order).pk, note="By bank", reference="B-1", actor=TEST_ACTOR)

        assert status_of(case) == ReturnStatus.REFUNDED
        assert_sound(order)

    def test_a_dropped_refund_leaves_the_return_unrefunded_with_a_way_on(self, order: Order) -> None:
        case = receive(announce(order, mugs=1), mugs=1)
        anna = agent("anna")
        refund = pay(case, 1_000, actor=person(anna, Channel.ADMIN))
        anna.user_permissions.clear()
        assert send(refund) is RefundStatus.DROPPED
        assert sentence(order) == "Completed; 1 of 5 pieces came back, £10.00 not refunded yet."
        assert send(pay(case, 1_000)) is RefundStatus.DONE
        assert status_of(case) == ReturnStatus.REFUNDED
        assert_sound(order)

    def test_the_database_itself_pays_a_return_once(self, order: Order) -> None:
        case = receive(announce(order, mugs=1), mugs=1)
        refund = pay(case, 1_000)
        send(refund)
        with pytest.raises(DatabaseError, match="refund_one_for_a_return"), transaction.atomic():
            Refund.objects.create(
                order=order, amount_minor=1, currency="GBP", key="k", channel="api", actor="x", return_case=case
            )

    def test_it_needs_its_permission(self, order: Order) -> None:
        case = receive(announce(order, mugs=1), mugs=1)
        clerk = person(make_user("orders.receive_return"), Channel.API)
        with pytest.raises(NotPermitted):
            pay(case, 1_000, actor=clerk)
        with pytest.raises(NotPermitted):
            returning.close(case.pk, actor=clerk, reason="No")


class TestTwoPeople:
    """A return above the limit of refunds."""

    @pytest.fixture(autouse=True)
    def limit(self, settings: Settings) -> None:
        settings.REFUND_SECOND_PERSON_OVER_MINOR = 800

    @pytest.fixture
    def case(self, order: Order) -> ReturnCase:
        return receive(announce(order, mugs=1), mugs=1)

    def ask(self, case: ReturnCase, name: str = "anna") -> Approval:
        asked = returning.refund(
            case.pk, amount_minor=1_000, actor=person(agent(name), Channel.ADMIN), reason="Came back"
        )
        assert isinstance(asked, Approval)
        return asked

    def lead(self) -> Actor:
        return person(agent("ben", "orders.decide_approval"), Channel.ADMIN)

    def test_the_money_goes_back_after_a_second_person_agreed(self, order: Order, case: ReturnCase) -> None:
        approval = self.ask(case)
        assert "for what came back" in approval.says
        assert not Refund.objects.exists()
        with pytest.raises(WrongState, match="waits for a second person, asked for by anna"):
            pay(case, 1_000)
        with pytest.raises(WrongState, match="waits for a second person"):
            returning.close(case.pk, actor=TEST_ACTOR, reason="Never mind")

        deciding.approve(approval.pk, actor=self.lead())

        assert send(Refund.objects.get()) is RefundStatus.DONE
        assert status_of(case) == ReturnStatus.REFUNDED
        assert_sound(order)

    def test_a_declined_one_leaves_the_return_visibly_unrefunded_with_a_way_on(
        self, order: Order, case: ReturnCase
    ) -> None:
        deciding.decline(self.ask(case).pk, actor=self.lead(), reason="Look at the photo")

        client = Client()
        client.force_login(User.objects.get(username="ben"))
        page = client.get(f"/orders/{order.number}/").content.decode()
        assert "£10.00 not refunded yet" in page
        assert "ben declined it: Look at the photo" in page
        assert "Refund what came back…" in page
        assert "Close without a refund" in page
        self.ask(case, "carl")

    def test_a_sum_that_is_not_payable_any_more_is_void(self, order: Order, case: ReturnCase) -> None:
        approval = self.ask(case)
        Payment.objects.filter(order=order).update(refunded_minor=2_500)
        with pytest.raises(WrongState, match=r"Only £5\.00"):
            deciding.approve(approval.pk, actor=self.lead())
        approval.refresh_from_db()
        assert approval.status == "void"
        assert status_of(case) == ReturnStatus.RECEIVED

    def test_a_return_that_was_closed_since_pays_nothing(self, order: Order, case: ReturnCase) -> None:
        approval = self.ask(case)
        with time_machine.travel(timezone.now() + approvals.LIFE + timedelta(seconds=1), tick=False):
            returning.close(case.pk, actor=TEST_ACTOR, reason="Nobody agreed in time")

        # On a machine whose clock is late, somebody still can.
        with pytest.raises(WrongState, match="This return is closed"):
            deciding.approve(approval.pk, actor=self.lead())

        approval.refresh_from_db()
        assert approval.status == "void"
        assert not Refund.objects.exists()


class TestClose:
    def test_a_received_return_ends_without_money(self, order: Order) -> None:
        case = receive(announce(order, mugs=1), mugs=1)
        returning.close(case.pk, actor=TEST_ACTOR, reason="Washed at 90 degrees")
        assert status_of(case) == ReturnStatus.CLOSED
        assert sentence(order) == "Completed; 1 of 5 pieces came back, nothing refunded."
        with pytest.raises(WrongState, match="is closed: closed by test"):
            pay(case, 1_000)
        assert_sound(order)

    def test_what_has_not_come_cannot_be_closed(self, order: Order) -> None:
        with pytest.raises(WrongState, match="is announced"):
            returning.close(announce(order, mugs=1).pk, actor=TEST_ACTOR, reason="No")


def test_a_customer_is_not_erased_while_goods_come_back_and_is_forgotten_in_returns_after(order: Order) -> None:
    assert order.customer is not None
    reference = order.customer.reference
    case = returning.announce(
        order.number, lines=[Announced(position=MUGS, quantity=1)], actor=TEST_ACTOR, reason="Ada Buyer wrote"
    )
    for _ in range(2):
        with pytest.raises(WrongState, match=f"{order.number} are coming back"):
            erasing.erase_customer(reference, actor=TEST_ACTOR, reason="Request 17")
        if status_of(case) == ReturnStatus.ANNOUNCED:
            receive(case, mugs=1)
    returning.close(case.pk, actor=TEST_ACTOR, reason="Ada Buyer agrees")

    erasing.erase_customer(reference, actor=TEST_ACTOR, reason="Request 17")

    case.refresh_from_db()
    assert (case.reason, case.note) == ("erased wrote", "erased agrees")


class TestLookFromOutside:
    """What is broken by hand, with the triggers asleep, is named."""

    def found(self) -> list[tuple[str, str]]:
        return [(one.invariant, one.subject) for one in invariants.check_database() if one.invariant != "outbox"]

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE orders_returnline SET received = 2, restocked = 1, unsellable_reason = 'used'",
            "UPDATE orders_returnline SET refund_minor = refund_minor + 1",
            "UPDATE orders_orderline SET returned = 0",
            "UPDATE orders_orderline SET awaited = 1 WHERE returned = 1",
            "UPDATE orders_refund SET amount_minor = 999",
            "UPDATE orders_returncase SET status = 'closed'",
            "UPDATE orders_refund SET return_case_id = NULL",
        ],
    )
    def test_a_return_that_does_not_match_is_named(self, order: Order, tamper: Any, change: str) -> None:
        case = receive(announce(order, mugs=2), mugs=1)
        send(pay(case, 1_000))
        assert_sound(order)
        tamper(change)
        assert ("returns", order.number) in self.found()

    def test_pieces_that_were_restocked_twice_are_named(self, order: Order, tamper: Any) -> None:
        receive(announce(order, mugs=2), mugs=1)
        tamper("UPDATE orders_stockitem SET on_hand = on_hand + 1, shipped = shipped - 1 WHERE shipped = 1")
        sku = order.lines.get(position=MUGS).product.sku
        assert ("stock", sku) in self.found()

    def test_a_return_of_an_order_that_never_left_is_named(self, order: Order, tamper: Any) -> None:
        announce(order, mugs=2)
        tamper("UPDATE orders_order SET status = %s WHERE id = %s", OrderStatus.FAILED, order.pk)
        assert ("returns", order.number) in self.found()


def test_a_return_books_nothing_but_its_refund(order: Order) -> None:
    case = receive(announce(order, mugs=1), mugs=1)
    before = LedgerTransfer.objects.count()
    send(pay(case, 1_000))
    assert LedgerTransfer.objects.count() == before + 1
