"""What a caller hears when a request fails outside any view: in middleware, or before routing.

Django's own answer is an HTML page, also below /api/, where a client expects a problem document; and a database that is
away for a moment would be told as "something is broken" instead of "try again".
"""

import sys

from django.http import HttpRequest, HttpResponseBase
from django.views import defaults

from orders.api.problems import INTERNAL_ERROR, INVALID_INPUT, UNAVAILABLE, Refused, problem_response
from orders.database_errors import RETRY_AFTER_SECONDS, is_passing

AWAY = {"Retry-After": str(RETRY_AFTER_SECONDS)}


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500; it is called while the error is being handled."""
    away = is_passing(sys.exc_info()[1])
    if request.path.startswith("/api/"):
        return problem_response(request, Refused(UNAVAILABLE, headers=AWAY) if away else Refused(INTERNAL_ERROR))
    response = defaults.server_error(request, template_name="503.html" if away else "500.html")
    if away:
        response.status_code = UNAVAILABLE.status
        response["Retry-After"] = AWAY["Retry-After"]
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler400: a host or a header that we do not take."""
    if request.path.startswith("/api/"):
        return problem_response(request, Refused(INVALID_INPUT))
    return defaults.bad_request(request, exception)
