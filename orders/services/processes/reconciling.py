"""Comparing our payments and refunds with the gateway's own list of them.

The list is read as a whole before anything is compared: half a report would call every payment of the other half
missing, and no report at all must never look like "no differences". Reading it changes nothing, so an attempt that was
cut off simply reads it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Q

from orders.amounts import counted
from orders.models import Order, Payment, Refund
from orders.partners import breaker
from orders.partners import payments as gateway
from orders.services.processes.pacing import Pace, add
from orders.vocabulary import DifferenceKind, PartnerCode, RefundStatus

SUCCEEDED = "succeeded"
#: the gateway's clock is not ours: what lies this close to the edge is looked for on both sides of it
CLOCKS_DIFFER = timedelta(hours=1)
CHUNK = 500


def reconcile(pace: Pace) -> str:
    """Raises `PartnerUnavailable` when the gateway gives no report; then nothing was compared."""
    run = pace.run
    since, until = run.covers_from - CLOCKS_DIFFER, run.covers_until + CLOCKS_DIFFER
    with breaker.attempt(PartnerCode.PAYMENTS):
        intents: dict[str, gateway.BookedIntent] = {}
        for page in gateway.intents_between(since, until):
            intents |= {intent.id: intent for intent in page}
            pace.rest()
        refunds: dict[str, gateway.BookedRefund] = {}
        for refund_page in gateway.refunds_between(since, until):
            refunds |= {refund.id: refund for refund in refund_page}
            pace.rest()
        # Those whose order was under way when its own day was closed.
        for reference in _late(pace):
            if reference not in intents:
                found = gateway.find_booked(reference)
                intents |= {reference: found} if found else {}
                pace.rest()
    with pace.chunk() as step:
        step.figures = {"differences": 0, "under_way": 0}
    for chunk in _chunks(list(intents.values())):
        with pace.chunk(payments=len(chunk)) as step:
            counts = _compare(pace, chunk)
            for name, count in counts.items():
                add(step, name, count)
    with pace.chunk(refunds=len(refunds)) as step:
        add(step, "differences", _missing(pace, set(intents)) + _compare_refunds(pace, refunds))
    figures = pace.step.figures
    told = counted(figures["differences"], "difference")
    waiting = f"; {counted(figures['under_way'], 'order')} under way are compared later" if figures["under_way"] else ""
    return (
        f"{counted(figures.get('payments', 0), 'payment')} and {counted(figures['refunds'], 'refund')} of the gateway "
        f"compared: {told}{waiting}."
    )


def _chunks(intents: list[gateway.BookedIntent]) -> Iterable[list[gateway.BookedIntent]]:
    return (intents[start : start + CHUNK] for start in range(0, len(intents), CHUNK))


def _late(pace: Pace) -> list[str]:
    """Payments from before, of orders that were closed meanwhile."""
    closed = Q(order__closed_at__gt=pace.run.covers_from, order__closed_at__lte=pace.run.covers_until)
    late = Payment.objects.filter(closed, created_at__lte=pace.run.covers_from).exclude(gateway_reference="")
    return list(late.values_list("gateway_reference", flat=True))


def _compare(pace: Pace, intents: list[gateway.BookedIntent]) -> dict[str, int]:
    """Each payment of the gateway with ours, of orders that are closed."""
    order_ids = {intent.order for intent in intents if _is_uuid(intent.order)}
    orders = {str(order.pk): order for order in Order.objects.filter(pk__in=order_ids).select_related("payment")}
    counts = {"differences": 0, "under_way": 0}
    for intent in intents:
        order = orders.get(intent.order)
        if order is None:
            if intent.status == SUCCEEDED:
                says = f"The gateway took {intent.received_minor} for an order that we do not know."
                pace.differs(DifferenceKind.UNKNOWN_TO_US, intent.id, says)
                counts["differences"] += 1
        elif order.closed_at is None or order.closed_at > pace.run.covers_until:
            # What was read before the order was closed may be compared by the next run only.
            counts["under_way"] += 1
        elif says := _difference(order, intent):
            pace.differs(DifferenceKind.AMOUNT, intent.id, says, order_id=order.pk)
            counts["differences"] += 1
    return counts


def _difference(order: Order, intent: gateway.BookedIntent) -> str:
    """What does not agree, or ""."""
    payment: Payment | None = getattr(order, "payment", None)
    mine = payment is not None and payment.gateway_reference == intent.id
    ours = payment.captured_minor if payment is not None and mine else 0
    theirs = intent.received_minor if intent.status == SUCCEEDED else 0
    if ours != theirs:
        return f"Order {order.number}: the gateway took {theirs}, we have {ours}."
    if theirs and intent.currency.upper() != order.currency:
        return f"Order {order.number}: the gateway took {intent.currency.upper()}, we have {order.currency}."
    return ""


def _missing(pace: Pace, listed: set[str]) -> int:
    """Payments that we have as taken and the gateway did not list."""
    run = pace.run
    ours = Payment.objects.filter(
        captured_minor__gt=0, created_at__gt=run.covers_from, order__closed_at__lte=run.covers_until
    ).select_related("order")
    missing = 0
    for payment in ours.iterator(CHUNK):
        if payment.gateway_reference not in listed:
            says = f"Order {payment.order.number}: we took {payment.captured_minor}, the gateway did not."
            reference = payment.gateway_reference or payment.order.number
            pace.differs(DifferenceKind.MISSING_AT_GATEWAY, reference, says, order_id=payment.order_id)
            missing += 1
    return missing


def _compare_refunds(pace: Pace, listed: dict[str, gateway.BookedRefund]) -> int:
    """Each refund of the gateway with ours, and the other way round."""
    run, differing = pace.run, 0
    asked = {row.gateway_reference: row for row in Refund.objects.filter(gateway_reference__in=list(listed))}
    undone = {row.refund_reference: row for row in Payment.objects.filter(refund_reference__in=list(listed))}
    orders = {str(order.pk): order for order in Order.objects.filter(pk__in=_orders_of(listed))}
    for reference, theirs in listed.items():
        ours = asked.get(reference)
        if ours is not None:
            amount: int | None = ours.amount_minor
        else:
            amount = undone[reference].refunded_minor if reference in undone else None
        order = orders.get(theirs.order)
        if amount == theirs.amount_minor or (amount is None and order is not None and _moves(order)):
            continue
        ours_says = amount if amount is not None else "no such refund"
        says = f"The gateway gave {theirs.amount_minor} back, we have {ours_says}."
        kind = DifferenceKind.UNKNOWN_TO_US if amount is None else DifferenceKind.AMOUNT
        pace.differs(kind, reference, says, order_id=order.pk if order else None)
        differing += 1
    done = Refund.objects.filter(
        status=RefundStatus.DONE, finished_at__gt=run.covers_from, finished_at__lte=run.covers_until
    )
    for refund in done.select_related("order").iterator(CHUNK):
        if refund.gateway_reference not in listed:
            says = f"Order {refund.order.number}: we gave {refund.amount_minor} back, the gateway did not."
            reference = refund.gateway_reference
            pace.differs(DifferenceKind.MISSING_AT_GATEWAY, reference, says, order_id=refund.order_id)
            differing += 1
    return differing


def _orders_of(listed: dict[str, gateway.BookedRefund]) -> set[str]:
    return {refund.order for refund in listed.values() if _is_uuid(refund.order)}


def _moves(order: Order) -> bool:
    """Between the gateway's answer and our booking the two differ rightly."""
    return not order.is_terminal or order.refunds.filter(status=RefundStatus.SENT).exists()


def _is_uuid(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4 and all(sign in "0123456789abcdef-" for sign in text)
