"""One question to a partner that changes nothing there: a GET, and its errors sorted.

No answer, a 5xx or "slow down" is the weather and may be waited out or bridged by an older answer. Any other 4xx says
that the question itself is wrong, or our key is: an older answer would hide that for weeks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import requests
from django.conf import settings

from orders.errors import PartnerFailed, PartnerRefused, PartnerUnavailable
from orders.partners import statuses
from orders.partners.breaker import NAMES, observed
from orders.vocabulary import PartnerCode

T = TypeVar("T")
_local = threading.local()


def ask(partner: PartnerCode, url: str, parameters: dict[str, str], *, read: Callable[[Any], T]) -> T:
    """What `read` makes of the partner's JSON; its KeyError, TypeError or ArithmeticError says that it cannot be read.

    Raises `PartnerUnavailable`, or `PartnerRefused` for a question that the partner does not take.
    """
    name = NAMES[partner]
    with observed(partner):
        try:
            answer = _session().get(url, params=parameters, timeout=settings.PARTNER_TIMEOUT_SECONDS)
        except requests.RequestException as silence:
            raise PartnerUnavailable(f"{name} did not answer: {type(silence).__name__}.") from silence
        status = answer.status_code
        if 400 <= status < 500 and status not in statuses.BUSY:
            raise PartnerRefused(f"{name} refused the question: {statuses.told(answer).words or f'status {status}'}")
        error = statuses.error_of(name, status, retry_after=answer.headers.get("Retry-After", ""))
        if error is not None:
            raise error
        try:
            return read(answer.json())
        except (ValueError, KeyError, TypeError, ArithmeticError) as unreadable:
            raise PartnerFailed(f"{name} gave an answer that cannot be read.") from unreadable


def _session() -> requests.Session:
    # requests.Session is not safe across threads; each worker thread keeps its own connection.
    session: requests.Session | None = getattr(_local, "session", None)
    if session is None:
        session = _local.session = requests.Session()
    return session
