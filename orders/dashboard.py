"""Fills the landing page; Unfold calls it for /admin/."""

from typing import Any

from django.http import HttpRequest

from orders.selectors.dashboard import dashboard
from orders.selectors.queues import counts_for


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    context["dashboard"] = dashboard(request.user)
    context["queues"] = counts_for(request.user)
    context["title"] = "Today"
    return context
