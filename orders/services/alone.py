"""How much one person may give away alone: refunds and vouchers, added up by order, customer, person and day.

Limits of a single call are walked around by many calls, and limits of a person by many accounts: a fresh one gives
nothing alone. Amounts are minor units, whatever the currency.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet, Sum

from orders import clock
from orders.actor import Actor
from orders.amounts import money
from orders.errors import InvalidInput, NotPermitted
from orders.models import Order, Refund, Voucher
from orders.services import accounts
from orders.vocabulary import RefundStatus

A_DAY = timedelta(days=1)
#: how long what was given to a customer counts
A_MONTH = timedelta(days=30)


def needs_second(order: Order, amount_minor: int, *, actor: Actor) -> bool:
    """Whether this refund takes a second person; the caller holds the order's lock."""
    user_id = _hold(order, actor)
    if user_id is not None and accounts.last_change(user_id) is not None:
        return True
    alone = Refund.objects.filter(approval=None, outside=False).exclude(status=RefundStatus.DROPPED)
    now = clock.now()
    sums = [(settings.REFUND_SECOND_PERSON_OVER_MINOR, alone.filter(order=order))]
    if order.customer_id is not None:
        of_customer = alone.filter(order__customer=order.customer_id, created_at__gt=now - A_MONTH)
        sums.append((settings.REFUND_ALONE_PER_CUSTOMER_MINOR, of_customer))
    if user_id is not None:
        by_person = alone.filter(asked_by=user_id, created_at__gt=now - A_DAY)
        sums.append((settings.REFUND_ALONE_PER_DAY_MINOR, by_person))
    return any(_sum(found) + amount_minor > limit for limit, found in sums)


def require_voucher(order: Order, amount_minor: int, *, actor: Actor) -> None:
    """Raise `InvalidInput` for a voucher beyond a cap, or `NotPermitted` for a fresh account.

    The caller holds the order's lock.
    """
    user_id = _hold(order, actor)
    fresh = accounts.last_change(user_id) if user_id is not None else None
    if fresh is not None:
        raise NotPermitted(
            f"The account of {actor.name} changed at {fresh.at:%Y-%m-%d %H:%M:%S} UTC; it issues no vouchers for "
            f"{settings.FRESH_APPROVER_HOURS} hours after that."
        )
    standing = Voucher.objects.filter(withdrawn_at=None)
    now = clock.now()
    caps: list[tuple[str, int, QuerySet[Voucher]]] = [
        (f"of order {order.number}", settings.VOUCHERS_PER_ORDER_MINOR, standing.filter(order=order)),
    ]
    if order.customer_id is not None:
        of_customer = standing.filter(order__customer=order.customer_id, created_at__gt=now - A_MONTH)
        caps.append(("of this customer within 30 days", settings.VOUCHERS_PER_CUSTOMER_MINOR, of_customer))
    if user_id is not None:
        # Withdrawn ones too: a code may have been used before.
        by_person = Voucher.objects.filter(issued_by=user_id, created_at__gt=now - A_DAY)
        caps.append((f"of {actor.name} within a day", settings.VOUCHERS_PER_DAY_MINOR, by_person))
    for whose, cap, found in caps:
        before = _sum(found)
        if before + amount_minor > cap:
            was, most = money(before, order.currency), money(cap, order.currency)
            raise InvalidInput(
                "amount_minor", f"The vouchers {whose} come to {was} already; at most {most} are allowed."
            )


def _hold(order: Order, actor: Actor) -> int | None:
    """Let what one person gives, and what one customer gets, be counted one after the other; the person's id."""
    user_id = actor.user.pk if actor.user is not None else None
    # Always in this order, and after the order's row: two people with one customer must not wait in a circle.
    names = [f"alone:person:{user_id}"] * (user_id is not None)
    names += [f"alone:customer:{order.customer_id}"] * (order.customer_id is not None)
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [name])
    return user_id


def _sum(found: QuerySet[Refund] | QuerySet[Voucher]) -> int:
    return int(found.aggregate(n=Sum("amount_minor"))["n"] or 0)
