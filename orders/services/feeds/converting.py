"""From what a sender's system wrote to the one form that is stored: CSV in which a row keeps its line.

Workbooks and JSON lines are unpacked here, at the door and under limits, so that a bomb is refused to the face of
whoever sends it and everything behind the door reads, resumes, mends and erases one format only.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, NoReturn
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook  # type: ignore[import-untyped]
from openpyxl.utils.exceptions import InvalidFileException  # type: ignore[import-untyped]

from orders.errors import InvalidInput
from orders.services.feeds.reading import MAX_CELL_BYTES, MAX_COLUMNS

#: of a workbook: unpacked size for each byte that may be sent, at most, and the share of texts kept in memory
UNPACKED_FACTOR = 20
MOST_UNPACKED_BYTES = 500 * 1024 * 1024
TEXTS_SHARE = 4
MAX_PARTS = 500
#: above this a float no longer holds every whole number
MAX_EXACT = 1e15
MAX_JSON_LINE_BYTES = MAX_COLUMNS * MAX_CELL_BYTES
WORKBOOK, TEXTS, MACROS = "xl/workbook.xml", "xl/sharedStrings.xml", "vbaProject.bin"
BROKEN = (zipfile.BadZipFile, InvalidFileException, ParseError, KeyError, ValueError, EOFError, OSError, AttributeError)


def is_workbook(content: bytes) -> bool:
    """Whether a zip archive is an Excel workbook; asked of its table of contents, not of its name."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return WORKBOOK in archive.namelist()
    except zipfile.BadZipFile:
        return False


def workbook_to_csv(content: bytes, *, max_bytes: int, max_rows: int, decimal_comma: bool) -> bytes:
    """The only sheet of a workbook. Raises `InvalidInput` naming the limit; a formula counts as its stored result."""
    _check_archive(content, max_bytes)
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        if len(book.sheetnames) != 1:
            refuse(f"The workbook has {len(book.sheetnames)} sheets; exactly one is taken.")
        sheet = book.worksheets[0]
        # The size that a workbook says its sheet has is a claim of its sender.
        sheet.reset_dimensions()
        rows = sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS + 1)
        return _as_csv(_cells(rows, decimal_comma), max_rows)
    except InvalidInput:
        raise
    except BROKEN as error:
        raise InvalidInput("file", f"The workbook cannot be read: {str(error)[:200]}.") from error


def json_lines_to_csv(content: bytes, *, max_rows: int, decimal_comma: bool) -> bytes:
    """One object a line, with the columns of the first. Raises `InvalidInput` naming the line and what is wrong."""
    return _as_csv(_objects(content, decimal_comma), max_rows)


def refuse(message: str) -> NoReturn:
    raise InvalidInput("file", message)


def _check_archive(content: bytes, max_bytes: int) -> None:
    limit = min(UNPACKED_FACTOR * max_bytes, MOST_UNPACKED_BYTES)
    # What a part says of its size binds: the unpacker stops there.
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
    if len(parts) > MAX_PARTS:
        refuse(f"The workbook has {len(parts)} parts; the limit is {MAX_PARTS}.")
    if any(part.flag_bits & 1 for part in parts):
        refuse("The workbook is protected by a password.")
    if any(part.filename.endswith(MACROS) for part in parts):
        refuse("The workbook has macros; save it without them.")
    size = sum(part.file_size for part in parts)
    if size > limit:
        refuse(f"The workbook unpacks to {size} bytes; the limit is {limit} bytes.")
    texts = sum(part.file_size for part in parts if part.filename == TEXTS)
    if texts > limit // TEXTS_SHARE:
        refuse(f"The workbook's texts unpack to {texts} bytes; the limit is {limit // TEXTS_SHARE} bytes.")


def _cells(rows: Iterable[Sequence[Any]], decimal_comma: bool) -> Iterator[list[str]]:
    """Rows as text, all as wide as the header unless something stands beyond it."""
    width = 0
    for row in rows:
        cells = [_text(value, decimal_comma) for value in row]
        while len(cells) > width and not cells[-1]:
            cells.pop()
        width = width or len(cells)
        yield cells + [""] * (width - len(cells))


def _objects(content: bytes, decimal_comma: bool) -> Iterator[list[str]]:
    header: list[str] = []
    blank = 0
    for number, line in enumerate(io.BytesIO(content.removeprefix(b"\xef\xbb\xbf")), start=1):
        if len(line) > MAX_JSON_LINE_BYTES:
            refuse(f"Line {number} has more than {MAX_JSON_LINE_BYTES} bytes.")
        if not line.strip():
            # Blank lines keep their place, so that a row's line is the file's, and one more for the header.
            if header:
                yield []
            else:
                blank += 1
            continue
        row = _object(number, line)
        if not header:
            header = list(row)
            yield header
            yield from [[]] * blank
        if more := row.keys() - set(header):
            refuse(f"Line {number} has {', '.join(sorted(more))[:200]}, which the first line lacks.")
        yield [_text(row.get(name), decimal_comma) for name in header]


def _object(number: int, line: bytes) -> dict[str, Any]:
    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            refuse(f"Line {number} names a column twice.")
        return dict(pairs)

    try:
        # Numbers stay as they are written: 0.1 must not become 0.1000000000000000055.
        row = json.loads(line, object_pairs_hook=without_duplicates, parse_float=_Number, parse_int=_Number)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("file", f"Line {number} is not JSON: {str(error)[:200]}.") from error
    if not isinstance(row, dict):
        refuse(f"Line {number} is not an object.")
    for name, value in row.items():
        if isinstance(value, dict | list):
            refuse(f"Line {number}: {name[:100]} is not a text, a number, or nothing.")
        for text in (name, value):
            if isinstance(text, str) and not _storable(text):
                refuse(f"Line {number}: {name[:100]!a} has a character that cannot be stored.")
    return row


class _Number(str):
    """A number as it was written."""


def _text(value: Any, decimal_comma: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        # Excel counts days in floats; what is a second off by a millionth was that second.
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float | _Number):
        whole = isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT
        text = str(int(value)) if whole else str(value)
        return text.replace(".", ",") if decimal_comma else text
    text = str(value)
    if not _storable(text):
        refuse("The file has a character that cannot be stored (NUL or a lone surrogate).")
    # A line break would move every line after it.
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _as_csv(rows: Iterable[list[str]], max_rows: int) -> bytes:
    target = io.BytesIO()
    text = io.TextIOWrapper(target, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    for number, row in enumerate(rows):
        if number > max_rows:
            refuse(f"The file has more than {max_rows} rows; that is the limit.")
        writer.writerow(row)
    text.detach()
    return target.getvalue()
