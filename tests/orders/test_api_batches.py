"""POST /api/batches/: look first, freeze, follow, steer; and what strangers send."""

import csv
import io
import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from orders.models import Batch, Order, OutboxMessage
from orders.services import batches
from orders.services.batches.working import Where
from orders.vocabulary import BatchStatus, Topic
from tests.factories import make_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, new_key, token_client

pytestmark = pytest.mark.django_db
RUNNER = ("run_batch", "hold_order", "view_batch")


@pytest.fixture
def client() -> Client:
    return token_client(*RUNNER)


def post(client: Client, path: str, body: Any, key: str | None = None) -> HttpResponse:
    return client.post(
        f"/api/batches/{path}",
        json.dumps(body).encode(),
        content_type="application/json",
        headers={"Idempotency-Key": key or new_key()},
    )


def hold_body(**changes: Any) -> dict[str, Any]:
    return {"action": "hold", "reason": "Recall", **changes}


def test_the_preview_goes_back_with_the_batch_and_starts_it(client: Client) -> None:
    orders = [make_order(), make_order()]
    shipped = driving.drive(make_order())
    chosen = {"filter": {"status": ["placed", "completed"], "created_after": "2020-01-01T00:00:00Z"}}
    shown = post(client, "preview/", {"action": "hold", **chosen}).json()
    assert shown == {
        "selected": 3,
        "expected": {"count": 2, "sums": {"GBP": 4_000}},
        "excluded": {"shipped": 1},
        "sample": [order.number for order in orders],
    }
    assert not Batch.objects.exists()
    answer = post(client, "", hold_body(**chosen, expected=shown["expected"]))
    assert answer.status_code == 202, answer.content
    batch = Batch.objects.get()
    assert answer["Location"] == f"http://testserver/api/batches/{batch.pk}/"
    assert answer.json()["figures"]["items"] == {"pending": 2, "running": 0, "done": 0, "failed": 0, "skipped": 1}
    assert batch.selection["filter"]["status"] == ["placed", "completed"]
    assert set(batch.items.values_list("order__number", flat=True)) == {*shown["sample"], shipped.number}
    assert OutboxMessage.objects.filter(topic=Topic.RUN_BATCH).count() == 1


def test_orders_are_named_by_their_numbers_and_each_is_taken_once(client: Client) -> None:
    order = make_order()
    make_order()
    answer = post(client, "", hold_body(numbers=[order.number, order.number]))
    assert answer.status_code == 202
    assert [item.order_id for item in Batch.objects.get().items.all()] == [order.pk]


def test_the_same_key_makes_one_batch(client: Client) -> None:
    body = hold_body(numbers=[make_order().number])
    first, second = post(client, "", body, "k1"), post(client, "", body, "k1")
    assert first.content == second.content
    assert Batch.objects.count() == 1


def test_a_selection_that_has_drifted_is_a_409(client: Client) -> None:
    make_order(), make_order()
    body = hold_body(filter={"status": ["placed"]}, expected={"count": 1, "sums": {"GBP": 2_000}})
    assert_problem(post(client, "", body), 409, None, "1 orders then, 2 now")
    assert not Batch.objects.exists()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"numbers": ["SO-0"]}, "numbers"),
    ({"numbers": []}, "numbers"),
    ({"numbers": [1]}, "numbers.0"),
    ({"numbers": ["SO-1"], "filter": {"source": "x"}}, "numbers"),
    ({}, "numbers"),
    ({"filter": {}}, "filter"),
    ({"filter": {"statsu": ["placed"]}}, "filter.statsu"),
    ({"filter": {"status": ["paid"]}}, "filter.status.0"),
    ({"filter": {"total_min": "1"}}, "filter.total_min"),
    ({"filter": {"source": "x"}}, "expected"),
    ({"numbers": ["SO-1"], "action": "destroy"}, "action"),
    ({"numbers": ["SO-1"], "reason": ""}, "reason"),
    ({"numbers": ["SO-1"], "status": "completed"}, "status"),
    ({"numbers": ["SO-1"], "auto_pause_percent": 101}, "auto_pause_percent"),
    ({"numbers": ["SO-1"], "auto_pause_percent": True}, "auto_pause_percent"),
    ({"filter": {"source": "x"}, "expected": {"count": 1}}, "expected.sums"),
    ({"numbers": [f"SO-{n}" for n in range(10_001)]}, "numbers"),
]


