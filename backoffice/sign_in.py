"""Too many wrong sign-ins: what the caller hears.

axes counts wrong passwords by user and address together, so that a stranger elsewhere cannot lock out a colleague, and
`backoffice.guessing` in three more ways. Its own answer is a bare line without the time after which to come back.
"""

import math
from datetime import datetime

from axes.helpers import get_client_username, get_cool_off
from axes.models import AccessAttempt
from django.db.models import Max
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from backoffice.guessing import seconds_left
from orders.api.problems import TOO_MANY_REQUESTS, Refused, problem_response


def locked_out(request: HttpRequest, response: HttpResponseBase, credentials: dict | None) -> HttpResponseBase:
    """AXES_LOCKOUT_CALLABLE: 429 with the seconds until the lock ends by itself."""
    seconds = _seconds_left(request, credentials)
    headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
    if request.path.startswith("/api/"):
        return problem_response(
            request, Refused(TOO_MANY_REQUESTS, "Too many wrong sign-ins. Try again later.", headers=headers)
        )
    answer = render(request, "429.html", {"minutes": math.ceil(seconds / 60)}, status=TOO_MANY_REQUESTS.status)
    for name, value in headers.items():
        answer[name] = value
    return answer


def _seconds_left(request: HttpRequest, credentials: dict | None) -> int:
    username = get_client_username(request, credentials)
    if spread := seconds_left(request, credentials):
        return spread
    attempts = AccessAttempt.objects.filter(username=username, ip_address=request.META.get("REMOTE_ADDR"))
    last: datetime = attempts.aggregate(last=Max("attempt_time"))["last"] or timezone.now()
    end: datetime = last + get_cool_off(request)
    return max(1, math.ceil((end - timezone.now()).total_seconds()))
