"""How Stripe reads parameters and words its refusals, so that the official client raises what it would raise live.

Unknown parameters are refused, as Stripe does: a stand-in that ignores what it does not understand lets a misspelt
`amount_to_capture` pass here and capture the full amount in production.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

from simulator.currencies import MAXIMUM_AMOUNT, MINIMUM_AMOUNTS, words
from simulator.wire import RefusedError, Request, Response, answer, parse_form

MAX_METADATA_KEYS = 50
METADATA_NAME = re.compile(r"metadata\[([^\[\]]{1,40})\]")
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


#: the bounds of a list, as Stripe names them: the operator and what it adds to make the bound inclusive
BOUNDS = {"created[gte]": 0, "created[gt]": 1, "created[lte]": 0, "created[lt]": -1}
CREATED = ("created", *BOUNDS)
#: what every list takes
PAGING = ("limit", "starting_after", "ending_before", *CREATED)


class Form:
    """The parameters of one call, form-encoded in the body (POST) or the query string (GET)."""

    def __init__(self, request: Request, allowed: frozenset[str]) -> None:
        """Refuse with 400 parameter_unknown what is not in `allowed`.

        metadata[...] comes under "metadata"; a name that ends in [*] allows every name[...] below it.
        """
        try:
            self.fields = parse_form(request.body.decode("utf-8")) if request.method == "POST" else dict(request.query)
        except ValueError as error:
            invalid(f"The request body cannot be read as a form: {error}")
        below = tuple(name[:-2] for name in allowed if name.endswith("[*]"))
        for name in self.fields:
            known = name in allowed or (below and name.startswith(below))
            if not known and not (METADATA_NAME.fullmatch(name) and "metadata" in allowed):
                invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")

    def text(self, name: str, *, max_length: int = 1000) -> str | None:
        """Return an optional text; an empty one counts as not given."""
        value = self.fields.get(name) or None
        if value is not None and len(value) > max_length:
            invalid(f"{name} must be at most {max_length} characters", param=name)
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str | None:
        """Return one of `choices`, or `default` when the parameter is not given."""
        value = self.text(name)
        if value is not None and value not in choices:
            invalid(f"Invalid {name}: must be one of {', '.join(choices)}", param=name)
        return value if value is not None else default

    def flag(self, name: str) -> bool:
        """Return a true/false parameter, false when it is not given."""
        return self.choice(name, ("true", "false"), "false") == "true"

    def amount(self, name: str) -> int | None:
        """Return an optional amount of 1..99,999,999 minor units."""
        value = self.text(name)
        if value is None:
            return None
        if not WHOLE_NUMBER.fullmatch(value) or int(value) < 1:
            invalid(f"Invalid integer: {value[:50]}", param=name, code="parameter_invalid_integer")
        if int(value) > MAXIMUM_AMOUNT:
            invalid(f"{name} must be no more than {MAXIMUM_AMOUNT}", param=name, code="amount_too_large")
        return int(value)

    def currency(self, name: str) -> str:
        """Return a required currency that the gateway charges in, lower-case."""
        value = self.text(name)
        if value is None:
            missing_parameter(name)
        if value not in MINIMUM_AMOUNTS:
            known = ", ".join(MINIMUM_AMOUNTS)
            invalid(f"Invalid currency: {value[:20]}. Known are {known}", param=name)
        return value

    def url(self, name: str, *, schemes: tuple[str, ...] = ()) -> str | None:
        """Return an optional address with a scheme and a host, of one of `schemes` when they are given."""
        value = self.text(name, max_length=2000)
        if value is None:
            return None
        try:
            parts = urlsplit(value)
        except ValueError:
            parts = urlsplit("")
        # A control character would end up in the header of a redirect.
        if not (parts.scheme and parts.netloc and value.isascii() and value.isprintable()) or (
            schemes and parts.scheme not in schemes
        ):
            invalid("Not a valid URL", param=name, code="url_invalid")
        return value

    def array(self, name: str) -> list[str]:
        """Return the values of name[0], name[1], ... in the order of their numbers."""
        found = []
        for field, value in self.fields.items():
            if field.startswith(f"{name}["):
                number = field[len(name) + 1 : -1]
                if not (field.endswith("]") and (number == "" or WHOLE_NUMBER.fullmatch(number))):
                    invalid(f"Invalid array: {field[:100]}", param=name)
                found.append((int(number or 0), value))
        return [value for _, value in sorted(found)]

    def limit(self) -> int:
        """Return the page size, 1..100, 10 when it is not given."""
        value = self.text("limit") or "10"
        if not WHOLE_NUMBER.fullmatch(value) or not 1 <= int(value) <= 100:
            invalid("limit must be between 1 and 100", param="limit", code="parameter_invalid_integer")
        return int(value)

    def created(self) -> tuple[int, int]:
        """Return the bounds of created, both inclusive, in seconds; everything when they are not given."""
        low, high = 0, 2**53
        if (exact := self._seconds("created")) is not None:
            low = high = exact
        for name, shift in BOUNDS.items():
            value = self._seconds(name)
            if value is None:
                continue
            low, high = (max(low, value + shift), high) if "[g" in name else (low, min(high, value + shift))
        return low, high

    def _seconds(self, name: str) -> int | None:
        value = self.text(name)
        if value is not None and not WHOLE_NUMBER.fullmatch(value):
            invalid(f"Invalid integer: {value[:50]}", param=name, code="parameter_invalid_integer")
        return None if value is None else int(value)

    def metadata_change(self, before: Mapping[str, str]) -> dict[str, str]:
        """Return `before` with the given pairs; a key with an empty value is removed."""
        emptied = {found[1] for name in self.fields if (found := METADATA_NAME.fullmatch(name))}
        return {name: value for name, value in before.items() if name not in emptied} | self.metadata()

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


def check_minimum(amount: int, currency: str) -> None:
    """Refuse with 400 amount_too_small what is below the smallest charge of its currency."""
    least = MINIMUM_AMOUNTS[currency]
    if amount < least:
        message = f"Amount must be at least {words(least, currency)}"
        invalid(message, param="amount", code="amount_too_small")


def dump(value: Mapping[str, Any] | None) -> str | None:
    """Return JSON text for a column, None for nothing."""
    return None if value is None else json.dumps(value)
