"""Workbooks of strangers: refused with a sentence or read, within memory, seconds and bytes, whatever they hold."""

import io
import re
import subprocess
import sys
import threading
import time
import zipfile
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from orders.errors import InvalidInput, TooManyWorkbooks
from orders.services.feeds import converting
from orders.workbooks.converting import convert
from orders.workbooks.limits import RESULT_FACTOR, SECONDS, Limits, Refused

SHEET, WORKBOOK, TEXTS, STYLES = (
    "xl/worksheets/sheet1.xml",
    "xl/workbook.xml",
    "xl/sharedStrings.xml",
    "xl/styles.xml",
)
TYPES = "[Content_Types].xml"
RELATIONS = "xl/_rels/workbook.xml.rels"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LIMITS: dict[str, Any] = {"max_bytes": 5_000_000, "max_rows": 5_000, "decimal_comma": False}


def sound(rows: int = 3) -> dict[str, bytes]:
    """The parts of a sound workbook, by name."""
    book = Workbook()
    for number in range(rows):
        book.active.append([f"invoice {number}", "Cup", number, 2.5])
    target = io.BytesIO()
    book.save(target)
    with zipfile.ZipFile(target) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def changed(name: str, change: Any) -> bytes:
    parts = sound()
    parts[name] = change(parts.get(name, b""))
    return packed(parts)


def sheet_of(inner: str, *, before: str = "") -> bytes:
    text = f'<?xml version="1.0"?>{before}<worksheet xmlns="{MAIN}"><sheetData>{inner}</sheetData></worksheet>'
    return changed(SHEET, lambda _: text.encode())


def texts_of(inner: str) -> dict[str, bytes]:
    parts = sound()
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    listed = f'<Override PartName="/{TEXTS}" ContentType="{kind}"/></Types>'
    parts[TYPES] = parts[TYPES].replace(b"</Types>", listed.encode())
    parts[TEXTS] = f'<sst xmlns="{MAIN}">{inner}</sst>'.encode()
    return parts


def entities(levels: int) -> str:
    lines = ['<!ENTITY e0 "' + "x" * 1000 + '">']
    lines += [f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, levels)]
    return f"<!DOCTYPE worksheet [{''.join(lines)}]>"


def repeated_text() -> bytes:
    """One text of 30 kB in each of 4,000 cells: 120 MB of CSV from a few kB."""
    parts = texts_of("<si><t>" + "x" * 30_000 + "</t></si>")
    rows = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(1, 4_000))
    parts[SHEET] = f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'.encode()
    return packed(parts)


def large_text() -> bytes:
    """One text that takes four bytes a character in memory, within the unpacked size."""
    return packed(texts_of("<si><t>\U0001f600" + "x" * 90_000_000 + "</t></si>"))


def encrypted() -> bytes:
    content = bytearray(packed(sound()))
    place = content.rindex(b"PK\x01\x02")
    content[place + 8] |= 1
    return bytes(content)


def external(kind: str) -> bytes:
    relation = f'<Relationship Id="x" Type="http://schemas.test/{kind}" Target="http://a.test/" TargetMode="External"/>'
    return changed(RELATIONS, lambda part: part.replace(b"</Relationships>", relation.encode() + b"</Relationships>"))


def with_parts(**more: bytes) -> bytes:
    return packed(sound() | {name.replace("__", "/"): content for name, content in more.items()})


