"""The payment gateway's own lists against our books, all the time, at a rate that follows the number of orders.

It reads as many pages as there are to read, within its share of the calls to partners, and says when it falls behind.
An order that differs is asked about by itself from then on, until the books agree. The other direction, what we have
and the gateway does not list, needs a whole list at once: the day-end close and `verify_invariants` look at that.
Nothing is asked while the gateway is out of order: orders come first.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.amounts import duration
from orders.errors import PartnerUnavailable, RequestRefused
from orders.models import Finding, PartnerHealth, Payment, SweepProgress
from orders.partners import breaker
from orders.partners import gateway_books as gateway
from orders.services.books.comparing import Difference, compare
from orders.services.books.ours import settling
from orders.services.sweeping import findings, progress, restoring
from orders.services.sweeping.walking import Walk, in_turn, walks
from orders.vocabulary import BreakerState, FindingKind, PartnerCode, SweepPart

#: one sweep reads no longer than this; its activity has a minute
LONGEST = timedelta(seconds=20)
#: the time since the last sweep that counts for the share of calls
COUNTED = (timedelta(seconds=1), timedelta(minutes=1))
#: so much of the newest list may wait before the health card says so; the later looks may be a tenth of a day behind
NEW_BEHIND, LATER_BEHIND = timedelta(minutes=10), timedelta(hours=2)
#: orders with findings that one sweep asks about, each with a few calls
AGAIN = 5


def sweep(*, actor: Actor) -> int:
    """Compare what the lists have since the last sweep; answers how many findings are new."""
    row, now = progress.of(SweepPart.BOOKS), clock.now()
    if restoring.is_standing():
        # What a restored database has forgotten would be a task for each payment; the lists are read again afterwards.
        progress.ran(SweepPart.BOOKS, looked_at=0, skipped=restoring.SKIPPED)
        return 0
    if PartnerHealth.objects.filter(pk=PartnerCode.PAYMENTS).exclude(state=BreakerState.CLOSED).exists():
        progress.ran(SweepPart.BOOKS, looked_at=0, skipped="The payment gateway is not called now")
        return 0
    everything, calls, ends = walks(row.places, now), _calls(row, now), time.monotonic() + LONGEST.total_seconds()
    new, looked_at, skipped = 0, 0, ""
    try:
        asked, row.cursor = _ask_again(row.cursor, calls // 2, ends, actor=actor)
        calls -= asked
        for pages, walk in enumerate(in_turn(everything, now)):
            # One at least: what differs must not keep the rest from being looked at.
            if pages and (calls <= 0 or time.monotonic() > ends):
                break
            settled_before = _settled()
            with breaker.attempt(PartnerCode.PAYMENTS, subject="the gateway's lists"):
                page = walk.step(now)
            calls -= 1
            looked_at += page.size
            new += _compare(page, settled_before=settled_before, actor=actor)
    except (PartnerUnavailable, RequestRefused) as error:
        # The same page again next time.
        skipped = str(error)
    progress.ran(
        SweepPart.BOOKS,
        looked_at=looked_at,
        skipped=skipped or _behind(everything, clock.now()),
        cursor=row.cursor,
        places={walk.name: walk.kept() for walk in everything},
    )
    return new


def _calls(row: SweepProgress, now: datetime) -> int:
    """How many calls this sweep may make: its share of what all may make since the last one; one at least."""
    since = min(max(now - row.ran_at, COUNTED[0]), COUNTED[1])
    share = settings.PARTNER_CALLS_PER_SECOND * settings.SWEEP_BOOKS_SHARE
    return max(1, int(share * since.total_seconds()))


def _behind(everything: Iterable[Walk], now: datetime) -> str:
    """What of the lists has waited for too long, or ""."""
    late = {True: timedelta(), False: timedelta()}
    for walk in everything:
        late[walk.look == "new"] = max(late[walk.look == "new"], walk.behind(now))
    if late[True] > NEW_BEHIND:
        return f"The payment gateway's lists of the last {duration(late[True])} are not compared yet"
    if late[False] > LATER_BEHIND:
        return f"The second looks at the payment gateway's lists are {duration(late[False])} behind"
    return ""


def _settled() -> datetime:
    """What was booked since then may still be moving.

    Half of the settling age: what the lists show at that age was booked at about the same time as it was made there.
    """
    return clock.now() - settling() / 2


def _compare(page: gateway.Page, *, settled_before: datetime, actor: Actor) -> int:
    """Note what differs; answers how many findings are new. One page never proves that nothing differs any more."""
    result = compare(page, settled_before=settled_before)
    new = 0
    for order_id, differing in result.orders.items():
        if differing:
            new += _note(order_id, differing, result.payments[order_id], actor=actor)
    for orphan in result.orphans:
        new += findings.note_payment(orphan.reference, says=orphan.says)
    return new


def _note(order_id: str, differing: list[Difference], payments: set[str], *, actor: Actor) -> bool:
    with transaction.atomic():
        order = history.lock_order(order_id)
        says = " ".join(one.says for one in differing)
        return findings.note(FindingKind.DRIFT, order, says=says, payments=payments, actor=actor)


def _ask_again(cursor: str, most: int, ends: float, *, actor: Actor) -> tuple[int, str]:
    """Ask about the next few that differ, one at least; answers the calls made, and where to go on.

    No more are begun after `most` calls, or after `ends` by the monotonic clock.
    """
    standing = Finding.objects.filter(kind=FindingKind.DRIFT, resolved_at=None).order_by("pk")
    found = list((standing.filter(pk__gt=cursor) if cursor else standing)[:AGAIN])
    calls, last = 0, ""
    for finding in found:
        if last and (calls >= most or time.monotonic() > ends):
            return calls, last
        calls += _ask_about(finding, actor=actor)
        last = str(finding.pk)
    return calls, last if len(found) == AGAIN else ""


def _ask_about(finding: Finding, *, actor: Actor) -> int:
    payments = set(finding.payments)
    if finding.order_id is not None:
        own = Payment.objects.filter(order_id=finding.order_id).exclude(gateway_reference="")
        payments |= set(own.values_list("gateway_reference", flat=True))
    settled_before = _settled()
    with breaker.attempt(PartnerCode.PAYMENTS, subject="the gateway's lists"):
        page = gateway.Page.of([gateway.payment_with_all(payment) for payment in sorted(payments)])
    _settle(finding, page, settled_before=settled_before, actor=actor)
    return len(payments) * gateway.CALLS_OF_A_PAYMENT


def _settle(finding: Finding, page: gateway.Page, *, settled_before: datetime, actor: Actor) -> None:
    """Resolve what is gone, and say again what is not; an order that is moving is asked about later."""
    result = compare(page, settled_before=settled_before)
    if finding.order_id is None:
        held = sum(one.received_minor + one.authorised_minor for one in page.payments)
        held -= sum(gateway.given_back_minor(one) for one in page.refunds)
        held -= sum(one.withdrawn_minor for one in page.disputes)
        if not held or not result.orphans:
            findings.resolve_payment(finding, resolution="The gateway holds nothing of it any more.")
        else:
            findings.note_payment(finding.reference, says=result.orphans[0].says)
        return
    order_id = str(finding.order_id)
    if order_id in result.moving:
        return
    differing = result.orders.get(order_id)
    if differing is None:
        # The gateway knows none of its payments any more, or they name another order.
        return
    if differing:
        _note(order_id, differing, result.payments[order_id], actor=actor)
        return
    with transaction.atomic():
        order = history.lock_order(order_id)
        findings.resolve(FindingKind.DRIFT, order, resolution="The books agree again.", actor=actor)
