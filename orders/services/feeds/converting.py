"""From what a sender's system wrote to the one form that is stored: CSV in which a row keeps its line.

Workbooks and JSON lines are unpacked here, at the door and under limits, so that a bomb is refused to the face of
whoever sends it and everything behind the door reads, resumes, mends and erases one format only.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from orders import keyring
from orders.errors import InvalidInput, TooManyWorkbooks
from orders.services.feeds.reading import MAX_CELL_BYTES, MAX_COLUMNS
from orders.workbooks import converting
from orders.workbooks.converting import Number, is_storable, text_of
from orders.workbooks.limits import (
    MEMORY_BYTES,
    MOST_UNPACKED_BYTES,
    REFUSED,
    RESULT_FACTOR,
    SECONDS,
    UNPACKED_FACTOR,
    Limits,
    Refused,
)

MAX_JSON_LINE_BYTES = MAX_COLUMNS * MAX_CELL_BYTES
#: of this process; each may take `MEMORY_BYTES` and a processor
WORKBOOKS_AT_ONCE = 2
ROOT = Path(__file__).resolve().parents[3]
#: of our environment, what the program may see: no key, no password
PASSED_ON = ("PATH", "LANG", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")

_places = threading.BoundedSemaphore(WORKBOOKS_AT_ONCE)


def workbook_to_csv(content: bytes, *, max_bytes: int, max_rows: int, decimal_comma: bool) -> bytes:
    """The only sheet of a workbook, read by a process of its own (`orders.workbooks`).

    Takes `SECONDS` at most, and as long again while others are read; raises `TooManyWorkbooks` after that, or
    `InvalidInput` naming the part and the limit.
    """
    if not _places.acquire(timeout=SECONDS):
        raise TooManyWorkbooks
    try:
        return _converted(content, max_bytes=max_bytes, max_rows=max_rows, decimal_comma=decimal_comma)
    finally:
        _places.release()


def _converted(content: bytes, *, max_bytes: int, max_rows: int, decimal_comma: bool) -> bytes:
    unpacked = min(UNPACKED_FACTOR * max_bytes, MOST_UNPACKED_BYTES)
    most = RESULT_FACTOR * len(content)
    # In the database each block carries some bytes of its own.
    numbers = (unpacked, max_rows, MAX_COLUMNS, 2 * most - keyring.sealed_size(most))
    command = [sys.executable, "-P", "-W", "ignore", "-m", "orders.workbooks", *map(str, numbers)]
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(content)
        source.seek(0)
        try:
            done = subprocess.run(
                command + ["comma"] * decimal_comma,
                stdin=source,
                stdout=target,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": str(ROOT)} | {name: os.environ[name] for name in PASSED_ON if name in os.environ},
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            refuse(f"The workbook takes longer than {SECONDS} seconds to read; send it as CSV.")
        target.seek(0)
        result = target.read()
    if done.returncode == REFUSED:
        refuse(result.decode("utf-8", "replace"))
    if done.returncode != 0:
        refuse(
            f"The workbook cannot be read within {SECONDS} seconds and {MEMORY_BYTES // 1024**2} MB of memory; "
            "send it as CSV."
        )
    if not result.strip(b",\n"):
        refuse("The workbook's sheet is empty.")
    return result


def json_lines_to_csv(content: bytes, *, max_rows: int, decimal_comma: bool) -> bytes:
    """One object a line, with the columns of the first. Raises `InvalidInput` naming the line and what is wrong."""
    limits = Limits(unpacked_bytes=0, rows=max_rows, columns=MAX_COLUMNS, result_bytes=RESULT_FACTOR * len(content))
    return _as_csv(_objects(content, decimal_comma), limits)


def refuse(message: str) -> NoReturn:
    raise InvalidInput("file", message)


def _as_csv(rows: Iterable[list[str]], limits: Limits) -> bytes:
    target = io.BytesIO()
    try:
        converting.write_csv(rows, target, limits)
    except Refused as refusal:
        raise InvalidInput("file", str(refusal)) from refusal
    return target.getvalue()


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
            if len(header) > MAX_COLUMNS:
                refuse(f"Line {number} has {len(header)} columns; the limit is {MAX_COLUMNS}.")
            yield header
            yield from [[]] * blank
        if more := row.keys() - set(header):
            refuse(f"Line {number} has {', '.join(sorted(more))[:200]}, which the first line lacks.")
        yield [text_of(row.get(name), decimal_comma) for name in header]


def _object(number: int, line: bytes) -> dict[str, Any]:
    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            refuse(f"Line {number} names a column twice.")
        return dict(pairs)

    try:
        # Numbers stay as they are written: 0.1 must not become 0.1000000000000000055.
        row = json.loads(line, object_pairs_hook=without_duplicates, parse_float=Number, parse_int=Number)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("file", f"Line {number} is not JSON: {str(error)[:200]}.") from error
    if not isinstance(row, dict):
        refuse(f"Line {number} is not an object.")
    for name, value in row.items():
        if isinstance(value, dict | list):
            refuse(f"Line {number}: {name[:100]} is not a text, a number, or nothing.")
        for text in (name, value):
            if isinstance(text, str) and not is_storable(text):
                refuse(f"Line {number}: {name[:100]!a} has a character that cannot be stored.")
    return row
