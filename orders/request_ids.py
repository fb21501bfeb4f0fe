"""One id for a request, in its answer, in the log and in the record of refusals: what a caller quotes, we can find."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from orders import current_request

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from rest_framework.request import Request

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(request: Request | HttpRequest) -> str:
    """The caller's X-Request-Id when it is harmless in a log line, else one of ours; the same for the whole request."""
    plain: HttpRequest = getattr(request, "_request", request)
    if not hasattr(plain, "request_id"):
        given = plain.headers.get("X-Request-Id", "")
        plain.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex  # type: ignore[attr-defined]
    return str(plain.request_id)  # type: ignore[attr-defined]


class RememberRequestId:
    """What a service records for a request carries the request's id, without every service being handed it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = current_request.request_id.set(request_id(request))
        try:
            return self.get_response(request)
        finally:
            current_request.request_id.reset(token)
