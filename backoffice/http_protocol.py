"""uvicorn's HTTP protocol with an end to waiting for headers: `uvicorn --http backoffice.http_protocol:TimedHeaders`.

uvicorn calls an application once all headers are there, and waits for them for ever; whoever opens connections and
sends nothing, or a letter a minute, would hold them all.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from django.conf import settings
from uvicorn.protocols.http.h11_impl import H11Protocol

TIMED_OUT = b"The headers did not arrive in time.\n"


class TimedHeaders(H11Protocol):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.headers_end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        if self.headers_end is None and (before is None or before.response_complete):
            self._wait_for_headers()
        super().data_received(data)
        if self.cycle is not before:
            self._forget()

    def on_response_complete(self) -> None:
        before = self.cycle
        super().on_response_complete()
        if self.cycle is not before:
            # A request that was sent behind the last one has begun.
            self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self.headers_end = self.loop.call_later(settings.WEB_HEADER_SECONDS, self._give_up)

    def _forget(self) -> None:
        if self.headers_end is not None:
            self.headers_end.cancel()
            self.headers_end = None

    def _give_up(self) -> None:
        self.headers_end = None
        if self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE:
            headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
            headers.append(("content-length", str(len(TIMED_OUT))))
            answer: list[h11.Event] = [h11.Response(status_code=408, headers=headers, reason=b"Request Timeout")]
            for event in (*answer, h11.Data(data=TIMED_OUT), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
