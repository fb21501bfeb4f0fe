"""The two formats: how a row becomes bytes, and how the parts become a file.

A part is written once and its bytes do not depend on the others, so that a file made in two halves is the file made at
once. A workbook is a zip of a few XML files; libraries that write one cannot stop in the middle and go on elsewhere, so
its rows are stored as XML and the zip is made around them while it is handed out. A spreadsheet runs a cell that begins
like a formula; text that does gets an apostrophe, numbers stay numbers.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from xml.sax.saxutils import escape

from orders.services import csv_text
from orders.services.exports.columns import HEADER, Cell
from orders.vocabulary import ExportFormat

CONTENT_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
#: what XML has no way to say
NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
#: day 0 of a spreadsheet's calendar
EPOCH = datetime(1899, 12, 30, tzinfo=UTC)

XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
SHEET = "xl/worksheets/sheet1.xml"
#: every file of the workbook but its one sheet; style 1 is a moment
FRAME = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{KIND}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{KIND}.styles+xml"/>'
    f'<Override PartName="/{SHEET}" ContentType="{KIND}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
    '<sheet name="Orders" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">'
    '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
    '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}


def rows(format: ExportFormat, cells: Iterable[Sequence[Cell]]) -> bytes:
    """The piece of a file that these rows make up."""
    if format is ExportFormat.XLSX:
        return "".join(f"<row>{''.join(map(_xml, row))}</row>" for row in cells).encode()
    return "".join(csv_text.line([_text(cell) for cell in row]) for row in cells).encode()


def file(format: ExportFormat, parts: Iterable[bytes]) -> Iterator[bytes]:
    """The whole file, piece by piece: never more of it in memory than a part."""
    if format is ExportFormat.XLSX:
        yield from _workbook(parts)
        return
    yield rows(format, [HEADER])
    yield from parts


def _text(cell: Cell) -> str:
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="seconds")
    return "" if cell is None else str(cell)


def _xml(cell: Cell) -> str:
    if cell is None or cell == "":
        return "<c/>"
    if isinstance(cell, datetime):
        days = Decimal(int((cell - EPOCH).total_seconds())) / 86_400
        return f'<c s="1"><v>{days:.10f}</v></c>'
    if isinstance(cell, str):
        # A parser would turn a bare carriage return into a line feed.
        text = escape(NO_XML.sub("\ufffd", csv_text.harmless(cell)), {"\r": "&#13;"})
        return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    return f"<c><v>{cell}</v></c>"


class _Pipe(io.RawIOBase):
    """Takes what a zip file writes and hands it on; a file that cannot seek is all that `zipfile` needs."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def drain(self) -> bytes:
        found, self._pieces = b"".join(self._pieces), []
        return found


def _workbook(parts: Iterable[bytes]) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in FRAME.items():
            archive.writestr(_entry(name), XML + text)
        with archive.open(_entry(SHEET), "w", force_zip64=True) as sheet:
            sheet.write(f'{XML}<worksheet xmlns="{MAIN}"><sheetData>'.encode())
            sheet.write(rows(ExportFormat.XLSX, [HEADER]))
            for part in parts:
                sheet.write(part)
                if piece := pipe.drain():
                    yield piece
            sheet.write(b"</sheetData></worksheet>")
    yield pipe.drain()


def _entry(name: str) -> zipfile.ZipInfo:
    """Without the hour of the download: one export is one file, however often it is fetched."""
    entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
