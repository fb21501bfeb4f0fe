"""The history page of an order, inside the back office's frame, and the live parts that poll.

No page here asks Temporal or a partner for anything: with both down, every page renders and says so. Parts that poll
answer 304 while nothing changed and 286 (htmx: stop) when nothing will change any more, so a hundred open pages cost
little.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST, require_safe

from orders.actor import person
from orders.amounts import money
from orders.errors import NotPermitted, WrongState
from orders.models import Order
from orders.polling import STOP_POLLING, polled
from orders.selectors import orders as selectors
from orders.selectors.dashboard import dashboard
from orders.services import placing
from orders.vocabulary import Channel


class StartForm(forms.Form):
    """Why the order is started; may be left empty."""

    reason = forms.CharField(required=False, max_length=500)


@require_safe
@login_required
def order_page(request: HttpRequest, number: str) -> HttpResponse:
    _require(request, "orders.view_order")
    order = selectors.find(number)
    if order is None:
        return _not_found(request, number)
    context = _live_context(request, order)
    context["lines"] = selectors.lines(order, request.GET.get("page"))
    return _in_frame(request, "orders/page.html", f"Order {order.number}", context)


@require_GET
@polled
def order_live(request: HttpRequest, number: str) -> HttpResponse:
    _require(request, "orders.view_order")
    order = selectors.find(number)
    if order is None:
        return _not_found(request, number)
    steps = selectors.steps_of(order)
    etag = f'"{selectors.version(order, steps, may_start=_may_start(request))}"'
    # A page that does not know yet that the order is closed must be told once more, and told to stop.
    if request.headers.get("If-None-Match") == etag and not order.is_terminal:
        return HttpResponse(status=304, headers={"ETag": etag})
    context = {**_live_context(request, order, steps), "polled": True}
    response = render(request, "orders/live.html", context)
    response["ETag"] = etag
    if order.is_terminal:
        response.status_code = STOP_POLLING
    return response


@require_POST
@login_required
def start_order(request: HttpRequest, number: str) -> HttpResponse:
    """Ask for the processing of an order; a second click is told who was first and when."""
    _require(request, "orders.start_order")
    form = StartForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"The reason is not valid: {form.errors['reason'].as_text().lstrip('* ')}")
        return redirect("orders:page", number=number)
    if "\x00" in number:  # PostgreSQL refuses the question itself
        return _not_found(request, number)
    reason = form.cleaned_data["reason"].strip() or "Processing requested"
    try:
        placing.start(number, actor=person(request.user, Channel.ADMIN), reason=reason)
    except Order.DoesNotExist:
        return _not_found(request, number)
    except NotPermitted as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except WrongState as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, f"Processing of {number} was asked for. It goes on by itself from here.")
    return redirect("orders:page", number=number)


@require_GET
@polled
def dashboard_live(request: HttpRequest) -> HttpResponse:
    if not request.user.is_staff:  # type: ignore[union-attr]
        raise PermissionDenied
    return render(request, "orders/dashboard_live.html", {"dashboard": dashboard(request.user)})


def _live_context(request: HttpRequest, order: Order, steps: list[Any] | None = None) -> dict[str, Any]:
    may_start = _may_start(request)
    steps = selectors.steps_of(order) if steps is None else steps
    return {
        "live": selectors.live_part(order, steps, may_start=may_start),
        "order": order,
        "total": money(order.total_minor, order.currency),
        "may_start": may_start,
    }


def _may_start(request: HttpRequest) -> bool:
    return request.user.has_perm("orders.start_order")  # type: ignore[union-attr]


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):  # type: ignore[union-attr]
        raise PermissionDenied(f"This needs the permission {permission}.")


def _not_found(request: HttpRequest, number: str) -> HttpResponse:
    return _in_frame(request, "orders/not_found.html", "No such order", {"number": number[:80]}, status=404)


def _in_frame(
    request: HttpRequest, template: str, title: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Render inside the admin's frame: sidebar, header, messages."""
    request.current_app = admin.site.name  # type: ignore[attr-defined]
    frame = admin.site.each_context(request)
    return render(request, template, {**frame, "title": title, **context}, status=status)
