"""Downloads that are made while they leave. The only module that answers with a stream.

The web server never holds more of a file than a piece of `PIECE_BYTES`, and no database connection while a piece is on
its way: the pool is small, and ten people on a train would stop everybody else. So whatever makes the pieces may keep
nothing open between two of them, neither a cursor (no `.iterator()`) nor a transaction.

Under ASGI Django would first collect every piece of an ordinary iterator, which is the whole file in memory.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import chain

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

from orders.errors import TooManyDownloads

logger = logging.getLogger(__name__)

CSV = "text/csv; charset=utf-8"
BYTE_ORDER_MARK = "\ufeff"
#: what is read at once; smaller pieces are put together
PIECE_BYTES = 256 * 1024
#: what is sent at once, so that a slow reader is seen to take something
SENT_BYTES = 64 * 1024

_lock = threading.Lock()
#: downloads under way in this process, by the user's key
_under_way: Counter[object] = Counter()


def attachment(
    request: HttpRequest, pieces: Iterable[bytes | str], *, name: str, content_type: str
) -> StreamingHttpResponse:
    """A file to be saved under `name`, which is made by us and not by whoever asks.

    CSV begins with a byte-order mark, or a spreadsheet takes it for another encoding than UTF-8.
    Raises `TooManyDownloads` when the person has `DOWNLOADS_AT_ONCE` of them under way in this process.
    """
    _begin(request)
    large = _large(chain([BYTE_ORDER_MARK], pieces) if content_type == CSV else pieces)
    response = _Download(
        _in_threads(large, name) if isinstance(request, ASGIRequest) else large,
        content_type=content_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        },
    )
    # Also when nobody closes the response, because its reader left before it was sent.
    response.end = weakref.finalize(response, _end, request.user.pk)
    return response


class _Download(StreamingHttpResponse):
    #: gives the person's place back, once however often it is called
    end: Callable[[], object]

    def close(self) -> None:
        super().close()
        self.end()


def require_place(request: HttpRequest) -> None:
    """Raise `TooManyDownloads`, for a view that writes down who downloads before it does."""
    under_way = _under_way[request.user.pk]
    if under_way >= settings.DOWNLOADS_AT_ONCE:
        raise TooManyDownloads(f"You have {under_way} downloads under way. Wait until one of them has ended.")


def _begin(request: HttpRequest) -> None:
    with _lock:
        require_place(request)
        _under_way[request.user.pk] += 1


def _end(who: object) -> None:
    with _lock:
        _under_way[who] -= 1
        if _under_way[who] <= 0:
            del _under_way[who]


def _large(pieces: Iterable[bytes | str]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth a connection and a thread."""
    held = bytearray()
    for piece in pieces:
        held += piece.encode() if isinstance(piece, str) else piece
        if len(held) >= PIECE_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _in_threads(pieces: Iterator[bytes], name: str) -> AsyncIterator[bytes]:
    """Piece by piece; a reader who takes none for `DOWNLOAD_STALL_SECONDS` is left."""

    def following() -> bytes | None:
        try:
            return next(pieces, None)
        finally:
            if not connection.in_atomic_block:
                connection.close()

    task = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def leave() -> None:
        logger.info("The reader of %s takes nothing any more; the download is ended", name)
        if task is not None:
            task.cancel()

    while (piece := await sync_to_async(following)()) is not None:
        for start in range(0, len(piece), SENT_BYTES):
            # The server asks for more only when the reader has taken this.
            watch = loop.call_later(settings.DOWNLOAD_STALL_SECONDS, leave)
            try:
                yield piece[start : start + SENT_BYTES]
            finally:
                watch.cancel()
