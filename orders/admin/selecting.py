"""The orders that somebody chose in the list, when the list hands them to a page for a batch or an export.

It asks the list's own code: what staff saw there is what the page acts on.
"""

from __future__ import annotations

import copy
from uuid import UUID

from django.contrib.admin import AdminSite
from django.contrib.admin.options import IncorrectLookupParameters
from django.http import Http404, HttpRequest, QueryDict

from orders.models import Order
from orders.services.selection import Selection


def selection_of(request: HttpRequest, site: AdminSite) -> Selection:
    """The ticked orders, or all that the list's filter matches, by the list's own code; Http404 for neither."""
    if "ids" in request.GET:
        try:
            ids = [UUID(text) for text in request.GET["ids"].split(",")]
        except ValueError as error:
            raise Http404("These are no orders.") from error
        return Selection(orders=Order.objects.filter(pk__in=ids), asked={"ticked": len(ids)})
    asked = QueryDict(request.GET.get("filter", ""))
    # PostgreSQL takes no NUL in a text: it would be an error of ours
    if any("\x00" in value for values in asked.lists() for value in (values[0], *values[1])):
        raise Http404("The list has no such filter.")
    list_request = copy.copy(request)
    list_request.method, list_request.GET = "GET", asked  # type: ignore[assignment]
    try:
        changelist = site._registry[Order].get_changelist_instance(list_request)
    except IncorrectLookupParameters as error:
        raise Http404("The list has no such filter.") from error
    chosen = Order.objects.filter(pk__in=changelist.queryset.order_by().values("pk"))
    return Selection(orders=chosen, asked={"list": {name: asked.getlist(name) for name in asked}})
