"""/api/export-plans/: what the admin offers about plans, for programs; and changing a plan, at both doors."""

import json
from datetime import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from orders.actor import person
from orders.errors import NotPermitted
from orders.models import Command, Export, ExportPlan
from orders.services import exports
from orders.vocabulary import Channel, ExportFormat
from tests.factories import make_order
from tests.orders.api_calls import assert_problem, make_token, new_key
from tests.orders.attempts_exports import make_plan
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
MAY = (
    "orders.plan_exports",
    "orders.export_orders",
    "orders.view_exportplan",
    "orders.view_export",
    "orders.view_order",
)
BODY = {
    "name": "failed ones",
    "format": "csv",
    "filter": {"status": ["failed"]},
    "daily_at": "06:30",
    "reason": "Books",
}
CHANGED = {"format": "xlsx", "filter": {"last_hours": 24}, "every_hours": 12, "reason": "Twice a day"}


@pytest.fixture
def olivia() -> User:
    return make_user(*MAY)


def post(user: User, path: str, body: Any, key: str | None = None) -> HttpResponse:
    headers = {"Authorization": f"Token {make_token(user, 'full')}", "Idempotency-Key": key or new_key()}
    return Client().post(
        f"/api/export-plans/{path}", json.dumps(body), content_type="application/json", headers=headers
    )


def get(user: User, path: str = "") -> Any:
    headers = {"Authorization": f"Token {make_token(user, 'full')}"}
    return Client().get(f"/api/export-plans/{path}", headers=headers).json()


def test_a_plan_is_made_once_for_its_key_listed_and_read(olivia: User) -> None:
    key = new_key()
    answers = [post(olivia, "", BODY, key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    plan = ExportPlan.objects.get()
    assert answers[0].json() == answers[1].json() == get(olivia, f"{plan.pk}/") == get(olivia)["results"][0]
    told = answers[0].json()
    assert answers[0]["Location"].endswith(f"/api/export-plans/{plan.pk}/")
    assert (told["daily_at"], told["every_hours"], told["filter"]) == ("06:30", None, {"status": ["failed"]})
    assert (told["made_by"], told["paused"], plan.daily_at) == ("olivia", False, time(6, 30))


def test_a_filter_with_a_moment_is_one_that_the_rounds_can_read(olivia: User) -> None:
    made = post(olivia, "", {**BODY, "filter": {"created_after": "2026-01-31T09:30:00Z"}})
    assert made.status_code == 201, made.content
    make_order()
    exported = post(olivia, f"{made.json()['id']}/run/", {"reason": "Now"})
    assert exported.status_code == 202, exported.content
    assert exported.json()["row_count"] == 1
    assert Export.objects.get().plan_id == ExportPlan.objects.get().pk


def test_pause_resume_and_their_second_clicks(olivia: User) -> None:
    plan = make_plan()
    assert post(olivia, f"{plan.pk}/pause/", {"reason": "Holidays"}).json()["paused"] is True
    assert_problem(post(olivia, f"{plan.pk}/pause/", {"reason": "Holidays"}), 409, None, "paused already")
    assert post(olivia, f"{plan.pk}/resume/", {"reason": "Back"}).json()["paused"] is False
    assert_problem(post(olivia, f"{plan.pk}/resume/", {}), 400, "reason")


def test_a_changed_plan_is_theirs_who_changed_it_from_the_next_round_on(olivia: User) -> None:
    plan = make_plan(filter={"status": ["placed"]})
    answer = post(olivia, f"{plan.pk}/change/", CHANGED)
    assert answer.status_code == 202, answer.content
    before, name = plan.next_at, plan.name
    plan.refresh_from_db()
    assert (plan.name, plan.format, plan.filter, plan.every_hours) == (name, "xlsx", {"last_hours": 24}, 12)
    assert plan.made_by == olivia
    assert plan.next_at > before
    command = Command.objects.get(kind="export_plan_change")
    assert (command.export_plan, command.reason, command.actor) == (plan, "Twice a day", "olivia")


def test_a_change_that_leaves_the_hour_leaves_the_next_round(olivia: User) -> None:
    plan = make_plan()
    post(olivia, f"{plan.pk}/change/", {**CHANGED, "every_hours": 1})
    before = plan.next_at
    plan.refresh_from_db()
    assert plan.next_at == before


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"daily_at": "6:30"}, "daily_at", "Write it as 06:30"),
        ({"daily_at": "24:00"}, "daily_at", "Write it as 06:30"),
        ({"daily_at": None}, "every_hours", "Say either"),
        ({"every_hours": 2}, "every_hours", "Say either"),
        ({"daily_at": None, "every_hours": 100_000}, "every_hours", ""),
        ({"filter": {"last_hours": 0}}, "filter.last_hours", ""),
        ({"filter": {"colour": "red"}}, "filter.colour", "Unknown field"),
        ({"format": "pdf"}, "format", ""),
        ({"reason": ""}, "reason", ""),
    ],
)
def test_what_is_wrong_is_named_when_a_plan_is_made_and_when_it_is_changed(
    olivia: User, changes: dict[str, Any], field: str, says: str
) -> None:
    plan = make_plan()
    body = {**BODY, **changes}
    assert_problem(post(olivia, "", body), 400, field, says)
    body.pop("name")
    assert_problem(post(olivia, f"{plan.pk}/change/", body), 400, field, says)
    assert ExportPlan.objects.count() == 1


def test_a_name_is_taken_once_and_an_unknown_plan_is_a_404(olivia: User) -> None:
    post(olivia, "", BODY)
    assert_problem(post(olivia, "", BODY), 409, "name", "already")
    for verb in ("change", "pause", "resume", "run"):
        body = CHANGED if verb == "change" else {"reason": "Why"}
        assert_problem(post(olivia, f"00000000-0000-4000-8000-000000000001/{verb}/", body), 404)


@pytest.mark.parametrize("lacks", ["orders.plan_exports", "orders.export_orders"])
def test_a_change_needs_the_permissions_of_a_new_plan(lacks: str) -> None:
    plan, actor = make_plan(), person(make_user(*(set(MAY) - {lacks})), Channel.API)
    with pytest.raises(NotPermitted, match=lacks):
        exports.change(plan.pk, actor=actor, reason="x", format=ExportFormat.CSV, asked={}, every_hours=1)


def test_the_admin_changes_a_plan_by_a_form_that_shows_what_it_is(olivia: User, client: Client) -> None:
    plan = make_plan(filter={"last_hours": 48})
    client.force_login(olivia)
    address = f"/admin/orders/exportplan/{plan.pk}/edit/"
    assert address in client.get(f"/admin/orders/exportplan/{plan.pk}/change/").content.decode()
    page = client.get(address).content.decode()
    assert f"Change {plan.name}" in page
    assert 'value="48"' in page
    assert client.post(address, {"format": "csv", "reason": "x"}).status_code == 400
    client.post(address, {"format": "xlsx", "daily_at": "07:15", "last_hours": "24", "reason": "Earlier"})
    plan.refresh_from_db()
    assert (plan.format, plan.filter, plan.daily_at, plan.every_hours) == (
        "xlsx",
        {"last_hours": 24},
        time(7, 15),
        None,
    )
