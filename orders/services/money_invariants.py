"""What must always be true of money: the ledger follows the orders, and a payment's figures are those of its rows.

The partners' own books are compared in `orders.services.invariants`; here our tables are compared with each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from orders.models import Dispute, LedgerTransfer, Order, Payment, Refund
from orders.paging import pages
from orders.services.books.ours import ledger_balances
from orders.services.violation import Violation
from orders.vocabulary import (
    OPEN_REFUNDS,
    TERMINAL_STATUSES,
    DisputeStatus,
    LedgerAccount,
    OrderStatus,
    RefundStatus,
)

PAGE = 1_000


def check_money() -> Iterator[Violation]:
    yield from ledger_follows_status()
    yield from refunds_add_up()
    yield from disputes_add_up()


def ledger_follows_status() -> Iterator[Violation]:
    """Per closed order: a completed one earned its total, another one left every account at zero.

    Except for money that went back or is still owed, and for what a bank has taken back in a dispute.
    """
    balances, moved = ledger_balances(), _Moved()
    nothing = dict.fromkeys(LedgerAccount, 0)
    closed = Order.objects.filter(status__in=TERMINAL_STATUSES).only("id", "number", "status", "total_minor")
    for order in pages(closed, PAGE):
        found = balances.get(str(order.id), nothing)
        expected = nothing | moved.completed(order) if order.status == OrderStatus.COMPLETED else moved.undone(order)
        if found != expected:
            yield Violation(invariant="ledger", subject=order.number, detail=f"balances {_words(found)}")


def refunds_add_up() -> Iterator[Violation]:
    """A payment's own figures are those of its refunds and disputes."""
    back = _given_back()
    # An undo that could give all back has no refund of its own.
    concerned = Q(order__status=OrderStatus.COMPLETED) | Q(order__in=Refund.objects.order_by().values("order"))
    for payment in pages(Payment.objects.filter(concerned).select_related("order"), PAGE):
        sums = {status: back.get((payment.order_id, status), 0) for status in RefundStatus}
        expected = (
            sums[RefundStatus.DONE] + sums[RefundStatus.SETTLED],
            sum(sums[status] for status in OPEN_REFUNDS),
        )
        found = (payment.refunded_minor, payment.refunding_minor)
        if found != expected:
            yield Violation(
                invariant="refunds",
                subject=payment.order.number,
                detail=f"refunded and under way are {found}, the refunds say {expected}",
            )


def disputes_add_up() -> Iterator[Violation]:
    """What a payment says to be disputed is what the banks have of it, by its disputes."""
    by_banks = _sums(Dispute.objects.all(), "withdrawn_minor")
    concerned = Q(disputed_minor__gt=0) | Q(order__in=Dispute.objects.order_by().values("order"))
    for payment in pages(Payment.objects.filter(concerned).select_related("order"), PAGE):
        says = min(by_banks[payment.order_id], payment.captured_minor)
        if payment.disputed_minor != says:
            detail = f"disputed are {payment.disputed_minor}, the disputes say {says}"
            yield Violation(invariant="disputes", subject=payment.order.number, detail=detail)


class _Moved:
    """What went back, is owed, or is with a bank, by order: sums of minor units."""

    def __init__(self) -> None:
        self.back = _given_back()
        self.owed = _sums(Refund.objects.filter(status__in=OPEN_REFUNDS))
        # What people said that went back outside of the gateway.
        self.by_word = _sums(LedgerTransfer.objects.filter(credit_account=LedgerAccount.BY_HAND))
        beyond = LedgerTransfer.objects.filter(key__contains=":beyond:")
        self.beyond = _sums(beyond.filter(credit_account=LedgerAccount.GATEWAY))
        self.beyond.subtract(_sums(beyond.filter(debit_account=LedgerAccount.GATEWAY)))
        disputes = Dispute.objects.filter(withdrawn_minor__gt=0)
        self.lost = _sums(disputes.filter(status=DisputeStatus.LOST), "withdrawn_minor")
        self.disputed = _sums(disputes.exclude(status=DisputeStatus.LOST), "withdrawn_minor")
        concerned = Payment.objects.filter(order_id__in=self.lost)
        self.payments = {one.order_id: (one.captured_minor, one.refunded_minor) for one in concerned}

    def completed(self, order: Order) -> dict[LedgerAccount, int]:
        """The balances that a completed order has."""
        by_gateway = self.back.get((order.id, RefundStatus.DONE), 0)
        by_hand = self.back.get((order.id, RefundStatus.SETTLED), 0)
        beyond, lost, disputed = self.beyond[order.id], self.lost[order.id], self.disputed[order.id]
        return {
            LedgerAccount.GATEWAY: order.total_minor - by_gateway - beyond - lost - disputed,
            # Whoever got more than they paid owes it to us.
            LedgerAccount.CUSTOMER: beyond,
            LedgerAccount.SALES: by_gateway + by_hand + lost - order.total_minor,
            LedgerAccount.BY_HAND: -by_hand,
            LedgerAccount.DISPUTED: disputed,
        }

    def undone(self, order: Order) -> dict[LedgerAccount, int]:
        """What an order that was undone may leave in the books."""
        owed, by_hand, disputed = self.owed[order.id], self.by_word[order.id], self.disputed[order.id]
        captured, refunded = self.payments.get(order.id, (0, 0))
        # A bank that took the money of an order whose payment had gone back already.
        twice = max(refunded + self.lost[order.id] - captured, 0)
        too_much = self.beyond[order.id] + twice
        return {
            LedgerAccount.GATEWAY: owed + by_hand - too_much - disputed,
            LedgerAccount.CUSTOMER: too_much - owed,
            LedgerAccount.SALES: 0,
            LedgerAccount.BY_HAND: -by_hand,
            LedgerAccount.DISPUTED: disputed,
        }


def _sums(rows: QuerySet[Any], field: str = "amount_minor") -> Counter[UUID]:
    """Order id -> sum of the rows' amounts."""
    return Counter(dict(rows.order_by().values_list("order_id").annotate(Sum(field))))


def _given_back() -> dict[tuple[UUID, str], int]:
    """(order id, status of refunds) -> sum of their amounts."""
    rows = Refund.objects.values_list("order_id", "status").annotate(Sum("amount_minor")).order_by()
    return {(order_id, status): amount for order_id, status, amount in rows}


def _words(balances: dict[LedgerAccount, int]) -> str:
    return ", ".join(f"{account} {amount}" for account, amount in balances.items())
