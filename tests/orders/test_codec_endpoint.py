"""`POST /codec/decode`: Temporal's Web UI shows payloads to staff who may read them, and to nobody else."""

import base64
import json
from typing import Any

import pytest
from django.test import Client
from google.protobuf.json_format import MessageToDict
from pytest_django.fixtures import Settings
from temporalio.api.common.v1 import Payload

from temporal_app.client import codec
from temporal_app.codec import Purpose
from temporal_app.codec_endpoint import MAX_BODY_BYTES
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
UI = "http://127.0.0.1:8233"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"number":"SO-1"}')


@pytest.fixture(autouse=True)
def web_ui(settings: Settings) -> None:
    settings.TEMPORAL_UI_URL = f"{UI}/namespaces/backoffice"


@pytest.fixture
def staff() -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("orders.decode_payloads"))
    return client


def body(*payloads: Payload) -> str:
    return json.dumps({"payloads": [MessageToDict(payload) for payload in payloads]})


#: the UI does not say of which workflow; this one runs nowhere
PURPOSE = Purpose("backoffice", "order:1", "workflow")
SEALED = body(codec().encrypted(PLAIN, PURPOSE), PLAIN)


def decode(client: Client, content: str | bytes = SEALED, **headers: str) -> Any:
    headers = {"Origin": UI, "X-Namespace": "backoffice", **headers}
    return client.post("/codec/decode", content, content_type=headers.pop("type", "application/json"), headers=headers)


def test_staff_with_the_permission_read_payloads_from_the_ui(staff: Client) -> None:
    answer = decode(staff)
    assert answer.status_code == 200
    encoding = base64.b64encode(b"json/plain").decode()
    plain = {"metadata": {"encoding": encoding}, "data": base64.b64encode(PLAIN.data).decode()}
    assert answer.json() == {"payloads": [plain, plain]}
    assert answer["Access-Control-Allow-Origin"] == UI
    assert answer["Access-Control-Allow-Credentials"] == "true"
    assert answer["Cache-Control"] == "no-store"


def test_whoever_is_not_signed_in_or_lacks_the_permission_reads_nothing() -> None:
    client = Client()
    assert decode(client).status_code == 401
    client.force_login(make_user("orders.view_order"))
    refused = decode(client)
    assert (refused.status_code, "payloads" in refused.json()) == (403, False)
    assert "orders.decode_payloads" in refused.json()["detail"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:82333", "http://127.0.0.1"])
def test_another_origin_is_refused_and_may_not_read_the_refusal(staff: Client, origin: str) -> None:
    for answer in (decode(staff, Origin=origin), staff.options("/codec/decode", headers={"Origin": origin})):
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer


def test_without_a_web_ui_no_origin_is_let_in(staff: Client, settings: Settings) -> None:
    settings.TEMPORAL_UI_URL = ""
    assert [decode(staff, Origin=origin).status_code for origin in (UI, "null", "")] == [403] * 3


def test_the_browser_may_ask_beforehand_without_a_session() -> None:
    answer = Client().options("/codec/decode", headers={"Origin": UI})
    assert answer.status_code == 204
    assert (answer["Access-Control-Allow-Origin"], answer["Access-Control-Allow-Methods"]) == (UI, "POST")
    assert answer["Access-Control-Allow-Headers"] == "content-type, x-namespace"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        ('{"payloads": []}', "text/plain", 415),
        ('{"payloads": []}', "application/x-www-form-urlencoded", 415),
        ("{", "application/json", 400),
        ('{"payloads": 1}', "application/json", 400),
        ('{"payloads": [{"unknown": ""}]}', "application/json", 400),
        (b"\xff\xfe\x00", "application/json", 400),
        ('{"payloads":' + "[" * 5000, "application/json", 400),
        (" " * (MAX_BODY_BYTES + 1), "application/json", 413),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_bodies_are_refused_with_a_sentence(staff: Client, content: str, kind: str, status: int) -> None:
    answer = decode(staff, content, type=kind)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_a_payload_of_an_unknown_key_names_the_key(staff: Client, settings: Settings) -> None:
    settings.TEMPORAL_PAYLOAD_KEYS = f"other:{base64.b64encode(bytes(32)).decode()}"
    answer = decode(staff)
    assert answer.status_code == 422
    assert "was encrypted with the key" in answer.json()["detail"]


def test_there_is_no_encoding_and_no_reading_by_get(staff: Client) -> None:
    assert staff.post("/codec/encode", SEALED, content_type="application/json").status_code == 404
    assert staff.get("/codec/decode").status_code == 405


def test_an_empty_list_is_answered_as_one(staff: Client) -> None:
    assert decode(staff, '{"payloads": []}').json() == {"payloads": []}
