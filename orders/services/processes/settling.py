"""Settling the captures: what was taken and given back, and whether each payment agrees with its bookings."""

from __future__ import annotations

from django.db.models import BigIntegerField, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from orders.amounts import counted, money
from orders.models import LedgerTransfer, Payment
from orders.services.processes.pacing import Pace, add
from orders.vocabulary import DifferenceKind, LedgerAccount

CHUNK = 500


def settle_captures(pace: Pace) -> str:
    """Compare every payment that moved with the ledger, chunk by chunk; then add up what moved."""
    run = pace.run
    while True:
        after = int(pace.step.cursor or 0)
        moved = Payment.objects.filter(
            pk__gt=after, updated_at__gt=run.covers_from, updated_at__lte=run.covers_until
        ).select_related("order")
        # One statement sees payment and bookings at the same moment; a capture between two would look like an error.
        booked = moved.annotate(taken=_booked(debit_account=LedgerAccount.GATEWAY), returned=_returned())
        payments = list(booked.order_by("pk")[:CHUNK])
        if not payments:
            break
        with pace.chunk(str(payments[-1].pk), payments=len(payments)) as step:
            for payment in payments:
                if (payment.captured_minor, payment.refunded_minor) != (payment.taken, payment.returned):
                    pace.differs(
                        DifferenceKind.LEDGER,
                        payment.order.number,
                        f"The payment says {payment.captured_minor} taken and {payment.refunded_minor} returned, the "
                        f"ledger {payment.taken} and {payment.returned}.",
                        order_id=payment.order_id,
                    )
                    add(step, "differences", 1)
    sums = _sums(pace)
    with pace.chunk() as step:
        step.figures |= {"payments": step.figures.get("payments", 0), "sums": sums}
    told = "; ".join(
        f"{money(entry['captured_minor'], currency)} taken, {money(entry['refunded_minor'], currency)} returned"
        for currency, entry in sums.items()
    )
    differing = int(pace.step.figures.get("differences", 0))
    verdict = (
        f"{counted(differing, 'payment')} that the ledger does not bear out"
        if differing
        else "all agree with the ledger"
    )
    return f"{counted(pace.step.figures['payments'], 'payment')} moved, {verdict}. {told or 'No money moved'}."


def _booked(**which: object) -> Coalesce:
    """What the bookings of the payment's order add up to."""
    mine = LedgerTransfer.objects.filter(order=OuterRef("order"), **which).order_by().values("order")
    return Coalesce(Subquery(mine.annotate(sum=Sum("amount_minor")).values("sum")), 0, output_field=BigIntegerField())


def _returned() -> Coalesce:
    return _booked(credit_account__in=[LedgerAccount.GATEWAY, LedgerAccount.BY_HAND])


def _sums(pace: Pace) -> dict[str, dict[str, int]]:
    transfers = LedgerTransfer.objects.filter(
        created_at__gt=pace.run.covers_from, created_at__lte=pace.run.covers_until
    )
    rows = (
        transfers.order_by()
        .values_list("currency")
        .annotate(
            taken=Sum("amount_minor", filter=Q(debit_account=LedgerAccount.GATEWAY)),
            returned=Sum("amount_minor", filter=Q(credit_account=LedgerAccount.GATEWAY)),
        )
    )
    return {
        currency: {"captured_minor": taken or 0, "refunded_minor": returned or 0}
        for currency, taken, returned in sorted(rows)
    }
