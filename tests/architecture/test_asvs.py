"""docs/asvs.md answers every requirement of ASVS 5.0 up to level 2, and what it names is there."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
TABLE = (DOCS / "asvs.md").read_text()
STATES = {"holds", "in part", "open", "decided", "-"}
#: section -> its requirements of levels 1 and 2
REQUIRED = """
1.1 1-2; 1.2 1-9; 1.3 1-11; 1.4 1-3; 1.5 1-2; 2.1 1-3; 2.2 1-3; 2.3 1-4; 2.4 1-1; 3.2 1-2; 3.3 1-4; 3.4 1-6; 3.5 1-5;
3.7 1-2; 4.1 1-3; 4.2 1-1; 4.3 1-2; 4.4 1-4; 5.1 1-1; 5.2 1-3; 5.3 1-2; 5.4 1-3; 6.1 1-3; 6.2 1-12; 6.3 1-4; 6.4 1-4;
6.5 1-5; 6.6 1-3; 6.8 1-4; 7.1 1-3; 7.2 1-4; 7.3 1-2; 7.4 1-5; 7.5 1-2; 7.6 1-2; 8.1 1-2; 8.2 1-3; 8.3 1-1; 8.4 1-1;
9.1 1-3; 9.2 1-4; 10.1 1-2; 10.2 1-2; 10.3 1-4; 10.4 1-11; 10.5 1-5; 10.6 1-2; 10.7 1-3; 11.1 1-2; 11.2 1-3; 11.3 1-3;
11.4 1-4; 11.5 1-1; 11.6 1-1; 12.1 1-3; 12.2 1-2; 12.3 1-4; 13.1 1-1; 13.2 1-5; 13.3 1-2; 13.4 1-5; 14.1 1-2; 14.2 1-4;
14.3 1-3; 15.1 1-3; 15.2 1-3; 15.3 1-7; 16.1 1-1; 16.2 1-5; 16.3 1-4; 16.4 1-3; 16.5 1-3; 17.1 1-1; 17.2 1-4; 17.3 1-2
"""


def spelled_out(section: str, first: str, last: str) -> list[str]:
    return [f"{section}.{number}" for number in range(int(first), int(last) + 1)]


def required() -> list[str]:
    return [one for each in re.findall(r"([\d.]+) (\d+)-(\d+)", REQUIRED) for one in spelled_out(*each)]


def rows() -> list[tuple[list[str], str, str]]:
    """The requirements of each row, its state and its reason."""
    found = []
    for cells in re.findall(r"^\| (\d[^|]*) \| ([^|]*) \| ([^|]*) \|$", TABLE, re.MULTILINE):
        numbers: list[str] = []
        for part in cells[0].split(", "):
            section, first = part.split("-")[0].rsplit(".", 1)
            numbers += spelled_out(section, first, part.split("-")[-1].rsplit(".", 1)[-1])
        found.append((numbers, cells[1], cells[2]))
    return found


def test_every_requirement_up_to_level_2_stands_there_once() -> None:
    assert len(required()) == 253
    assert sorted(number for numbers, _, _ in rows() for number in numbers) == sorted(required())


def test_every_row_has_a_state_and_says_where_or_why() -> None:
    for numbers, state, where in rows():
        assert state in STATES, numbers
        assert len(where) > 5, numbers


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", TABLE))))
def test_what_it_names_is_there(link: str) -> None:
    path, _, anchor = link.partition("#")
    file = (DOCS / path).resolve()
    assert file.exists()
    if anchor:
        headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
        assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
