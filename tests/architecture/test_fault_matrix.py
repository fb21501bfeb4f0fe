"""docs/fault-matrix.md promises a test for each fault; one that is not there, or not named, fails here."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "fault-matrix.md"
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]*)\|$", re.MULTILINE)
TEST = re.compile(r"\]\(([^)#]+)#(test_\w+)\)")
FAULTS = 68


def test_every_fault_has_a_row() -> None:
    assert [int(number) for number, *_ in ROW.findall(DOCUMENT.read_text())] == list(range(1, FAULTS + 1))


def test_every_fault_is_held_by_a_test_or_says_what_it_waits_for() -> None:
    for number, fault, happens, held in ROW.findall(DOCUMENT.read_text()):
        assert TEST.findall(held) or "waits for" in happens, (
            f"Row {number} ({fault}) has no test and waits for nothing."
        )


def test_every_test_that_is_named_exists() -> None:
    named = TEST.findall(DOCUMENT.read_text())
    missing = [
        f"{file}#{test}"
        for file, test in named
        if not (DOCUMENT.parent / file).exists() or f"def {test}(" not in (DOCUMENT.parent / file).read_text()
    ]
    assert not missing, f"docs/fault-matrix.md names tests that are not there: {missing}"
    assert len(named) >= FAULTS
