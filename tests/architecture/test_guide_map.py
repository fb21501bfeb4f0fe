"""docs/guide-map.md promises code, tests and calls; a promise that leads nowhere fails here."""

import re
import uuid
from pathlib import Path

import pytest
from django.urls import resolve

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").glob("*.md")]
LINK = re.compile(r"\]\((?!https?://)([^)#]+)\)")
CALL = re.compile(r"`(?:GET|POST) (/api/[^`]*)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    broken = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert not broken, f"{document.name} points to files that are not there: {broken}"


def test_every_call_of_the_guide_map_is_an_address_of_the_api() -> None:
    calls = CALL.findall((ROOT / "docs" / "guide-map.md").read_text())
    assert len(calls) >= 4
    for call in calls:
        match = resolve(call.replace("{number}", "SO-1").replace("{id}", str(uuid.uuid4())))
        assert match.url_name != "not-here", f"The API has no {call}."


def test_every_built_row_names_code_and_tests() -> None:
    rows = [line for line in (ROOT / "docs" / "guide-map.md").read_text().splitlines() if line.startswith("| ")]
    for row in rows[1:]:
        _, pattern, _, state, code, tests, *_ = (cell.strip() for cell in row.split("|"))
        if not state.startswith("not yet"):
            assert LINK.findall(code), f"{pattern} names no code."
            assert LINK.findall(tests), f"{pattern} names no test."
