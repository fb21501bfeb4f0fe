"""Planned exports: asked for when they are due, once, never two at a time, with the permissions of who planned them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.http import QueryDict
from django.utils import timezone

from orders.actor import person
from orders.api.filters import ORDER_PARAMETERS, OrderFilter
from orders.errors import AlreadyExists, InvalidInput, NotPermitted, WrongState
from orders.models import Command, Export, ExportPlan, Order
from orders.selectors import filtering
from orders.selectors.queues import Queue
from orders.services import exports, tasks
from orders.services.exports.planning import next_round
from orders.vocabulary import Channel, CommandKind, ExportFormat, ExportStatus, OrderStatus, TaskKind, TaskLevel
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
from tests.orders.attempts_exports import make_plan

pytestmark = pytest.mark.django_db


def later(**span: float) -> Any:
    return time_machine.travel(timezone.now() + timedelta(**span))


def test_a_plan_asks_when_it_is_due_and_once() -> None:
    order, plan = make_order(), make_plan(filter={"status": ["placed"]})
    assert exports.run_due() == 0
    with later(minutes=61):
        assert exports.run_due() == 1
        assert exports.run_due() == 0
    export = Export.objects.get()
    plan.refresh_from_db()
    assert (export.plan, export.row_count, export.actor, export.channel) == (plan, 1, str(plan.made_by), "engine")
    assert export.parts.get().order_ids == [order.pk]
    assert plan.last_problem == ""
    assert Command.objects.get(kind=CommandKind.EXPORT).export_plan == plan


def test_a_round_that_finds_the_export_before_still_open_is_skipped_and_says_so() -> None:
    make_order()
    plan = make_plan()
    with later(hours=1.1):
        assert exports.run_due() == 1
    with later(hours=2.2):
        assert exports.run_due() == 0
    plan.refresh_from_db()
    assert (plan.skipped, Export.objects.count()) == (1, 1)
    assert "still being made" in plan.last_problem
    with pytest.raises(WrongState, match="still being made"):
        exports.run_now(plan.pk, actor=TEST_ACTOR, reason="Now")
    exports.write(Export.objects.get().pk, beat=lambda _: None)
    with later(hours=3.3):
        assert exports.run_due() == 1
    plan.refresh_from_db()
    assert (plan.skipped, plan.last_problem) == (1, "")


def test_rounds_that_were_missed_are_made_up_for_once() -> None:
    make_order()
    plan = make_plan()
    with later(days=3):
        assert exports.run_due() == 1
        plan.refresh_from_db()
        assert timezone.now() < plan.next_at <= timezone.now() + timedelta(hours=1)
        assert exports.run_due() == 0


def test_a_plan_that_matches_nothing_says_so() -> None:
    plan = make_plan()
    with later(hours=1.1):
        assert exports.run_due() == 0
    plan.refresh_from_db()
    assert plan.last_problem == "No order matches."
    assert not Export.objects.exists()


def test_a_plan_of_somebody_who_may_not_export_any_more_exports_nothing() -> None:
    make_order()
    planner = User.objects.create_superuser("planner")
    plan = make_plan(planner)
    User.objects.filter(pk=planner.pk).update(is_superuser=False)
    with later(hours=1.1):
        assert exports.run_due() == 0
    plan.refresh_from_db()
    assert "orders.export_orders" in plan.last_problem


def test_a_paused_plan_asks_for_nothing_and_goes_on_with_its_next_round() -> None:
    make_order()
    plan = exports.pause(make_plan().pk, actor=TEST_ACTOR, reason="Holidays")
    with pytest.raises(WrongState, match="paused already"):
        exports.pause(plan.pk, actor=TEST_ACTOR, reason="Again")
    with later(hours=5):
        assert exports.run_due() == 0
        exports.resume(plan.pk, actor=TEST_ACTOR, reason="Back")
        assert exports.run_due() == 0
    with later(hours=6.1):
        assert exports.run_due() == 1
    kinds = list(plan.commands.order_by("created_at").values_list("kind", flat=True))
    assert kinds == ["export_plan", "export_plan_pause", "export_plan_resume", "export"]


def test_run_now_asks_at_once_also_of_a_paused_plan_and_leaves_the_hour() -> None:
    make_order()
    plan = exports.pause(make_plan().pk, actor=TEST_ACTOR, reason="Holidays")
    export = exports.run_now(plan.pk, actor=TEST_ACTOR, reason="The auditor waits")
    assert (export.plan, export.status, export.reason) == (plan, ExportStatus.QUEUED, "The auditor waits")
    assert ExportPlan.objects.get().next_at == plan.next_at
    assert plan.commands.get(kind=CommandKind.EXPORT_PLAN_RUN).export == export


@pytest.mark.parametrize(
    ("after", "rhythm", "expected"),
    [
        ("2026-03-01 05:00", {"daily_at": time(6, 30), "every_hours": None}, "2026-03-01 06:30"),
        ("2026-03-01 06:30", {"daily_at": time(6, 30), "every_hours": None}, "2026-03-02 06:30"),
        ("2026-02-28 23:59", {"daily_at": time(0, 0), "every_hours": None}, "2026-03-01 00:00"),
        ("2026-03-01 05:00", {"daily_at": None, "every_hours": 30}, "2026-03-02 11:00"),
    ],
)
def test_the_next_round(after: str, rhythm: dict[str, Any], expected: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert next_round(moment, **rhythm) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"every_hours": 0}, "every_hours"),
        ({"every_hours": 721}, "every_hours"),
        ({"every_hours": None}, "every_hours"),
        ({"daily_at": time(1)}, "every_hours"),
        ({"asked": {"stauts": ["failed"]}}, "filter.stauts"),
        ({"asked": {"status": "failed"}}, "filter.status"),
        ({"asked": {"status": ["lost"]}}, "filter.status"),
        ({"asked": {"status": 7}}, "filter.status"),
        ({"asked": {"queue": "lost"}}, "filter.queue"),
        ({"asked": {"total_min": True}}, "filter.total_min"),
        ({"asked": {"total_max": -1}}, "filter.total_max"),
        ({"asked": {"last_hours": 0}}, "filter.last_hours"),
        ({"asked": {"customer": "a\x00b"}}, "filter.customer"),
        ({"asked": {"source": ""}}, "filter.source"),
        ({"asked": {"created_after": "2026-01-01T00:00:00"}}, "filter.created_after"),
        ({"asked": {"created_before": "soon"}}, "filter.created_before"),
    ],
)
def test_a_bad_plan_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    chief = person(User.objects.create_superuser("chief"), Channel.ADMIN)
    given: dict[str, Any] = {"name": "daily", "asked": {}, "every_hours": 1} | changes
    with pytest.raises(InvalidInput) as refusal:
        exports.plan(given.pop("name"), ExportFormat.CSV, given.pop("asked"), actor=chief, reason="Books", **given)
    assert refusal.value.field == field
    assert not ExportPlan.objects.exists()


def test_a_name_is_taken_once_and_a_plan_belongs_to_a_person() -> None:
    plan = make_plan()
    chief = person(plan.made_by, Channel.ADMIN)
    with pytest.raises(AlreadyExists):
        exports.plan(plan.name, ExportFormat.CSV, {}, actor=chief, reason="Books", every_hours=1)
    with pytest.raises(InvalidInput, match="belongs to a person"):
        exports.plan("daily", ExportFormat.CSV, {}, actor=TEST_ACTOR, reason="Books", every_hours=1)
    nobody = person(User.objects.create_user("nobody"), Channel.ADMIN)
    for work in (exports.pause, exports.resume, exports.run_now):
        with pytest.raises(NotPermitted, match=r"orders\.plan_exports"):
            work(plan.pk, actor=nobody, reason="Why")


FILTERS: list[Mapping[str, Any]] = [
    *({"status": [status.value]} for status in (OrderStatus.PLACED, OrderStatus.COMPLETED)),
    {"status": ["placed", "completed"]},
    *({"queue": queue.value} for queue in Queue),
    {"number": "NUMBER"},
    {"reference": "R-1"},
    {"source": "backoffice"},
    {"customer": "CUSTOMER"},
    {"created_after": "2026-01-01T00:00:00+00:00"},
    {"created_before": "2026-01-01T00:00:00+00:00"},
    {"total_min": 2_500},
    {"total_max": 2_500},
    {"total_min": 1_000, "status": ["placed"]},
    {"incident": "INCIDENT"},
]


@pytest.mark.parametrize("asked", FILTERS, ids=json.dumps)
def test_a_saved_filter_means_what_the_same_filter_of_the_api_means(asked: Mapping[str, Any]) -> None:
    first, completed = make_order(), driving.drive(make_order(quantity=3))
    driving.make_order_in_review()
    Order.objects.filter(pk=first.pk).update(reference="R-1")
    assert completed.customer
    task = tasks.open_task(TaskKind.OVERDUE, first, level=TaskLevel.AGENT, says="x", actor=TEST_ACTOR, cause="slow")
    ours = {"NUMBER": first.number, "CUSTOMER": completed.customer.reference, "INCIDENT": str(task.incident_id)}
    given = {name: ours.get(value, value) if isinstance(value, str) else value for name, value in asked.items()}
    parameters = QueryDict(mutable=True)
    for name, value in given.items():
        parameters.setlist(name, list(map(str, value if isinstance(value, list) else [value])))
    listed = OrderFilter(parameters, queryset=Order.objects.all())
    assert listed.is_valid(), listed.errors
    assert set(filtering.matching(given)) == set(listed.qs)


def test_every_filter_of_the_api_can_be_saved() -> None:
    assert set(filtering.FILTERS) - {"last_hours"} == ORDER_PARAMETERS
    assert {name for asked in FILTERS for name in asked} == ORDER_PARAMETERS


def test_the_last_hours_are_those_of_each_round() -> None:
    old = make_order()
    Order.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(hours=25))
    young = make_order()
    assert list(filtering.matching({"last_hours": 24})) == [young]
    with later(hours=25):
        assert not filtering.matching({"last_hours": 24}).exists()
