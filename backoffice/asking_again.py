"""Whoever moves money, or changes accounts, tokens or keys, shows again who they are when they last did so a while ago.

A desk that was left open, or a stolen cookie, is signed in for hours. The commands that ask are those of the table
(`orders.access.ASKS_AGAIN`), so a new one says there whether it does. What was sent is kept in the session meanwhile
and goes on after the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.reauthentication import suspend_request
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from backoffice import second_factor
from orders.access import ASKS_AGAIN, DOORS
from orders.api.authentication import brings_token
from orders.api.problems import NOT_PERMITTED, Refused, problem_response
from orders.refused_requests import API, SAFE, door_of
from orders.vocabulary import Channel

#: how somebody without a second factor shows who they are
WAYS = frozenset({"password", "socialaccount", "mfa"})
CONFIRM = "Confirm that it is you: this was asked for more than {minutes} minutes after you last did."


def is_proven(request: HttpRequest) -> bool:
    """Whether the person at this session showed it lately: by their factor, where they have one."""
    if not settings.ASK_AGAIN_AFTER_SECONDS:
        return True
    if not request.user.is_authenticated:
        return False
    ways = {"mfa"} if second_factor.factors(request.user).exists() else WAYS
    shown = [record["at"] for record in get_authentication_records(request, request.user) if record["method"] in ways]
    return bool(time.time() - max(shown, default=0) < settings.ASK_AGAIN_AFTER_SECONDS)


class AskAgain:
    """Stands behind the checks of session and CSRF token; programs with a token are not asked."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponseBase | None:
        if request.method in SAFE or not request.user.is_authenticated or not asks(request) or is_proven(request):
            return None
        if request.path_info.startswith(API):
            if brings_token(request):
                return None
            words = CONFIRM.format(minutes=settings.ASK_AGAIN_AFTER_SECONDS // 60)
            return problem_response(request, Refused(NOT_PERMITTED, f"{words} ({reverse('account_reauthenticate')})"))
        if not (methods := get_adapter().get_reauthentication_methods(request.user)):
            # Their sign-in is elsewhere and nothing here could confirm it, so they go through it again.
            logout(request)
            messages.info(request, "Sign in again: this asks who you are.")
            return redirect_to_login(request.get_full_path())
        response: HttpResponseBase = suspend_request(request, methods[0]["url"])
        return response


def asks(request: HttpRequest) -> bool:
    """Whether the request gives a command that asks again."""
    match = request.resolver_match
    if match is None:
        return False
    channel = Channel.API if request.path_info.startswith(API) else Channel.ADMIN
    return any(rule.name in ASKS_AGAIN for rule in DOORS.get((channel, door_of(request, match, channel)), ()))
