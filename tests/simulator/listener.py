"""A webhook endpoint for tests: it keeps what it is sent and answers what it is told."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(kw_only=True)
class Received:
    """One delivery as it came in."""

    body: bytes
    signature: str

    @property
    def event(self) -> Any:
        """The event in it."""
        return json.loads(self.body)


@dataclass(kw_only=True)
class Listener:
    """An endpoint on a port of its own; `answer` gives the status for each delivery, and may take its time."""

    answer: Callable[[Received], int] = lambda received: 200
    received: list[Received] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    url: str = ""

    def __enter__(self) -> Self:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                got = Received(body=self.rfile.read(length), signature=self.headers.get("Stripe-Signature", ""))
                status = listener.answer(got)
                with listener.changed:
                    listener.received.append(got)
                    listener.changed.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/events/"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, holds: Callable[[list[str]], bool], seconds: float = 20) -> list[str]:
        """Wait until `holds` is true of the types received so far, and return them."""

        def types() -> list[str]:
            return [one.event["type"] for one in self.received]

        with self.changed:
            assert self.changed.wait_for(lambda: holds(types()), seconds), types()
            return types()
