"""Parts of pages that ask for themselves again every few seconds.

A hundred open pages must cost little, and none may show a sign-in page inside itself when its session has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET

#: htmx ends its polling on this status
STOP_POLLING = 286

View = Callable[..., HttpResponse]


def polled(view: View) -> View:
    """For signed-in people only; anybody else's page is sent to the sign-in as a whole. Never cached."""

    @wraps(view)
    @require_GET
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Nobody is at work here: see backoffice/session_age.py.
        request.is_poll = True  # type: ignore[attr-defined]
        if not request.user.is_authenticated:
            return HttpResponse(status=204, headers={"HX-Redirect": redirect_to_login(_page(request)).url})
        response = view(request, *args, **kwargs)
        response["Cache-Control"] = "private, no-store"
        return response

    return guarded


def _page(request: HttpRequest) -> str:
    """The page that polls, as the browser names it; the landing page where that is not one of ours."""
    page = request.headers.get("HX-Current-URL", "")
    ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    return page if ours else reverse("admin:index")
