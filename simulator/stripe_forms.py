"""How Stripe reads parameters and words its refusals, so that the official client raises what it would raise live.

Unknown parameters are refused, as Stripe does: a stand-in that ignores what it does not understand lets a misspelt
`amount_to_capture` pass here and capture the full amount in production.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from simulator.wire import RefusedError, Request, Response, answer, parse_form

MAX_AMOUNT = 9_999_999_999
MAX_METADATA_KEYS = 50
METADATA_NAME = re.compile(r"metadata\[([^\[\]]{1,40})\]")
CURRENCY = re.compile(r"[a-z]{3}")
WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")


def error_answer(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    kind: str = "invalid_request_error",
    **more: object,
) -> Response:
    """Return an error in Stripe's shape; `more` adds fields such as decline_code or payment_intent."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if code is not None:
        error["code"] = code
        error["doc_url"] = f"https://docs.stripe.com/error-codes/{code.replace('_', '-')}"
    if param is not None:
        error["param"] = param
    return answer(status, {"error": error | more})


def invalid(message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> NoReturn:
    """Refuse a request that never began to execute; such an answer is not saved under its key."""
    raise RefusedError(error_answer(status, message, code=code, param=param))


def missing(kind: str, object_id: str, param: str, status: int = 404) -> NoReturn:
    """Refuse because the named object does not exist."""
    invalid(f"No such {kind}: '{object_id}'", param=param, code="resource_missing", status=status)


def unauthorized(request: Request) -> Response | None:
    """Return the 401 for a request without a secret key, or None when it carries one."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.startswith("sk_"):
        return None
    if not key:
        return error_answer(401, "You did not provide an API key. Use 'Authorization: Bearer YOUR_SECRET_KEY'.")
    return error_answer(401, f"Invalid API Key provided: {key[:3]}***")


#: the bounds of a list, as Stripe names them
CREATED = ("created[gte]", "created[lte]")


class Form:
    """The parameters of one call, form-encoded in the body (POST) or the query string (GET)."""

    def __init__(self, request: Request, allowed: frozenset[str]) -> None:
        """Refuse with 400 parameter_unknown what is not in `allowed`; metadata[...] comes under "metadata"."""
        try:
            self.fields = parse_form(request.body.decode("utf-8")) if request.method == "POST" else dict(request.query)
        except ValueError as error:
            invalid(f"The request body cannot be read as a form: {error}")
        for name in self.fields:
            if name not in allowed and not (METADATA_NAME.fullmatch(name) and "metadata" in allowed):
                invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")

    def text(self, name: str, *, max_length: int = 1000) -> str | None:
        """Return an optional text; an empty one counts as not given."""
        value = self.fields.get(name) or None
        if value is not None and len(value) > max_length:
            invalid(f"{name} must be at most {max_length} characters", param=name, code="parameter_invalid")
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str | None:
        """Return one of `choices`, or `default` when the parameter is not given."""
        value = self.text(name)
        if value is not None and value not in choices:
            invalid(f"Invalid {name}: must be one of {', '.join(choices)}", param=name, code="parameter_invalid")
        return value if value is not None else default

    def flag(self, name: str) -> bool:
        """Return a true/false parameter, false when it is not given."""
        return self.choice(name, ("true", "false"), "false") == "true"

    def amount(self, name: str) -> int | None:
        """Return an optional amount of 1..9,999,999,999 minor units."""
        value = self.text(name)
        if value is None:
            return None
        if not WHOLE_NUMBER.fullmatch(value) or int(value) < 1:
            invalid(f"Invalid integer: {value[:50]}", param=name, code="parameter_invalid_integer")
        if int(value) > MAX_AMOUNT:
            invalid(f"{name} must be no more than {MAX_AMOUNT}", param=name, code="amount_too_large")
        return int(value)

    def currency(self, name: str) -> str:
        """Return a required currency of three lower-case letters."""
        value = self.text(name)
        if value is None:
            missing_parameter(name)
        if not CURRENCY.fullmatch(value):
            invalid(f"Invalid currency: {value[:20]}", param=name, code="parameter_invalid")
        return value

    def limit(self) -> int:
        """Return the page size, 1..100, 10 when it is not given."""
        value = self.text("limit") or "10"
        if not WHOLE_NUMBER.fullmatch(value) or not 1 <= int(value) <= 100:
            invalid("limit must be between 1 and 100", param="limit", code="parameter_invalid_integer")
        return int(value)

    def created(self) -> tuple[int, int]:
        """Return the bounds created[gte] and created[lte], in seconds; everything when they are not given."""
        bounds = []
        for name, default in zip(CREATED, ("0", str(2**53)), strict=True):
            value = self.text(name) or default
            if not WHOLE_NUMBER.fullmatch(value):
                invalid(f"Invalid integer: {value[:50]}", param=name, code="parameter_invalid_integer")
            bounds.append(int(value))
        return bounds[0], bounds[1]

    def metadata(self) -> dict[str, str]:
        """Return metadata[key]=value pairs within Stripe's limits (50 keys, values of 500 characters)."""
        pairs: dict[str, str] = {}
        for name, value in self.fields.items():
            found = METADATA_NAME.fullmatch(name)
            if found and value:
                if len(value) > 500:
                    invalid("Metadata values can have up to 500 characters", param=name)
                pairs[found[1]] = value
        if len(pairs) > MAX_METADATA_KEYS:
            invalid(f"Metadata can have up to {MAX_METADATA_KEYS} keys", param="metadata")
        return pairs


def missing_parameter(name: str) -> NoReturn:
    """Refuse because a required parameter was not given."""
    invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")


def page(url: str, items: list[dict[str, Any]], limit: int) -> Response:
    """Return a list answer of at most `limit` items; one more than that means there is another page."""
    return answer(200, {"object": "list", "url": url, "has_more": len(items) > limit, "data": items[:limit]})


def dump(value: Mapping[str, Any] | None) -> str | None:
    """Return JSON text for a column, None for nothing."""
    return None if value is None else json.dumps(value)
