"""HTTP for the stand-in partners, on http.server, without its traps.

Left alone, http.server writes headers and body apart, and the second waits 40 ms for a delayed acknowledgement; it
queues five connections; it answers broken requests in HTML. Each of those would be mistaken for a slow or odd product.
"""

import logging
import select
import socket
import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from simulator.partners import Simulator
from simulator.routing import dispatch
from simulator.stripe_forms import error_answer
from simulator.wire import MAX_BODY_BYTES, RefusedError, Request, Response, Silence, answer, new_id, parse_form

logger = logging.getLogger("simulator")

IDLE_SECONDS = 300
MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES


class Server(ThreadingHTTPServer):
    """One thread per connection; a burst of connections waits in the queue and is not refused."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, Handler)
        self.simulator: Simulator  # set before the first request, it needs the port that was bound

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a caller that hung up; that is its right, and chaos tests do it all day."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            logger.error("connection from %s failed", client_address, exc_info=error)


class Handler(BaseHTTPRequestHandler):
    """One keep-alive connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # buffered: an answer leaves in one write
    timeout = IDLE_SECONDS
    server: Server

    def handle_any(self) -> None:
        """Read one request in full, then answer it, or fall silent as told."""
        request_id = new_id("req")
        try:
            outcome = self._outcome(request_id)
        except RefusedError as refused:
            outcome = refused.response
        except (ConnectionError, TimeoutError):
            self.close_connection = True
            return
        except Exception:
            logger.exception("%s %s %s failed", request_id, self.command, self.path)
            message = f"The simulator itself failed, see its log for {request_id}"
            outcome = error_answer(500, message, kind="api_error")
        if isinstance(outcome, Silence):
            self.close_connection = True
            self._wait(outcome.seconds)
            return
        self._send(outcome, request_id)

    def _outcome(self, request_id: str) -> Response | Silence:
        body = self._read_body()
        parts = urlsplit(self.path)
        try:
            # Split before decoding: an idempotency key may itself contain a slash.
            segments = tuple(unquote(part, errors="strict") for part in parts.path.strip("/").split("/"))
            query = parse_form(parts.query)
        except ValueError as error:
            return answer(400, {"error": {"code": "bad_url", "message": f"the URL cannot be read: {error}"}})
        request = Request(
            method=self.command,
            path=parts.path,
            segments=segments,
            query=query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            id=request_id,
        )
        return dispatch(self.server.simulator, request)

    def _read_body(self) -> bytes:
        """Return the body. An unread rest would be taken for the next request on this connection."""
        if self.headers.get("transfer-encoding"):
            self.close_connection = True
            raise RefusedError(_bad(411, "length_required", "send a Content-Length; chunked bodies are not read"))
        text = self.headers.get("content-length", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            self.close_connection = True
            raise RefusedError(_bad(400, "bad_length", "Content-Length must be a whole number"))
        length = int(text)
        if length > MAX_BODY_BYTES:
            # Read what is coming before answering, or the reset of the connection overtakes the answer.
            self.close_connection = True
            remaining = min(length, MAX_DRAINED_BYTES)
            while remaining and (chunk := self.rfile.read(min(remaining, 65536))):
                remaining -= len(chunk)
            raise RefusedError(_bad(413, "body_too_large", f"the body may have at most {MAX_BODY_BYTES} bytes"))
        body = self.rfile.read(length) if length else b""
        if len(body) < length:
            raise ConnectionResetError("the caller hung up within its request")
        return body

    def _send(self, response: Response, request_id: str) -> None:
        body = response.text.encode("utf-8")
        lines = [
            f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
            f"Date: {self.date_time_string()}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(body)}",
            f"Request-Id: {request_id}",
            f"Connection: {'close' if self.close_connection else 'keep-alive'}",
            *(f"{name}: {value}" for name, value in response.headers.items()),
        ]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        try:
            self.wfile.write(head if self.command == "HEAD" else head + body)
            self.wfile.flush()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _wait(self, seconds: float) -> None:
        """Keep the connection open and silent, no longer than the caller itself stays."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.server.simulator.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.1)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return
            if readable:
                self.server.simulator.stopping.wait(0.1)  # bytes of a next request are waiting: do not spin

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is not HTTP, or of an unknown method, in JSON."""
        self.close_connection = True
        # The request line may be what is broken, so there may be no command yet.
        self.command = getattr(self, "command", None) or ""
        self._send(_bad(code, "bad_request", message or HTTPStatus(code).phrase), new_id("req"))

    def log_message(self, *_: object) -> None:
        """Keep no access log: the log of operations is the record, and printing is slow."""


# http.server looks for a method per verb; which of them a path takes is for the routes to say.
for verb in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
    setattr(Handler, f"do_{verb}", Handler.handle_any)


def _bad(status: int, code: str, message: str) -> Response:
    return answer(status, {"error": {"type": "invalid_request_error", "code": code, "message": message}})
