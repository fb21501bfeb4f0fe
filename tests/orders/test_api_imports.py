"""POST /api/imports/ and what can be asked about an import."""

from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from orders.models import Command, FeedImport, OutboxMessage
from orders.services import feeds
from orders.vocabulary import Channel
from tests.orders.api_calls import assert_problem, token_client

pytestmark = pytest.mark.django_db
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\r\n"
GOOD_ROW = "536365,85123A,LANTERN,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\r\n"
FEED = (HEADER + GOOD_ROW).encode()
LEAD = ("import_feed", "start_order", "add_product")


@pytest.fixture
def client() -> Client:
    return token_client(*LEAD)


def post_feed(client: Client, content: bytes = FEED, *, key: str = "", **parameters: object) -> HttpResponse:
    return client.post(
        f"/api/imports/?{urlencode(parameters)}",
        content,
        content_type="text/csv",
        headers={"Idempotency-Key": key} if key else {},
    )


def test_a_file_is_taken_and_its_import_asked_for(client: Client) -> None:
    response = post_feed(client, name="day.csv", create_products="true", initial_stock="10", process="true")
    assert response.status_code == 202, response.content
    answer = response.json()
    feed = FeedImport.objects.get()
    assert answer["id"] == str(feed.pk)
    assert (answer["status"], answer["name"], answer["size_bytes"]) == ("received", "day.csv", len(FEED))
    assert (feed.create_products, feed.initial_stock, feed.process) == (True, 10, True)
    assert Command.objects.get().channel == Channel.API
    assert OutboxMessage.objects.get().topic == "feed_import.start"
    assert response["Location"] == answer["links"]["self"]
    again = client.get(answer["links"]["self"]).json()
    # Only the time since it came in has moved.
    assert again["figures"].pop("seconds") >= answer["figures"].pop("seconds")
    assert again == answer


def test_without_parameters_nothing_is_created_or_started(client: Client) -> None:
    post_feed(client)
    feed = FeedImport.objects.get()
    assert (feed.create_products, feed.initial_stock, feed.process) == (False, 0, False)


def test_the_figures_and_the_refused_rows_can_be_asked_for(client: Client) -> None:
    bad = "536366,85123A,LANTERN,-6,2010-12-01 08:26:00,2.55,17850,=HYPERLINK(1)\r\n"
    links = post_feed(client, FEED + bad.encode(), create_products="true").json()["links"]
    feed_id = str(FeedImport.objects.get().pk)
    for phase in (feeds.validate, feeds.transform):
        phase(feed_id, beat=lambda *_: None)
    figures = client.get(links["self"]).json()["figures"]
    assert (figures["invoices"], figures["orders"]) == (2, 1)
    assert sum(figures["rejected"].values()) == 1
    response = client.get(links["rejected"])
    text = b"".join(response.streaming_content).decode()
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="rejected-{feed_id}.csv"'
    assert "536366" in text
    assert "'=HYPERLINK(1)" in text
    assert "536365" not in text


def test_the_same_upload_with_its_key_is_one_import(client: Client) -> None:
    first, second = post_feed(client, key="k"), post_feed(client, key="k")
    assert first.content == second.content
    assert FeedImport.objects.count() == 1
    assert_problem(post_feed(client, FEED + GOOD_ROW.encode(), key="k"), 422)
    assert_problem(post_feed(client, key="k", process="true"), 422)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"layout": "unknown"}, "layout"),
        ({"initial_stock": "-1"}, "initial_stock"),
        ({"initial_stock": "many"}, "initial_stock"),
        ({"initial_stock": str(2**70)}, "initial_stock"),
        ({"process": "perhaps"}, "process"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"proces": "true"}, "proces"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(client: Client, parameters: dict[str, str], field: str) -> None:
    assert_problem(post_feed(client, **parameters), 400, field)
    assert not FeedImport.objects.exists()
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 zip", b"\x1f\x8b gzip", "a,b\n".encode("utf-16"), b"a,b\n\0,1\n"],
    ids=["empty", "zip", "gzip", "utf-16", "nul"],
)
def test_a_file_that_is_no_csv_text_is_refused(client: Client, content: bytes) -> None:
    assert_problem(post_feed(client, content), 400, "file")
    assert not FeedImport.objects.exists()


def test_too_many_rows_are_refused_with_the_limit(client: Client) -> None:
    content = FEED + GOOD_ROW.encode() * settings.FEED_UPLOAD_MAX_ROWS
    assert_problem(post_feed(client, content), 400, "file", str(settings.FEED_UPLOAD_MAX_ROWS))


def test_too_large_a_file_is_refused_with_the_limit(client: Client) -> None:
    content = b"x" * (settings.FEED_UPLOAD_MAX_BYTES + 1)
    assert_problem(post_feed(client, content), 413, "body", str(settings.FEED_UPLOAD_MAX_BYTES))


def test_json_is_not_a_feed(client: Client) -> None:
    assert_problem(client.post("/api/imports/", {}, content_type="application/json"), 415)


def test_who_may_not_start_orders_cannot_have_a_file_start_them() -> None:
    importer = token_client("import_feed")
    assert_problem(post_feed(importer, process="true"), 403, None, "start_order")
    assert not FeedImport.objects.exists()


def test_to_a_stranger_an_import_does_not_exist(client: Client) -> None:
    links = post_feed(client).json()["links"]
    stranger = token_client("view_order")
    assert_problem(stranger.get(links["self"]), 404)
    assert_problem(stranger.get(links["rejected"]), 404)
    assert token_client("view_feedimport").get(links["self"]).status_code == 200


def test_an_unknown_import_is_not_found(client: Client) -> None:
    assert_problem(client.get("/api/imports/00000000-0000-0000-0000-000000000000/"), 404)
    assert_problem(client.get("/api/imports/not-an-id/"), 404)
