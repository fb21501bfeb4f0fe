"""Random books of a gateway against ours: exactly the orders that differ are named, whatever the pages look like."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.models import Dispute, LedgerTransfer, Order, Payment, Refund
from orders.partners.gateway_books import BookedDispute, BookedIntent, Page
from orders.partners.payments import GatewayRefund
from orders.services.books.comparing import compare
from tests.factories import make_order, make_product

pytestmark = pytest.mark.django_db

TOTAL = 2_000
MOST = 6
#: what a gateway may do that we did not hear of
CHANGES = st.sampled_from(
    [
        "nothing",
        "nothing",
        "takes less",
        "takes twice",
        "takes another currency",
        "holds on a card",
        "gives more back",
        "gives another amount back",
        "refund fails",
        "bank takes it",
        "bank returns it",
        "has an unpaid try",
    ]
)
#: of an order whose refund succeeded, with a dispute or not: what our books have, and what the gateway does
ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["paid", "unpaid"]),
        st.lists(st.tuples(st.integers(1, 300), st.sampled_from(["done", "pending", "refused"])), max_size=3),
        st.sampled_from([0, 0, 500]),
        CHANGES,
    ),
    min_size=1,
    max_size=MOST,
)


class Rollback(Exception):
    """Every example begins with the same rows."""


@dataclass
class World:
    """Both sides of some orders, and which of them differ."""

    payments: list[BookedIntent] = field(default_factory=list)
    refunds: list[GatewayRefund] = field(default_factory=list)
    disputes: list[BookedDispute] = field(default_factory=list)
    differing: set[str] = field(default_factory=set)

    def add(self, order: Order, paid: str, back: list[tuple[int, str]], taken_back: int, change: str) -> None:
        """Our rows of the order, and the gateway's entries for it."""
        name, taken = f"pi_{order.pk}", TOTAL if paid == "paid" else 0
        back, taken_back = (back, taken_back) if taken else ([], 0)
        self._book(order, name, taken, back, taken_back)
        theirs: list[dict[str, Any]] = [
            {"id": f"re_{name}_{number}", "amount_minor": amount, "status": STATUS_THERE[status]}
            for number, (amount, status) in enumerate(back)
        ]
        payment: dict[str, Any] = {"received_minor": taken, "currency": "gbp", "status": "succeeded"}
        extra: list[dict[str, Any]] = []
        dispute = taken_back
        done = [refund for refund, (_, status) in zip(theirs, back, strict=True) if status == "done"]
        match change:
            case "takes less" if taken:
                payment["received_minor"] = taken - 1
            case "takes twice":
                extra.append({"received_minor": TOTAL, "currency": "gbp", "status": "succeeded"})
            case "takes another currency" if taken:
                payment["currency"] = "usd"
            case "holds on a card":
                extra.append({"received_minor": 0, "authorised_minor": 5, "currency": "gbp", "status": "x"})
            case "gives more back" if taken:
                theirs.append({"id": f"re_{name}_more", "amount_minor": 1, "status": "succeeded"})
            case "gives another amount back" if done:
                done[0]["amount_minor"] += 1
            case "refund fails" if done:
                done[0]["status"] = "failed"
            case "bank takes it" if taken and not taken_back:
                dispute = 1
            case "bank returns it" if taken_back:
                dispute = 0
            case _:
                if change == "has an unpaid try":
                    extra.append({"received_minor": 0, "currency": "gbp", "status": "canceled"})
                change = "nothing"
        if change != "nothing":
            self.differing.add(str(order.pk))
        self.payments.append(BookedIntent(id=name, order=str(order.pk), **payment))
        self.payments += [
            BookedIntent(id=f"{name}_{number}", order=str(order.pk), **one) for number, one in enumerate(extra)
        ]
        self.refunds += [GatewayRefund(payment=name, **one) for one in theirs]
        if taken_back or dispute:
            self.disputes.append(
                BookedDispute(id=f"du_{name}", payment=name, status="x", withdrawn_minor=dispute, currency="gbp")
            )

    def _book(self, order: Order, name: str, taken: int, back: list[tuple[int, str]], taken_back: int) -> None:
        done = sum(amount for amount, status in back if status == "done")
        Payment.objects.create(
            order=order,
            amount_minor=TOTAL,
            currency="GBP",
            status="captured" if taken else "declined",
            captured_minor=taken,
            refunded_minor=done,
            gateway_reference=name,
        )
        _transfer(order, "gateway", "customer", taken)
        _transfer(order, "customer", "gateway", done)
        _transfer(order, "disputed", "gateway", taken_back)
        for number, (amount, status) in enumerate(back):
            Refund.objects.create(
                order=order,
                amount_minor=amount,
                currency="GBP",
                reason="Why",
                key=f"{name}:{number}",
                actor="test",
                channel="cli",
                status=status,
                gateway_reference=f"re_{name}_{number}",
                finished_at=timezone.now() if status == "done" else None,
            )
        if taken_back:
            Dispute.objects.create(
                order=order,
                gateway_reference=f"du_{name}",
                amount_minor=taken_back,
                withdrawn_minor=taken_back,
                currency="GBP",
                reason="fraudulent",
                status="open",
                gateway_status="needs_response",
                opened_at=timezone.now(),
            )

    def pages(self, size: int) -> Iterator[Page]:
        """Each list by itself, as the gateway gives it."""
        for start in range(0, len(self.payments), size):
            yield Page(payments=tuple(self.payments[start : start + size]))
        for start in range(0, len(self.refunds), size):
            yield Page(refunds=tuple(self.refunds[start : start + size]))
        for start in range(0, len(self.disputes), size):
            yield Page(disputes=tuple(self.disputes[start : start + size]))


STATUS_THERE = {"done": "succeeded", "pending": "pending", "refused": "failed"}


def _transfer(order: Order, debit: str, credit: str, amount: int) -> None:
    if amount:
        LedgerTransfer.objects.create(
            key=f"{order.pk}:{debit}:{credit}",
            order=order,
            debit_account=debit,
            credit_account=credit,
            amount_minor=amount,
            currency="GBP",
        )


@contextmanager
def taken_back() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
            raise Rollback
    except Rollback:
        pass


@pytest.fixture
def pool() -> list[Order]:
    """As many orders as an example may have; made once, for an example brings its own rows of money."""
    product = make_product()
    return [make_order(product=product) for _ in range(MOST)]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(orders=ORDERS, size=st.sampled_from([2, 100]))
def test_exactly_the_orders_that_differ_are_named(pool: list[Order], orders: list[tuple[Any, ...]], size: int) -> None:
    with taken_back():
        world = World()
        for order, one in zip(pool, orders, strict=False):
            world.add(order, *one)
        later = timezone.now()
        named, seen = set(), set()
        for page in world.pages(size):
            result = compare(page, settled_before=later)
            named |= {order_id for order_id, found in result.orders.items() if found}
            seen |= set(result.orders)
            assert (result.orphans, result.moving) == ([], set())
        assert named == world.differing
        assert len(seen) == len(orders)
        # The same with everything on one page.
        whole = compare(Page.of(world.pages(size)), settled_before=later)
        assert {order_id for order_id, found in whole.orders.items() if found} == world.differing
