"""What must always be true of goods that came back: no more than left, and paid for exactly as counted.

`orders.services.invariants` looks at the stock; here the lines, the returns and their refunds are compared.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import F, Prefetch, Q, Sum

from orders.models import OrderLine, Refund, ReturnCase, ReturnLine
from orders.paging import pages
from orders.services.violation import Violation
from orders.vocabulary import COUNTED_RETURNS, OrderStatus, RefundStatus, ReturnStatus

PAGE = 1_000
#: the money went back, by the gateway or by hand
PAID = (RefundStatus.DONE, RefundStatus.SETTLED)


def check_returns() -> Iterator[Violation]:
    yield from lines_follow_their_returns()
    yield from only_shipped_goods_come_back()
    yield from refunds_match_what_came()


def lines_follow_their_returns() -> Iterator[Violation]:
    """A line's own counts are those of its returns, within its quantity; its shares add up to no more than it cost."""
    announced = Q(case__status=ReturnStatus.ANNOUNCED)
    rows = (
        ReturnLine.objects.order_by()
        .values("order_line")
        .annotate(
            awaited=Sum("announced", filter=announced, default=0),
            returned=Sum("received", filter=Q(case__status__in=COUNTED_RETURNS), default=0),
            paid=Sum("refund_minor"),
            stray=Sum("received", filter=~Q(case__status__in=COUNTED_RETURNS), default=0),
        )
    )
    found = {row["order_line"]: row for row in rows}
    nothing = {"awaited": 0, "returned": 0, "paid": 0, "stray": 0}
    wanted = Q(pk__in=found) | Q(awaited__gt=0) | Q(returned__gt=0)
    for line in pages(OrderLine.objects.filter(wanted).select_related("order"), PAGE):
        row = found.get(line.pk, nothing)
        share = line.total_minor * line.returned // line.quantity
        says = (row["awaited"], row["returned"], row["paid"], row["stray"])
        if says != (line.awaited, line.returned, share, 0) or line.returned + line.awaited > line.quantity:
            yield Violation(
                invariant="returns",
                subject=line.order.number,
                detail=f"line {line.position}: {line.awaited} announced and {line.returned} of {line.quantity} back, "
                f"worth {share}; its returns say {says[0]}, {says[1]} and {says[2]}",
            )


def only_shipped_goods_come_back() -> Iterator[Violation]:
    """A return belongs to a completed order, and its lines to that order."""
    early = ReturnCase.objects.exclude(order__status=OrderStatus.COMPLETED)
    for number, status in early.values_list("order__number", "order__status"):
        yield Violation(invariant="returns", subject=number, detail=f"goods come back of an order that is {status}")
    foreign = ReturnLine.objects.exclude(order_line__order=F("case__order"))
    for number in foreign.values_list("case__order__number", flat=True):
        yield Violation(invariant="returns", subject=number, detail="a line of another order came back with it")


def refunds_match_what_came() -> Iterator[Violation]:
    """A refund of a return is what its pieces were paid for, or all that was left; refunded means paid."""
    refunds = Prefetch("refunds", Refund.objects.exclude(status=RefundStatus.DROPPED))
    cases = ReturnCase.objects.filter(status__in=COUNTED_RETURNS).select_related("order__payment")
    for case in pages(cases.prefetch_related("lines", refunds), PAGE):
        standing, due, left = list(case.refunds.all()), case.due_minor(), case.order.payment.left_minor
        is_paid = any(refund.status in PAID for refund in standing)
        if is_paid != (case.status == ReturnStatus.REFUNDED):
            words = ", ".join(refund.status for refund in standing) or "none"
            detail = f"a return is {case.status}, its refunds are: {words}"
            yield Violation(invariant="returns", subject=case.order.number, detail=detail)
        for refund in standing:
            # Less than due is right only where it was all that was left, and then nothing is left ever after.
            if refund.amount_minor > due or (refund.amount_minor < due and left):
                detail = f"{refund.amount_minor} refunded for pieces that were paid {due}, with {left} left"
                yield Violation(invariant="returns", subject=case.order.number, detail=detail)
