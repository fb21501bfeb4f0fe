"""Exports on the real servers: a worker that is killed in the middle of a file, and the download through the web."""

import csv
import io

import openpyxl  # type: ignore[import-untyped]
import pytest
import requests

from orders.models import Export, Order
from orders.services import exports
from orders.services.exports import requesting
from orders.vocabulary import CommandKind, ExportFormat, ExportStatus
from tests.e2e.engine import Engine, eventually
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders.api_calls import make_token, make_user

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def ask(format: ExportFormat) -> Export:
    selection = exports.Selection(orders=Order.objects.all(), asked={})
    return exports.request(selection, format, actor=TEST_ACTOR, reason="Books")


def is_completed(export: Export) -> bool:
    export.refresh_from_db()
    return export.status == ExportStatus.COMPLETED


def test_a_file_whose_worker_was_killed_is_finished_by_the_next_and_downloaded(
    running_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One order a part, so that a kill meets the file in the middle.
    monkeypatch.setattr(requesting, "EXPORT_PART_ORDERS", 1)
    product = make_product(stock=1_000)
    numbers = [make_order(product=product).number for _ in range(150)]
    export = ask(ExportFormat.CSV)

    def has_begun() -> bool:
        export.refresh_from_db()
        return export.rows_written > 0

    eventually(has_begun, what="the first part of the file")
    running_engine.kill_worker()
    export.refresh_from_db()
    assert 0 < export.rows_written < 150
    assert export.status == ExportStatus.RUNNING
    workbook = ask(ExportFormat.XLSX)
    running_engine.start_worker()
    eventually(lambda: is_completed(export) and is_completed(workbook), what="both files")

    web = running_engine.start_web()
    token = make_token(make_user("export_orders", "view_order", "view_export"), "full")
    fetched = {}
    for one in (export, workbook):
        answer = requests.get(
            f"{web}/api/exports/{one.pk}/download/", headers={"Authorization": f"Token {token}"}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        assert one.commands.filter(kind=CommandKind.EXPORT_DOWNLOAD).count() == 1
        fetched[one.pk] = answer.content
    rows = list(csv.reader(io.StringIO(fetched[export.pk].decode("utf-8-sig"), newline="")))
    sheet = openpyxl.load_workbook(io.BytesIO(fetched[workbook.pk])).active
    assert [row[0] for row in rows[1:]] == numbers
    assert [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] == numbers
