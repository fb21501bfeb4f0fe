"""Exports through the API: ask, follow, download, cancel; and what is refused."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.http import HttpResponse
from django.test import Client

from orders.models import Command, Export, RefusedAction
from orders.services import exports
from orders.vocabulary import CommandKind
from tests.factories import make_order
from tests.orders.api_calls import assert_problem, new_key, row_counts, token_client
from tests.orders.attempts_exports import make_export, make_written

pytestmark = pytest.mark.django_db
MAY = ("export_orders", "view_order", "view_export")


@pytest.fixture
def client() -> Client:
    return token_client(*MAY)


def post(client: Client, body: Any, key: str | None = None) -> HttpResponse:
    return client.post(
        "/api/exports/", body, content_type="application/json", headers={"Idempotency-Key": key or new_key()}
    )


def test_orders_are_exported_by_a_filter_and_downloaded(client: Client) -> None:
    order = make_order()
    make_order(quantity=9)
    answer = post(client, {"format": "csv", "reason": "Books", "filter": {"total_max": 2_000, "status": ["placed"]}})
    assert answer.status_code == 202, answer.content
    asked = answer.json()
    assert (asked["status"], asked["row_count"], asked["rows_written"]) == ("queued", 1, 0)
    assert answer["Location"] == asked["links"]["self"]
    assert "download" not in asked["links"]
    assert Export.objects.get().selection == {"filter": {"total_max": ["2000"], "status": ["placed"]}}
    assert_problem(client.get(f"/api/exports/{asked['id']}/download/"), 409, None, "queued")

    exports.write(asked["id"], beat=lambda _: None)
    now = client.get(asked["links"]["self"]).json()
    file = client.get(now["links"]["download"])
    assert (file.status_code, file["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert file["Content-Disposition"] == f'attachment; filename="{Export.objects.get().file_name}"'
    assert b"".join(file.streaming_content).decode("utf-8-sig").splitlines()[1].startswith(f"{order.number},placed,")
    row = Command.objects.get(kind=CommandKind.EXPORT_DOWNLOAD)
    assert (row.channel, row.outcome) == ("api", "1 rows as csv")


def test_orders_are_exported_by_their_numbers(client: Client) -> None:
    order = make_order()
    make_order()
    answer = post(client, {"format": "xlsx", "reason": "Books", "numbers": [order.number, order.number]})
    assert answer.json()["row_count"] == 1
    assert Export.objects.get().parts.get().order_ids == [order.pk]


def test_the_same_key_makes_one_export(client: Client) -> None:
    make_order()
    body, key = {"format": "csv", "reason": "Books", "filter": {}}, new_key()
    assert post(client, body, key).json()["id"] == post(client, body, key).json()["id"]
    assert Export.objects.count() == 1


GOOD: dict[str, Any] = {"format": "csv", "reason": "Books", "filter": {}}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"format": "pdf"}, "format"),
        ({"format": ...}, "format"),
        ({"format": ["csv"]}, "format"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"reason": ...}, "reason"),
        ({"filter": ...}, "numbers"),
        ({"numbers": ["SO-1"]}, "numbers"),
        ({"numbers": [], "filter": ...}, "numbers"),
        ({"numbers": ["SO-NONE"], "filter": ...}, "numbers"),
        ({"numbers": "SO-1", "filter": ...}, "numbers"),
        ({"filter": {"stauts": "failed"}}, "filter.stauts"),
        ({"filter": {"status": []}}, "filter.status"),
        ({"filter": {"status": ["lost"]}}, "filter.status.0"),
        ({"filter": {"total_min": "5"}}, "filter.total_min"),
        ({"filter": {"created_after": "yesterday"}}, "filter.created_after"),
        ({"filter": {"source": "nobody"}}, "filter"),
        ({"filter": []}, "filter"),
        ({"rows": 5}, "rows"),
    ],
    ids=str,
)
def test_a_bad_field_is_named_and_nothing_is_stored(client: Client, changes: dict[str, Any], field: str) -> None:
    make_order()
    before = row_counts()
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    assert_problem(post(client, body), 400, field)
    assert row_counts() == before
    assert not Export.objects.exists()


def test_too_many_orders_are_refused_with_the_limit(client: Client, settings: LazySettings) -> None:
    settings.EXPORT_MAX_ROWS = 1
    make_order()
    make_order()
    assert_problem(post(client, GOOD), 400, "filter", "one export takes 1 at most")


def test_an_export_that_is_being_made_is_cancelled_once(client: Client) -> None:
    export = make_export()
    address = f"/api/exports/{export.pk}/cancel/"
    answer = client.post(address, {"reason": "Wrong filter"}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert_problem(client.post(address, {"reason": "Again"}, content_type="application/json"), 409)
    assert_problem(client.post(address, {}, content_type="application/json"), 400, "reason")


def test_without_the_permission_nothing_leaves_the_house_and_the_try_is_recorded() -> None:
    export = make_written()
    stranger, viewer = token_client("view_order"), token_client("view_export", "view_order")
    assert_problem(viewer.get(f"/api/exports/{export.pk}/download/"), 403)
    refused = RefusedAction.objects.latest("pk")
    assert (refused.channel, refused.permission) == ("api", "orders.export_orders")
    assert_problem(stranger.get(f"/api/exports/{export.pk}/"), 404)
    assert viewer.get(f"/api/exports/{export.pk}/").status_code == 200
    blind = token_client("export_orders", "view_export")
    assert_problem(blind.get(f"/api/exports/{export.pk}/download/"), 403, None, "orders.view_order")
    assert_problem(post(blind, GOOD), 403, None, "orders.view_order")
    assert not Command.objects.filter(kind=CommandKind.EXPORT_DOWNLOAD).exists()


@pytest.mark.parametrize("path", ["", "download/"])
def test_an_unknown_export_is_not_found(client: Client, path: str) -> None:
    assert_problem(client.get(f"/api/exports/00000000-0000-0000-0000-000000000000/{path}"), 404)
    assert_problem(client.get(f"/api/exports/not-an-id/{path}"), 404)
