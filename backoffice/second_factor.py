"""A password alone opens nothing to roles that move money: whoever lacks the second factor sets one up first."""

from __future__ import annotations

from collections.abc import Callable

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from orders.api.authentication import brings_token
from orders.api.problems import NOT_PERMITTED, Refused, problem_response

#: stands for superusers among the names of roles
SUPERUSER = "superuser"
KINDS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
#: what somebody who lacks the factor may still open: their account, the way out, and what tells nothing
OPEN = ("/accounts/", "/admin/logout/", "/healthz", "/readyz")
NEEDED = "Your role needs a second factor. Add an authenticator app or a security key under /accounts/2fa/."


def is_required(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the role of the account needs a second factor (`SECOND_FACTOR_ROLES`)."""
    roles = set(settings.SECOND_FACTOR_ROLES)
    if not roles or not user.is_authenticated or user.get_username() in settings.SECOND_FACTOR_EXEMPT:
        return False
    if user.is_superuser:  # type: ignore[union-attr, attr-defined]
        return SUPERUSER in roles
    return bool(user.groups.filter(name__in=roles).exists())  # type: ignore[union-attr, attr-defined]


def factors(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Authenticator]:
    """The second factors of the account; recovery codes are none, for they only replace one."""
    found: QuerySet[Authenticator] = Authenticator.objects.filter(user_id=user.pk, type__in=KINDS)
    return found


class SecondFactor:
    """Stands behind allauth's middleware. Programs come with tokens, and are asked for nothing else."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(OPEN) and is_required(request.user) and not factors(request.user).exists():
            return _ask(request) or self.get_response(request)
        return self.get_response(request)


def _ask(request: HttpRequest) -> HttpResponseBase | None:
    page = reverse("mfa_index")
    if request.path_info.startswith("/api/"):
        return None if brings_token(request) else problem_response(request, Refused(NOT_PERMITTED, NEEDED))
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": page})
    return redirect(page)
