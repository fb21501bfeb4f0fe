"""The fraud partner: a score of 0 (harmless) to 100 for an order, with its reasons in words.

Asked with what identifies the order and its buyer to the partner, and nothing else: that the buyer is a guest is a
rule of our own, and would otherwise count twice.
"""

import threading
from dataclasses import dataclass
from typing import Any

import requests
from django.conf import settings

from orders.errors import PartnerFailed, PartnerUnavailable
from orders.partners import statuses
from orders.partners.breaker import observed
from orders.vocabulary import PartnerCode

MAX_SCORE = 100
_local = threading.local()


@dataclass(frozen=True, kw_only=True)
class Score:
    #: 0 to 100
    points: int
    reasons: tuple[str, ...]


def score(order: str, *, amount_minor: int, currency: str, country: str, email: str) -> Score:
    """Ask for the order's score; asking twice gives the same.

    Raises `PartnerUnavailable` (retry) or `RequestRefused`: an order whose score is unknown must not pass as harmless.
    """
    body: dict[str, Any] = {"order": order, "amount_minor": amount_minor, "currency": currency}
    if len(country) == 2:
        # Feeds carry names of countries; the partner knows codes only.
        body["country"] = country
    if email:
        body["email"] = email
    with observed(PartnerCode.FRAUD):
        try:
            answer = _session().post(
                f"{settings.FRAUD_URL}/fraud/scores", json=body, timeout=settings.PARTNER_TIMEOUT_SECONDS
            )
        except requests.RequestException as silence:
            raise PartnerUnavailable(f"The fraud partner did not answer: {type(silence).__name__}.") from silence
        error = statuses.error_of(
            "The fraud partner",
            answer.status_code,
            says=statuses.told(answer).without_values,
            retry_after=answer.headers.get("Retry-After", ""),
        )
        if error is not None:
            raise error
        try:
            told = answer.json()
            points, reasons = int(told["score"]), tuple(str(reason)[:200] for reason in told["reasons"][:10])
        except (ValueError, KeyError, TypeError) as unreadable:
            raise PartnerFailed("The fraud partner's answer cannot be read.") from unreadable
    return Score(points=max(0, min(points, MAX_SCORE)), reasons=reasons)


def _session() -> requests.Session:
    # requests.Session is not safe across threads; each worker thread keeps its own connection.
    session: requests.Session | None = getattr(_local, "session", None)
    if session is None:
        session = _local.session = requests.Session()
    return session
