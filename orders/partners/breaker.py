"""The circuit breaker of each partner: one row in the database, so that all workers share it and staff see it.

Without it every order keeps calling a partner that is down: calls time out one by one, threads fill, and when the
partner comes back everything that waited falls on it at once. Only missing answers count, and only those of several
orders or questions: what fails again and again for one alone is that one's trouble. A decline is an answer, and so are
"your request is wrong" and "come back later".

A call that may pass costs one read. The row is written when something changes, under a generation: of many workers that
see the same failure one opens it, and a call that began before the change says nothing about the time after it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce, Now

from orders import clock
from orders.connections import give_back
from orders.errors import PartnerBusy, PartnerDown, PartnerUnavailable
from orders.models import PartnerCall, PartnerHealth, StaffTask, Step
from orders.vocabulary import (
    STEPS_OF_PARTNER,
    BreakerState,
    PartnerCallStatus,
    PartnerCode,
    PartnerRunStatus,
    StepStatus,
)

logger = logging.getLogger(__name__)

#: so many different orders or questions must have been left without an answer before the partner is out of order
SUBJECTS = 3
#: a good answer is written down at most this often, so that the row does not become a queue of writers
OK_RESOLUTION = timedelta(seconds=5)
#: refused calls look again at least this often, so that what staff do has an effect soon
LONGEST_WAIT = timedelta(seconds=30)
#: while one call tries, the others look again after this
WAIT_FOR_THE_TRY = timedelta(seconds=2)
#: three partner timeouts fit into one attempt; after that its worker is dead or has lost its claim
TRY_LEASE_IN_TIMEOUTS = 4
NAMES = {
    PartnerCode.PAYMENTS: "The payment gateway",
    PartnerCode.CARRIER: "The carrier",
    PartnerCode.FRAUD: "The fraud partner",
    PartnerCode.RATES: "The rates partner",
    PartnerCode.ADDRESSES: "The address partner",
}


@dataclass(kw_only=True)
class Attempt:
    """One attempt's right to call the partner, and what it has seen of it. Mutable: `observed` notes into it."""

    partner: PartnerCode
    generation: int
    #: whom or what the calls are about: an order's id, or the key of a question
    subject: str = ""
    is_try: bool = False
    failed_tries: int = 0
    writes_ok: bool = False
    answered: bool = False
    failure: str = ""


_current: ContextVar[Attempt | None] = ContextVar("partner_attempt", default=None)


@contextmanager
def attempt(partner: PartnerCode, *, subject: str = "") -> Iterator[None]:
    """Around all calls that one attempt of a step makes to a partner: a look-up that is answered before a booking that
    is not must not count as a recovery. Raises `PartnerDown` without calling while the partner is out of order.

    `subject` is the id of the order, or the key of the question, that the calls are about. Without one the attempt
    counts as about something else than every other: it can open the breaker, and keeps nobody from being counted.
    """
    mine = _admit(partner)
    mine.subject = subject
    token = _current.set(mine)
    try:
        yield
    except PartnerUnavailable as error:
        # A partner that is busy has said itself when to come back.
        if mine.failure and not isinstance(error, PartnerBusy):
            error.retry_after = _failed(mine)
        raise
    finally:
        _current.reset(token)
        if mine.answered and not mine.failure:
            _answered(mine)
        elif mine.is_try and not mine.failure:
            # It made no call: another one may try at once.
            _row(mine).update(state=BreakerState.OPEN, generation=F("generation") + 1, next_try_at=Now())


@contextmanager
def observed(partner: PartnerCode) -> Iterator[None]:
    """Around one call: note whether the partner answered. Raises RuntimeError inside an open transaction.

    Locks would be held for as long as the partner likes, and a rollback could not take the call back. Nor is a
    connection: whoever asks needs none until the partner has answered.
    """
    give_back()
    mine = _current.get()
    if mine is None:
        with attempt(partner), observed(partner):
            yield
        return
    try:
        yield
    except PartnerBusy:
        mine.answered = True
        raise
    except PartnerUnavailable as error:
        mine.failure = str(error)[:300]
        raise
    except Exception:
        mine.answered = True
        raise
    mine.answered = True


@contextmanager
def unobserved(partner: PartnerCode) -> Iterator[None]:
    """For whoever looks on from outside: what is seen is no news about the partner, and nothing is written."""
    token = _current.set(Attempt(partner=partner, generation=0))
    try:
        yield
    finally:
        _current.reset(token)


def parked(partner: PartnerCode) -> QuerySet[Step]:
    """The open steps that wait for the partner."""
    return _failing(partner).exclude(order__in=StaffTask.of_parked_steps().values("order_id"))


def refused_requests(partner: PartnerCode) -> QuerySet[Step]:
    """The open steps whose request the partner refuses: they wait for a person, and not for the partner."""
    return _failing(partner).filter(order__in=StaffTask.of_parked_steps().values("order_id"))


def _failing(partner: PartnerCode) -> QuerySet[Step]:
    names = STEPS_OF_PARTNER.get(partner, ())
    return Step.objects.filter(status=StepStatus.OPEN, name__in=names, last_error_at__isnull=False)


def waiting_calls(partner: PartnerCode) -> QuerySet[PartnerCall]:
    """The calls of runs that were tried and wait for the partner."""
    return PartnerCall.objects.filter(
        run__partner=partner, run__status=PartnerRunStatus.RUNNING, status=PartnerCallStatus.PENDING, attempts__gt=0
    )


