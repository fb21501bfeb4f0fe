"""What a workbook may cost, and how the program says what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

MEMORY_BYTES = 300 * 1024 * 1024
#: of the processor, and on the clock
SECONDS = 20
#: bytes of CSV for each byte of the workbook
RESULT_FACTOR = 4
#: unpacked bytes for each byte that may be sent, and at most
UNPACKED_FACTOR = 20
MOST_UNPACKED_BYTES = 500 * 1024 * 1024
MAX_PARTS = 500
#: of elements in each other
MAX_DEPTH = 64
#: exit code of the program when it refuses the file; its output is the sentence then
REFUSED = 3


class Refused(Exception):
    """The workbook is not taken; the message is for whoever sent it."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    #: of the unpacked parts, together
    unpacked_bytes: int
    rows: int
    columns: int
    #: of the CSV
    result_bytes: int


def refuse(message: str) -> NoReturn:
    raise Refused(message)
