"""Closed orders against the payment gateway's own books: captured there and cancelled here, or refunded differently.

`verify_invariants` compares everything when somebody runs it; this looks at a few orders at a time, all the time, in
turn, through the gateway's API. It never asks while the gateway is out of order: orders come first.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from orders import history
from orders.actor import Actor
from orders.amounts import money
from orders.errors import PartnerUnavailable
from orders.models import Finding, Order, PartnerHealth
from orders.partners import breaker
from orders.partners import payments as gateway
from orders.services.invariants import ledger_balances
from orders.services.sweeping import findings, progress
from orders.vocabulary import (
    TERMINAL_STATUSES,
    BreakerState,
    FindingKind,
    LedgerAccount,
    PartnerCode,
    RefundStatus,
    SweepPart,
)

SUCCEEDED = "succeeded"
#: between the gateway's answer and our booking the two differ rightly
UNDER_WAY = (RefundStatus.REQUESTED, RefundStatus.SENT)


def sweep(*, actor: Actor) -> int:
    """Compare the next few closed orders with the gateway; answers how many findings are new."""
    row = progress.of(SweepPart.BOOKS)
    if PartnerHealth.objects.filter(pk=PartnerCode.PAYMENTS).exclude(state=BreakerState.CLOSED).exists():
        progress.ran(SweepPart.BOOKS, looked_at=0, skipped="The payment gateway is not called now")
        return 0
    orders, cursor = _next(row.cursor)
    new, looked_at = 0, 0
    try:
        for order in orders:
            new += _compare(order, actor=actor)
            looked_at += 1
    except PartnerUnavailable as error:
        # The same ones again next time.
        progress.ran(SweepPart.BOOKS, looked_at=looked_at, skipped=str(error))
        return new
    progress.ran(SweepPart.BOOKS, looked_at=looked_at, cursor=cursor)
    return new


def _next(cursor: str) -> tuple[list[Order], str]:
    """Orders that drift already, then the next ones by the time of their end; from the beginning after the last."""
    drifting = Finding.objects.filter(kind=FindingKind.DRIFT, resolved_at=None).values_list("order_id", flat=True)
    again = list(_comparable().filter(pk__in=list(drifting[: settings.SWEEP_BOOKS_AT_ONCE])))
    since = timezone.now() - timedelta(days=settings.SWEEP_BOOKS_DAYS)
    rows = _comparable().filter(closed_at__gte=since)
    if cursor:
        moment, _, last = cursor.partition(" ")
        ended = datetime.fromisoformat(moment)
        rows = rows.filter(Q(closed_at__gt=ended) | Q(closed_at=ended, pk__gt=UUID(last)))
    page = list(rows.order_by("closed_at", "pk")[: settings.SWEEP_BOOKS_AT_ONCE])
    end = page[-1] if len(page) == settings.SWEEP_BOOKS_AT_ONCE else None
    known = {order.pk for order in page}
    return [*page, *(order for order in again if order.pk not in known)], _cursor(end)


def _cursor(last: Order | None) -> str:
    return f"{last.closed_at.isoformat()} {last.pk}" if last and last.closed_at else ""


def _comparable() -> QuerySet[Order]:
    """Closed, with a payment, and no refund under way."""
    closed = Order.objects.filter(status__in=TERMINAL_STATUSES, payment__isnull=False)
    return closed.exclude(refunds__status__in=UNDER_WAY)


def _compare(order: Order, *, actor: Actor) -> bool:
    captures, net = _at_gateway(order)
    with transaction.atomic():
        order = history.lock_order(order.pk)
        if not _comparable().filter(pk=order.pk).exists():
            return False
        ours = ledger_balances([order.pk]).get(str(order.pk), {}).get(LedgerAccount.GATEWAY, 0)
        if captures <= 1 and net == ours:
            findings.resolve(FindingKind.DRIFT, order, resolution="The books agree again.", actor=actor)
            return False
        held, said = money(net, order.currency), money(ours, order.currency)
        says = f"It is {order.status}; the gateway holds {held} of it in {captures} charges, our ledger says {said}."
        return findings.note(FindingKind.DRIFT, order, says=says, actor=actor)


def _at_gateway(order: Order) -> tuple[int, int]:
    """How many charges the gateway has for the order, and what it still holds of them, in minor units."""
    with breaker.attempt(PartnerCode.PAYMENTS):
        taken = [intent for intent in gateway.find_for_order(str(order.pk)) if intent.status == SUCCEEDED]
        return len(taken), sum(intent.amount_minor - gateway.refunded_minor(intent.id) for intent in taken)
