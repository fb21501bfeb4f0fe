"""Lines of CSV: no spreadsheet finds a formula in them, whatever its list separator is, and they can be sent back."""

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.services import csv_text

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207c\u207a\u207b\u208c\u208a\u208b\u2212"
NUMBER = csv_text.NUMBER
HIDDEN = ["", " ", "\t", "\ufeff", "\u200b", "\u200e", "\u202e", "\u00a0", "\x00"]


def cells_of(line: str, separator: str) -> list[str]:
    """What a spreadsheet with this list separator makes of the line; each physical line is a row to it."""
    rows = [row for part in line.splitlines() for row in csv.reader([part], delimiter=separator, strict=False)]
    return [cell for row in rows for cell in row]


def is_run(cell: str) -> bool:
    seen = cell.lstrip(" \t\r\n\ufeff\u2028")
    return unicodedata.normalize("NFKC", seen).startswith(tuple("=+-@\u2212")) and not NUMBER.fullmatch(cell)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_cell_that_begins_a_formula_in_any_width_gets_an_apostrophe(sign: str, hidden: str) -> None:
    assert csv_text.harmless(f"{hidden}{sign}1+1").startswith("'")


@pytest.mark.parametrize("text", ["", "plain", "-12.50", "+4", "a=b", "a-b", "Größe", "12:30"])
def test_plain_text_and_numbers_stay_as_they_are(text: str) -> None:
    assert csv_text.line([text]) == f"{text}\r\n"


@pytest.mark.parametrize("separator", [";", "\t", "|", "\n", "\r", "\u2028", "\u2029", "\x85", "\x0b"])
@pytest.mark.parametrize("sign", ["=", "\uff1d", "\ufeff=", " @"])
def test_what_another_spreadsheet_takes_for_the_next_cell_is_quoted_and_no_formula(separator: str, sign: str) -> None:
    line = csv_text.line(["first", f"x{separator}{sign}1+1"])
    assert line == f'first,"x{separator}\'{sign}1+1"\r\n'


@given(st.lists(st.text(alphabet=[*"ab1.,;|\"'\t\r\n=+-@\uff1d\u2212\u2028\ufeff "]), min_size=2, max_size=4))
def test_no_spreadsheet_finds_a_formula_and_ours_finds_the_same_cells(cells: list[str]) -> None:
    line = csv_text.line(cells)
    for separator in ";\t|":
        assert not [cell for cell in cells_of(line, separator) if is_run(cell)]
    (read,) = csv.reader(io.StringIO(line, newline=""))
    assert [cell for cell in read if csv_text.FORMULA.match(cell) and not NUMBER.fullmatch(cell)] == []
    if not any("'" in cell for cell in cells):
        assert [csv_text.as_sent(cell) for cell in read] == cells
