"""Pages of one's own account that allauth does not have as we need them: sign-in with its notes, and sessions."""

from __future__ import annotations

from typing import Any

from allauth.account.views import LoginView
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from orders.services import sessions


class SignIn(LoginView):
    """The one door for people: of the admin and of all pages."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        own: dict[str, Any] = super().get_context_data(**kwargs)
        return own | {"sso_name": settings.SSO_NAME if settings.SSO_SERVER_URL else "", "exempt": exempt()}


def exempt() -> list[str]:
    """The accounts that sign in without a second factor although their role needs one."""
    return list(settings.SECOND_FACTOR_EXEMPT) if settings.SECOND_FACTOR_ROLES else []


@require_http_methods(["GET", "HEAD"])
@login_required
def session_list(request: HttpRequest) -> HttpResponse:
    own = UserSession.objects.purge_and_list(request.user)  # type: ignore[arg-type]
    shown = sorted(own, key=lambda session: session.created_at, reverse=True)
    return render(request, "usersessions/list.html", {"sessions": shown, "key": request.session.session_key})


@require_POST
@login_required
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of one's own sessions."""
    chosen = UserSession.objects.filter(user_id=request.user.pk, pk=pk).first()
    if chosen is None:
        raise Http404
    chosen.end()
    messages.success(request, "The session is ended.")
    return redirect("usersessions_list")


@require_POST
@login_required
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    sessions.end_all(request.user.pk, keep=request.session.session_key)
    messages.success(request, "All your other sessions are ended.")
    return redirect("usersessions_list")


def closed(request: HttpRequest, **_: object) -> HttpResponse:
    """What allauth has and we do not: people are invited, and whoever makes accounts gives the mail address."""
    raise Http404
