"""Lines of CSV for the spreadsheet of whoever downloads them.

A spreadsheet runs a cell that begins like a formula. Which cells there are is not ours to say: where the list separator
is a semicolon, our commas and quotes are text to it, and what follows a semicolon or a line break is a cell of its own.
So text that begins like a formula gets an apostrophe, there too; plain numbers stay numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# In full-width, small, raised and lowered forms and as minus sign, too: spreadsheets take them for the plain one.
SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207c\u207a\u207b\u208c\u208a\u208b\u2212"
UNSEEN = "\\s\x00-\x1f\x7f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
LINE_ENDS = "\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029"
SEPARATORS = f";|\t{LINE_ENDS}"
FORMULA = re.compile(f"[\t{LINE_ENDS}]|[{UNSEEN}]*[{SIGNS}]")
# A quote behind a separator begins a quoted cell.
NEXT_FORMULA = re.compile(f'([{SEPARATORS}])(?=["{UNSEEN}]*[{SIGNS}])')
# Each of several separators in a row may have got one.
OURS = re.compile(f"([{SEPARATORS}])'(?=[\"'{UNSEEN}]*[{SIGNS}])")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
QUOTED = re.compile(f'[,"{SEPARATORS}]|^[{UNSEEN}]|[{UNSEEN}]$')


def line(cells: Sequence[str]) -> str:
    """One line of a download, harmless for a spreadsheet."""
    return ",".join(_cell(cell) for cell in cells) + "\r\n"


def harmless(text: str) -> str:
    """The text of one cell, unless a spreadsheet would run it as a formula; then with an apostrophe in front."""
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def as_sent(text: str) -> str:
    """The text without the apostrophes of `line`, when somebody sends back what was downloaded."""
    text = OURS.sub(r"\1", text)
    return text[1:] if text[:1] == "'" and FORMULA.match(text[1:]) else text


def _cell(text: str) -> str:
    text = NEXT_FORMULA.sub(r"\1'", harmless(text))
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text
