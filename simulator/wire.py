"""What every partner says and hears: requests, answers and refusals as plain values.

Partners are written against these, not against http.server, so that a rule about money is never mixed with a rule
about sockets. A body that cannot be stored (NaN, lone surrogates, absurd nesting) is refused here, once, because a
later crash would answer 500 and leave the caller guessing whether something happened.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import parse_qsl

MAX_BODY_BYTES = 1_000_000
MAX_JSON_DEPTH = 32


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request, fully read."""

    method: str
    path: str
    segments: tuple[str, ...]  # the path, split and percent-decoded
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""
    id: str = ""

    @property
    def idempotency_key(self) -> str | None:
        """The caller's Idempotency-Key, or None when it sent none."""
        return self.headers.get("idempotency-key")

    @property
    def last(self) -> str:
        """The last segment of the path, which is mostly an id."""
        return self.segments[-1]


@dataclass(frozen=True, kw_only=True)
class Response:
    """One answer, its body already text so that a replay is byte for byte the same."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True, kw_only=True)
class Silence:
    """No answer at all: the connection stays open for `seconds` and is then closed."""

    seconds: float = 0.0


class RefusedError(Exception):
    """A request that was turned down before it had any effect."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.text)
        self.response = response


def answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return `body` as a JSON answer."""
    return Response(status=status, text=json.dumps(body, separators=(",", ":")), headers=headers or {})


def refuse(
    status: int, code: str, message: str, *, field: str | None = None, headers: Mapping[str, str] | None = None
) -> NoReturn:
    """Raise `RefusedError` with the error shape of every partner but payments: {"error": {code, message, field?}}."""
    error: dict[str, str] = {"code": code, "message": message}
    if field is not None:
        error["field"] = field
    raise RefusedError(answer(status, {"error": error}, headers))


def new_id(prefix: str) -> str:
    """Return a fresh opaque id such as `pi_9f...`; unguessable, so nobody can build one from an order number."""
    return f"{prefix}_{secrets.token_hex(12)}"


def digest(value: object) -> str:
    """Return a hash of `value` that does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def draw(*parts: object) -> float:
    """Return a number in [0, 1) that depends on nothing but `parts`, in any process and on any day."""
    raw = hashlib.sha256("|".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(raw[:7]) / 2**56


def read_json(request: Request) -> Any:
    """Return the JSON body. Refuses with 400 `bad_json` when it is not JSON that can be stored."""

    def no_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not a JSON number")

    try:
        value = json.loads(request.body.decode("utf-8"), parse_constant=no_constant)
        # json accepts escaped lone surrogates, which no UTF-8 store can hold.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        refuse(400, "bad_json", "the body is not valid UTF-8 text")
    except RecursionError:
        refuse(400, "bad_json", f"the body is nested deeper than {MAX_JSON_DEPTH} levels")
    except ValueError as error:
        refuse(400, "bad_json", f"the body is not JSON: {error}")
    if _depth(value) > MAX_JSON_DEPTH:
        refuse(400, "bad_json", f"the body is nested deeper than {MAX_JSON_DEPTH} levels")
    return value


def read_object(request: Request, allowed: frozenset[str] | None = None) -> dict[str, Any]:
    """Return the JSON body as an object. Refuses anything else, and a field outside `allowed`, with 400."""
    value = read_json(request)
    if not isinstance(value, dict):
        refuse(400, "bad_json", "the body must be a JSON object")
    for name in value:
        if allowed is not None and name not in allowed:
            refuse(400, "unknown_field", f"unknown field {name!r}; known are {', '.join(sorted(allowed))}", field=name)
    return value


def text_field(body: Mapping[str, Any], name: str, *, max_length: int = 200) -> str:
    """Return a required text of 1..`max_length` characters, or refuse with 400 naming the field."""
    value = body.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= max_length:
        refuse(400, "bad_field", f"{name} must be a text of 1 to {max_length} characters", field=name)
    return value


def integer_field(body: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """Return a required integer within low..high (true and 1.0 are no integers), or refuse with 400 naming it."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        refuse(400, "bad_field", f"{name} must be an integer from {low} to {high}", field=name)
    return value


def number_field(body: Mapping[str, Any], name: str, low: float, high: float) -> float:
    """Return a required number within low..high (true is none), or refuse with 400 naming the field."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        refuse(400, "bad_field", f"{name} must be a number from {low} to {high}", field=name)
    return float(value)


def code_field(body: Mapping[str, Any], name: str, length: int) -> str:
    """Return a required code of `length` ASCII letters in upper case, such as a country or currency."""
    value = body.get(name)
    if not isinstance(value, str) or len(value) != length or not (value.isascii() and value.isalpha()):
        refuse(400, "bad_field", f"{name} must be {length} letters", field=name)
    return value.upper()


def query_integer(request: Request, name: str, default: int, low: int, high: int) -> int:
    """Return a whole number of the query string, or refuse with 400 naming the parameter."""
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and low <= int(text) <= high):
        refuse(400, "bad_field", f"{name} must be an integer from {low} to {high}", field=name)
    return int(text)


def parse_form(data: str) -> dict[str, str]:
    """Return form-encoded pairs as a dict. Raises ValueError for bad UTF-8, too many fields or a repeated name."""
    pairs = parse_qsl(data, keep_blank_values=True, errors="strict", max_num_fields=1000)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise ValueError("a parameter is given twice")
    return form


def _depth(value: object) -> int:
    deepest, todo = 0, [(value, 1)]
    while todo:
        item, level = todo.pop()
        if isinstance(item, dict | list):
            deepest = max(deepest, level)
            todo.extend((child, level + 1) for child in (item.values() if isinstance(item, dict) else item))
    return deepest
