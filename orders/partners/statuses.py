"""What the status of a partner's HTTP answer says, where it is no answer to what was asked.

Three classes, by who must act: nobody (it did not answer, or asks to come back), us (our request is wrong), or the
caller, who knows the partner's own refusals and reads them first. Sources: RFC 9110, section 15; RFC 6585, section 4
(429); RFC 8470, section 5.2 (425); Retry-After in RFC 9110, section 10.2.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime

import requests

from orders import clock
from orders.errors import DomainError, PartnerBusy, PartnerFailed, PartnerUnavailable, RequestRefused

#: "not now" instead of "not so": nothing was done
BUSY = frozenset({408, 425, 429})
#: our key is wrong, for every order alike, until somebody mends it
KEY_REFUSED = frozenset({401, 403, 407})
#: said by what stands before the partner, which had no answer from it (RFC 9110, 15.6.3 and 15.6.5): the request may
#: still be under way there, so what we asked for is unknown and keeps its idempotency key
SILENT = frozenset({502, 504})
#: what a code or the name of a field looks like
WORD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
SHORTEST_WAIT = timedelta(seconds=1)
#: a partner that asks for more is asked again after this
LONGEST_WAIT = timedelta(hours=1)
#: where a partner asks to come back and does not say when
USUAL_WAIT = timedelta(seconds=10)


def error_of(name: str, status: int, *, says: str = "", retry_after: str = "") -> DomainError | None:
    """The error that the status of `name`'s answer stands for; None for 2xx, which is an answer.

    `says` are the partner's words about a request that it refuses, `retry_after` is the header of that name.
    """
    if 200 <= status < 300:
        return None
    if status in BUSY:
        return busy(f"{name} asks us to come back later: it answered {status}.", retry_after)
    if status in KEY_REFUSED:
        return PartnerUnavailable(f"{name} refused our key: it answered {status}.")
    if 400 <= status < 500:
        return RequestRefused(f"{name} refuses our request: {says or f'status {status}'}"[:300])
    if status in SILENT:
        return PartnerUnavailable(f"{name} did not answer: what stands before it said {status}.")
    return PartnerFailed(f"{name} answered {status}.")


@dataclass(frozen=True, kw_only=True)
class Told:
    """The body of an error answer, {"error": {"code", "message", "field"}}; empty where it has another form."""

    code: str = ""
    field: str = ""
    #: the partner's words, which may repeat what we sent
    message: str = ""

    @property
    def words(self) -> str:
        return self.message or self.code

    @property
    def without_values(self) -> str:
        """Code and field only, for a partner that is sent what names a person: errors are kept in histories."""
        return f"{self.code} ({self.field})" if self.code and self.field else self.code


def told(answer: requests.Response) -> Told:
    try:
        error = answer.json()["error"]
        code, field = str(error.get("code") or ""), str(error.get("field") or "")
        return Told(
            code=code if WORD.fullmatch(code) else "",
            field=field if WORD.fullmatch(field) else "",
            message=str(error.get("message") or "")[:300],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Told()


def busy(message: str, retry_after: str, *, usual: timedelta = USUAL_WAIT) -> PartnerBusy:
    """The error of a partner that asks to come back, with how long to wait."""
    error = PartnerBusy(message)
    error.retry_after = wait_of(retry_after, usual=usual)
    return error


def wait_of(retry_after: str, *, usual: timedelta = USUAL_WAIT) -> timedelta:
    """How long a Retry-After header asks us to wait: seconds, or a date; `usual` where it says nothing readable.

    Within `SHORTEST_WAIT` and `LONGEST_WAIT`: a partner's clock or its mistake must not stop an order for a year.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        # Ten digits are three hundred years, and more than a timedelta holds.
        wait = timedelta(seconds=int(text[:10]))
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, ValueError, OverflowError):
            return usual
        wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - clock.now()
    return min(max(wait, SHORTEST_WAIT), LONGEST_WAIT)
