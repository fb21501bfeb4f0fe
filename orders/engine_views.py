"""The one line of an order's page that comes from Temporal: the next try, asked for after the page has rendered."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from orders import gateway
from orders.frames import order_not_found
from orders.models import Order
from orders.polling import STOP_POLLING, polled
from orders.vocabulary import MOVING_STATUSES
from orders.wording import STEP_DOING


@require_GET
@polled
def order_engine(request: HttpRequest, number: str) -> HttpResponse:
    if not request.user.has_perm("orders.view_order"):  # type: ignore[union-attr]
        raise PermissionDenied("This needs the permission orders.view_order.")
    order = None if "\x00" in number else Order.objects.filter(number=number).first()
    if order is None:
        return order_not_found(request, number)
    if order.is_terminal:
        return HttpResponse(status=STOP_POLLING)
    if order.status not in MOVING_STATUSES:
        return HttpResponse()
    answer = gateway.ask(order)
    doing = STEP_DOING[answer.step.step] if answer.step else ""
    return render(request, "orders/engine.html", {"answer": answer, "step": answer.step, "doing": doing})
