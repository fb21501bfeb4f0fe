"""From stored bytes to records, with flat memory and without trusting the file.

A file is whatever somebody's system wrote: another encoding, another separator, a quote that never closes. A quote left
open would swallow the rows after it and their invoices would become orders with lines missing, so a record over several
lines that does not fit the header is cut back to its first line, and the rest is read again.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from uuid import UUID

from orders.errors import InvalidFeed
from orders.services import csv_text
from orders.services.feeds import keeping
from orders.services.feeds.layouts import Layout

MAX_COLUMNS = 50
MAX_CELL_BYTES = 10_000
#: physical lines of one record; more than that is a quote left open
MAX_RECORD_LINES = 50
SLICE_BYTES = 1 << 20
SEPARATORS = (",", ";")
LINE_BREAK = re.compile(r"\r\n|\r|\n")
#: in front of the sender's own, in the download of bad rows
ADDED_COLUMNS = ("line", "reason")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    #: line of the file where it begins, the header being 1
    line: int
    cells: list[str]
    #: why the cells cannot be told apart; empty for a sound record
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    header: list[str]
    #: position of each of the layout's fields in a record
    places: dict[str, int]
    records: Iterator[Record]
    #: columns in front that we have added ourselves, when the file is a mended download of bad rows
    added: int = 0


def open_table(feed_id: UUID | str, layout: Layout) -> Table:
    """The header and the records of a stored file. Raises `InvalidFeed` for a file that the layout cannot read."""
    lines, separator, header = _begin(lambda: io.BufferedReader(_StoredBytes(feed_id)))
    places = _places(header, layout)
    records = _records(lines, separator, width=len(header))
    if tuple(header[: len(ADDED_COLUMNS)]) != ADDED_COLUMNS:
        return Table(header=header, places=places, records=records)
    mended = (replace(record, cells=[csv_text.as_sent(cell) for cell in record.cells]) for record in records)
    return Table(header=header, places=places, records=mended, added=len(ADDED_COLUMNS))


def mapped_only(content: bytes, layout: Layout) -> bytes:
    """The file without the columns that the layout does not map; every row keeps its line.

    Of a row whose cells cannot be told apart only the invoice number stays, without which its other rows would become
    an order with lines missing. A header that cannot be read leaves no row. Raises `InvalidFeed` for no text of ours.
    """
    lines, separator, header = _begin(lambda: io.BufferedReader(io.BytesIO(content)))
    known = {name.casefold() for name in layout.columns.values()}
    added = len(ADDED_COLUMNS) if tuple(header[: len(ADDED_COLUMNS)]) == ADDED_COLUMNS else 0
    kept = [place for place, name in enumerate(header) if place < added or name.casefold() in known]
    if not any(header):
        return b"\n"
    if len(kept) == len(header):
        return content
    target = io.BytesIO()
    text = io.TextIOWrapper(target, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, delimiter=separator)
    try:
        places = _places(header, layout)
    except InvalidFeed:
        # As many columns as were sent, so that its import says the same.
        writer.writerow([name if place in kept else f"column {place + 1}" for place, name in enumerate(header)])
        return target.getvalue()
    writer.writerow([header[place] for place in kept])
    line = 2
    for record in _records(lines, separator, width=len(header)):
        text.write("\n" * (record.line - line))
        if record.problem:
            cells = [("".join(record.cells[places["reference"] :][:1]).strip()) or "?"]
        else:
            cells = [record.cells[place] for place in kept]
        if any(cells):
            writer.writerow(cells)
            line = record.line + 1 + sum(_line_breaks(cell) for cell in cells)
        else:
            line = record.line
    return target.getvalue()


def _line_breaks(cell: str) -> int:
    return len(LINE_BREAK.findall(cell))


def _begin(open_bytes: Callable[[], io.BufferedReader]) -> tuple[io.TextIOWrapper, str, list[str]]:
    """The lines behind the header, the separator, and the header."""
    text = io.TextIOWrapper(open_bytes(), encoding=_encoding(open_bytes), newline="")
    first = text.readline()
    separator = max(SEPARATORS, key=first.count)
    return text, separator, [name.strip() for name in _split(first, separator)]


class _StoredBytes(io.RawIOBase):
    """The file's bytes, block by block; it keeps its block, because the readers above ask for 8 kB at a time."""

    def __init__(self, feed_id: UUID | str) -> None:
        self.pieces = keeping.pieces(feed_id)
        self.slice = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self.slice:
            self.slice = memoryview(next(self.pieces, b""))
        part = self.slice[: len(buffer)]
        buffer[: len(part)] = part
        self.slice = self.slice[len(part) :]
        return len(part)


