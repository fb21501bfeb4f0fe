"""What is refused before anything is made of a workbook: its archive, and the XML of each of its parts."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO
from xml.parsers import expat

from orders.workbooks.limits import MAX_DEPTH, MAX_PARTS, Limits, refuse

WORKBOOK = "xl/workbook.xml"
MACROS = "vbaProject.bin"
EXTERNAL_PARTS = "xl/externalLinks/"
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1 | 0x40 | 0x2000
ENCODINGS = ("utf-8", "utf-16", "us-ascii")
#: what may stand in front of the first `<`, in UTF-8 and UTF-16
BEFORE_XML = b"\xef\xbb\xbf\xfe\xff\x00 \t\r\n"
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)
XML_NAMES = (".xml", ".rels", ".vml")
READ_BYTES = 64 * 1024
#: of a row, in Excel
MAX_CELLS = 16_384
ROW_NUMBER = re.compile(r"[0-9]{1,7}")


def check_archive(archive: zipfile.ZipFile, limits: Limits) -> None:
    """Refuse what its table of contents tells. What a part says of its size binds: the unpacker stops there."""
    parts = archive.infolist()
    names = [part.filename for part in parts]
    if WORKBOOK not in names:
        refuse("The file is a zip archive and no Excel workbook; CSV text, JSON lines and Excel workbooks are taken.")
    if len(parts) > MAX_PARTS:
        refuse(f"The workbook has {len(parts)} parts; the limit is {MAX_PARTS}.")
    for part in parts:
        name = _shown(part.filename)
        if part.flag_bits & ENCRYPTED:
            refuse("The workbook is protected by a password.")
        if part.compress_type not in METHODS:
            refuse(f"The part {name} is compressed by a method ({part.compress_type}) that Excel does not use.")
        if part.filename.endswith(MACROS):
            refuse("The workbook has macros; save it without them.")
        if part.filename.startswith(EXTERNAL_PARTS):
            refuse(f"The workbook refers to another file ({name}); save it with values only.")
    if len({name.casefold() for name in names}) != len(names):
        refuse("The workbook has two parts of one name.")
    size = sum(part.file_size for part in parts)
    if size > limits.unpacked_bytes:
        refuse(f"The workbook unpacks to {size} bytes; the limit is {limits.unpacked_bytes} bytes.")


def check_parts(archive: zipfile.ZipFile, limits: Limits) -> None:
    """Refuse a part with a DTD, a reference to something outside, or XML that is not well formed."""
    for part in archive.infolist():
        try:
            with archive.open(part) as file:
                _check_part(part.filename, file, limits)
        except UNREADABLE as error:
            refuse(f"The part {_shown(part.filename)} cannot be unpacked: {str(error)[:200]}.")


def _check_part(name: str, file: IO[bytes], limits: Limits) -> None:
    first = file.read(READ_BYTES)
    # By its content too: a workbook may call its sheet whatever it likes.
    if not name.endswith(XML_NAMES) and not first.lstrip(BEFORE_XML).startswith(b"<"):
        while file.read(READ_BYTES):  # the checksum is compared at the end
            pass
        return
    reading = _Reading(name, limits)
    try:
        reading.parser.Parse(first, False)
        while piece := file.read(READ_BYTES):
            reading.parser.Parse(piece, False)
        reading.parser.Parse(b"", True)
    except expat.ExpatError as error:
        refuse(f"The part {_shown(name)} is not well-formed XML: {error}.")


class _Reading:
    """One pass over one part."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name, self.limits = name, limits
        self.depth, self.last_row, self.cells, self.is_sheet = 0, 0, 0, False
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.XmlDeclHandler = self.declare
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end

    def declare(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ENCODINGS:
            refuse(f"The part {_shown(self.name)} is written in {encoding[:40]}; only UTF-8 and UTF-16 are taken.")

    def doctype(self, *declared: object) -> None:
        refuse(f"The part {_shown(self.name)} has a document type definition; no Excel workbook has one.")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            refuse(f"The part {_shown(self.name)} has elements nested deeper than {MAX_DEPTH}.")
        local = tag.rpartition(" ")[2]
        if self.depth == 1:
            self.is_sheet = local == "worksheet"
        elif local == "Relationship":
            # A link that somebody may click is followed by nobody here; anything else outside would be loaded.
            if attributes.get("TargetMode", "").lower() == "external" and not attributes.get("Type", "").endswith(
                "/hyperlink"
            ):
                refuse(f"The part {_shown(self.name)} refers to something outside of the workbook.")
        elif self.is_sheet and local == "row":
            self.cells = 0
            self.row(attributes.get("r"))
        elif self.is_sheet and local == "c":
            self.cells += 1
            if self.cells > MAX_CELLS:
                refuse(f"The part {_shown(self.name)} has more than {MAX_CELLS} cells in a row.")

    def end(self, tag: str) -> None:
        self.depth -= 1

    def row(self, number: str | None) -> None:
        """Rows stand in their order; what a reader finds behind its place it would leave out without a word."""
        if number is None:
            self.last_row += 1
            return
        if not ROW_NUMBER.fullmatch(number):
            refuse(f"The part {_shown(self.name)} has a row with the number {number[:20]!a}.")
        if int(number) <= self.last_row:
            refuse(f"The part {_shown(self.name)} has row {int(number)} behind row {self.last_row}.")
        self.last_row = int(number)
        if self.last_row > self.limits.rows + 1:
            refuse(f"The file has more than {self.limits.rows} rows; that is the limit.")


def _shown(name: str) -> str:
    return ascii(name[:100])[1:-1]
