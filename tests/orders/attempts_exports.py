"""How to try each command on exports and their plans at each of its doors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User

from backoffice.database_roles import Role
from orders.actor import person as acting
from orders.models import Export, ExportPlan, Order
from orders.services import exports
from orders.vocabulary import Channel, ExportFormat
from tests import rights
from tests.factories import TEST_ACTOR, make_order

if TYPE_CHECKING:
    from django.http import HttpResponse

    from tests.orders.access_attempts import Attempt, Person

ADMIN, API = Channel.ADMIN, Channel.API
_numbers = itertools.count(1)
DAILY = {"format": "csv", "daily_at": "06:30", "reason": "Books"}


def make_export(*orders: Order, format: ExportFormat = ExportFormat.CSV) -> Export:
    """An export of these orders, or of a new one, that nothing was written of."""
    ids = [order.pk for order in orders or (make_order(),)]
    selection = exports.Selection(orders=Order.objects.filter(pk__in=ids), asked={"ticked": len(ids)})
    return exports.request(selection, format, actor=TEST_ACTOR, reason="For the books")


def make_written(*orders: Order, format: ExportFormat = ExportFormat.CSV) -> Export:
    """An export whose file can be downloaded."""
    export = make_export(*orders, format=format)
    with rights.of(Role.WORKER):
        exports.write(export.pk, beat=lambda _: None)
    export.refresh_from_db()
    return export


def make_plan(user: User | None = None, **options: Any) -> ExportPlan:
    """A plan that asks every hour for all orders."""
    number = next(_numbers)
    user = user or User.objects.create_superuser(f"planner-{number}")
    asked = {"every_hours": 1} | options
    filters = asked.pop("filter", {})
    return exports.plan(
        f"plan {number}", ExportFormat.CSV, filters, actor=acting(user, ADMIN), reason="For the books", **asked
    )


def _paused() -> ExportPlan:
    plan = make_plan()
    return exports.pause(plan.pk, actor=TEST_ACTOR, reason="Holidays")


def _plan_with_orders() -> ExportPlan:
    make_order()
    return make_plan()


def _choose(person: Person, order: Order) -> HttpResponse:
    form = {"action": "export_orders", "_selected_action": [str(order.pk)], "index": "0"}
    return person.post("admin:orders_order_changelist", form)


def _export(person: Person, order: Order) -> HttpResponse:
    form = {"format": "xlsx", "reason": "For the books"}
    return person.browser.post(f"/admin/orders/export/new/?ids={order.pk}", form)


def attempts(attempt: Callable[..., Attempt]) -> list[Attempt]:
    """Made by the caller's class, which imports this module."""

    def plan_button(name: str, prepare: Callable[[], ExportPlan]) -> Attempt:
        return attempt(
            command=f"export_plan_{name}",
            channel=ADMIN,
            door=f"admin:orders_exportplan_{name}",
            prepare=prepare,
            do=lambda person, plan: person.post(f"admin:orders_exportplan_{name}", {"reason": "Why"}, plan.pk),
        )

    def plan_call(verb: str, prepare: Callable[[], ExportPlan], **body: Any) -> Attempt:
        return attempt(
            command=f"export_plan_{verb}",
            channel=API,
            door=f"ExportPlans.{verb}",
            prepare=prepare,
            do=lambda person, plan: person.call(f"/api/export-plans/{plan.pk}/{verb}/", {"reason": "Why", **body}),
        )

    return [
        attempt(
            command="export",
            channel=ADMIN,
            door="OrderAdmin.export_orders",
            prepare=make_order,
            do=_choose,
            reads=True,
        ),
        attempt(command="export", channel=ADMIN, door="admin:orders_export_new", prepare=make_order, do=_export),
        attempt(
            command="export",
            channel=API,
            door="Exports.create",
            prepare=make_order,
            do=lambda person, order: person.call(
                "/api/exports/", {"format": "csv", "reason": "Books", "numbers": [order.number]}
            ),
        ),
        attempt(
            command="export_cancel",
            channel=ADMIN,
            door="admin:orders_export_cancel",
            prepare=make_export,
            do=lambda person, export: person.post("admin:orders_export_cancel", {"reason": "Why"}, export.pk),
        ),
        attempt(
            command="export_cancel",
            channel=API,
            door="Exports.cancel",
            prepare=make_export,
            do=lambda person, export: person.call(f"/api/exports/{export.pk}/cancel/", {"reason": "Why"}),
        ),
        attempt(
            command="export_download",
            channel=ADMIN,
            door="admin:orders_export_download",
            prepare=make_written,
            do=lambda person, export: person.post("admin:orders_export_download", {}, export.pk),
        ),
        attempt(
            command="export_plan",
            channel=ADMIN,
            door="admin:orders_exportplan_new",
            do=lambda person, _: person.post(
                "admin:orders_exportplan_new",
                {"name": f"daily {next(_numbers)}", "format": "csv", "daily_at": "06:30", "reason": "Books"},
            ),
        ),
        attempt(
            command="export_plan",
            channel=API,
            door="ExportPlans.create",
            do=lambda person, _: person.call("/api/export-plans/", {"name": f"daily {next(_numbers)}", **DAILY}),
        ),
        attempt(
            command="export_plan_change",
            channel=ADMIN,
            door="admin:orders_exportplan_edit",
            prepare=make_plan,
            do=lambda person, plan: person.post("admin:orders_exportplan_edit", DAILY, plan.pk),
        ),
        plan_call("change", make_plan, format="csv", daily_at="06:30"),
        plan_call("pause", make_plan),
        plan_call("resume", _paused),
        plan_call("run", _plan_with_orders),
        plan_button("pause", make_plan),
        plan_button("resume", _paused),
        plan_button("run", _plan_with_orders),
    ]
