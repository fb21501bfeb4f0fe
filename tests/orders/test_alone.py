"""What one person gives away alone is counted together: prices, refunds and vouchers."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from orders import history
from orders.actor import Actor, person
from orders.errors import InvalidInput
from orders.models import Approval, Order, Product, Refund, Voucher
from orders.playbooks.catalogue import CATALOGUE
from orders.services import catalogue, deciding, refunding
from orders.services.playbooks import actions
from orders.vocabulary import Channel
from tests.factories import make_order, make_product
from tests.orders import driving
from tests.orders.connections import PATIENCE
from tests.orders.staff import make_user, signed_in

pytestmark = pytest.mark.django_db


def somebody(name: str = "anna") -> Actor:
    names = ("change_product", "refund_order", "issue_voucher", "decide_approval")
    return person(make_user(*(f"orders.{one}" for one in names), name=name), Channel.ADMIN)


class TestPrices:
    @pytest.fixture
    def product(self) -> Product:
        return make_product(unit_price="400.00")

    def change(self, product: Product, price: str, actor: Actor) -> Approval | None:
        return catalogue.change_product(product.sku, name="Lamp", unit_price=Decimal(price), actor=actor)

    def test_halving_seven_times_reaches_a_second_person_at_the_second_step(self, product: Product) -> None:
        anna = somebody()
        assert self.change(product, "200", anna) is None
        waiting = self.change(product, "100", anna)
        assert waiting is not None
        assert "It was 400.0000 before the last changes." in waiting.says
        product.refresh_from_db()
        assert product.unit_price == 200

    def test_two_people_who_take_turns_are_counted_together(self, product: Product) -> None:
        assert self.change(product, "200", somebody()) is None
        assert self.change(product, "150", somebody("ben")) is not None

    def test_a_price_that_two_people_agreed_on_is_counted_from(self, product: Product) -> None:
        anna, ben = somebody(), somebody("ben")
        asked = self.change(product, "100", anna)
        assert asked is not None
        deciding.approve(asked.pk, actor=ben)
        assert self.change(product, "60", anna) is None
        assert self.change(product, "40", anna) is not None

    def test_a_day_counts_for_itself_when_the_month_began_elsewhere(self, product: Product) -> None:
        anna = somebody()
        assert self.change(product, "200", anna) is None
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("UPDATE orders_productevent SET pgh_created_at = pgh_created_at - interval '3 days'")
            cursor.execute("SET LOCAL session_replication_role = DEFAULT")
        assert self.change(product, "400", anna) is None
        # No more than twice what it is now and was a month ago, and four times what it was yesterday.
        waiting = self.change(product, "800", anna)
        assert waiting is not None
        assert "It was 200.0000 before the last changes." in waiting.says

    def test_what_was_a_month_ago_is_forgotten_then(self, product: Product) -> None:
        anna = somebody()
        assert self.change(product, "200", anna) is None
        with time_machine.travel(timezone.now() + timedelta(days=31), tick=False):
            assert self.change(product, "100", anna) is None


class TestRefunds:
    @pytest.fixture(autouse=True)
    def limits(self, settings: Any) -> None:
        settings.REFUND_SECOND_PERSON_OVER_MINOR = 1_000
        settings.REFUND_ALONE_PER_DAY_MINOR = 2_500
        settings.REFUND_ALONE_PER_CUSTOMER_MINOR = 1_500

    def ask(self, order: Order, actor: Actor, amount: int = 1_000) -> Refund | Approval:
        return refunding.request(order.number, amount_minor=amount, actor=actor, reason="Broken")

    def test_refunds_below_the_limit_on_many_orders_reach_a_second_person_within_a_day(self) -> None:
        anna, orders = somebody(), [driving.drive(make_order()) for _ in range(3)]
        asked = [self.ask(order, anna) for order in orders]
        assert [type(one) for one in asked] == [Refund, Refund, Approval]
        assert isinstance(self.ask(driving.drive(make_order()), somebody("ben")), Refund)
        with time_machine.travel(timezone.now() + timedelta(days=1, seconds=1), tick=False):
            assert isinstance(self.ask(driving.drive(make_order()), anna), Refund)

    def test_a_refund_that_a_colleague_tries_again_still_counts_for_who_asked(self) -> None:
        anna, orders = somebody(), [driving.drive(make_order()) for _ in range(3)]
        for order in orders[:2]:
            self.ask(order, anna)
        Refund.objects.update(requested_by=somebody("ben").user)
        assert isinstance(self.ask(orders[2], anna), Approval)

    def test_one_customer_gets_no_more_from_many_people(self) -> None:
        first, second = driving.drive(make_order()), driving.drive(make_order())
        Order.objects.filter(pk=second.pk).update(customer=first.customer)
        assert isinstance(self.ask(first, somebody()), Refund)
        assert isinstance(self.ask(second, somebody("ben"), 600), Approval)

    def test_what_two_people_agreed_on_does_not_count(self, settings: Any) -> None:
        anna, ben = somebody(), somebody("ben")
        settings.REFUND_SECOND_PERSON_OVER_MINOR = 100
        asked = self.ask(driving.drive(make_order()), anna)
        assert isinstance(asked, Approval)
        deciding.approve(asked.pk, actor=ben)
        settings.REFUND_SECOND_PERSON_OVER_MINOR = 2_000
        assert isinstance(self.ask(driving.drive(make_order()), anna, 1_500), Refund)

    @pytest.mark.django_db(transaction=True)
    def test_two_refunds_of_one_person_at_once_are_counted_one_after_the_other(self) -> None:
        anna, outcomes = somebody(), []
        orders = [driving.drive(make_order()) for _ in range(3)]
        self.ask(orders.pop(), anna)
        start = threading.Barrier(2)

        def press(order: Order) -> None:
            try:
                start.wait(PATIENCE)
                outcomes.append(type(self.ask(order, anna)).__name__)
            finally:
                connection.close()

        threads = [threading.Thread(target=press, args=(order,)) for order in orders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert sorted(outcomes) == ["Approval", "Refund"]


class TestVouchers:
    @pytest.fixture(autouse=True)
    def limits(self, settings: Any) -> None:
        settings.VOUCHERS_PER_ORDER_MINOR = 1_000
        settings.VOUCHERS_PER_CUSTOMER_MINOR = 1_500
        settings.VOUCHERS_PER_DAY_MINOR = 2_000

    def issue(self, order: Order, actor: Actor, amount: int = 1_000) -> str:
        given = {"amount_minor": amount, "reason": "Late"}
        key = f"{order.pk}:{Voucher.objects.count()}"
        order = history.lock_order(str(order.pk))
        return str(actions.carry_out("issue_voucher", order, given, None, key=key, actor=actor)["code"])

    def test_an_order_has_a_cap(self) -> None:
        order, anna = make_order(), somebody()
        self.issue(order, anna)
        with pytest.raises(InvalidInput, match=rf"of order {order.number} come to .*10\.00 already"):
            self.issue(order, anna, 1)

    def test_a_customer_has_a_cap(self) -> None:
        first, second = make_order(), make_order()
        Order.objects.filter(pk=second.pk).update(customer=first.customer)
        self.issue(first, somebody())
        with pytest.raises(InvalidInput, match="of this customer within 30 days"):
            self.issue(second, somebody("ben"), 600)

    def test_a_person_has_a_cap_for_a_day_and_what_was_withdrawn_counts(self) -> None:
        anna = somebody()
        for _ in range(2):
            self.issue(make_order(), anna)
        Voucher.objects.update(withdrawn_at=timezone.now())
        with pytest.raises(InvalidInput, match="of anna within a day"):
            self.issue(make_order(), anna, 1)
        self.issue(make_order(), somebody("ben"))

    def test_a_step_that_is_done_again_finds_its_own_voucher(self) -> None:
        order, anna = make_order(), somebody()
        given = {"amount_minor": 1_000, "reason": "Late"}
        order = history.lock_order(str(order.pk))
        codes = {
            actions.carry_out("issue_voucher", order, given, None, key="once", actor=anna)["code"] for _ in range(2)
        }
        assert len(codes) == 1
        assert CATALOGUE["issue_voucher"].gives_money

    @pytest.mark.parametrize("page", ["voucher/", "voucher/{pk}/change/"])
    def test_the_code_is_shown_only_to_those_who_may_issue_one(self, page: str) -> None:
        code = self.issue(make_order(), somebody())
        where = f"/admin/orders/{page.format(pk=Voucher.objects.get().pk)}"
        seen = signed_in("orders.view_voucher", name="viewer").get(where)
        assert (seen.status_code, code in seen.content.decode()) == (200, False)
        shown = signed_in("orders.view_voucher", "orders.issue_voucher", name="issuer").get(where)
        assert code in shown.content.decode()

    def test_nobody_finds_out_a_code_by_looking_for_it(self) -> None:
        order = make_order()
        code = self.issue(order, somebody())
        found = signed_in("orders.view_voucher", name="viewer").get("/admin/orders/voucher/", {"q": code})
        assert order.number not in found.content.decode()
