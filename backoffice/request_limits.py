"""What a request may take of a web process before any view has seen it: bytes, seconds, places.

Django reads a whole body, to disk and however long it takes, before it looks at who sends it; so anybody could fill the
disk or hold connections for ever. And each password check is a second of work: without a line of their own, forty wrong
sign-ins make everybody else wait.
"""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse

from backoffice import policy_reports
from backoffice.proxies import caller
from orders.api.problems import (
    METHOD_NOT_ALLOWED,
    REQUEST_TIMEOUT,
    TOO_LARGE,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
    FieldError,
    Kind,
    Refused,
    problem_response,
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

API = "/api/"
#: bytes; for requests that need no body, and for the form of the sign-in
SMALL = 64 * 1024
BODYLESS = frozenset({"GET", "HEAD", "OPTIONS"})
API_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
PAGE_METHODS = frozenset({"GET", "HEAD", "POST"})
#: addresses that check a password
PASSWORD_DOORS = ("/accounts/login/", "/accounts/reauthenticate/", "/accounts/password/")
RETRY_AFTER = {"Retry-After": "5"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    #: from the first byte of a body to its last
    body_seconds: float
    #: requests of one address that are being answered
    per_address: int
    #: bodies of one address that are on their way
    bodies_per_address: int
    passwords_at_once: int
    #: sign-ins of one address, and of all, that wait or are checked
    passwords_per_address: int
    passwords_waiting: int

    @classmethod
    def of_settings(cls) -> Limits:
        return cls(
            body_seconds=settings.WEB_BODY_SECONDS,
            per_address=settings.WEB_REQUESTS_PER_ADDRESS,
            bodies_per_address=settings.WEB_BODIES_PER_ADDRESS,
            passwords_at_once=settings.WEB_PASSWORDS_AT_ONCE,
            passwords_per_address=settings.WEB_PASSWORDS_PER_ADDRESS,
            passwords_waiting=settings.WEB_PASSWORDS_WAITING,
        )


def largest_body(method: str, path: str) -> int:
    """Bytes that a body may have at this address."""
    if method in BODYLESS or path.startswith(PASSWORD_DOORS):
        return SMALL
    if path == policy_reports.ADDRESS:
        return policy_reports.MAX_BYTES
    if path == "/api/imports/":
        return int(settings.FEED_UPLOAD_MAX_BYTES)
    return int(settings.API_MAX_BODY_BYTES if path.startswith(API) else settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


class Places:
    """So many at once of one key, and so many of all."""

    def __init__(self, each: int, most: int | None = None) -> None:
        self.each, self.most = each, most
        self.taken: Counter[str] = Counter()

    @contextmanager
    def one(self, key: str) -> Iterator[None]:
        if self.taken[key] >= self.each:
            raise Refused(TOO_MANY_REQUESTS, "Too many requests of this address at once.", headers=RETRY_AFTER)
        if self.most is not None and self.taken.total() >= self.most:
            raise Refused(UNAVAILABLE, "Too many people sign in at this moment; try again.", headers=RETRY_AFTER)
        self.taken[key] += 1
        try:
            yield
        finally:
            self.taken[key] -= 1
            if not self.taken[key]:
                # Else every address that ever called would stay.
                del self.taken[key]


class RequestLimits:
    """ASGI application around Django's."""

    def __init__(self, app: Application, limits: Limits | None = None) -> None:
        self.app = app
        self.limits = limits or Limits.of_settings()
        self.arriving = Places(self.limits.bodies_per_address)
        self.answered = Places(self.limits.per_address)
        self.signing_in = Places(self.limits.passwords_per_address, self.limits.passwords_waiting)
        self.checks = asyncio.Semaphore(self.limits.passwords_at_once)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._answer(scope, receive, noted)
        except Refused as refused:
            if has_begun:
                raise
            await _refuse(scope, send, refused)

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        allowed = API_METHODS if path.startswith(API) else PAGE_METHODS
        if method not in allowed:
            raise Refused(METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(sorted(allowed))})
        headers = {name.lower(): value for name, value in scope["headers"]}
        limit, announced = largest_body(method, path), headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            raise _too_large(limit)
        address = caller(headers.get(b"x-forwarded-for", b"").decode("latin-1"), (scope.get("client") or [""])[0])
        with ExitStack() as places:

            def has_arrived() -> None:
                places.close()
                places.enter_context(self.answered.one(address))

            body = Body(receive, limit=limit, seconds=self.limits.body_seconds, has_arrived=has_arrived)
            if announced != b"0" or b"transfer-encoding" in headers:
                places.enter_context(self.arriving.one(address))
            if method == "POST" and path.startswith(PASSWORD_DOORS):
                whole = await body.whole()
                with self.signing_in.one(address):
                    async with self.checks:
                        await self.app(scope, _again(whole, receive), send)
            else:
                await self.app(scope, body, send)


class Body:
    """ASGI's `receive` of one request, which counts and times its body. Raises `Refused`."""

    def __init__(self, receive: Receive, *, limit: int, seconds: float, has_arrived: Callable[[], None]) -> None:
        self.receive, self.limit, self.has_arrived = receive, limit, has_arrived
        self.seconds, self.ends_at = seconds, asyncio.get_running_loop().time() + seconds
        self.size, self.is_complete = 0, False

    async def __call__(self) -> Message:
        if self.is_complete:
            # From here on Django only waits for the end of the connection.
            return await self.receive()
        try:
            async with asyncio.timeout_at(self.ends_at):
                message = await self.receive()
        except TimeoutError as error:
            raise Refused(REQUEST_TIMEOUT, f"The body did not arrive within {self.seconds:g} seconds.") from error
        self.size += len(message.get("body", b""))
        if self.size > self.limit:
            raise _too_large(self.limit)
        if not message.get("more_body", False):
            self.is_complete = True
            self.has_arrived()
        return message

    async def whole(self) -> Message:
        """All of it as one message; the connection's end when that comes first."""
        pieces = []
        while True:
            message = await self()
            if message["type"] == "http.disconnect":
                return message
            pieces.append(message.get("body", b""))
            if self.is_complete:
                return {"type": "http.request", "body": b"".join(pieces), "more_body": False}


def _again(message: Message, receive: Receive) -> Receive:
    """`receive` once more from a body that was read."""
    kept = [message]

    async def again() -> Message:
        return kept.pop() if kept else await receive()

    return again


def _too_large(limit: int) -> Refused:
    error = FieldError(field="body", message=f"The body is larger than {limit} bytes.", code="too_large")
    return Refused(TOO_LARGE, errors=[error])


#: after these the rest of the body may still be coming, and nobody will read it
UNREAD: tuple[Kind, ...] = (TOO_LARGE, REQUEST_TIMEOUT, TOO_MANY_REQUESTS, METHOD_NOT_ALLOWED)


async def _refuse(scope: MutableMapping[str, Any], send: Send, refused: Refused) -> None:
    response: HttpResponse
    if scope["path"].startswith(API):
        response = problem_response(ASGIRequest(scope, io.BytesIO()), refused)
    else:
        headers = {"Cache-Control": "no-store", **refused.headers}
        response = HttpResponse(
            f"{refused.detail}\n", "text/plain; charset=utf-8", refused.kind.status, headers=headers
        )
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Length"] = str(len(response.content))
    if refused.kind in UNREAD:
        response["Connection"] = "close"
    found = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": found})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.content})
