"""The gateway's list of events, for those that nobody brought, and payments in which something is open.

A web process that was away while the gateway sent an event, a wrong secret, a gateway that gives up: the list has it
all the same. It is read with an overlap, because an event can enter it late; what is known already is passed over. A
gateway without such a list is still asked about every payment with an open dispute or a refund on its way.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from orders import clock
from orders.errors import DomainError, PartnerUnavailable
from orders.models import GatewayEvent, PartnerHealth, Payment
from orders.partners import breaker
from orders.partners import gateway_events as partner
from orders.services import gateway_events
from orders.services.sweeping import progress
from orders.vocabulary import OPEN_DISPUTES, BreakerState, EventSource, PartnerCode, RefundStatus, SweepPart

#: how long an event may take to be listed
OVERLAP = timedelta(minutes=15)
#: the first look goes back so far, and one look goes forward so far at most
FIRST_LOOK = timedelta(hours=1)
LONGEST_LOOK = timedelta(hours=6)
#: every payment in which something is open is looked at so often, and so many in one sweep
ROUND = timedelta(hours=1)
PAGE = 20


def sweep() -> None:
    """Store what we do not know, and look at the next payments in which something is open."""
    row = progress.of(SweepPart.EVENTS)
    if PartnerHealth.objects.filter(pk=PartnerCode.PAYMENTS).exclude(state=BreakerState.CLOSED).exists():
        progress.ran(SweepPart.EVENTS, looked_at=0, skipped="The payment gateway is not called now")
        return
    now = clock.now()
    since = (datetime.fromisoformat(row.cursor) if row.cursor else now - FIRST_LOOK) - OVERLAP
    until = min(now, since + OVERLAP + LONGEST_LOOK)
    cursor: dict[str, Any] = {"cursor": until.isoformat()}
    seen, skipped = 0, ""
    try:
        with breaker.attempt(PartnerCode.PAYMENTS, subject="the gateway's events"):
            for page in partner.events_between(since, until):
                seen += _store(page)
    except PartnerUnavailable as error:
        # The same ones again next time.
        skipped, cursor = str(error), {}
    except DomainError as error:
        skipped, cursor = f"The gateway's list of events cannot be read: {error}", {}
    round_at = _look_at_open_payments(row.closed_cursor, now)
    progress.ran(SweepPart.EVENTS, looked_at=seen, skipped=skipped, closed_cursor=round_at, **cursor)


def _store(page: list[partner.Told]) -> int:
    known = set(GatewayEvent.objects.filter(pk__in=[told.id for told in page]).values_list("pk", flat=True))
    for told in page:
        if told.id not in known:
            gateway_events.receive(told, EventSource.POLL)
    return len(page)


def _look_at_open_payments(cursor: str, now: datetime) -> str:
    """Look at the next page of the round; answers where it stands. A round begins once in a while."""
    moment, _, last = cursor.partition(" ")
    began = datetime.fromisoformat(moment) if moment else now - ROUND
    if not last and now - began < ROUND:
        return cursor
    if not last:
        began = now
    unheard = GatewayEvent.objects.filter(handled_at=None, received_at__lt=now - OVERLAP).values("payment_reference")
    is_open = (
        Q(order__disputes__status__in=sorted(OPEN_DISPUTES))
        | Q(order__refunds__status=RefundStatus.PENDING)
        | Q(gateway_reference__in=unheard)
    )
    rows = Payment.objects.filter(is_open, pk__gt=int(last or 0)).exclude(gateway_reference="")
    page = list(rows.order_by("pk").distinct().values_list("pk", "gateway_reference")[:PAGE])
    with transaction.atomic():
        for _, reference in page:
            gateway_events.look_again(reference)
    return f"{began.isoformat()} {page[-1][0]}" if len(page) == PAGE else began.isoformat()
