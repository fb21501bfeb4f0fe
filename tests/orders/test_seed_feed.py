"""A made-up year: the same seed is the same file, and its figures are those that an import reports."""

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from orders.services import feeds
from tests.orders.feed_files import receive, run

KEYS = ("invoices", "orders", "order_total_minor", "order_lines", "credit_notes", "credit_total_minor", "rejected")


def seed(capsys: pytest.CaptureFixture[str], file: Path, *options: object) -> dict[str, object]:
    call_command("seed_feed", str(file), *map(str, options))
    expected: dict[str, object] = json.loads(capsys.readouterr().out)
    return expected


def test_the_same_seed_makes_the_same_file_of_that_many_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, other = (tmp_path / name for name in "abc")
    assert seed(capsys, first, "--rows", 700) == seed(capsys, second, "--rows", 700)
    seed(capsys, other, "--rows", 700, "--seed", 2)
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()
    assert first.read_bytes().count(b"\n") == 701


@pytest.mark.django_db
def test_an_import_reports_the_figures_that_the_file_was_made_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = seed(capsys, tmp_path / "year.csv", "--rows", 2_500)
    found = feeds.figures(run(receive((tmp_path / "year.csv").read_bytes())))
    assert {key: found[key] for key in KEYS} == {key: expected[key] for key in KEYS}
    assert found["rejected"]
    assert found["credit_notes"]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="above 0"):
        call_command("seed_feed", str(tmp_path / "a"), "--rows", "0")
    with pytest.raises(CommandError, match="Is a directory"):
        call_command("seed_feed", str(tmp_path))
