"""One question to a partner that changes nothing there: a GET, and its errors sorted.

No answer, a 5xx or "slow down" is the weather and may be waited out or bridged by an older answer. Any other 4xx says
that the question itself is wrong: an older answer would hide that for weeks.
"""

from __future__ import annotations

import threading
from typing import Any

import requests
from django.conf import settings

from orders.errors import PartnerRefused, PartnerUnavailable
from orders.partners.breaker import NAMES, observed
from orders.vocabulary import PartnerCode

#: statuses below 500 that say "not now" instead of "not so"
NOT_NOW = frozenset({408, 425, 429})
_local = threading.local()


def ask(partner: PartnerCode, url: str, parameters: dict[str, str]) -> Any:
    """The partner's JSON. Raises `PartnerUnavailable`, or `PartnerRefused` for a question that it does not take."""
    name = NAMES[partner]
    with observed(partner):
        try:
            answer = _session().get(url, params=parameters, timeout=settings.PARTNER_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise PartnerUnavailable(f"{name} did not answer: {type(error).__name__}.") from error
        if answer.status_code >= 500 or answer.status_code in NOT_NOW:
            raise PartnerUnavailable(f"{name} answered {answer.status_code}.")
        if answer.status_code >= 400:
            raise PartnerRefused(f"{name} refused the question: {_message(answer)}")
        try:
            return answer.json()
        except ValueError as error:
            raise PartnerUnavailable(f"{name} gave an answer that cannot be read.") from error


def _session() -> requests.Session:
    # requests.Session is not safe across threads; each worker thread keeps its own connection.
    session: requests.Session | None = getattr(_local, "session", None)
    if session is None:
        session = _local.session = requests.Session()
    return session


def _message(answer: requests.Response) -> str:
    try:
        error = answer.json()["error"]
        return str(error.get("message") or error.get("code"))[:300]
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"status {answer.status_code}"
