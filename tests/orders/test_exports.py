"""Exports: what is in the file, that a crash costs a part at most, and who may take it, how often and how long."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import openpyxl  # type: ignore[import-untyped]
import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.actor import person
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Command, Export, ExportPart, Order, OutboxMessage
from orders.services import erasing, exports
from orders.services.exports import formats, making, requesting
from orders.services.exports.columns import HEADER
from orders.vocabulary import Channel, CommandKind, ExportFormat, ExportStatus, OrderStatus, Topic
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
from tests.orders.attempts_exports import make_export, make_plan, make_written
from tests.orders.staff import VIEW_ORDER, make_user

pytestmark = pytest.mark.django_db
CSV, XLSX = ExportFormat.CSV, ExportFormat.XLSX


@pytest.fixture
def two_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requesting, "EXPORT_PART_ORDERS", 2)


def content(export: Export) -> bytes:
    return b"".join(exports.download(export.pk, actor=TEST_ACTOR).pieces)


def read_csv(export: Export) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content(export).decode(), newline="")))


def read_workbook(export: Export) -> list[list[object]]:
    sheet = openpyxl.load_workbook(io.BytesIO(content(export))).active
    return [list(row) for row in sheet.iter_rows(values_only=True)]


class Killed(BaseException):
    """What `kill -9` is to the code: nothing catches it."""


def killed_at(*positions: int) -> Callable[[int], None]:
    def beat(position: int) -> None:
        if position in positions:
            raise Killed

    return beat


# --- What is in the file ----------------------------------------------------------------------------------------------


def test_a_csv_says_of_each_order_what_it_is(two_a_part: None) -> None:
    shipped = driving.drive(make_order(quantity=3))
    guest = make_order(guest=True)
    other = make_order()
    shipped.refresh_from_db()
    assert shipped.status == OrderStatus.COMPLETED
    header, *rows = read_csv(make_written(other, shipped, guest))
    assert header == list(HEADER)
    assert [row[0] for row in rows] == [shipped.number, guest.number, other.number]
    assert shipped.customer
    assert shipped.closed_at
    assert dict(zip(header, rows[0], strict=True)) == {
        "number": shipped.number,
        "status": "completed",
        "status_since": shipped.status_since.isoformat(timespec="seconds"),
        "source": "backoffice",
        "reference": "",
        "channel": "cli",
        "customer": shipped.customer.reference,
        "country": "GB",
        "currency": "GBP",
        "total": "30.00",
        "captured": "30.00",
        "refunded": "0.00",
        "lines": "1",
        "failure": "",
        "placed_at": shipped.placed_at.isoformat(timespec="seconds"),
        "created_at": shipped.created_at.isoformat(timespec="seconds"),
        "closed_at": shipped.closed_at.isoformat(timespec="seconds"),
    }
    assert dict(zip(header, rows[1], strict=True))["customer"] == ""


def test_a_workbook_says_the_same_with_numbers_and_moments_as_such(two_a_part: None) -> None:
    orders = [make_order(quantity=quantity) for quantity in (1, 2, 3)]
    header, *rows = read_workbook(make_written(*orders, format=XLSX))
    assert header == list(HEADER)
    assert [row[0] for row in rows] == [order.number for order in orders]
    first = dict(zip(header, rows[0], strict=True))
    assert (first["total"], first["lines"], first["captured"]) == (10, 1, None)
    assert first["created_at"] == orders[0].created_at.replace(microsecond=0, tzinfo=None)


DANGEROUS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")']


@pytest.mark.parametrize("format", ExportFormat)
def test_no_cell_is_a_formula_and_plain_numbers_stay_as_they_are(format: ExportFormat) -> None:
    texts = [*DANGEROUS, "-12.50", "plain", 'quote " and , comma', "Grün <&> \x07"]
    orders = []
    for text in texts:
        order = make_order()
        Order.objects.filter(pk=order.pk).update(reference=text)
        orders.append(order)
    export = make_written(*orders, format=format)
    place = HEADER.index("reference")
    found = [row[place] for row in (read_csv(export) if format is CSV else read_workbook(export))[1:]]
    bell = "\x07" if format is CSV else "\ufffd"
    # What stands behind a tab or a line break may be a cell of its own to a spreadsheet.
    harmless = [text.replace("\t=", "\t'=").replace("\r=", "\r'=") if format is CSV else text for text in DANGEROUS]
    assert found == [
        *(f"'{text}" for text in harmless),
        "-12.50",
        "plain",
        'quote " and , comma',
        f"Grün <&> {bell}",
    ]


def test_the_file_holds_the_orders_of_the_click_and_no_later_one() -> None:
    order = make_order()
    selection = exports.Selection(orders=Order.objects.filter(status="placed"), asked={})
    export = exports.request(selection, CSV, actor=TEST_ACTOR, reason="Books")
    make_order()
    Order.objects.filter(pk=order.pk).update(status="queued")
    exports.write(export.pk, beat=lambda _: None)
    rows = read_csv(export)[1:]
    assert [(row[0], row[1]) for row in rows] == [(order.number, "queued")]


def test_the_same_export_is_the_same_file_however_often_it_is_fetched() -> None:
    export = make_written(format=XLSX)
    first = content(export)
    with time_machine.travel(timezone.now() + timedelta(hours=5)):
        assert content(export) == first


# --- Asking -----------------------------------------------------------------------------------------------------------


def test_asking_freezes_the_orders_tells_the_engine_and_leaves_a_row(two_a_part: None) -> None:
    export = make_export(*(make_order() for _ in range(5)))
    assert [len(part.order_ids) for part in export.parts.order_by("position")] == [2, 2, 1]
    assert (export.status, export.row_count, export.rows_written) == (ExportStatus.QUEUED, 5, 0)
    message = OutboxMessage.objects.get(topic=Topic.RUN_EXPORT)
    assert message.body == {"export_id": str(export.pk)}
    row = Command.objects.get(kind=CommandKind.EXPORT)
    assert (row.export, row.actor, row.reason, row.outcome) == (export, "test", "For the books", "5 orders as csv")


def test_too_many_orders_are_refused_with_the_limit(settings: LazySettings) -> None:
    settings.EXPORT_MAX_ROWS = 2
    orders = [make_order() for _ in range(3)]
    with pytest.raises(InvalidInput, match="More than 2 orders match; one export takes 2 at most"):
        make_export(*orders)
    assert not Export.objects.exists()
    assert not ExportPart.objects.exists()
    make_export(*orders[:2])


@pytest.mark.parametrize("orders", [Order.objects.none(), Order.objects.filter(pk__in=[])])
def test_an_export_of_nothing_is_refused(orders: object) -> None:
    selection = exports.Selection(orders=orders, asked={})  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="No order matches"):
        exports.request(selection, CSV, actor=TEST_ACTOR, reason="Books")


def test_exports_of_one_person_that_are_under_way_are_bounded(settings: LazySettings) -> None:
    settings.EXPORTS_OPEN_PER_PERSON = 2
    order, somebody = make_order(), person(make_user(VIEW_ORDER, "orders.export_orders"), Channel.API)
    selection = exports.Selection(orders=Order.objects.filter(pk=order.pk), asked={"ticked": 1})
    first = exports.request(selection, CSV, actor=somebody, reason="Books")
    exports.request(selection, CSV, actor=somebody, reason="Books")

    with pytest.raises(WrongState, match="2 of your exports are under way"):
        exports.request(selection, CSV, actor=somebody, reason="Books")

    exports.request(selection, CSV, actor=TEST_ACTOR, reason="Books")
    exports.cancel(first.pk, actor=somebody, reason="Enough")
    exports.request(selection, CSV, actor=somebody, reason="Books")


def test_an_export_without_a_reason_is_refused() -> None:
    selection = exports.Selection(orders=Order.objects.all(), asked={})
    with pytest.raises(InvalidInput, match="what the file is for"):
        exports.request(selection, CSV, actor=TEST_ACTOR, reason=" ")


def test_who_may_not_export_neither_asks_nor_cancels_nor_downloads() -> None:
    somebody = person(User.objects.create_user("somebody"), Channel.ADMIN)
    selection = exports.Selection(orders=Order.objects.all(), asked={})
    export = make_written()
    for work in (
        lambda: exports.request(selection, CSV, actor=somebody, reason="Books"),
        lambda: exports.cancel(export.pk, actor=somebody, reason="Mine"),
        lambda: exports.download(export.pk, actor=somebody),
    ):
        with pytest.raises(NotPermitted, match=r"permission orders\.export_orders"):
            work()


# --- Crashes and cancellations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ExportFormat)
def test_a_killed_worker_goes_on_where_it_stopped(format: ExportFormat, two_a_part: None) -> None:
    orders = [make_order() for _ in range(5)]
    whole, halved = make_written(*orders, format=format), make_export(*orders, format=format)
    with pytest.raises(Killed):
        exports.write(halved.pk, beat=killed_at(2))
    halved.refresh_from_db()
    assert (halved.status, halved.rows_written) == (ExportStatus.RUNNING, 2)
    with pytest.raises(WrongState, match="running"):
        exports.download(halved.pk, actor=TEST_ACTOR)
    beats: list[int] = []
    assert exports.write(halved.pk, beat=beats.append) is ExportStatus.COMPLETED
    assert beats == [2, 3], "a part that was stored is never made again"
    assert content(halved) == content(whole)


def test_an_attempt_that_wakes_up_late_changes_nothing(two_a_part: None) -> None:
    export = make_export(*(make_order() for _ in range(3)))

    def overtaken(position: int) -> None:
        if position == 2:
            Order.objects.update(source="later")
            exports.write(export.pk, beat=lambda _: None)
            Order.objects.update(source="latest")

    assert exports.write(export.pk, beat=overtaken) is ExportStatus.COMPLETED
    export.refresh_from_db()
    place = HEADER.index("source")
    assert export.rows_written == 3
    assert [row[place] for row in read_csv(export)[1:]] == ["backoffice", "backoffice", "later"]


def test_a_cancellation_binds_before_the_next_part_and_deletes_what_was_made(two_a_part: None) -> None:
    export = make_export(*(make_order() for _ in range(5)))

    def cancelled(position: int) -> None:
        if position == 2:
            exports.cancel(export.pk, actor=TEST_ACTOR, reason="Wrong filter")

    assert exports.write(export.pk, beat=cancelled) is ExportStatus.CANCELLED
    export.refresh_from_db()
    assert (export.rows_written, export.note) == (2, "Cancelled by test: Wrong filter")
    assert not export.parts.exists()
    assert export.commands.get(kind=CommandKind.EXPORT_CANCEL).outcome.startswith("2 of 5 rows")
    with pytest.raises(WrongState, match="cancelled already"):
        exports.cancel(export.pk, actor=TEST_ACTOR, reason="Again")


def test_a_cancellation_while_a_part_is_written_keeps_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    export = make_export()
    rows = formats.rows

    def cancelled(*arguments: object) -> bytes:
        exports.cancel(export.pk, actor=TEST_ACTOR, reason="Wrong filter")
        return rows(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(making.formats, "rows", cancelled)
    assert exports.write(export.pk, beat=lambda _: None) is ExportStatus.CANCELLED
    assert not ExportPart.objects.exists()


def test_an_export_that_was_given_up_says_why_and_a_completed_one_stays() -> None:
    lost, whole = make_export(), make_written()
    assert exports.abandon(lost.pk, "Its process was cancelled.") is ExportStatus.FAILED
    lost.refresh_from_db()
    assert (lost.note, lost.parts.count()) == ("Its process was cancelled.", 0)
    assert exports.abandon(whole.pk, "Too late") is ExportStatus.COMPLETED
    assert exports.write(lost.pk, beat=lambda _: None) is ExportStatus.FAILED


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_however_often_it_is_killed_the_file_is_the_one_made_at_once(
    monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    monkeypatch.setattr(requesting, "EXPORT_PART_ORDERS", data.draw(st.integers(1, 3), label="orders of a part"))
    format = data.draw(st.sampled_from(ExportFormat), label="format")
    orders = list(Order.objects.all()) or [make_order() for _ in range(5)]
    text = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1, max_size=20)
    texts = data.draw(st.lists(text, min_size=5, max_size=5, unique=True), label="references")
    for order in orders:
        Order.objects.filter(pk=order.pk).update(reference="")
    for order, reference in zip(orders, texts, strict=True):
        Order.objects.filter(pk=order.pk).update(reference=reference)
    whole, broken = make_written(*orders, format=format), make_export(*orders, format=format)
    for position in sorted(data.draw(st.sets(st.integers(1, 5)), label="killed at")):
        try:
            exports.write(broken.pk, beat=killed_at(position))
        except Killed:
            continue
    assert exports.write(broken.pk, beat=lambda _: None) is ExportStatus.COMPLETED
    assert content(broken) == content(whole)
    assert len(read_csv(broken) if format is CSV else read_workbook(broken)) == 6


# --- Keeping ----------------------------------------------------------------------------------------------------------


def test_each_download_leaves_a_row_with_who_and_how_many() -> None:
    export = make_written(make_order(), make_order())
    chief = person(User.objects.create_superuser("chief"), Channel.API)
    exports.download(export.pk, actor=chief)
    exports.download(export.pk, actor=TEST_ACTOR)
    rows = export.commands.filter(kind=CommandKind.EXPORT_DOWNLOAD).order_by("created_at")
    assert [(row.actor, row.channel, row.outcome) for row in rows] == [
        ("chief", "api", "2 rows as csv"),
        ("test", "cli", "2 rows as csv"),
    ]


def test_the_name_of_the_file_is_ours() -> None:
    with time_machine.travel(datetime(2026, 5, 4, 3, 2, tzinfo=UTC)):
        export = make_written(format=XLSX)
        file = exports.download(export.pk, actor=TEST_ACTOR)
    assert file.name == f"orders-20260504-0302-{str(export.pk)[:8]}.xlsx"


def test_a_file_is_deleted_when_its_days_are_over_and_the_row_says_so(settings: LazySettings) -> None:
    settings.EXPORT_KEEP_DAYS = 3
    old, open_one = make_written(), make_export()
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        young = make_written()
        assert exports.expire() == 0
    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        with pytest.raises(WrongState, match="was kept until"):
            exports.download(old.pk, actor=TEST_ACTOR)
        assert exports.expire() == 1
        assert exports.expire() == 0
        with pytest.raises(WrongState, match="was kept until"):
            exports.download(old.pk, actor=TEST_ACTOR)
    old.refresh_from_db()
    assert (old.status, old.note, old.rows_written) == (ExportStatus.EXPIRED, "Deleted after 3 days.", 1)
    assert set(ExportPart.objects.values_list("export", flat=True)) == {young.pk, open_one.pk}


def test_a_file_that_is_deleted_during_its_download_breaks_off() -> None:
    export = make_written()
    pieces = exports.download(export.pk, actor=TEST_ACTOR).pieces
    next(pieces)
    making.end(Export.objects.get(pk=export.pk), ExportStatus.EXPIRED)
    with pytest.raises(ExportPart.DoesNotExist):
        list(pieces)


def test_erasing_a_customer_deletes_every_file_that_holds_them() -> None:
    order = driving.drive(make_order())
    order.refresh_from_db()
    mine, under_way, others = make_written(order), make_export(order), make_written()
    assert order.customer
    reference = order.customer.reference
    Export.objects.filter(pk=mine.pk).update(reason=f"For {reference}", selection={"filter": {"customer": [reference]}})
    plan = make_plan(filter={"customer": reference})
    exports.pause(plan.pk, actor=TEST_ACTOR, reason=f"Until {reference} has answered")
    erasing.erase_customer(order.customer.reference, actor=TEST_ACTOR, reason="Request 17")
    statuses = {export.pk: export.status for export in Export.objects.all()}
    assert statuses == {mine.pk: "expired", under_way.pk: "cancelled", others.pk: "completed"}
    assert set(ExportPart.objects.values_list("export", flat=True)) == {others.pk}
    mine.refresh_from_db()
    plan.refresh_from_db()
    assert (mine.reason, mine.selection) == ("For erased", {"filter": {"customer": ["erased"]}})
    assert plan.filter == {"customer": "erased"}
    assert plan.commands.get(kind=CommandKind.EXPORT_PLAN_PAUSE).reason == "Until erased has answered"
