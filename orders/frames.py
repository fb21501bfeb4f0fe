"""Pages of ours inside the back office's frame: sidebar, header, messages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def in_frame(
    request: HttpRequest, template: str, title: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Render `template` inside the admin's frame."""
    request.current_app = admin.site.name  # type: ignore[attr-defined]
    frame = admin.site.each_context(request)
    return render(request, template, {**frame, "title": title, **context}, status=status)


def order_not_found(request: HttpRequest, number: str) -> HttpResponse:
    return in_frame(request, "orders/not_found.html", "No such order", {"number": number[:80]}, status=404)
