"""Any sequence of what people and the gateway do about returns: money and pieces add up after every step."""

import contextlib
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orders.errors import InvalidInput, WrongState
from orders.models import Order, Payment, Refund, ReturnCase, StockItem
from orders.partners.payments import GatewayRefund, RefundRefused
from orders.services import invariants, refund_outcomes, refunding, repaying, returning
from orders.services.returning import Announced, Received
from orders.vocabulary import OPEN_REFUNDS, OPEN_RETURNS, RefundStatus
from tests.factories import TEST_ACTOR
from tests.orders import driving
from tests.orders.test_returns import make_completed

pytestmark = pytest.mark.django_db

#: of 3 lamps and 2 mugs
PIECES = st.integers(min_value=0, max_value=3)
#: of what was announced: all, one too few, one too many
CAME = st.sampled_from([0, 0, -1, 1])
#: the usual way as one step, for random words alone seldom get to its end
USUAL = st.tuples(st.just("usual"), PIECES, PIECES, st.sampled_from(["done", "done", "refused", "dropped"]))
STEPS = st.one_of(
    USUAL,
    USUAL,
    USUAL,
    st.tuples(st.just("announce"), PIECES, PIECES),
    st.tuples(st.just("receive"), CAME, CAME, st.booleans()),
    st.tuples(st.just("withdraw")),
    st.tuples(st.just("close")),
    st.tuples(st.just("refund"), st.sampled_from([0, 0, 0, 1])),
    st.tuples(st.just("goodwill"), st.sampled_from([1, 700, 1_500, 3_000])),
    st.tuples(st.just("send"), st.sampled_from(["done", "refused", "dropped"])),
    st.tuples(st.just("retry")),
)
REASON: dict[str, Any] = {"actor": TEST_ACTOR, "reason": "Why"}


class Rollback(Exception):
    """Every example begins with the same rows."""


@dataclass
class World:
    order: Order

    def do(self, step: tuple[Any, ...]) -> None:
        """Refusals are fine; that they change nothing is what is checked after each step."""
        with contextlib.suppress(InvalidInput, WrongState), transaction.atomic():
            getattr(self, step[0])(*step[1:])

    @property
    def case(self) -> ReturnCase:
        """The open return, else the newest, so that late commands meet an ended one too."""
        cases = ReturnCase.objects.filter(order=self.order)
        found = cases.filter(status__in=OPEN_RETURNS).first() or cases.first()
        if found is None:
            raise WrongState("No return.")
        return found

    def usual(self, lamps: int, mugs: int, outcome: str) -> None:
        self.announce(lamps, mugs)
        self.receive(0, 0, sellable=True)
        self.refund(0)
        self.send(outcome)

    def announce(self, lamps: int, mugs: int) -> None:
        lines = [Announced(position=n, quantity=pieces) for n, pieces in ((1, lamps), (2, mugs)) if pieces]
        returning.announce(self.order.number, lines=lines, **REASON)

    def receive(self, lamps: int, mugs: int, sellable: bool) -> None:
        lines = [
            Received(
                position=line.order_line.position,
                received=pieces,
                unsellable=0 if sellable else pieces,
                unsellable_reason="" if sellable or not pieces else "used",
            )
            for line in self.case.lines.select_related("order_line")
            for pieces in [line.announced + (lamps, mugs)[line.order_line.position - 1]]
        ]
        returning.receive(self.case.pk, lines=lines, **REASON)

    def withdraw(self) -> None:
        returning.withdraw(self.case.pk, **REASON)

    def close(self) -> None:
        returning.close(self.case.pk, **REASON)

    def refund(self, wrong_by: int) -> None:
        payable = self.case.payable_minor(Payment.objects.get(order=self.order).left_minor)
        returning.refund(self.case.pk, amount_minor=payable + wrong_by, **REASON)

    def goodwill(self, amount: int) -> None:
        refunding.request(self.order.number, amount_minor=amount, **REASON)

    def send(self, outcome: str) -> None:
        refund = Refund.objects.filter(order=self.order, status__in=OPEN_REFUNDS).first()
        if refund is None:
            return
        if outcome == "dropped" and refund.status == RefundStatus.REQUESTED:
            refund_outcomes.end(refund, RefundStatus.DROPPED, note="Not allowed any more")
            return

        def refuse(intent: str, **options: Any) -> GatewayRefund:
            raise RefundRefused("balance_insufficient")

        with driving.partners(), pytest.MonkeyPatch.context() as patch:
            if outcome == "refused":
                patch.setattr(repaying.gateway, "refund", refuse)
            repaying.send(str(refund.pk), actor=TEST_ACTOR)

    def retry(self) -> None:
        refunding.retry(self.order.number, **REASON)

    def assert_adds_up(self) -> None:
        payment = Payment.objects.get(order=self.order)
        assert payment.refunded_minor + payment.refunding_minor <= payment.captured_minor
        for line in self.order.lines.all():
            back = sum(one.received for one in line.return_lines.all())
            restocked = sum(one.restocked for one in line.return_lines.all())
            stock = StockItem.objects.get(product=line.product_id)
            assert restocked <= back <= line.quantity
            assert (stock.on_hand, stock.shipped) == (100 - line.quantity + restocked, line.quantity - restocked)
            paid = sum(one.refund_minor for one in line.return_lines.all())
            assert paid == line.total_minor * back // line.quantity


def test_money_and_pieces_add_up_after_any_sequence() -> None:
    world = World(make_completed())
    reached: set[str] = set()

    @settings(max_examples=30, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(steps=st.lists(STEPS, min_size=4, max_size=16))
    @example(steps=[("usual", 1, 1, "refused"), ("retry",), ("send", "done"), ("announce", 2, 0), ("withdraw",)])
    @example(
        steps=[("usual", 1, 1, "dropped"), ("close",), ("goodwill", 3_000), ("send", "done"), ("usual", 2, 0, "done")]
    )
    @example(steps=[("usual", 2, 1, "done"), ("usual", 1, 0, "done"), ("announce", 0, 1)])
    def play(steps: list[tuple[Any, ...]]) -> None:
        with contextlib.suppress(Rollback), transaction.atomic():
            for step in steps:
                world.do(step)
                world.assert_adds_up()
            wrong = [one for one in invariants.check_database() if one.invariant not in {"outbox", "one run"}]
            assert wrong == []
            reached.update(ReturnCase.objects.values_list("status", flat=True))
            raise Rollback

    play()
    assert {"announced", "received", "withdrawn", "refunded", "closed"} <= reached, (
        "The sequences do not reach what matters."
    )
