"""Every refusal below /api/ in one shape: a problem document (RFC 9457) that names the field and the limit.

Without one place for it, each library answers in its own words: DRF in JSON, Django in HTML, a broken database as a
bare 500. A client then cannot tell "mend your request" from "try again later", and people write parsers for prose.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse
from django.http.multipartparser import MultiPartParserError
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request

from orders import errors as domain
from orders.database_errors import RETRY_AFTER_SECONDS, is_passing
from orders.playbooks.validation import InvalidPlaybook
from orders.request_ids import request_id

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
#: how many field errors one answer names
MAX_ERRORS = 100


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One row of the table of problems; `type` of the document is `/problems/<slug>`."""

    slug: str
    status: int
    title: str


INVALID_INPUT = Kind(slug="invalid-input", status=400, title="The request breaks a rule")
NOT_SIGNED_IN = Kind(slug="not-signed-in", status=401, title="Sign-in is needed")
NOT_PERMITTED = Kind(slug="not-permitted", status=403, title="You may not do this")
NOT_FOUND = Kind(slug="not-found", status=404, title="There is nothing here")
METHOD_NOT_ALLOWED = Kind(slug="method-not-allowed", status=405, title="This address does not take that method")
NOT_ACCEPTABLE = Kind(slug="not-acceptable", status=406, title="The answer cannot be given in that format")
REQUEST_TIMEOUT = Kind(slug="request-timeout", status=408, title="The request took too long to arrive")
WRONG_STATE = Kind(slug="wrong-state", status=409, title="The order is not in a state that allows this")
ALREADY_EXISTS = Kind(slug="already-exists", status=409, title="It exists already")
IN_PROGRESS = Kind(slug="in-progress", status=409, title="The first request with this key is still being answered")
LENGTH_REQUIRED = Kind(slug="length-required", status=411, title="The length of the body is needed")
TOO_LARGE = Kind(slug="too-large", status=413, title="The body is too large")
UNSUPPORTED_MEDIA_TYPE = Kind(slug="unsupported-media-type", status=415, title="The body's format is not taken here")
KEY_REUSED = Kind(slug="key-reused", status=422, title="The key was used for another request")
TOO_MANY_REQUESTS = Kind(slug="too-many-requests", status=429, title="Too many requests")
INTERNAL_ERROR = Kind(slug="internal-error", status=500, title="Something broke on our side")
UNAVAILABLE = Kind(slug="unavailable", status=503, title="The service is not available at the moment")

#: titles by status, where one status has several kinds the first one stands for it
BY_STATUS: dict[int, Kind] = {}
for _kind in list(vars().values()):
    if isinstance(_kind, Kind):
        BY_STATUS.setdefault(_kind.status, _kind)

#: the one table from domain errors to answers; the first match counts, any other domain error is a conflict
DOMAIN_ERRORS: tuple[tuple[type[domain.DomainError], Kind], ...] = (
    (domain.InvalidInput, INVALID_INPUT),
    (domain.InvalidFeed, INVALID_INPUT),
    (domain.NotPermitted, NOT_PERMITTED),
    (domain.AlreadyExists, ALREADY_EXISTS),
    (domain.PartnerUnavailable, UNAVAILABLE),
    (domain.TooManyDownloads, TOO_MANY_REQUESTS),
    (domain.TooManyWorkbooks, TOO_MANY_REQUESTS),
    (domain.DomainError, WRONG_STATE),
)


@dataclass(frozen=True, kw_only=True)
class FieldError:
    #: dotted path into the body (`lines.0.quantity`), or the name of a parameter or header
    field: str
    message: str
    code: str = "invalid"


class Refused(Exception):
    """A request that is turned down before it reaches the domain."""

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind, self.errors, self.headers = kind, list(errors), dict(headers or {})
        self.detail = detail or _summary(self.errors) or kind.title
        super().__init__(self.detail)


def refuse_field(field: str, message: str, code: str = "invalid") -> Refused:
    """A 400 about one field, parameter or header."""
    return Refused(INVALID_INPUT, errors=[FieldError(field=field, message=message, code=code)])