def _admit(partner: PartnerCode) -> Attempt:
    known = PartnerHealth.objects.filter(pk=partner).annotate(clock=Now())
    row = known.first()
    if row is None:
        PartnerHealth.objects.get_or_create(pk=partner)
        row = known.get()
    if row.state == BreakerState.CLOSED:
        fresh = row.last_ok_at is not None and row.clock - row.last_ok_at <= OK_RESOLUTION
        return Attempt(partner=partner, generation=row.generation, writes_ok=bool(row.failures_in_a_row) or not fresh)
    if row.state == BreakerState.HELD or row.next_try_at is None or row.next_try_at > row.clock:
        raise _refusal(row, row.clock)
    # The lease is taken by the clock of the database; of many workers one gets it.
    lease = timedelta(seconds=settings.PARTNER_TIMEOUT_SECONDS * TRY_LEASE_IN_TIMEOUTS)
    taken = PartnerHealth.objects.filter(pk=partner, generation=row.generation).update(
        state=BreakerState.HALF_OPEN, generation=F("generation") + 1, next_try_at=Now() + lease
    )
    if not taken:
        row = known.get()
        if row.state == BreakerState.CLOSED:
            return _admit(partner)
        raise _refusal(row, row.clock)
    return Attempt(partner=partner, generation=row.generation + 1, is_try=True, failed_tries=row.failed_tries)


def _answered(mine: Attempt) -> None:
    good = {"last_ok_at": Now(), **NO_FAILURES}
    if not mine.is_try:
        if mine.writes_ok:
            _row(mine).update(**good)
        return
    if _row(mine).update(**good, **CLOSED):
        logger.warning("%s answers again", NAMES[mine.partner])


NO_FAILURES = {"failures_in_a_row": 0, "failed_subjects": []}
#: what a row looks like whose partner may be called
CLOSED = {
    "state": BreakerState.CLOSED,
    "generation": F("generation") + 1,
    "opened_at": None,
    "next_try_at": None,
    "failed_tries": 0,
}


def _failed(mine: Attempt) -> timedelta | None:
    """Count the failure; answers how long to wait when the partner is out of order now."""
    row, enough = _row(mine), _count(mine)
    if not mine.is_try and not enough:
        row = row.none()
    back_off = min(settings.BREAKER_FIRST_SECONDS * 2 ** min(mine.failed_tries, 20), settings.BREAKER_LONGEST_SECONDS)
    opened = row.update(
        state=BreakerState.OPEN,
        last_error_at=Now(),
        generation=F("generation") + 1,
        opened_at=Coalesce("opened_at", Now()),
        next_try_at=Now() + timedelta(seconds=back_off),
        failed_tries=F("failed_tries") + 1,
    )
    if opened:
        logger.warning("%s is out of order, next try in %.1f s: %s", NAMES[mine.partner], back_off, mine.failure)
    now = PartnerHealth.objects.annotate(clock=Now()).get(pk=mine.partner)
    return None if now.state == BreakerState.CLOSED else _wait(now, now.clock)


def _count(mine: Attempt) -> bool:
    """One more failure, and whose it was; answers whether there are enough of both to open the breaker."""
    with transaction.atomic():
        # Locked: of two workers that note their subjects at once, the later one would drop the other's.
        known = _row(mine).select_for_update().first()
        if known is None:
            return False
        known.failures_in_a_row += 1
        subject = mine.subject or f"call {known.failures_in_a_row}"
        if subject not in known.failed_subjects and len(known.failed_subjects) < SUBJECTS:
            known.failed_subjects = [*known.failed_subjects, subject]
        PartnerHealth.objects.filter(pk=mine.partner).update(
            last_error_at=Now(),
            last_error=mine.failure,
            failures_in_a_row=known.failures_in_a_row,
            failed_subjects=known.failed_subjects,
        )
    return known.failures_in_a_row >= settings.BREAKER_FAILURES and len(known.failed_subjects) >= SUBJECTS


def _row(mine: Attempt) -> QuerySet[PartnerHealth]:
    """The row, unless its state changed since the attempt began."""
    return PartnerHealth.objects.filter(pk=mine.partner, generation=mine.generation)


def _refusal(row: PartnerHealth, now: datetime) -> PartnerDown:
    since = row.opened_at or clock.now()
    why = "Calls are held" if row.state == BreakerState.HELD else "Out of order"
    name = NAMES[PartnerCode(row.partner)]
    return PartnerDown(
        f"{name} was not called. {why} since {since:%d %b %H:%M:%S} UTC.", since=since, retry_after=_wait(row, now)
    )


def _wait(row: PartnerHealth, now: datetime) -> timedelta:
    """Until the next try, and a random part of the time in which all that wait may come back at the set rate."""
    if row.state == BreakerState.HELD or row.next_try_at is None:
        left = LONGEST_WAIT
    elif row.state == BreakerState.HALF_OPEN:
        left = WAIT_FOR_THE_TRY
    else:
        left = max(row.next_try_at - now, timedelta(0))
    partner = PartnerCode(row.partner)
    waiting = parked(partner).count() + waiting_calls(partner).count()
    spread = timedelta(seconds=(waiting + 1) / settings.BREAKER_DRAIN_PER_SECOND)
    return min(left, LONGEST_WAIT) + spread * random.random()
