"""Answers of partners that are asked for again and again: fresh, then replaced, and stale only when nobody answers.

Each answer has two ends. Up to the first it is used as it is. Between the two the partner is asked again; if, and only
if, the partner does not answer, the old answer stands in, marked as stale with its age. A refusal is an answer: an old
one in its place would hide a wrong key or a wrong question for weeks. After the second end there is no answer.

Of all processes one asks a question at a time. It holds a lease by the database's clock, and no connection: a lock of
the session would need one as long as the partner takes, and would be anybody's behind a pooler. The lease of a worker
that dies ends by itself; until then an old answer stands in, or the asking is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from orders.amounts import duration
from orders.connections import give_back
from orders.errors import PartnerUnavailable
from orders.models import PartnerAnswer, QuestionLease
from orders.partners import addresses, breaker, rates
from orders.partners.cached_questions import Question, address_of, rates_of


@dataclass(frozen=True, kw_only=True)
class Answer:
    body: Any
    fetched_at: datetime
    #: why an old answer stands in; empty for a fresh one
    stale_because: str = ""

    @property
    def is_stale(self) -> bool:
        return bool(self.stale_because)


def exchange_rates(base: str) -> Answer:
    """Currency -> decimal text. Raises `PartnerRefused`, or `PartnerUnavailable` when no usable answer is left."""
    return get(rates_of(base), lambda: rates.quote(base))


def address_check(country: str) -> Answer:
    """{"plausible", "says"}. Raises `PartnerRefused`, or `PartnerUnavailable` when no usable answer is left."""
    return get(address_of(country), lambda: addresses.check(country))


def get(question: Question, ask: Callable[[], Any]) -> Answer:
    """The answer to `question`; `ask` calls the partner and may be called once at most."""
    known = _fresh(question)
    if known is not None:
        return known
    with _alone(question.key) as mine:
        if not mine:
            return _stand_in(question, PartnerUnavailable("Another process is asking the same question."))
        # Whoever waited for the lease finds the answer of the one that held it.
        known = _fresh(question)
        if known is not None:
            return known
        try:
            with breaker.attempt(question.partner, subject=question.key):
                body = ask()
        except PartnerUnavailable as error:
            return _stand_in(question, error)
        return _keep(question, body)


def _fresh(question: Question) -> Answer | None:
    row = PartnerAnswer.objects.filter(pk=question.key, fresh_until__gt=Now()).first()
    # Asked of the row and not of its body: an empty answer is one too.
    return None if row is None else Answer(body=row.body, fetched_at=row.fetched_at)


def _keep(question: Question, body: Any) -> Answer:
    fresh, usable = settings.ANSWER_SECONDS[question.endpoint]
    row, _ = PartnerAnswer.objects.update_or_create(
        pk=question.key,
        defaults={
            "partner": question.partner,
            "endpoint": question.endpoint,
            "parameters": question.parameters,
            "body": body,
            "fetched_at": Now(),
            "fresh_until": Now() + timedelta(seconds=fresh),
            "usable_until": Now() + timedelta(seconds=max(fresh, usable)),
        },
    )
    row.refresh_from_db()
    return Answer(body=row.body, fetched_at=row.fetched_at)


def _stand_in(question: Question, error: PartnerUnavailable) -> Answer:
    """The old answer, marked, if it is still usable; else `error`, saying that there is none."""
    known = PartnerAnswer.objects.filter(pk=question.key).annotate(clock=Now())
    if known.filter(usable_until__gt=Now()).update(stale_uses=F("stale_uses") + 1, last_used_stale_at=Now()):
        row = known.get()
        return Answer(body=row.body, fetched_at=row.fetched_at, stale_because=str(error))
    old = known.first()
    age = f"the last one is {duration(old.clock - old.fetched_at)} old" if old else "there is none from before"
    error.args = (f"{error} No older answer can stand in: {age}.",)
    raise error


@contextmanager
def _alone(key: str) -> Iterator[bool]:
    """Whether nobody else asks; waits for that for a bounded time. Holds nothing while the partner is asked."""
    token = uuid4()
    mine = _take(key, token)
    try:
        yield mine
    finally:
        if mine:
            QuestionLease.objects.filter(pk=key, token=token).delete()


TAKE = """
INSERT INTO orders_questionlease (key, token, held_until)
    VALUES (%s, %s, statement_timestamp() + make_interval(secs => %s))
    ON CONFLICT (key) DO UPDATE SET token = excluded.token, held_until = excluded.held_until
    WHERE orders_questionlease.held_until < statement_timestamp()
RETURNING key
"""
#: seconds between two looks whether the other one has the answer
LOOK_EVERY = 0.05


def _take(key: str, token: UUID) -> bool:
    lease = settings.PARTNER_TIMEOUT_SECONDS * breaker.TRY_LEASE_IN_TIMEOUTS
    deadline = time.monotonic() + settings.ANSWER_WAIT_SECONDS
    while True:
        with connection.cursor() as cursor:
            cursor.execute(TAKE, [key, token, lease])
            if cursor.fetchone():
                return True
        if time.monotonic() > deadline:
            return False
        give_back()
        time.sleep(LOOK_EVERY)
