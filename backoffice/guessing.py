"""Wrong sign-ins that are spread out: many addresses at one name, many names from one address, a few of each.

axes itself locks a name at an address. Its rows are counted here in three more ways, over an hour that slides. Whoever
signs in where they did before is let through, so nobody can lock a colleague, an office or everybody out by guessing;
there the lock of axes holds. What is refused is not counted, so each limit ends by itself.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from backoffice import account_mail

WINDOW = timedelta(hours=1)
#: how long the place of a sign-in stays familiar
FAMILIAR = timedelta(days=30)
#: seconds between two warnings about the same
QUIET = 6 * 3600


class Handler(AxesDatabaseHandler):
    """AXES_HANDLER: axes, and the limits that it does not have."""

    def is_locked(self, request: HttpRequest, credentials: dict | None = None) -> bool:
        return bool(super().is_locked(request, credentials)) or seconds_left(request, credentials) > 0

    def user_login_failed(self, sender: Any, credentials: dict, request: Any = None, **kwargs: Any) -> None:
        super().user_login_failed(sender, credentials, request, **kwargs)
        if request is not None:
            _warn(get_client_username(request, credentials), request.axes_ip_address)


def seconds_left(request: HttpRequest, credentials: dict | None) -> int:
    """Until none of the limits holds for this name at this address; 0 when none does."""
    name, address = get_client_username(request, credentials), request.META.get("REMOTE_ADDR")
    signed_in = AccessLog.objects.filter(username=name, ip_address=address)
    wrong = AccessFailureLog.objects.all()
    left: int = max(
        _left(wrong.filter(username=name), settings.WRONG_SIGN_INS_PER_NAME),
        _left(wrong.filter(ip_address=address), settings.WRONG_SIGN_INS_PER_ADDRESS),
        _left(wrong, settings.WRONG_SIGN_INS_IN_ALL),
    )
    if left and signed_in.filter(attempt_time__gt=timezone.now() - FAMILIAR).exists():
        return 0
    return left


def _left(wrong: QuerySet[AccessFailureLog], most: int) -> int:
    # By the key, which has an index; the time of an attempt has none.
    oldest: datetime | None = wrong.order_by("-pk").values_list("attempt_time", flat=True)[most - 1 : most].first()
    if oldest is None:
        return 0
    return max(0, math.ceil((oldest + WINDOW - timezone.now()).total_seconds()))


def _warn(name: str | None, address: str | None) -> None:
    """Tell the owner of a name that is guessed at, and superusers when everybody's are."""
    wrong = AccessFailureLog.objects.filter(attempt_time__gt=timezone.now() - WINDOW)
    user = User.objects.filter(username=name, is_active=True).first()
    if user is not None:
        failures = wrong.filter(username=name).count()
        if failures >= settings.WRONG_SIGN_INS_BEFORE_WARNING and cache.add(f"guessed:{user.pk}", True, QUIET):
            account_mail.tell_of_guessing(user, failures=failures, address=str(address))
    if _left(AccessFailureLog.objects.all(), settings.WRONG_SIGN_INS_IN_ALL) and cache.add("guessed", True, QUIET):
        for superuser in User.objects.filter(is_superuser=True, is_active=True):
            account_mail.tell_of_flood(superuser, failures=settings.WRONG_SIGN_INS_IN_ALL)
