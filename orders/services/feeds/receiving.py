"""Taking a file in, or refusing it whole before anything is parsed.

What can be told from size and bytes alone is refused here, to the face of whoever sends it: an archive, UTF-16 or a
million rows must not become a process that fails minutes later. Workbooks and JSON lines become CSV on the way in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from orders import outbox
from orders.actor import Actor
from orders.errors import InvalidFeed, InvalidInput
from orders.models import Command, FeedImport, FeedLayout
from orders.services import open_work
from orders.services.feeds import keeping, layouts
from orders.services.feeds.converting import json_lines_to_csv, refuse, workbook_to_csv
from orders.services.feeds.phases import ENDED
from orders.services.feeds.reading import mapped_only
from orders.vocabulary import CommandKind, FeedFormat, Topic

MAX_INITIAL_STOCK = 1_000_000_000

#: a workbook, or another archive, which the program that reads workbooks tells apart
ZIP = b"PK\x03\x04"
#: first bytes of what is not text, and what to call it
BINARY_KINDS = {
    b"PK\x05\x06": "an empty zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
}
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class Converted:
    #: of the file as it was sent
    format: FeedFormat
    csv: bytes


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
    dry_run: bool = False,
    follows: UUID | str | None = None,
    converted: Converted | None = None,
) -> FeedImport:
    """Store a file and ask for its import.

    Raises `NotPermitted`, `InvalidInput` naming field and limit, or `WrongState` for a person who has too many imports
    under way.

    `follows` is the import whose rejected rows the file mends. `converted` is what `convert` made of the file, for a
    caller who works in a transaction, which must not stay open for as long as a workbook takes.
    """
    actor.require("orders.import_feed")
    if process:
        actor.require("orders.start_order")
    if create_products:
        actor.require("orders.add_product")
    version = layouts.newest(layout)
    if not 0 <= initial_stock <= MAX_INITIAL_STOCK:
        raise InvalidInput("initial_stock", f"{initial_stock} is not within 0 to {MAX_INITIAL_STOCK}.")
    followed = _followed(follows, layout)
    if converted is None:
        converted = _convert(content, layout, version, max_bytes=max_bytes, max_rows=max_rows)
    name = "".join(character for character in name if character.isprintable())[:200] or "unnamed"
    user = actor.user if actor.user is not None and actor.user.pk else None
    with transaction.atomic():
        under_way = FeedImport.objects.exclude(status__in=ENDED)
        open_work.require_place("imports", under_way, most=settings.IMPORTS_OPEN_PER_PERSON, actor=actor)
        feed = FeedImport.objects.create(
            name=name,
            layout=layout,
            layout_version=version,
            format=converted.format,
            content=b"",
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            rows_expected=_rows(converted.csv),
            dry_run=dry_run,
            follows=followed,
            create_products=create_products,
            initial_stock=initial_stock,
            process=process,
            requested_by=user,  # type: ignore[misc]
            actor=actor.name,
        )
        keeping.write(feed, converted.csv)
        Command.objects.create(
            # One file, one command: the same id lets the end of the import find it.
            id=feed.id,
            feed=feed,
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


def convert(content: bytes, *, layout: str, actor: Actor, max_bytes: int, max_rows: int) -> Converted:
    """The file as CSV, if it is one that we take. Raises `NotPermitted`, `InvalidInput` or `TooManyWorkbooks`."""
    actor.require("orders.import_feed")
    return _convert(content, layout, layouts.newest(layout), max_bytes=max_bytes, max_rows=max_rows)


def _convert(content: bytes, name: str, version: FeedLayout | None, *, max_bytes: int, max_rows: int) -> Converted:
    is_comma = version is not None and version.decimal_comma
    if not connection.in_atomic_block:
        # Somebody else may need it while the file is read.
        connection.close()
    kind, text = _as_csv(content, max_bytes=max_bytes, max_rows=max_rows, decimal_comma=is_comma)
    layout = layouts.BUILT_IN[name] if version is None else layouts.as_layout(version)
    try:
        return Converted(format=kind, csv=mapped_only(text, layout))
    except InvalidFeed as refusal:
        raise InvalidInput("file", str(refusal)) from refusal


def _followed(follows: UUID | str | None, layout: str) -> FeedImport | None:
    if follows is None:
        return None
    try:
        feed = FeedImport.objects.filter(pk=UUID(str(follows))).first()
    except ValueError:
        feed = None
    if feed is None:
        raise InvalidInput("follows", "There is no import of that id.")
    if feed.status not in ENDED:
        raise InvalidInput("follows", f"The import of {feed.name} has not ended; what it rejects is not known yet.")
    if feed.layout != layout:
        raise InvalidInput("follows", f"The import of {feed.name} has the layout {feed.layout}, not {layout}.")
    return feed


def _as_csv(content: bytes, *, max_bytes: int, max_rows: int, decimal_comma: bool) -> tuple[FeedFormat, bytes]:
    """What the file is, told by its bytes, and the CSV to store."""
    if not content:
        refuse("The file is empty.")
    if len(content) > max_bytes:
        refuse(f"The file has {len(content)} bytes; the limit is {max_bytes} bytes.")
    if content.startswith(ZIP):
        book = workbook_to_csv(content, max_bytes=max_bytes, max_rows=max_rows, decimal_comma=decimal_comma)
        return FeedFormat.XLSX, book
    for start, kind in BINARY_KINDS.items():
        if content.startswith(start):
            refuse(f"The file is {kind}; CSV text, JSON lines and Excel workbooks (.xlsx) are taken.")
    if content.startswith(UTF16_MARKS):
        refuse("The file is UTF-16 text; only UTF-8 and Windows-1252 are taken.")
    if b"\x00" in content:
        refuse(f"The file has a NUL byte at position {content.index(0)}; only UTF-8 and Windows-1252 text is taken.")
    match content[:1_000].removeprefix(UTF8_MARK).lstrip()[:1]:
        case b"{":
            return FeedFormat.JSON_LINES, json_lines_to_csv(content, max_rows=max_rows, decimal_comma=decimal_comma)
        case b"[":
            refuse("The file is a JSON array; of JSON, one object a line is taken.")
    rows = _rows(content)
    if rows > max_rows:
        refuse(f"The file has {rows} rows; the limit is {max_rows} rows.")
    return FeedFormat.CSV, content


def _rows(content: bytes) -> int:
    # Quoted line breaks count too: this is a bound that costs milliseconds, not a parse.
    lines = max(content.count(b"\n"), content.count(b"\r"))
    return lines - 1 if content.endswith((b"\n", b"\r")) else lines