@pytest.mark.parametrize(("changes", "field"), BAD, ids=lambda value: str(value)[:60])
def test_bad_input_names_the_field_and_makes_nothing(client: Client, changes: dict[str, Any], field: str) -> None:
    assert_problem(post(client, "", hold_body(**changes)), 400, field)
    assert not Batch.objects.exists()


def test_nothing_to_act_on_is_a_400(client: Client) -> None:
    order = driving.drive(make_order())
    assert_problem(post(client, "", hold_body(numbers=[order.number])), 400, "filter", "left out")


def test_the_permission_of_the_action_is_needed_too() -> None:
    client = token_client("run_batch", "view_batch")
    assert_problem(post(client, "", hold_body(numbers=[make_order().number])), 403, None, "orders.hold_order")


def test_a_batch_is_steered_and_the_second_of_two_is_a_409(client: Client) -> None:
    post(client, "", hold_body(numbers=[make_order().number]))
    batch = Batch.objects.get()
    at = f"{batch.pk}/"
    assert post(client, f"{at}pause/", {"reason": "Wait"}).json()["status"] == "pausing"
    assert_problem(post(client, f"{at}pause/", {"reason": "Wait"}), 409, None, "pausing already, by")
    assert post(client, f"{at}resume/", {"reason": "Go"}).json()["status"] == "running"
    batches.run_chunk(batch.pk, where=Where())
    assert_problem(post(client, f"{at}retry-failed/", {"reason": "Mended"}), 409, None, "No item failed")
    undo = post(client, f"{at}undo/", {"reason": "Wrong"})
    assert (undo.status_code, undo.json()["undo_of"]) == (202, str(batch.pk))
    assert_problem(post(client, f"{at}cancel/", {"reason": "Late"}), 409, None, "completed")
    assert_problem(post(client, f"{at}pause/", {}), 400, "reason")


def test_items_are_paged_and_downloaded_without_formulas(client: Client) -> None:
    orders = [make_order() for _ in range(3)]
    Order.objects.filter(pk=orders[0].pk).update(number="=1+1")
    post(client, "", hold_body(numbers=["=1+1", *(order.number for order in orders[1:])]))
    batch = Batch.objects.get()
    page = client.get(f"/api/batches/{batch.pk}/items/?page_size=2").json()
    assert [item["position"] for item in page["results"]] == [1, 2]
    assert [item["position"] for item in client.get(page["next"]).json()["results"]] == [3]
    text = b"".join(client.get(f"/api/batches/{batch.pk}/items/download/")).decode("utf-8-sig")  # type: ignore[arg-type]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert (rows[0]["order"], rows[0]["status"]) == ("'=1+1", "pending")
    assert len(rows) == 3


def test_a_batch_that_is_not_there_is_a_404_and_so_is_one_that_one_may_not_see(client: Client) -> None:
    nobody = "00000000-0000-4000-8000-000000000009"
    for path in ("", "items/", "items/download/"):
        assert_problem(client.get(f"/api/batches/{nobody}/{path}"), 404)
    for path in ("pause", "resume", "cancel", "retry-failed", "undo"):
        assert_problem(post(client, f"{nobody}/{path}/", {"reason": "x"}), 404)
    post(client, "", hold_body(numbers=[make_order().number]))
    assert_problem(token_client("run_batch").get(f"/api/batches/{Batch.objects.get().pk}/"), 404)


def test_batches_are_listed_newest_first(client: Client) -> None:
    for _ in range(2):
        post(client, "", hold_body(numbers=[make_order().number]))
    listed = client.get("/api/batches/").json()["results"]
    assert [one["id"] for one in listed] == [str(batch.pk) for batch in Batch.objects.order_by("-created_at")]
    assert {one["status"] for one in listed} == {BatchStatus.PREPARING}
