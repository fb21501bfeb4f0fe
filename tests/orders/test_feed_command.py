"""`manage.py import_orders`: figures on stdout, everything else on stderr, and one clear line when it cannot."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from orders.models import FeedImport, Order
from orders.services import feeds
from orders.services.feeds import waiting
from tests.orders.feed_files import csv_of, row, run

pytestmark = pytest.mark.django_db

KEYS = {
    *("invoices", "orders", "order_total_minor", "order_lines", "credit_notes", "credit_total_minor", "rejected"),
    *("completed", "in_review", "failed", "cancelled", "seconds"),
    *("created_orders", "created_credit_notes", "unmatched_credit_notes"),
}


@pytest.fixture
def day(tmp_path: Path) -> Path:
    file = tmp_path / "day.csv"
    file.write_bytes(csv_of(row("1"), row("2", price="0"), row("C3", quantity=-9)))
    return file


@pytest.fixture
def a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does the import while the command would look at it for the first time."""
    plain = waiting.progress

    def imported_first(feed_id: Any) -> feeds.Progress:
        run(FeedImport.objects.get(pk=feed_id))
        return plain(feed_id)

    monkeypatch.setattr(waiting, "progress", imported_first)


def import_orders(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[str, str]:
    call_command("import_orders", *map(str, arguments))
    said = capsys.readouterr()
    return said.out, said.err


def test_without_wait_it_prints_the_import_and_returns(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = import_orders(capsys, day)
    assert out == f"Import {FeedImport.objects.get().id} was received.\n"
    assert err == ""
    out, _ = import_orders(capsys, day, "--json")
    assert json.loads(out) == {"import": str(FeedImport.objects.first().id), "status": "received"}


@pytest.mark.usefixtures("a_worker")
def test_with_wait_and_json_the_last_line_is_one_object(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = import_orders(capsys, day, "--create-products", "--initial-stock", 5, "--wait", "--json")
    figures = json.loads(out.splitlines()[-1])
    assert figures.keys() >= KEYS
    assert (figures["orders"], figures["credit_notes"], figures["unmatched_credit_notes"]) == (1, 1, 1)
    assert figures["rejected"] == {"zero_total": 1}
    assert figures["status"] == "completed"
    assert "Storing: 3 of 3 invoices" in err
    assert Order.objects.get().lines.get().product.stock.on_hand == 5


@pytest.mark.usefixtures("a_worker")
def test_without_json_it_says_it_in_words(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = import_orders(capsys, day, "--wait")
    assert "3 invoices: 0 orders" in out
    assert "1 unknown_product, 1 zero_total" in out


@pytest.mark.usefixtures("a_worker")
def test_the_rejected_rows_are_written_to_a_file(day: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_orders(capsys, day, "--create-products", "--wait", "--rejected-to", tmp_path / "bad.csv")
    assert (tmp_path / "bad.csv").read_text().splitlines()[1].startswith("3,zero_total")


@pytest.mark.usefixtures("a_worker")
def test_a_dry_run_prints_its_report_and_stores_nothing(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = import_orders(capsys, day, "--create-products", "--dry-run", "--json")
    report = json.loads(out)
    assert report["status"] == "checked"
    assert {one["invoice"]: one["outcome"] for one in report["invoices"]} == {
        "1": "order",
        "2": "rejected",
        "C3": "credit_note",
    }
    out, _ = import_orders(capsys, day, "--create-products", "--dry-run")
    assert "2: zero_total. The lines add up to 0." in out
    assert "Nothing was stored." in out
    assert not Order.objects.exists()


@pytest.mark.usefixtures("a_worker")
def test_a_file_that_cannot_be_read_ends_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "day.csv"
    file.write_text("Name\nvalue\n")
    with pytest.raises(CommandError, match="The header lacks InvoiceNo"):
        import_orders(capsys, file, "--wait", "--json")
    figures = json.loads(capsys.readouterr().out)
    assert figures["status"] == "failed"
    assert "The header lacks InvoiceNo" in figures["message"]


def test_time_that_runs_out_says_that_the_import_goes_on(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match=r"Not finished after 0\.01 s; import .* goes on"):
        import_orders(capsys, day, "--wait", "--timeout", "0.01")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], r"missing\.csv: No such file or directory"),
        (["."], "Is a directory"),
        (["DAY", "--initial-stock", "-1"], "--initial-stock: -1 is not within 0 to"),
        (["DAY", "--layout", "other"], "There is no layout other; known are online-retail"),
        (["DAY", "--rejected-to", "x.csv"], "--rejected-to needs --wait"),
        (["DAY", "--wait", "--rejected-to", "/nowhere/x.csv"], "there is no folder /nowhere"),
        (["DAY", "--wait", "--timeout", "0"], "above 0"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: list[str], message: str, day: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match=message):
        import_orders(capsys, *[day if argument == "DAY" else argument for argument in arguments])
    assert not FeedImport.objects.exists()


def test_the_commands_limits_are_named(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with override_settings(FEED_COMMAND_MAX_BYTES=100), pytest.raises(CommandError, match="the limit is 100 bytes"):
        import_orders(capsys, day)
    with override_settings(FEED_COMMAND_MAX_ROWS=2), pytest.raises(CommandError, match="3 rows; the limit is 2 rows"):
        import_orders(capsys, day)
