"""Reading bodies that strangers sent.

Python's JSON parser recurses (20,000 brackets are a 500), keeps the last of two equal keys, takes NaN, and hands on
NULs and lone surrogates that PostgreSQL refuses deep inside an INSERT. Here all of that is a 400 that says where.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.http import UnreadablePostError
from rest_framework.parsers import BaseParser

from orders.api.problems import INVALID_INPUT, MAX_ERRORS, TOO_LARGE, FieldError, Refused, refuse_field

# A string (possessive, and also when it never ends, or each quote of a hostile body starts a scan of its own), a
# bracket, or the colon behind a key. Inside strings they do not count.
STRING_OR_SIGN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}:]', re.DOTALL)
SURROGATE = re.compile("[\ud800-\udfff]")


class BoundedJSONParser(BaseParser):
    """JSON in UTF-8 of bounded size and depth, without duplicate keys and unstorable text."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        return json_of(read_bounded(stream, settings.API_MAX_BODY_BYTES, parser_context))


class CsvParser(BaseParser):
    """A feed file as bytes, taken as it is: its reader is the import, not the request."""

    media_type = "text/csv"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        return read_bounded(stream, settings.FEED_UPLOAD_MAX_BYTES, parser_context)


class WorkbookParser(CsvParser):
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class JsonLinesParser(CsvParser):
    media_type = "application/x-ndjson"


def json_of(content: bytes) -> Any:
    """The parsed body, or a 400 that says where it breaks a rule."""
    require_bounded(content, depth=settings.API_MAX_JSON_DEPTH, keys=settings.API_MAX_JSON_KEYS)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refuse_field("body", f"The body is not UTF-8 (byte {error.start}).", "not_utf8") from error
    try:
        tree = json.loads(text, object_pairs_hook=_without_duplicates)
    except ValueError as error:
        raise refuse_field("body", f"The body is not JSON: {str(error)[:200]}.", "not_json") from error
    found = [error for error, _ in zip(_unstorable(tree, ""), range(MAX_ERRORS), strict=False)]
    if found:
        raise Refused(INVALID_INPUT, errors=found)
    return tree


def read_bounded(stream: Any, limit: int, parser_context: Mapping[str, Any] | None) -> bytes:
    """The whole body, or a 413: first by what the client announces, then by what it sends."""
    request = (parser_context or {}).get("request")
    announced = str(request.META.get("CONTENT_LENGTH") or "0") if request is not None else "0"
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    try:
        content: bytes = stream.read(limit + 1)
    except UnreadablePostError as error:
        raise refuse_field("body", "The connection ended before the body did.", "incomplete") from error
    if len(content) > limit:
        raise _too_large(limit)
    return content


def require_bounded(content: bytes, *, depth: int, keys: int) -> None:
    """Raise a 400 at the first bracket that nests too deep or the first key too many, before anything is parsed."""
    nested = named = 0
    for match in STRING_OR_SIGN.finditer(content):
        token = match.group()
        if token in b"[{":
            nested += 1
            if nested > depth:
                raise refuse_field("body", f"The JSON nests deeper than {depth} levels.", "too_deep")
        elif token in b"]}":
            nested -= 1
        elif token == b":":
            named += 1
            if named > keys:
                raise refuse_field("body", f"The JSON has more than {keys} keys.", "too_many_keys")


def _too_large(limit: int) -> Refused:
    error = FieldError(field="body", message=f"The body is larger than {limit} bytes.", code="too_large")
    return Refused(TOO_LARGE, errors=[error])


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise refuse_field(_printable(name), "The key stands twice in one object.", "duplicate_key")
        found[name] = value
    return found


def _unstorable(value: Any, path: str) -> Iterator[FieldError]:
    """What JSON can carry and the database cannot, with the path to it."""
    if isinstance(value, str):
        if "\0" in value:
            yield FieldError(field=path or "body", message="The NUL character is not allowed.", code="nul")
        if SURROGATE.search(value):
            yield FieldError(field=path or "body", message="A lone surrogate is not a character.", code="surrogate")
    elif isinstance(value, float) and not math.isfinite(value):
        yield FieldError(field=path or "body", message="NaN and Infinity are not numbers of JSON.", code="not_finite")
    elif isinstance(value, dict):
        for name, inner in value.items():
            inner_path = f"{path}.{_printable(name)}".lstrip(".")
            if "\0" in name or SURROGATE.search(name):
                yield FieldError(field=inner_path, message="The key is not readable text.", code="unreadable_key")
            yield from _unstorable(inner, inner_path)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _unstorable(inner, f"{path}.{position}".lstrip("."))


def _printable(name: str) -> str:
    """A key of a stranger, short and safe to say back."""
    return name[:100].encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
