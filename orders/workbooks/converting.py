"""The rows of a workbook's only sheet as CSV; the same words for cells are used for JSON lines."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import IO, Any

from orders.workbooks.checking import UNREADABLE, check_archive, check_parts
from orders.workbooks.limits import Limits, Refused, refuse

#: above this a float no longer holds every whole number
MAX_EXACT = 1e15


class Number(str):
    """A number as it was written."""


def convert(source: IO[bytes], target: IO[bytes], *, limits: Limits, decimal_comma: bool) -> None:
    """Write the CSV. Raises `Refused`, for whatever the file holds; a formula counts as its stored result."""
    try:
        archive = _Archive(source)
    except UNREADABLE as error:
        raise Refused(f"The workbook cannot be unpacked: {str(error)[:200]}.") from error
    with archive:
        check_archive(archive, limits)
        check_parts(archive, limits)
        try:
            write_csv(_cells(_rows(archive, limits), decimal_comma), target, limits)
        except (Refused, MemoryError):
            raise
        # A library that reads strangers' files fails in any way; none of them is an error of ours.
        except Exception as error:
            reason = str(error).partition("\n")[0][:200]
            raise Refused(f"The workbook cannot be read: its part {archive.last_part[:100]!a}: {reason}.") from error


class _Archive(zipfile.ZipFile):
    """Knows which part was read last, which is where the error is."""

    last_part = ""

    def open(self, name: Any, *arguments: Any, **options: Any) -> IO[bytes]:
        self.last_part = name if isinstance(name, str) else name.filename
        return super().open(name, *arguments, **options)


def _rows(archive: _Archive, limits: Limits) -> Iterator[Sequence[Any]]:
    # Loaded here, because it is most of the program's start and many files are refused before.
    from openpyxl.reader.excel import ExcelReader  # type: ignore[import-untyped]

    reader = ExcelReader(io.BytesIO(_EMPTY_ZIP), read_only=True, data_only=True, keep_links=False)
    reader.archive, reader.valid_files = archive, archive.namelist()
    reader.read()
    sheets = reader.wb.sheetnames
    if len(sheets) != 1 or len(reader.wb.worksheets) != 1:
        refuse(f"The workbook has {len(sheets)} sheets; exactly one is taken.")
    sheet = reader.wb.worksheets[0]
    # The size that a workbook says its sheet has is a claim of its sender.
    sheet.reset_dimensions()
    yield from sheet.iter_rows(values_only=True, max_col=limits.columns + 1)


_EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


def _cells(rows: Iterable[Sequence[Any]], decimal_comma: bool) -> Iterator[list[str]]:
    """Rows as text, all as wide as the header unless something stands beyond it."""
    width = 0
    for row in rows:
        cells = [text_of(value, decimal_comma) for value in row]
        while len(cells) > width and not cells[-1]:
            cells.pop()
        width = width or len(cells)
        yield cells + [""] * (width - len(cells))


def text_of(value: Any, decimal_comma: bool) -> str:
    """What a cell says in CSV. Raises `Refused` for what no database stores."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        # Excel counts days in floats; what is a second off by a millionth was that second.
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float | Number):
        whole = isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT
        text = str(int(value)) if whole else str(value)
        return text.replace(".", ",") if decimal_comma else text
    text = str(value)
    if not is_storable(text):
        refuse("The file has a character that cannot be stored (NUL or a lone surrogate).")
    # A line break would move every line after it.
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")


def is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def write_csv(rows: Iterable[list[str]], target: IO[bytes], limits: Limits) -> None:
    """Raises `Refused` as soon as there are more rows or bytes than may be."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    written = 0
    for number, row in enumerate(rows):
        if number > limits.rows:
            refuse(f"The file has more than {limits.rows} rows; that is the limit.")
        writer.writerow(row)
        line = text.getvalue().encode()
        written += len(line)
        if written > limits.result_bytes:
            refuse(f"The rows have more than {limits.result_bytes} bytes as text; that is the limit for this file.")
        target.write(line)
        text.seek(0)
        text.truncate()
