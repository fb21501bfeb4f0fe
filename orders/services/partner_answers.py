"""Answers of partners that are asked for again and again: fresh, then replaced, and stale only when nobody answers.

Each answer has two ends. Up to the first it is used as it is. Between the two the partner is asked again; if, and only
if, the partner does not answer, the old answer stands in, marked as stale with its age. A refusal is an answer: an old
one in its place would hide a wrong key or a wrong question for weeks. After the second end there is no answer.

Of all processes one asks a question at a time. A lock of the database sees to that, so a worker that dies gives it up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from psycopg.errors import LockNotAvailable

from orders.amounts import duration
from orders.errors import PartnerUnavailable
from orders.models import PartnerAnswer
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
        # Whoever waited for the lock finds the answer of the one that held it.
        known = _fresh(question)
        if known is not None:
            return known
        try:
            with breaker.attempt(question.partner):
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
    """Whether nobody else asks; waits for that for a bounded time. Holds no transaction while the partner is asked."""
    number = int.from_bytes(bytes.fromhex(key[:16]), signed=True)
    mine = _lock(number)
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [number])


def _lock(number: int) -> bool:
    wait = f"{int(settings.ANSWER_WAIT_SECONDS * 1000)}ms"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [wait])
            # Of the session: it outlives this transaction, and ends with the connection of a process that dies.
            cursor.execute("SELECT pg_advisory_lock(%s)", [number])
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        return False
    return True
