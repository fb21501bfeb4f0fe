"""The history page of an order, inside the back office's frame, and the live parts that poll.

No page here asks Temporal or a partner for anything: with both down, every page renders and says so. Parts that poll
answer 304 while nothing changed and 286 (htmx: stop) when nothing will change any more, so a hundred open pages cost
little.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_safe

from orders.actor import person
from orders.amounts import money
from orders.command_forms import Refused, is_offered
from orders.frames import in_frame, order_not_found
from orders.models import Order
from orders.order_commands import offered
from orders.polling import STOP_POLLING, polled
from orders.selectors import approvals, partner_answers
from orders.selectors import orders as selectors
from orders.selectors.dashboard import dashboard
from orders.selectors.queues import counts_for
from orders.vocabulary import Channel


@require_safe
@login_required
def order_page(request: HttpRequest, number: str) -> HttpResponse:
    _require(request, "orders.view_order")
    order = selectors.find(number)
    if order is None:
        return order_not_found(request, number)
    return _page(request, order, _live_context(request, order))


def order_page_with(request: HttpRequest, number: str, refused: Refused, *, status: int) -> HttpResponse | None:
    """The order's page with a command that was refused; None where it does not offer that command to the reader."""
    order = selectors.find(number) if request.user.has_perm("orders.view_order") else None  # type: ignore[union-attr]
    if order is None:
        return None
    context = _live_context(request, order, refused=refused)
    if not is_offered(refused.key, context["commands"].all()):
        return None
    return _page(request, order, context, status)


def _page(request: HttpRequest, order: Order, context: dict[str, Any], status: int = 200) -> HttpResponse:
    context["lines"] = selectors.lines(order, request.GET.get("page"))
    context["partner_answers"] = partner_answers.shown_for(order)
    return in_frame(request, "orders/page.html", f"Order {order.number}", context, status=status)


@require_GET
@polled
def order_live(request: HttpRequest, number: str) -> HttpResponse:
    _require(request, "orders.view_order")
    order = selectors.find(number)
    if order is None:
        return order_not_found(request, number)
    steps = selectors.steps_of(order)
    etag = f'"{selectors.version(order, steps, may=_may(request))}"'
    # A page that does not know yet that the order is closed must be told once more, and told to stop.
    if request.headers.get("If-None-Match") == etag and not order.is_terminal:
        return HttpResponse(status=304, headers={"ETag": etag})
    context = {**_live_context(request, order, steps), "polled": True}
    response = render(request, "orders/live.html", context)
    response["ETag"] = etag
    if order.is_terminal:
        response.status_code = STOP_POLLING
    return response


@require_GET
@polled
def dashboard_live(request: HttpRequest) -> HttpResponse:
    if not request.user.is_staff:  # type: ignore[union-attr]
        raise PermissionDenied
    return render(
        request,
        "orders/dashboard_live.html",
        {"dashboard": dashboard(request.user), "queues": counts_for(request.user)},
    )


def _live_context(
    request: HttpRequest, order: Order, steps: list[Any] | None = None, refused: Refused | None = None
) -> dict[str, Any]:
    steps = selectors.steps_of(order) if steps is None else steps
    live = selectors.live_part(order, steps, may=_may(request))
    return {
        "live": live,
        "commands": offered(order, live, refused),
        "order": order,
        "total": money(order.total_minor, order.currency),
        "waiting": approvals.waiting_on(order, reader=person(request.user, Channel.ADMIN)),
    }


def _may(request: HttpRequest) -> Callable[[str], bool]:
    return request.user.has_perm  # type: ignore[union-attr,return-value]


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):  # type: ignore[union-attr]
        raise PermissionDenied(f"This needs the permission {permission}.")
