"""A workbook of any content under 5 MB takes at most 300 MB and 20 s, and 4 times its size when it is stored."""

import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.db import connection

from orders.errors import InvalidInput
from orders.models import FeedImport
from orders.services.feeds import converting
from orders.workbooks.limits import MEMORY_BYTES, RESULT_FACTOR, SECONDS
from tests.orders import feed_files
from tests.orders.api_calls import assert_problem, new_key, token_client
from tests.orders.test_workbooks import MAIN, SHEET, TEXTS, packed, sound, texts_of

pytestmark = pytest.mark.django_db
MOST = settings.FEED_UPLOAD_MAX_BYTES
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS, COLUMNS = 4_000, 8
HEADER = "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in feed_files.HEADER.split(","))


def sheet(cell: Callable[[int, int], str], *, rows: int = ROWS, more: dict[str, bytes] | None = None) -> bytes:
    """A workbook that has the layout's header and these cells."""
    lines = (f"<row>{''.join(cell(row, column) for column in range(COLUMNS))}</row>" for row in range(rows))
    text = f'<worksheet xmlns="{MAIN}"><sheetData><row>{HEADER}</row>{"".join(lines)}</sheetData></worksheet>'
    return packed((more or sound()) | {SHEET: text.encode()})


def inline(text: str) -> str:
    return f'<c t="inlineStr"><is><t>{text}</t></is></c>'


def unlike(row: int, column: int) -> str:
    return inline(random.Random(row * COLUMNS + column).randbytes(40).hex())


def with_texts(count: int, length: int) -> dict[str, bytes]:
    parts = texts_of("".join(f"<si><t>{number:0{length}d}</t></si>" for number in range(count)))
    assert TEXTS in parts
    return parts


CONTENTS: dict[str, Callable[[], bytes]] = {
    "texts that are all unlike": lambda: sheet(unlike),
    "numbers": lambda: sheet(lambda row, column: f"<c><v>{row}.{column}</v></c>"),
    "one text in each cell": lambda: sheet(lambda row, column: '<c t="s"><v>0</v></c>', more=with_texts(1, 50)),
    "many texts that nothing uses": lambda: sheet(lambda *_: inline("a"), rows=9, more=with_texts(200_000, 60)),
    "cells as long as may be": lambda: sheet(lambda *_: inline("x" * 9_000), rows=300),
    "four bytes a character": lambda: sheet(lambda *_: inline("\U0001f600" * 200), rows=2_000),
    "empty rows": lambda: sheet(lambda *_: "", rows=5_000),
    "noise beside it": lambda: packed(sound() | {"xl/media/image1.png": random.Random(1).randbytes(4_000_000)}),
    "escapes": lambda: sheet(lambda *_: inline("&amp;" * 200), rows=2_000),
    "quotes that CSV doubles": lambda: sheet(lambda *_: inline('"' * 400), rows=3_000),
}


#: runs a command and tells what it cost; in a process of its own, because a program's figure begins with the memory of
#: whoever started it, and that of a run of tests is larger than the limit
MEASURE = """
import json, os, sys
program = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(program, 0)
with open(sys.argv[1], "w") as told:
    json.dump([os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime], told)
"""


class Measured:
    """Runs the program as `subprocess.run` does, and keeps what it cost."""

    def __init__(self) -> None:
        self.bytes, self.seconds = 0, 0.0

    def __call__(self, command: list[str], *, timeout: float, check: bool, **options: Any) -> Any:
        began = time.monotonic()
        with tempfile.NamedTemporaryFile() as told:
            subprocess.Popen([sys.executable, "-c", MEASURE, told.name, *command], **options).wait()
            code, self.bytes, self.seconds = json.load(told)
        if time.monotonic() - began > timeout and self.seconds > timeout:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, code)


@pytest.mark.parametrize("name", CONTENTS)
def test_a_workbook_costs_no_more_than_it_may_and_takes_no_more_room(name: str) -> None:
    content, measured = CONTENTS[name](), Measured()
    assert len(content) <= MOST
    with mock.patch.object(converting.subprocess, "run", measured), contextlib.suppress(InvalidInput):
        feed_files.receive(content, max_bytes=MOST, max_rows=settings.FEED_UPLOAD_MAX_ROWS)
    assert 0 < measured.bytes <= MEMORY_BYTES
    assert measured.seconds <= SECONDS + 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(octet_length(content)), 0) FROM orders_feedimport")
        assert cursor.fetchone()[0] <= RESULT_FACTOR * len(content)


def test_most_of_them_are_taken_so_that_the_room_is_measured() -> None:
    content = CONTENTS["numbers"]()
    feed_files.receive(content, max_bytes=MOST, max_rows=settings.FEED_UPLOAD_MAX_ROWS)
    assert FeedImport.objects.get().size_bytes == len(content)


@pytest.mark.parametrize("seed", range(12))
def test_the_door_answers_a_damaged_workbook_with_success_or_a_400_that_names_the_file(seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(sheet(lambda row, column: f"<c><v>{row * column}</v></c>", rows=5))
    for _ in range(chance.randint(1, 6)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    began = time.monotonic()
    answer = token_client("import_feed", "view_feedimport").post(
        "/api/imports/", bytes(content), content_type=XLSX, headers={"Idempotency-Key": new_key()}
    )
    assert time.monotonic() - began < 2 * SECONDS
    if answer.status_code != 202:
        assert_problem(answer, 400, "file")
