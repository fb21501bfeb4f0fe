"""`manage.py import_orders FILE`: hand an order feed to the back office and, with --wait, watch it arrive.

The command only stores the file and its request; a worker does the work. So it may be killed at any moment, and a
command that is run twice makes no order twice.
"""

import json
import os
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import Error as DatabaseError

from orders import clock
from orders.database_errors import is_passing
from orders.errors import InvalidInput, WrongState
from orders.management.acting import ActingCommand
from orders.models import FeedImport
from orders.services import feeds
from orders.vocabulary import TERMINAL_STATUSES, FeedStatus

BAR_WIDTH = 30
SECONDS_BETWEEN_LINES = 10.0


class Command(ActingCommand):
    help = "Import a file of invoices (CSV, XLSX, JSON lines) as orders and credit notes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--layout", default="online-retail", help="what the columns mean")
        parser.add_argument("--create-products", action="store_true", help="make the products the catalogue lacks")
        parser.add_argument("--initial-stock", type=int, default=0, metavar="N", help="pieces of each product made")
        parser.add_argument("--dry-run", action="store_true", help="store nothing: print what would become of the file")
        parser.add_argument("--follows", metavar="IMPORT", help="the import whose rejected rows this file mends")
        parser.add_argument("--process", action="store_true", help="start every order of the file")
        parser.add_argument("--wait", action="store_true", help="wait until nothing of the import moves any more")
        parser.add_argument("--timeout", type=float, metavar="SECONDS", help="wait no longer; the import goes on")
        parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
        parser.add_argument("--rejected-to", type=Path, metavar="FILE", help="write the rejected rows to this CSV file")

    def handle(self, **options: Any) -> None:
        rejected_to: Path | None = options["rejected_to"]
        if rejected_to is not None:
            if not options["wait"]:
                raise CommandError("--rejected-to needs --wait: what is rejected is known at the end.")
            if not rejected_to.parent.is_dir():
                raise CommandError(f"--rejected-to: there is no folder {rejected_to.parent}.")
        if options["timeout"] is not None and options["timeout"] <= 0:
            raise CommandError("--timeout: a number of seconds above 0 is needed.")
        feed = self.received(options)
        if not options["wait"] and not options["dry_run"]:
            answer = {"import": str(feed.id), "status": feed.status}
            self.stdout.write(json.dumps(answer) if options["json"] else f"Import {feed.id} was received.")
            return
        view = View(with_orders=options["process"])
        status = self.follow(feed, options, view)
        if status == FeedStatus.CHECKED:
            report = feeds.patiently(lambda: feeds.report(feed), on_remark=view.remark)
            answer = {"import": str(feed.id), "status": status, **report}
            self.stdout.write(json.dumps(answer) if options["json"] else report_as_text(feed, report))
            return
        figures = feeds.patiently(lambda: feeds.figures(feed), on_remark=view.remark)
        if rejected_to is not None:
            feeds.patiently(lambda: write_rejected(feed, rejected_to), on_remark=view.remark)
        answer = {"import": str(feed.id), "status": feed.status, "message": feed.failure_message, **figures}
        self.stdout.write(json.dumps(answer) if options["json"] else as_text(figures))
        if feed.status != FeedStatus.COMPLETED:
            raise CommandError(f"The import {feed.status}: {feed.failure_message}")

    def received(self, options: dict[str, Any]) -> FeedImport:
        actor = self.actor(options["acting_as"])
        file: Path = options["file"]
        try:
            # Asked before reading: a file of the wrong size need not enter memory.
            size = file.stat().st_size
            if size > settings.FEED_COMMAND_MAX_BYTES:
                raise CommandError(f"{file}: {size} bytes; the limit is {settings.FEED_COMMAND_MAX_BYTES} bytes.")
            content = file.read_bytes()
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from None
        try:
            return feeds.receive(
                content,
                name=file.name,
                layout=options["layout"],
                actor=actor,
                create_products=options["create_products"],
                initial_stock=options["initial_stock"],
                process=options["process"],
                dry_run=options["dry_run"],
                follows=options["follows"],
                max_bytes=settings.FEED_COMMAND_MAX_BYTES,
                max_rows=settings.FEED_COMMAND_MAX_ROWS,
            )
        except InvalidInput as error:
            what = file if error.field == "file" else f"--{error.field.replace('_', '-')}"
            raise CommandError(f"{what}: {error}") from None
        except WrongState as error:
            raise CommandError(str(error)) from None
        except DatabaseError as error:
            if not is_passing(error):
                raise
            raise CommandError(
                "The database does not answer. Run the command again when it does: importing a file twice is harmless."
            ) from None

    def follow(self, feed: FeedImport, options: dict[str, Any], view: "View") -> FeedStatus:
        try:
            end = feeds.follow(
                feed.id,
                with_orders=options["process"],
                on_progress=view.show,
                on_remark=view.remark,
                timeout=options["timeout"],
            )
        except feeds.TimedOut:
            view.close()
            raise CommandError(f"Not finished after {options['timeout']:g} s; import {feed.id} goes on.") from None
        except KeyboardInterrupt:
            view.close()
            raise CommandError(f"Nobody waits any more; import {feed.id} goes on.") from None
        view.close()
        if end.status == FeedStatus.PAUSED:
            raise CommandError(f"Import {feed.id} was paused; it goes on when somebody resumes it.")
        return end.status


