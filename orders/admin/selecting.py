"""The orders that somebody chose in the list, when the list hands them to a page for a batch or an export.

It asks the list's own code: what staff saw there is what the page acts on.
"""

from __future__ import annotations

import copy
from uuid import UUID

from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse, QueryDict

from orders.errors import InvalidInput
from orders.frames import in_frame
from orders.models import Order
from orders.services.selection import Selection


def selection_of(request: HttpRequest, site: AdminSite) -> Selection:
    """The ticked orders, or all that the list's filter matches, by the list's own code.

    Http404 for ids that are none; `InvalidInput` for a filter that the list itself cannot read.
    """
    if "ids" in request.GET:
        try:
            ids = [UUID(text) for text in request.GET["ids"].split(",")]
        except ValueError as error:
            raise Http404("These are no orders.") from error
        return Selection(orders=Order.objects.filter(pk__in=ids), asked={"ticked": len(ids)})
    if "filter" not in request.GET:
        raise Http404("No orders are chosen.")
    asked = QueryDict(request.GET["filter"])
    list_request = copy.copy(request)
    list_request.method, list_request.GET = "GET", asked  # type: ignore[assignment]
    changelist = site._registry[Order].get_changelist_instance(list_request)
    if changelist.mistakes:  # type: ignore[attr-defined]
        raise InvalidInput("filter", " ".join(map(str, changelist.mistakes)))  # type: ignore[attr-defined]
    chosen = Order.objects.filter(pk__in=changelist.queryset.order_by().values("pk"))
    words = changelist.words  # type: ignore[attr-defined]
    return Selection(orders=chosen, asked={"list": {name: asked.getlist(name) for name in asked}, "words": words})


def refused_selection(request: HttpRequest, title: str, mistake: InvalidInput) -> HttpResponse:
    """The page instead of a batch or an export whose filter cannot be read."""
    return in_frame(request, "orders/refused_selection.html", title, {"refusal": str(mistake)}, status=400)
