"""PostgreSQL refuses by itself what a service of exports forgot: each rule of its tables."""

import pytest
from django.db import DatabaseError, connection, transaction

from orders.models import Export, ExportPart, ExportPlan
from orders.services import exports
from tests.factories import TEST_ACTOR, make_order
from tests.orders.attempts_exports import make_export, make_plan, make_written

pytestmark = pytest.mark.django_db

#: rule -> an update that breaks it, of an export that is queued
QUEUED: list[tuple[str, str]] = [
    ("export_format_word", "UPDATE orders_export SET format = 'pdf'"),
    ("export_status_word", "UPDATE orders_export SET status = 'lost'"),
    ("export_channel_word", "UPDATE orders_export SET channel = 'pigeon'"),
    ("export_has_reason", "UPDATE orders_export SET reason = ''"),
    ("export_has_reason", "UPDATE orders_export SET actor = ''"),
    ("export_rows_within", "UPDATE orders_export SET rows_written = 2"),
    (
        "export_whole_when_completed",
        "UPDATE orders_export SET status = 'completed', finished_at = now(), expires_at = now()",
    ),
    ("export_ended_has_time", "UPDATE orders_export SET status = 'failed'"),
    ("export_ended_has_time", "UPDATE orders_export SET finished_at = now()"),
    ("export_kept_until", "UPDATE orders_export SET expires_at = now()"),
    ("frozen", "UPDATE orders_exportpart SET position = 7"),
    ("frozen", "UPDATE orders_exportpart SET order_ids = '{}'"),
    ("never_deleted", "DELETE FROM orders_export"),
]
#: of one whose file is whole
WRITTEN: list[tuple[str, str]] = [
    ("export_kept_until", "UPDATE orders_export SET expires_at = NULL"),
    ("export_whole_when_completed", "UPDATE orders_export SET rows_written = 0"),
    ("written_once", "UPDATE orders_exportpart SET content = 'other'"),
    ("written_once", "UPDATE orders_exportpart SET content = NULL"),
]
#: of a plan by the hour
PLANNED: list[tuple[str, str]] = [
    ("export_plan_format_word", "UPDATE orders_exportplan SET format = 'pdf'"),
    ("export_plan_has_name", "UPDATE orders_exportplan SET name = ''"),
    ("export_plan_one_rhythm", "UPDATE orders_exportplan SET every_hours = NULL"),
    ("export_plan_one_rhythm", "UPDATE orders_exportplan SET daily_at = '06:30'"),
    ("export_plan_hours_within", "UPDATE orders_exportplan SET every_hours = 0"),
    ("export_plan_hours_within", "UPDATE orders_exportplan SET every_hours = 721"),
    ("never_deleted", "DELETE FROM orders_exportplan"),
]
#: rules that a new row breaks; each has a test below
INSERTS = {"export_one_open_of_plan", "export_part_position"}
COVERED = {rule for rule, _ in (*QUEUED, *WRITTEN, *PLANNED)} | INSERTS
#: the words of a refusal by a trigger do not name it
TRIGGERS = {"frozen": "Cannot update", "written_once": "Cannot update", "never_deleted": "Cannot delete"}


def refused(sql: str) -> str:
    with pytest.raises(DatabaseError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    return str(refusal.value)


@pytest.mark.parametrize(("rule", "sql"), QUEUED)
def test_a_change_of_an_open_export_that_breaks_a_rule_is_refused(rule: str, sql: str) -> None:
    make_export()
    assert TRIGGERS.get(rule, rule) in refused(sql)


@pytest.mark.parametrize(("rule", "sql"), WRITTEN)
def test_a_change_of_a_whole_file_that_breaks_a_rule_is_refused(rule: str, sql: str) -> None:
    make_written()
    assert TRIGGERS.get(rule, rule) in refused(sql)


@pytest.mark.parametrize(("rule", "sql"), PLANNED)
def test_a_change_of_a_plan_that_breaks_a_rule_is_refused(rule: str, sql: str) -> None:
    make_plan()
    assert TRIGGERS.get(rule, rule) in refused(sql)


def test_every_rule_of_exports_has_a_case() -> None:
    declared = {rule.name for model in (Export, ExportPart, ExportPlan) for rule in model._meta.constraints}
    assert declared <= COVERED


def test_a_plan_has_one_open_export_and_a_part_one_place() -> None:
    make_order()
    plan = make_plan()
    export = exports.run_now(plan.pk, actor=TEST_ACTOR, reason="Now")
    with pytest.raises(DatabaseError, match="export_one_open_of_plan"), transaction.atomic():
        Export.objects.create(format="csv", reason="x", actor="x", channel="api", plan=plan)
    with pytest.raises(DatabaseError, match="export_part_position"), transaction.atomic():
        ExportPart.objects.create(export=export, position=1, order_ids=[])
