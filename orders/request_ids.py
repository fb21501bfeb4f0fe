"""One id for a request, in its answer, in the log and in the record of refusals: what a caller quotes, we can find."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(request: Request | HttpRequest) -> str:
    """The caller's X-Request-Id when it is harmless in a log line, else one of ours; the same for the whole request."""
    plain: HttpRequest = getattr(request, "_request", request)
    if not hasattr(plain, "request_id"):
        given = plain.headers.get("X-Request-Id", "")
        plain.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex  # type: ignore[attr-defined]
    return str(plain.request_id)  # type: ignore[attr-defined]