REFUSED = {
    "entities": (lambda: sheet_of("<row><c><v>&e8;</v></c></row>", before=entities(9)), f"{SHEET} has a document type"),
    "entities in the texts": (
        lambda: changed(TEXTS, lambda _: (entities(9) + "<sst>&e8;</sst>").encode()),
        f"{TEXTS} has a document type",
    ),
    "DTD of a file": (lambda: sheet_of("", before='<!DOCTYPE a SYSTEM "file:///etc/passwd">'), "has a document type"),
    "DTD in UTF-16": (
        lambda: changed(STYLES, lambda _: '<?xml version="1.0"?><!DOCTYPE a><a/>'.encode("utf-16")),
        f"{STYLES} has a document type",
    ),
    "DTD in a part without a known name": (
        lambda: packed(sound() | {"xl/media/image1.png": b"<!DOCTYPE a><a/>"}),
        "image1.png has a document type",
    ),
    "another encoding": (
        lambda: changed(STYLES, lambda _: b'<?xml version="1.0" encoding="cp037"?><a/>'),
        "is written in cp037",
    ),
    "external relationship": (lambda: external("oleObject"), f"{RELATIONS} refers to something outside"),
    "external part": (
        lambda: packed(sound() | {"xl/externalLinks/externalLink1.xml": b"<a/>"}),
        "refers to another file",
    ),
    "bzip2": (lambda: packed(sound(), zipfile.ZIP_BZIP2), r"compressed by a method \(12\)"),
    "lzma": (lambda: packed(sound(), zipfile.ZIP_LZMA), r"compressed by a method \(14\)"),
    "encrypted": (encrypted, "protected by a password"),
    "many parts": (
        lambda: packed(sound() | {f"xl/{number}.xml": b"<a/>" for number in range(500)}),
        "parts; the limit is 500",
    ),
    "many sheets": (
        lambda: changed(
            WORKBOOK,
            lambda part: part.replace(
                b"</sheets>",
                b"".join(b'<sheet name="s%d" sheetId="%d" r:id="rId1"/>' % (n, n) for n in range(2, 9)) + b"</sheets>",
            ),
        ),
        "cannot be read|8 sheets",
    ),
    "deep": (lambda: sheet_of("<row>" * 100_000), "nested deeper than 64"),
    "unclosed": (lambda: sheet_of("<row>"), f"{SHEET} is not well-formed XML"),
    "zeros": (lambda: packed(sound() | {"xl/bomb": b"0" * 101_000_000}), "unpacks to .* limit is 100000000"),
    "row far away": (lambda: sheet_of('<row r="1048576"/>'), "more than 5000 rows"),
    "rows out of order": (lambda: sheet_of('<row r="2"/><row r="1"/>'), "has row 1 behind row 2"),
    "row without a number": (lambda: sheet_of('<row r="one"/>'), "a row with the number 'one'"),
    "column that is none": (lambda: sheet_of('<row r="1"><c r="ZZZZ1"><v>1</v></c></row>'), f"its part '{SHEET}'"),
    "number that is none": (lambda: sheet_of('<row r="1"><c r="A1"><v>NaN?</v></c></row>'), f"its part '{SHEET}'"),
    "one text in every cell": (repeated_text, "rows have more than .* bytes as text"),
    "long row": (
        lambda: sheet_of('<row r="1">' + '<c t="inlineStr"><is><t>x</t></is></c>' * 20_000 + "</row>"),
        f"{SHEET} has more than 16384 cells in a row",
    ),
    "memory": (large_text, "more than 300 MB of memory|300 MB of memory"),
    "no sheet": (lambda: packed({name: part for name, part in sound().items() if name != SHEET}), "0|1 sheets"),
    "nothing in it": (lambda: sheet_of(""), "is empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_workbook_that_would_cost_too_much_or_reach_outside_is_refused_with_its_part(name: str) -> None:
    make, message = REFUSED[name]
    content = make()
    began = time.monotonic()
    with pytest.raises(InvalidInput, match=message) as caught:
        converting.workbook_to_csv(content, **LIMITS)
    assert caught.value.field == "file"
    assert time.monotonic() - began < SECONDS + 5


def test_a_link_in_a_cell_is_no_reference_that_anybody_follows() -> None:
    assert converting.workbook_to_csv(external("hyperlink"), **LIMITS).startswith(b"invoice 0,Cup,0,2.5\n")


def test_a_workbook_that_takes_too_long_is_ended_and_refused() -> None:
    with mock.patch.object(converting, "SECONDS", 0.01), pytest.raises(InvalidInput, match="takes longer than"):
        converting.workbook_to_csv(packed(sound()), **LIMITS)


def test_more_workbooks_than_places_wait_and_then_are_told_so() -> None:
    with mock.patch.object(converting, "_places", threading.BoundedSemaphore(1)) as places:
        places.acquire()
        with mock.patch.object(converting, "SECONDS", 0.01), pytest.raises(TooManyWorkbooks):
            converting.workbook_to_csv(packed(sound()), **LIMITS)
        places.release()
        assert converting.workbook_to_csv(packed(sound()), **LIMITS)
        assert places.acquire(timeout=0), "the place is given back"


def test_the_program_knows_no_secret_and_no_django() -> None:
    seen: list[dict[str, str]] = []
    run = subprocess.run

    def noted(*arguments: Any, **options: Any) -> Any:
        seen.append(options["env"])
        return run(*arguments, **options)

    with mock.patch.object(subprocess, "run", noted):
        converting.workbook_to_csv(packed(sound()), **LIMITS)
    assert seen[0].keys() <= {"PYTHONPATH", *converting.PASSED_ON}
    loaded = "import orders.workbooks.__main__, openpyxl, sys; sys.exit('django' in sys.modules)"
    assert run([sys.executable, "-P", "-c", loaded], env=seen[0], check=False).returncode == 0


SOUND = sound(20)
FRAGMENTS = [
    b"<!DOCTYPE a>",
    b"&x;",
    b"</row>",
    b'<row r="9999999">',
    b'<c r="A1" t="s"><v>99</v></c>',
    b't="e"',
    b's="99999"',
    b"\xff\xfe",
    b"\0",
    b"",
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    parts = dict(SOUND)
    names = sorted(parts)
    for _ in range(draw(st.integers(1, 3))):
        name, other = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        content = parts.get(name, b"")
        match draw(st.sampled_from(["drop", "swap", "insert", "cut", "double", "empty"])):
            case "drop":
                parts.pop(name, None)
            case "swap":
                parts[name], parts[other] = parts.get(other, b""), content
            case "insert":
                place = draw(st.integers(0, len(content)))
                parts[name] = content[:place] + draw(st.sampled_from(FRAGMENTS)) + content[place:]
            case "cut":
                parts[name] = content[: draw(st.integers(0, len(content)))]
            case "double":
                parts[f"{name}.xml"] = content * 2
            case "empty":
                parts[name] = b""
    archive = bytearray(packed(parts, draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))))
    for _ in range(draw(st.integers(0, 8))):
        archive[draw(st.integers(0, len(archive) - 1))] = draw(st.integers(0, 255))
    return bytes(archive)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])
@given(damaged())
def test_whatever_is_damaged_it_is_rows_or_a_sentence(content: bytes) -> None:
    """In this process, or each example would start a program."""
    limits = Limits(unpacked_bytes=10_000_000, rows=5_000, columns=50, result_bytes=RESULT_FACTOR * len(content))
    target, began, said = io.BytesIO(), time.process_time(), ""
    try:
        convert(io.BytesIO(content), target, limits=limits, decimal_comma=False)
    except Refused as refusal:
        said = str(refusal)
    # Of the archive as a whole, of its sheets or rows, or of a part by its name.
    assert not said or re.match(r"The (workbook|file|rows)\b|The part \S", said), said
    assert not said.startswith("The workbook cannot be read") or re.search(r"its part '[^']+'", said), said
    assert time.process_time() - began < SECONDS
    assert len(target.getvalue()) <= limits.result_bytes