class View:
    """Progress on stderr: a bar that moves on a terminal, a line now and then elsewhere."""

    def __init__(self, *, with_orders: bool) -> None:
        self.with_orders = with_orders
        self.is_terminal = sys.stderr.isatty()
        self.tenth = ""
        self.told_at = 0.0

    def show(self, now: feeds.Progress) -> None:
        text, share = self.sentence(now)
        text += pace_of(now)
        if self.is_terminal:
            filled = round(share * BAR_WIDTH)
            line = f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {text}"
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            sys.stderr.write(f"\r\x1b[K{line[: width - 1]}")
        else:
            # A line for each tenth and now and then in between: a log of a long import stays readable.
            tenth = f"{text.split(':')[0]} {int(share * 10)}"
            if tenth != self.tenth or time.monotonic() - self.told_at >= SECONDS_BETWEEN_LINES:
                sys.stderr.write(f"{text}\n")
                self.tenth, self.told_at = tenth, time.monotonic()
        sys.stderr.flush()

    def sentence(self, now: feeds.Progress) -> tuple[str, float]:
        if now.is_ended and self.with_orders and now.orders:
            total = sum(now.orders.values())
            closed = sum(count for status, count in now.orders.items() if status in TERMINAL_STATUSES)
            return f"Orders: {closed} of {total} closed, {now.moving_orders} under way", closed / total
        if now.documents_found and now.status in (FeedStatus.STORING, FeedStatus.COMPLETED):
            share = now.documents_stored / now.documents_found
            return f"Storing: {now.documents_stored} of {now.documents_found} invoices", share
        if now.status == FeedStatus.TRANSFORMING:
            return f"Grouping: {now.documents_found} invoices of {now.rows_read} rows", 0.0
        if now.is_ended or now.waits_for_a_person:
            return now.status.capitalize(), 1.0
        done, total = now.done_and_total
        return f"Reading: {now.rows_read} rows", done / total if total else 0.0

    def remark(self, text: str) -> None:
        sys.stderr.write(f"{chr(10) if self.is_terminal else ''}{text}\n")
        sys.stderr.flush()

    def close(self) -> None:
        if self.is_terminal:
            sys.stderr.write("\n")


def pace_of(now: feeds.Progress) -> str:
    """How fast it goes and how long it takes, once there is something to measure."""
    rate, left = now.pace(clock.now())
    if left is None:
        return ""
    unit = "rows" if now.status == FeedStatus.VALIDATING else "invoices"
    return f", {rate:.0f} {unit}/s, {left:.0f} s left"


def report_as_text(feed: FeedImport, report: dict[str, Any]) -> str:
    """Nothing is stored yet: what would be, what is wrong, and who decides."""
    wrong = [f"Line {row['line']}: {row['column']} {row['message']}" for row in report["rows"]]
    more = report["bad_rows"] - len(wrong)
    rejected = [
        f"{invoice['invoice']}: {invoice['reason']}. {invoice['detail']}"
        for invoice in report["invoices"]
        if invoice["outcome"] == "rejected"
    ]
    return "\n".join(
        [
            as_text(report["figures"]),
            *wrong,
            *([f"... and {more} more rows"] if more > 0 else []),
            *rejected,
            f"{report['existing']} of the orders exist already.",
            f"Nothing was stored. Import {feed.id} waits until somebody commits or discards it on its page.",
        ]
    )


def write_rejected(feed: FeedImport, path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.writelines(feeds.bad_rows_csv(feed))


def as_text(figures: dict[str, Any]) -> str:
    rejected = ", ".join(f"{count} {reason}" for reason, count in figures["rejected"].items()) or "none"
    return (
        f"{figures['invoices']} invoices: {figures['orders']} orders over {figures['order_total_minor']} minor units "
        f"({figures['order_lines']} lines, {figures['created_orders']} new), {figures['credit_notes']} credit notes "
        f"over {figures['credit_total_minor']} ({figures['unmatched_credit_notes']} unmatched), rejected: {rejected}.\n"
        f"Orders: {figures['completed']} completed, {figures['in_review']} in review, {figures['failed']} failed, "
        f"{figures['cancelled']} cancelled; {figures['seconds']} s."
    )
