"""A partner that playbooks call by name: it keeps what it was told, by key, and can be made to hold its answer back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class PartnerEndpoint:
    def __init__(self) -> None:
        #: idempotency key -> what was said under it
        self.told: dict[str, str] = {}
        #: every call, those under the same key too
        self.calls = 0
        self._answers = threading.Event()
        self._answers.set()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.told[self.headers["Idempotency-Key"]] = body["text"]
                endpoint.calls += 1
                endpoint._answers.wait(60)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None:
                """Not into the tests' output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def hold(self) -> None:
        """Answer nobody until `answer`."""
        self._answers.clear()

    def answer(self) -> None:
        self._answers.set()

    def forget(self) -> None:
        self.told, self.calls = {}, 0
        self.answer()


@contextmanager
def serving() -> Iterator[PartnerEndpoint]:
    endpoint = PartnerEndpoint()
    thread = threading.Thread(target=endpoint.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.answer()
        endpoint.server.shutdown()
        endpoint.server.server_close()
        thread.join()
