"""In which transport and under which name we answer.

A browser that comes in clear text is sent to HTTPS. A program has already sent its token in clear text by then, and
would do so with every call without anybody noticing: it is refused. Probes ask by address, and are answered.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

from orders.api.problems import NOT_PERMITTED, Refused, problem_response

API = "/api/"
PROBES = frozenset({"/healthz", "/readyz"})
CLEAR_TEXT = "This call came in clear text. Use https:// and replace its token: others may have read it."


class EncryptedCalls:
    """Middleware that stands behind Django's, whose redirect leaves /api/ out."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.SECURE_SSL_REDIRECT and request.path_info.startswith(API) and not request.is_secure():
            return problem_response(request, Refused(NOT_PERMITTED, CLEAR_TEXT))
        return self.get_response(request)


class NamedHosts(CommonMiddleware):
    """Django's middleware, which refuses hosts that we do not serve; a probe names our address."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path_info in PROBES else super().process_request(request)
