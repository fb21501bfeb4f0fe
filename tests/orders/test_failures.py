"""A request that fails outside any view still gets an answer that its caller understands."""

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory

from backoffice import failures


@pytest.mark.parametrize(
    ("path", "error", "status", "content_type"),
    [
        ("/api/orders/", OperationalError("gone"), 503, "application/problem+json"),
        ("/api/orders/", KeyError("bug"), 500, "application/problem+json"),
        ("/admin/", OperationalError("gone"), 503, "text/html; charset=utf-8"),
        ("/admin/", KeyError("bug"), 500, "text/html; charset=utf-8"),
    ],
)
def test_a_failure_in_middleware_is_told_in_the_callers_format(
    path: str, error: Exception, status: int, content_type: str
) -> None:
    try:
        raise error
    except type(error):
        response = failures.server_error(RequestFactory().get(path))
    assert (response.status_code, response["Content-Type"]) == (status, content_type)
    assert ("Retry-After" in response) == (status == 503)
    assert b"gone" not in response.content


def test_a_host_that_we_do_not_serve_gets_a_problem_document_below_the_api() -> None:
    response = Client(raise_request_exception=False).get("/api/orders/", headers={"host": "evil.example"})
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
