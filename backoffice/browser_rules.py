"""What a browser may do with our answers: one content policy for the back office's frame, a stricter one for the rest.

Unfold's Alpine evaluates expressions and sets inline styles, so pages inside its frame need `unsafe-eval`. Everything
else (API, its docs, error pages, static files) gets no such leave, and a policy for all of them would give it to all.
"""

from collections.abc import Callable
from typing import Any

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

#: pages drawn inside Unfold's frame
FRAMED = ("/admin/", "/orders/")
SIGN_OUT = ("/admin/logout/", "/accounts/logout/")


class BrowserRules(CSPMiddleware):
    """Stands before whitenoise, so that static files carry the rules too."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts: PolicyParts = super().get_policy_parts(request, response, report_only)
        if not report_only and request.path_info.startswith(FRAMED):
            parts.update = settings.CONTENT_POLICY_OF_THE_FRAME
        return parts

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> Any:
        response.headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        response.headers.setdefault("Reporting-Endpoints", settings.REPORTING_ENDPOINTS)
        return super().process_response(request, response)


class PrivatePages:
    """Nothing that a view answers is kept by a browser or a proxy; who signs out leaves nothing behind.

    Stands behind whitenoise: static files are everybody's, and may be kept.
    """

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if "no-store" not in response.get("Cache-Control", ""):
            response["Cache-Control"] = "no-store"
        if request.path_info in SIGN_OUT and request.method == "POST":
            response["Clear-Site-Data"] = '"cache", "cookies", "storage"'
        return response