def problem_handler(error: Exception, context: Mapping[str, Any]) -> JsonResponse:
    """DRF's EXCEPTION_HANDLER: whatever a view raised, as a problem document."""
    request: Request = context["request"]
    refused = describe(error)
    if isinstance(error, domain.NotPermitted):
        request._request.not_permitted = error  # type: ignore[attr-defined]
    if refused.kind.status == INTERNAL_ERROR.status:
        logger.error("Request %s failed", request_id(request), exc_info=error)
    elif refused.kind is UNAVAILABLE:
        logger.error("Request %s: the database or a partner is away: %s", request_id(request), error)
    elif refused.kind is NOT_PERMITTED:
        logger.warning("Request %s was not permitted: %s", request_id(request), refused.detail)
    return problem_response(request, refused)


def problem_response(request: Request | HttpRequest, refused: Refused) -> JsonResponse:
    """The document itself; not a DRF response, so that no Accept header can stop an error from being told."""
    body = {
        "type": f"/problems/{refused.kind.slug}",
        "title": refused.kind.title,
        "status": refused.kind.status,
        "detail": refused.detail,
        "instance": request.get_full_path()[:500],
        "request_id": request_id(request),
        "errors": [
            {"field": error.field, "message": error.message, "code": error.code}
            for error in refused.errors[:MAX_ERRORS]
        ],
    }
    return JsonResponse(
        body,
        status=refused.kind.status,
        content_type=MEDIA_TYPE,
        headers={"X-Request-Id": body["request_id"], "Cache-Control": "no-store", **refused.headers},
    )


def describe(error: Exception) -> Refused:
    """What to tell the client about `error`."""
    match error:
        case Refused():
            return error
        case domain.DomainError():
            return _of_domain(error)
        case InvalidPlaybook():
            found = [FieldError(field=one.path or "document", message=one.message) for one in error.problems]
            return Refused(INVALID_INPUT, errors=found[:MAX_ERRORS])
        case ValidationError():
            return Refused(INVALID_INPUT, errors=list(_flatten(error.detail, "")))
        case APIException():
            return _of_framework(error)
        case Http404():
            return Refused(NOT_FOUND)
        case PermissionDenied():
            return Refused(NOT_PERMITTED)
        case RequestDataTooBig():
            return Refused(TOO_LARGE)
        case SuspiciousOperation() | BadRequest() | MultiPartParserError():
            return Refused(INVALID_INPUT, "The request cannot be read.")
        case _ if is_passing(error):
            return Refused(
                UNAVAILABLE,
                "The database does not answer or takes no writes at the moment. Nothing was stored; try again.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        case _:
            return Refused(INTERNAL_ERROR, "Something broke on our side. It is logged under the request id.")


def _of_domain(error: domain.DomainError) -> Refused:
    kind = next(kind for error_type, kind in DOMAIN_ERRORS if isinstance(error, error_type))
    if isinstance(error, (domain.InvalidInput, domain.AlreadyExists)):
        return Refused(
            kind, errors=[FieldError(field=error.field, message=str(error), code=kind.slug.replace("-", "_"))]
        )
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if kind in {UNAVAILABLE, TOO_MANY_REQUESTS} else {}
    return Refused(kind, str(error), headers=headers)


def _of_framework(error: APIException) -> Refused:
    kind = BY_STATUS.get(error.status_code, INTERNAL_ERROR)
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    return Refused(kind, str(error.detail), headers=headers)


def _flatten(detail: Any, path: str) -> Iterator[FieldError]:
    """DRF's nested errors as dotted paths."""
    if isinstance(detail, str):
        yield FieldError(field=path or "body", message=str(detail), code=getattr(detail, "code", "") or "invalid")
        return
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            is_whole = name in {"non_field_errors", "__all__"}
            yield from _flatten(inner, path if is_whole else f"{path}.{name}".lstrip("."))
        return
    for position, item in enumerate(detail):
        if isinstance(item, str):
            yield from _flatten(item, path)
        elif item:
            yield from _flatten(item, f"{path}.{position}".lstrip("."))


def _summary(errors: Sequence[FieldError]) -> str:
    if not errors:
        return ""
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{errors[0].field}: {errors[0].message}{more}"
