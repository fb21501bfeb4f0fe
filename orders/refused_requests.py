"""Every web request that is refused for want of a permission leaves a row, whichever view refused it.

One place instead of a call in each view: it runs outside the transaction of the refused action, sees the answers of
Django, the admin and the API alike, and turns a service's `NotPermitted` into a 403. A download too many is a 429.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import ResolverMatch
from django.views.defaults import permission_denied

from orders.access import DOORS
from orders.database_errors import RETRY_AFTER_SECONDS
from orders.errors import NotPermitted, TooManyDownloads
from orders.request_ids import request_id
from orders.services import refusals
from orders.vocabulary import Channel

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
API = "/api/"
#: the admin's own address leads on to the one sign-in
TO_SIGN_IN = (settings.LOGIN_URL, "/admin/login/")


class RefusedRequests:
    """Must be the innermost middleware: process_exception of the first one decides."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        refusal = _refusal(request, response)
        if refusal is not None:
            match = request.resolver_match
            channel = Channel.API if request.path.startswith(API) else Channel.ADMIN
            refusals.remember(
                refusal,
                user=request.user,
                channel=channel,
                door=door_of(request, match, channel) if match else "(no address)",
                subject=_subject(request, match, channel),
                address=request.META.get("REMOTE_ADDR", ""),
                request_id=request_id(request),
            )
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, NotPermitted):
            _note(request, error)
            return permission_denied(request, error)
        if isinstance(error, TooManyDownloads):
            page = render(request, "429_downloads.html", {"why": str(error)}, status=429)
            page["Retry-After"] = str(RETRY_AFTER_SECONDS)
            return page
        if isinstance(error, PermissionDenied):
            cause = error.__cause__
            _note(request, cause if isinstance(cause, NotPermitted) else NotPermitted(str(error) or None))
        return None


def _note(request: HttpRequest, refusal: NotPermitted) -> None:
    request.not_permitted = refusal  # type: ignore[attr-defined]


def _refusal(request: HttpRequest, response: HttpResponse) -> NotPermitted | None:
    """What was refused. A page that asks a visitor to sign in first refuses nothing; a form or call of theirs is."""
    noted: NotPermitted | None = getattr(request, "not_permitted", None)
    is_signed_in = request.user.is_authenticated
    if request.method in SAFE and not is_signed_in:
        return None
    if noted is not None:
        return noted
    if response.status_code in {401, 403}:
        return NotPermitted("Sign-in is needed." if not is_signed_in else None)
    to_sign_in = response.status_code == 302 and response["Location"].startswith(TO_SIGN_IN)
    return NotPermitted("Sign-in is needed.") if to_sign_in and not is_signed_in else None


def door_of(request: HttpRequest, match: ResolverMatch, channel: Channel) -> str:
    """The door's name as `orders.access` has it; one of a bounded number of names, whatever the request says."""
    view = getattr(match.func, "cls", None)
    if view is not None:
        action = getattr(match.func, "actions", {}).get(str(request.method).lower(), str(request.method))
        return f"{view.__name__}.{action}"
    name = match.url_name or "unnamed"
    door = f"{match.namespace}:{name}" if match.namespace else name
    for model, model_admin in admin.site._registry.items():
        prefix = f"{model._meta.app_label}_{model._meta.model_name}_"
        if match.namespace == "admin" and name.startswith(prefix):
            verb = name.removeprefix(prefix)
            wanted = request.POST.get("action", "") if verb == "changelist" else ""
            if wanted in {known for _, known, _ in model_admin._get_base_actions()}:  # type: ignore[attr-defined]
                verb = wanted
            inside = f"{type(model_admin).__name__}.{verb}"
            return door if (channel, door) in DOORS else inside
    return door


def _subject(request: HttpRequest, match: ResolverMatch | None, channel: Channel) -> str:
    # A customer's reference is personal data, and this row could not be erased with the customer.
    named = [str(value) for name, value in (match.kwargs.items() if match else ()) if name != "reference"]
    # The API may have read the body already; reading it again as a form would fail.
    ticked = request.POST.getlist("_selected_action")[:3] if channel is Channel.ADMIN else []
    return " ".join([*named, *ticked])
