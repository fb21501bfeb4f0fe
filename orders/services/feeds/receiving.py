"""Taking a file in, or refusing it whole before anything is parsed.

What can be told from size and bytes alone is refused here, to the face of whoever sends it: an archive, UTF-16 or a
million rows must not become a process that fails minutes later.
"""

from __future__ import annotations

import hashlib
from typing import NoReturn

import psycopg
from django.db import connection, transaction

from orders import outbox
from orders.actor import Actor
from orders.errors import InvalidInput
from orders.models import Command, FeedImport
from orders.services.feeds.layouts import LAYOUTS
from orders.vocabulary import CommandKind, Topic

MAX_INITIAL_STOCK = 1_000_000_000

#: first bytes of what is not text, and what to call it
BINARY_KINDS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"PK\x05\x06": "an empty zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
}
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def receive(
    content: bytes,
    *,
    name: str,
    layout: str = "online-retail",
    actor: Actor,
    create_products: bool,
    initial_stock: int,
    process: bool,
    max_bytes: int,
    max_rows: int,
) -> FeedImport:
    """Store a file and ask for its import. Raises `NotPermitted`, or `InvalidInput` naming field and limit."""
    actor.require("orders.import_feed")
    if process:
        actor.require("orders.start_order")
    if create_products:
        actor.require("orders.add_product")
    if layout not in LAYOUTS:
        raise InvalidInput("layout", f"There is no layout {layout[:40]}; known are {', '.join(LAYOUTS)}.")
    if not 0 <= initial_stock <= MAX_INITIAL_STOCK:
        raise InvalidInput("initial_stock", f"{initial_stock} is not within 0 to {MAX_INITIAL_STOCK}.")
    _check_content(content, max_bytes=max_bytes, max_rows=max_rows)
    name = "".join(character for character in name if character.isprintable())[:200] or "unnamed"
    user = actor.user if actor.user is not None and actor.user.pk else None
    with transaction.atomic():
        feed = FeedImport.objects.create(
            name=name,
            layout=layout,
            content=b"",
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            create_products=create_products,
            initial_stock=initial_stock,
            process=process,
            requested_by=user,  # type: ignore[misc]
            actor=actor.name,
        )
        write_content(feed, content)
        Command.objects.create(
            # One file, one command: the same id lets the end of the import find it.
            id=feed.id,
            kind=CommandKind.IMPORT_FEED,
            requested_by=user,  # type: ignore[misc]
            actor=actor.name,
            channel=actor.channel,
            reason=f"Import of {name}",
        )
        outbox.publish(
            Topic.START_FEED_IMPORT,
            aggregate=f"feed:{feed.id}",
            body={"command_id": str(feed.id), "feed_id": str(feed.id)},
        )
    return feed


def write_content(feed: FeedImport, content: bytes) -> None:
    # Django writes parameters into the statement as text: 50 MB of file became 400 MB of memory (measured).
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute("UPDATE orders_feedimport SET content = %b WHERE id = %s", [content, feed.id])
    feed.content = content


def _check_content(content: bytes, *, max_bytes: int, max_rows: int) -> None:
    if not content:
        _refuse("The file is empty.")
    if len(content) > max_bytes:
        _refuse(f"The file has {len(content)} bytes; the limit is {max_bytes} bytes.")
    for start, kind in BINARY_KINDS.items():
        if content.startswith(start):
            _refuse(f"The file is {kind}; only plain CSV text is taken.")
    if content.startswith(UTF16_MARKS):
        _refuse("The file is UTF-16 text; only UTF-8 and Windows-1252 are taken.")
    if b"\x00" in content:
        _refuse(f"The file has a NUL byte at position {content.index(0)}; only UTF-8 and Windows-1252 text is taken.")
    # Quoted line breaks count too: this is a bound that costs milliseconds, not a parse.
    lines = max(content.count(b"\n"), content.count(b"\r"))
    rows = lines - 1 if content.endswith((b"\n", b"\r")) else lines
    if rows > max_rows:
        _refuse(f"The file has {rows} rows; the limit is {max_rows} rows.")


def _refuse(message: str) -> NoReturn:
    raise InvalidInput("file", message)
