"""A real uvicorn with our limits: what stalls or floods is turned away, and others are answered meanwhile."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest
import uvicorn
from django.conf import LazySettings

from backoffice.http_protocol import TimedHeaders
from backoffice.request_limits import Limits, RequestLimits, largest_body

STALLED = 1_000
GENEROUS = Limits(
    body_seconds=60,
    per_address=100,
    bodies_per_address=2_000,
    passwords_at_once=1,
    passwords_per_address=2,
    passwords_waiting=3,
)
checking = threading.Semaphore(0)
let_go = threading.Event()


async def behind(scope: Any, receive: Any, send: Any) -> None:
    """As Django: reads the body, then answers; a password takes a thread until the test lets it go."""
    while (await receive()).get("more_body"):
        pass
    if scope["method"] == "POST" and scope["path"] == "/accounts/login/":
        checking.release()
        await asyncio.to_thread(let_go.wait, 60)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def served(limits: Limits) -> Iterator[int]:
    config = uvicorn.Config(
        RequestLimits(behind, limits), port=0, http=TimedHeaders, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        thread.join()


def until(met: Callable[[], bool]) -> None:
    while not met():
        time.sleep(0.01)


def opened(port: int, sent: bytes = b"", *, source: str = "127.0.0.1") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))
    connection.sendall(sent)
    return connection


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and all that came, until the other side closed."""
    came = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            came += piece
    return (int(came.split()[1]) if came else 0), came


def asked(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def read(port: int, source: str = "127.0.0.1") -> tuple[int, float]:
    began = time.monotonic()
    with closing(opened(port, asked("GET", "/api/orders/", "Connection: close"), source=source)) as connection:
        status, _ = answer(connection)
    return status, time.monotonic() - began


def test_a_thousand_stalled_connections_and_large_bodies_leave_a_read_under_a_second() -> None:
    with served(GENEROUS) as port, ExitStack() as held:
        for number in range(STALLED):
            stalls = (b"", b"GET /api/ord", asked("POST", "/api/orders/", "Content-Length: 1000") + b"{")
            held.enter_context(closing(opened(port, stalls[number % 3])))
        for path in ("/healthz", "/accounts/login/", "/api/orders/"):
            with closing(opened(port, asked("POST", path, f"Content-Length: {400 * 2**20}"))) as large:
                assert answer(large)[0] == 413

        times = [read(port) for _ in range(5)]

        assert {status for status, _ in times} == {200}
        assert min(seconds for _, seconds in times) < 1


def test_body_without_a_length_is_stopped_at_the_limit() -> None:
    with served(GENEROUS) as port:
        head = asked("POST", "/api/orders/", "Transfer-Encoding: chunked")
        with closing(opened(port, head)) as connection:
            piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
            sent = 0
            with suppress(ConnectionError):
                while sent < 400 * 2**20:
                    connection.sendall(piece)
                    sent += 0x10000
            assert sent < 40 * 2**20
        assert read(port)[0] == 200


def test_refusal_below_api_is_a_problem_document() -> None:
    with served(GENEROUS) as port:
        with closing(opened(port, asked("POST", "/api/orders/", "Content-Length: 99999999"))) as connection:
            status, came = answer(connection)
    problem = json.loads(came.partition(b"\r\n\r\n")[2])
    assert (status, problem["status"], problem["errors"][0]["field"]) == (413, 413, "body")
    assert b"application/problem+json" in came


@pytest.mark.parametrize(
    ("method", "path", "size"),
    [
        ("GET", "/api/orders/", 65_536),
        ("POST", "/accounts/login/", 65_536),
        ("POST", "/accounts/reauthenticate/", 65_536),
        ("POST", "/accounts/password/reset/key/1-set-password/", 65_536),
        ("POST", "/api/orders/", 2 * 2**20),
        ("POST", "/api/imports/", 5 * 2**20),
        ("POST", "/admin/orders/feedimport/import/", 6 * 2**20),
    ],
)
def test_each_route_has_its_own_size(method: str, path: str, size: int) -> None:
    assert largest_body(method, path) == size


def test_headers_that_do_not_arrive_are_given_up(settings: LazySettings) -> None:
    settings.WEB_HEADER_SECONDS = 0.3
    with served(GENEROUS) as port:
        for begun in (b"", b"GET /api/orders/ HTTP/1.1\r\nHo"):
            with closing(opened(port, begun)) as connection:
                assert answer(connection)[0] == 408
        with closing(opened(port, asked("GET", "/api/orders/"))) as kept:
            assert kept.recv(100).startswith(b"HTTP/1.1 200")
            kept.sendall(b"GET /api/or")
            assert b"408" in answer(kept)[1]


def test_body_that_does_not_arrive_is_given_up() -> None:
    limits = Limits(**{**vars(GENEROUS), "body_seconds": 0.3})
    for path in ("/api/orders/", "/accounts/login/"):
        with served(limits) as port, closing(opened(port, asked("POST", path, "Content-Length: 9") + b"{")) as slow:
            assert answer(slow)[0] == 408


def test_one_address_has_so_many_places_and_another_its_own() -> None:
    limits = Limits(**{**vars(GENEROUS), "bodies_per_address": 2})
    stalled = asked("POST", "/api/orders/", "Content-Length: 9")
    with served(limits) as port, ExitStack() as held:
        kept = [held.enter_context(closing(opened(port, stalled))) for _ in range(2)]
        statuses = []
        while 429 not in statuses:
            # The first two may still be on their way to the server's loop.
            with closing(opened(port, stalled)) as another:
                another.settimeout(1)
                with suppress(TimeoutError):
                    statuses.append(answer(another)[0])
        assert read(port)[0] == 200
        with closing(opened(port, stalled + b"123456789", source="127.0.0.2")) as elsewhere:
            assert elsewhere.recv(20).startswith(b"HTTP/1.1 200")
        kept[0].sendall(b"123456789")
        assert kept[0].recv(20).startswith(b"HTTP/1.1 200")


def test_password_checks_wait_in_a_line_of_their_own() -> None:
    let_go.clear()
    sign_in = asked("POST", "/accounts/login/", "Content-Length: 1", "Connection: close") + b"x"
    with served(GENEROUS) as port, ExitStack() as held:
        first = held.enter_context(closing(opened(port, sign_in)))
        assert checking.acquire(timeout=60)
        second = held.enter_context(closing(opened(port, sign_in)))
        refused: list[int] = []
        while not refused:
            with closing(opened(port, sign_in)) as third:
                third.settimeout(1)
                with suppress(TimeoutError):
                    refused.append(answer(third)[0])

        assert refused == [429]
        assert not checking.acquire(blocking=False)
        assert read(port)[0] == 200
        let_go.set()
        assert (answer(first)[0], answer(second)[0]) == (200, 200)


@pytest.mark.parametrize(
    ("method", "path"), [("TRACE", "/api/orders/"), ("BREW", "/admin/"), ("PUT", "/admin/"), ("DELETE", "/orders/x/")]
)
def test_verbs_that_nobody_answers_are_405(method: str, path: str) -> None:
    with served(GENEROUS) as port, closing(opened(port, asked(method, path))) as connection:
        status, came = answer(connection)
    assert status == 405
    assert b"allow: " in came.lower()
