"""Comparing our payments, refunds and disputes with the gateway's own lists of them.

The lists are read as a whole before anything is compared: half a report would call every payment of the other half
missing, and no report at all must never look like "no differences". Reading them changes nothing, so an attempt that
was cut off simply reads them again. How entries are compared is `orders.services.books`, as in the sweep.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import F, Q

from orders import clock
from orders.amounts import counted, money
from orders.models import Dispute, Payment, Refund
from orders.paging import pages
from orders.partners import breaker
from orders.partners import gateway_books as gateway
from orders.partners.gateway_books import Listing, Page
from orders.services.books.comparing import compare
from orders.services.processes.pacing import Pace, add
from orders.vocabulary import DifferenceKind, PartnerCode, RefundStatus, StepName, StepStatus

#: the gateway's clock is not ours: what lies this close to the edge is looked for on both sides of it
CLOCKS_DIFFER = timedelta(hours=1)
CHUNK = 500


def reconcile(pace: Pace) -> str:
    """Raises `PartnerUnavailable` when the gateway gives no report; then nothing was compared."""
    began = clock.now()
    report = _read(pace)
    with pace.chunk() as step:
        step.figures = {"differences": 0, "under_way": 0}
    for chunk in _chunks(report):
        counts = {"payments": len(chunk.payments), "refunds": len(chunk.refunds), "disputes": len(chunk.disputes)}
        with pace.chunk("", **counts) as step:
            differing, under_way = _compare(pace, chunk, settled_before=began)
            add(step, "differences", differing)
            add(step, "under_way", under_way if chunk.payments else 0)
    with pace.chunk(refunds=0) as step:
        add(step, "differences", _missing(pace, report))
    figures = pace.step.figures
    told = counted(figures["differences"], "difference")
    waiting = f"; {counted(figures['under_way'], 'order')} under way are compared later" if figures["under_way"] else ""
    return (
        f"{counted(figures.get('payments', 0), 'payment')}, {counted(figures['refunds'], 'refund')} and "
        f"{counted(figures.get('disputes', 0), 'dispute')} of the gateway compared: {told}{waiting}."
    )


def _read(pace: Pace) -> Page:
    """Everything that the gateway lists of the day, and the payments from before that came to their end on it."""
    since, until = pace.run.covers_from - CLOCKS_DIFFER, pace.run.covers_until + CLOCKS_DIFFER
    read = []
    with breaker.attempt(PartnerCode.PAYMENTS, subject="the gateway's lists"):
        for listing in Listing:
            for page in gateway.pages(listing, since, until):
                read.append(page)
                pace.rest()
        listed = {payment.id for page in read for payment in page.payments}
        for reference in _late(pace):
            if reference not in listed:
                read.append(gateway.payment_with_all(reference))
                pace.rest()
    whole = Page.of(read)
    # What a late payment brings may be in the day's lists too.
    return Page(
        payments=tuple({payment.id: payment for payment in whole.payments}.values()),
        refunds=tuple({refund.id: refund for refund in whole.refunds}.values()),
        disputes=tuple({dispute.id: dispute for dispute in whole.disputes}.values()),
    )


def _chunks(report: Page) -> Iterator[Page]:
    for start in range(0, len(report.payments), CHUNK):
        yield Page(payments=report.payments[start : start + CHUNK])
    for start in range(0, len(report.refunds), CHUNK):
        yield Page(refunds=report.refunds[start : start + CHUNK])
    for start in range(0, len(report.disputes), CHUNK):
        yield Page(disputes=report.disputes[start : start + CHUNK])


def _late(pace: Pace) -> set[str]:
    """Payments from before, of orders that were closed meanwhile or whose refund took until now."""
    run = pace.run
    closed = Q(order__closed_at__gt=run.covers_from, order__closed_at__lte=run.covers_until)
    before = Payment.objects.filter(created_at__lte=run.covers_from).exclude(gateway_reference="")
    slow = Refund.objects.filter(
        created_at__lte=run.covers_from, finished_at__gt=run.covers_from, finished_at__lte=run.covers_until
    )
    late = before.filter(closed | Q(order__in=slow.values("order")))
    return set(late.values_list("gateway_reference", flat=True))


def _compare(pace: Pace, page: Page, *, settled_before: datetime) -> tuple[int, int]:
    """Keep what differs of orders that were closed; answers how much that is, and how many orders are under way.

    What was read before an order was closed may be compared by the next run only.
    """
    result = compare(page, settled_before=settled_before, closed_until=pace.run.covers_until)
    differing = 0
    for order_id, found in result.orders.items():
        for one in found:
            pace.differs(one.kind, one.reference, one.says, order_id=order_id)
            differing += 1
    for orphan in result.orphans:
        pace.differs(orphan.kind, orphan.reference, orphan.says)
    return differing + len(result.orphans), len(result.moving)


def _missing(pace: Pace, report: Page) -> int:
    """What we have as taken, given back or disputed, and the gateway did not list."""
    missing = [
        *_missing_payments(pace, {payment.id for payment in report.payments}),
        *_missing_refunds(pace, {refund.id for refund in report.refunds}),
        *_missing_disputes(pace, {dispute.id for dispute in report.disputes}),
    ]
    for reference, says, order_id in missing:
        pace.differs(DifferenceKind.MISSING_AT_GATEWAY, reference, says, order_id=order_id)
    return len(missing)


#: the gateway's id or the order's number, a sentence, the order
Missing = tuple[str, str, str]


def _missing_payments(pace: Pace, listed: set[str]) -> Iterator[Missing]:
    ours = Payment.objects.filter(
        captured_minor__gt=0, created_at__gt=pace.run.covers_from, order__closed_at__lte=pace.run.covers_until
    )
    for payment in pages(ours.select_related("order"), CHUNK):
        if payment.gateway_reference not in listed:
            took, number = money(payment.captured_minor, payment.currency), payment.order.number
            says = f"Order {number}: we took {took}, the gateway did not."
            yield payment.gateway_reference or number, says, str(payment.order_id)


def _missing_refunds(pace: Pace, listed: set[str]) -> Iterator[Missing]:
    run = pace.run
    done = Refund.objects.filter(
        status=RefundStatus.DONE, finished_at__gt=run.covers_from, finished_at__lte=run.covers_until
    ).annotate(number=F("order__number"), reference=F("gateway_reference"), back=F("amount_minor"))
    undone = Payment.objects.filter(
        order__steps__name=StepName.REFUND,
        order__steps__status=StepStatus.DONE,
        order__steps__begun_at__gt=run.covers_from,
        order__steps__finished_at__lte=run.covers_until,
        refunded_minor__gt=0,
    ).exclude(refund_reference="")
    undone = undone.annotate(number=F("order__number"), reference=F("refund_reference"), back=F("refunded_minor"))
    for rows in (done, undone):
        told = rows.values_list("pk", "reference", "number", "back", "currency", "order_id")
        for _, reference, number, back, currency, order_id in pages(told, CHUNK):
            if reference not in listed:
                says = f"Order {number}: we gave {money(back, currency)} back, the gateway did not."
                yield reference, says, str(order_id)


def _missing_disputes(pace: Pace, listed: set[str]) -> Iterator[Missing]:
    run = pace.run
    ours = Dispute.objects.filter(opened_at__gt=run.covers_from, opened_at__lte=run.covers_until)
    for dispute in pages(ours.select_related("order"), CHUNK):
        if dispute.gateway_reference not in listed:
            amount = money(dispute.amount_minor, dispute.currency)
            says = f"Order {dispute.order.number}: we have a dispute over {amount}, the gateway has none."
            yield dispute.gateway_reference, says, str(dispute.order_id)