def _encoding(open_bytes: Callable[[], io.BufferedReader]) -> str:
    """UTF-8, with or without BOM, when the whole file is; else Windows-1252, which Excel writes."""
    for encoding in ("utf-8-sig", "cp1252"):
        decoder = codecs.getincrementaldecoder(encoding)()
        source = open_bytes()
        try:
            while piece := source.read1(SLICE_BYTES):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise InvalidFeed("The file is neither UTF-8 nor Windows-1252 text.")


def _places(header: list[str], layout: Layout) -> dict[str, int]:
    if not any(header):
        raise InvalidFeed("The file has no header; its first line is empty.")
    if len(header) > MAX_COLUMNS:
        raise InvalidFeed(f"The header has {len(header)} columns; the limit is {MAX_COLUMNS}.")
    known = [name.casefold() for name in header]
    doubled = sorted({header[known.index(name)] for name in known if name and known.count(name) > 1})
    if doubled:
        raise InvalidFeed(f"The header names a column twice: {', '.join(doubled)}."[:500])
    missing = [name for name in layout.columns.values() if name.casefold() not in known]
    if missing:
        raise InvalidFeed(f"The header lacks {', '.join(missing)}; the layout {layout.name} needs them.")
    return {field: known.index(name.casefold()) for field, name in layout.columns.items()}


class _Lines:
    """Physical lines for `csv.reader` that can be given back after a record which took too many."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.text = text
        self.given_back: deque[str] = deque()
        self.taken: list[str] = []
        #: lines handed out so far; the header was the first
        self.number = 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MAX_RECORD_LINES:
            raise csv.Error("a quote is left open")
        line = self.given_back.popleft() if self.given_back else next(self.text)
        self.taken.append(line)
        self.number += 1
        return line

    def give_back_all_but_first(self) -> None:
        rest = self.taken[1:]
        self.given_back.extendleft(reversed(rest))
        self.number -= len(rest)


def _records(text: io.TextIOWrapper, separator: str, *, width: int) -> Iterator[Record]:
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=separator)
    while True:
        lines.taken.clear()
        line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells, problem = [], f"The row cannot be read: {error}."
        else:
            if not any(cells):
                continue
            problem = _problem(cells, width)
        if problem and len(lines.taken) > 1:
            problem = "A quote is left open in this row."
            lines.give_back_all_but_first()
            cells = []
        yield Record(line=line, cells=cells or _split(lines.taken[0], separator), problem=problem)


def _problem(cells: list[str], width: int) -> str:
    if len(cells) > MAX_COLUMNS:
        return f"The row has {len(cells)} columns; the limit is {MAX_COLUMNS}."
    if len(cells) != width:
        return f"The row has {len(cells)} columns, the header has {width}."
    for number, cell in enumerate(cells, start=1):
        if len(cell) > MAX_CELL_BYTES // 4 and len(cell.encode()) > MAX_CELL_BYTES:
            return f"Column {number} has {len(cell.encode())} bytes; the limit is {MAX_CELL_BYTES}."
    return ""


def _split(line: str, separator: str) -> list[str]:
    """The cells of one physical line, whatever its quotes do."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return line.rstrip("\r\n").split(separator)
