"""A dry run: everything is told, nothing is stored, and a person commits or discards."""

import csv
import io

import pytest

from orders.actor import person
from orders.errors import NotPermitted, WrongState
from orders.models import Command, CreditNote, FeedImport, Order, OutboxMessage, Product
from orders.services import feeds
from orders.vocabulary import Channel, CommandKind, FeedStatus, Topic
from tests.orders.api_calls import token_client
from tests.orders.feed_files import CLI, IMPORTER, csv_of, imported, quiet, receive, row, run
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
ROWS = (
    row("1", quantity=2),
    row("2", quantity="many", price="free"),
    row("C3", quantity=-1, at="2010-12-02 09:00:00"),
    row("4", price="0"),
)


def checked(*rows: str, **options: object) -> FeedImport:
    return run(receive(csv_of(*rows), dry_run=True, **options))


def tell(feed: FeedImport, kind: CommandKind) -> FeedImport:
    return feeds.tell(feed.pk, kind, actor=CLI, reason="Looks right")


def test_a_dry_run_stops_before_anything_is_stored() -> None:
    feed = checked(*ROWS, process=True)
    assert feed.status == FeedStatus.CHECKED
    assert not any(model.objects.exists() for model in (Order, CreditNote, Product))
    # However often the process looks.
    assert feeds.store(feed.pk, actor=IMPORTER, beat=quiet) == FeedStatus.CHECKED
    assert not Order.objects.exists()


def test_the_report_names_row_column_and_what_becomes_of_each_invoice() -> None:
    imported(row("5"))
    report = feeds.report(checked(*ROWS, row("5")))
    assert [(one["line"], one["invoice"], one["column"]) for one in report["rows"]] == [
        (3, "2", "Quantity"),
        (3, "2", "UnitPrice"),
    ]
    assert report["rows"][0]["message"] == "is not a whole number: 'many'."
    assert {one["invoice"]: (one["outcome"], one["reason"]) for one in report["invoices"]} == {
        "1": ("order", ""),
        "5": ("exists", ""),
        "C3": ("credit_note", ""),
        "2": ("rejected", "invalid_row"),
        "4": ("rejected", "zero_total"),
    }
    assert (report["existing"], report["bad_rows"]) == (1, 1)
    assert (report["figures"]["orders"], report["figures"]["order_total_minor"]) == (2, 750)


def test_a_committed_check_stores_exactly_what_it_said() -> None:
    feed = checked(*ROWS, process=True)
    said = feeds.figures(feed)
    tell(feed, CommandKind.IMPORT_COMMIT)
    assert OutboxMessage.objects.filter(topic=Topic.TELL_FEED_IMPORT, aggregate=f"feed:{feed.pk}").count() == 1
    feed = run(feed)
    assert feed.status == FeedStatus.COMPLETED
    assert (feed.created_orders, feed.created_credit_notes) == (1, 1)
    same = ("invoices", "orders", "order_total_minor", "credit_notes", "rejected")
    assert {key: feeds.figures(feed)[key] for key in same} == {key: said[key] for key in same}
    command = Command.objects.get(kind=CommandKind.IMPORT_COMMIT)
    assert (command.feed, command.actor, command.reason) == (feed, "test", "Looks right")


def test_a_discarded_check_stores_nothing_ever() -> None:
    feed = checked(*ROWS)
    tell(feed, CommandKind.IMPORT_CANCEL)
    feed = run(feed)
    assert (feed.status, feed.failure_message) == (FeedStatus.DISCARDED, "Discarded by test: Looks right")
    assert not Order.objects.exists()
    with pytest.raises(WrongState, match="is discarded and cannot be committed"):
        tell(feed, CommandKind.IMPORT_COMMIT)


def test_who_commits_needs_what_the_sender_needed() -> None:
    feed = checked(*ROWS, process=True)
    importer = person(make_user("orders.import_feed", name="ida"), Channel.ADMIN)
    with pytest.raises(NotPermitted, match="start_order"):
        feeds.tell(feed.pk, CommandKind.IMPORT_COMMIT, actor=importer, reason="x")
    feed.refresh_from_db()
    assert feed.status == FeedStatus.CHECKED


def test_the_download_has_a_line_for_every_invoice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.services.feeds.checking.PAGE", 2)
    feed = imported(*ROWS)
    lines = list(csv.DictReader(io.StringIO("".join(feeds.invoices_csv(feed)))))
    assert [(one["invoice"], one["outcome"]) for one in lines] == [
        ("1", "order"),
        ("C3", "credit_note"),
        ("2", "rejected"),
        ("4", "rejected"),
    ]
    assert lines[0]["order"] == Order.objects.get().number


def test_the_api_checks_reports_and_commits() -> None:
    client = token_client("import_feed")
    sent = client.post("/api/imports/?dry_run=true", csv_of(*ROWS), content_type="text/csv").json()
    assert (sent["dry_run"], sent["rows_expected"]) == (True, 4)
    run(FeedImport.objects.get())
    report = client.get(sent["links"]["report"]).json()
    assert report["rows"][0]["column"] == "Quantity"
    assert b"".join(client.get(sent["links"]["invoices"]).streaming_content).startswith(b"\xef\xbb\xbfinvoice,outcome")  # type: ignore[arg-type]
    address = f"/api/imports/{sent['id']}/commit/"
    answer = client.post(address, {"reason": "Looks right"}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (202, "storing")
    again = client.post(address, {"reason": "Looks right"}, content_type="application/json")
    assert again.status_code == 409
