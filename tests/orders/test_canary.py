"""The canary: one person's words are typed and sent wherever one can; after the erasure every byte is searched."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.utils import timezone
from openpyxl import Workbook

from backoffice.logs import WithoutNames, WithoutValues
from orders.actor import Actor
from orders.models import ApiToken, FeedImport, Order, PartnerEndpoint, PlaybookTrigger
from orders.services import batches, cancelling, exports, holding, tasks, tokens
from orders.services.playbooks import publishing, running, setting
from orders.vocabulary import BatchAction, EventType, ExportFormat, OrderStatus, TaskKind, TaskLevel
from tests.canary import found_in_database, in_files
from tests.factories import TEST_ACTOR, make_order
from tests.orders import feed_files, playbooks
from tests.orders.api_calls import new_key, order_body, post_order, token_client

pytestmark = pytest.mark.django_db
NAME, EMAIL, REFERENCE = "Zanzibar Quillfeather", "quill@zanzibar.example", "ZQ-4711"
STREET = "17 Quillfeather Mews"
WORDS = (NAME, EMAIL, REFERENCE, STREET)
SAID = f"{NAME} ({REFERENCE}, {EMAIL}) of {STREET}"
#: however they may have been written: what is looked for in the end
BYTES = (*WORDS, *map(quote, WORDS), NAME.upper(), NAME.lower(), "Quillfeather", "quill@", "quill%40", "zanzibar")
CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "commerce"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
WIDE = f"{feed_files.HEADER},Name,Street"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the handlers of the settings write."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(WithoutValues(settings.LOGGING["formatters"]["line"]["format"]))
    handler.addFilter(WithoutNames())
    logging.getLogger().addHandler(handler)
    logging.getLogger("uvicorn.access").addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)
    logging.getLogger("uvicorn.access").removeHandler(handler)


def rows(number: int) -> list[str]:
    """One that is taken, one that cannot be read, one of somebody else that names the person."""
    end = f",{NAME},{STREET}"
    return [
        feed_files.row(f"{number}1", customer=REFERENCE) + end,
        feed_files.row(f"{number}2", customer=REFERENCE, description=NAME, quantity=EMAIL) + end,
        feed_files.row(f"{number}3", customer="12345", description=f"For {EMAIL}", quantity="many") + end,
        f"{number}4,cut off,{NAME},{EMAIL}",
    ]


def book(lines: list[str]) -> bytes:
    made, target = Workbook(), io.BytesIO()
    for line in lines:
        made.active.append(line.split(","))
    made.save(target)
    return target.getvalue()


def send(client: Client, content: bytes, kind: str, name: str, **more: str) -> FeedImport:
    query = "&".join(
        f"{key}={quote(value)}" for key, value in {"name": name, "create_products": "true", **more}.items()
    )
    answer = client.post(
        f"/api/imports/?{query}", content, content_type=kind, headers={"Idempotency-Key": f"{EMAIL}-{new_key()}"}
    )
    assert answer.status_code == 202, answer.content
    return feed_files.run(FeedImport.objects.get(pk=answer.json()["id"]))


def files() -> None:
    client = token_client("import_feed", "view_feedimport", "add_product")
    send(client, "\n".join([WIDE, *rows(1), ""]).encode(), "text/csv", f"{SAID}.csv")
    send(client, book([WIDE, *rows(2)]), XLSX, f"of {NAME}.xlsx")
    all_refused = feed_files.row("31", customer=REFERENCE, quantity=NAME)
    send(client, "\n".join([feed_files.HEADER, all_refused]).encode(), "text/csv", f"{REFERENCE}_rows.csv")


def orders_of_the_person() -> None:
    client = token_client("place_order", "start_order", "view_order")
    customer = {"reference": REFERENCE, "name": NAME, "email": EMAIL, "country": "Zanzibar"}
    body = order_body(customer=customer, process=False)
    assert post_order(client, body, key=f"order of {EMAIL}").status_code == 201
    order = Order.objects.get(customer__reference=REFERENCE, source="api")
    holding.hold(order.number, actor=TEST_ACTOR, reason=f"Hold: {SAID}")
    holding.release(order.number, actor=TEST_ACTOR, reason=f"Go on: {SAID}")
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason=f"No: {SAID}")


def other_orders(actor: Actor) -> None:
    """What is said of the person on orders of others."""
    other = make_order(started=True)
    holding.hold(other.number, actor=TEST_ACTOR, reason=f"A friend of {SAID}")
    other.refresh_from_db()
    task = tasks.open_task(TaskKind.DRIFT, other, level=TaskLevel.LEAD, says=f"Ask {SAID}", actor=TEST_ACTOR)
    tasks.close(task, other, resolution=f"Asked {SAID}", reference=REFERENCE, actor=actor)
    chosen = exports.Selection(orders=Order.objects.filter(pk=other.pk), asked={"filter": {"customer": REFERENCE}})
    batches.create(chosen, BatchAction.RELEASE, actor=TEST_ACTOR, reason=f"For {SAID}")


def exported(actor: Actor) -> None:
    mine = Order.objects.filter(customer__reference=REFERENCE)
    asked = {"filter": {"customer": REFERENCE, "q": NAME}}
    export = exports.request(
        exports.Selection(orders=mine, asked=asked), ExportFormat.CSV, actor=TEST_ACTOR, reason=f"For {SAID}"
    )
    exports.write(export.pk, beat=lambda _: None)
    assert in_files(REFERENCE)
    plan = exports.plan(
        f"Orders of {NAME}", ExportFormat.CSV, {"customer": REFERENCE}, actor=actor, reason=SAID, every_hours=1
    )
    exports.pause(plan.pk, actor=actor, reason=f"Until {SAID} answers")


def automation(actor: Actor) -> None:
    playbooks.published(playbooks.note("a", text=f"Call {SAID}"), title=f"Calls {NAME}", inputs=[{"name": "who"}])
    condition = f'order.number == "{REFERENCE}"'
    setting.set_trigger("test", EventType.HELD, condition=condition, actor=actor)
    setting.set_trigger("test", EventType.HELD, condition=f'order.number == "{STREET}"', actor=actor)
    running.start(make_order().number, "test", actor=actor, reason=f"For {SAID}", inputs={"who": SAID})
    publishing.save("draft", playbooks.document(playbooks.note("b", text=STREET)), actor=actor)
    PartnerEndpoint.objects.create(name="crm", url=f"https://crm.example/?who={quote(EMAIL)}", made_by="chief")


def names_and_addresses(actor: Actor) -> None:
    tokens.issue(name=f"for {NAME}", scopes=["full"], actor=actor)
    assert isinstance(actor.user, User)
    LogEntry.objects.create(
        user=actor.user,
        content_type=ContentType.objects.get_for_model(ApiToken),
        object_id="1",
        object_repr=f"token for {NAME}",
        action_flag=CHANGE,
        change_message=json.dumps([{"changed": {"fields": [EMAIL]}}]),
    )
    client = Client()
    for path in ("/accounts/login/", f"/accounts/login/?next=/admin/orders/order/?q={quote(EMAIL)}"):
        assert client.post(path, {"login": EMAIL, "password": STREET}).status_code == 200
    client.force_login(actor.user)
    for path in (f"/admin/orders/order/?q={quote(NAME)}", f"/admin/orders/order/?customer={REFERENCE}"):
        client.get(path)
    nobody = token_client()
    for path in (f"/api/customers/{quote(EMAIL)}/erase/", f"/api/nothing/{quote(NAME)}/"):
        nobody.post(path, "{}", content_type="application/json", headers={"Idempotency-Key": new_key()})
        asked = ("127.0.0.1", "POST", path, "1.1", 403)
        logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', *asked)


def erase(reference: str = REFERENCE, *also: str) -> dict[str, Any]:
    answer = token_client("erase_customer").post(
        f"/api/customers/{quote(reference)}/erase/",
        json.dumps({"reason": f"Request of {SAID}"} | ({"also": list(also)} if also else {})),
        content_type="application/json",
        headers={"Idempotency-Key": f"{REFERENCE}-{new_key()}"},
    )
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def close_orders() -> None:
    Order.objects.filter(customer__reference=REFERENCE).exclude(status=OrderStatus.CANCELLED).update(
        status=OrderStatus.FAILED, closed_at=timezone.now()
    )


def test_after_an_erasure_no_byte_of_the_person_is_anywhere(log: io.StringIO) -> None:
    actor = playbooks.chief()
    orders_of_the_person()
    files()
    other_orders(actor)
    exported(actor)
    automation(actor)
    names_and_addresses(actor)
    close_orders()
    assert {table for table, _, _ in found_in_database(*BYTES)} >= {
        *("orders_apitoken", "orders_approval", "orders_batch", "orders_command", "orders_customer", "orders_export"),
        *("orders_exportplan", "orders_feedimport", "orders_feedrow", "orders_idempotencyrecord", "orders_stafftask"),
        *("orders_playbookversion", "orders_playbooktrigger", "orders_playbookrun", "django_admin_log"),
        *("orders_partnerendpoint", "axes_accessattempt"),
    }, "the test types into all of them"

    report = erase(REFERENCE, STREET)["report"]

    assert found_in_database(*BYTES) == set()
    assert not in_files(*BYTES)
    assert not [word for word in BYTES if word in log.getvalue()]
    assert "POST" in log.getvalue(), "requests were logged"
    assert sum(place["found"] for place in report) > 30
    assert not [place for place in report if place["stays"] and place["found"]]
    assert PlaybookTrigger.objects.get().condition == 'order.number == "erased"'


def test_what_comes_in_again_is_found_by_the_next_request() -> None:
    files()
    close_orders()
    erase(REFERENCE, NAME, EMAIL, STREET)
    assert (found_in_database(*BYTES), in_files(*BYTES)) == (set(), False)
    files()
    assert found_in_database(*WORDS)

    again = erase(REFERENCE, NAME, EMAIL, STREET)

    assert (found_in_database(*BYTES), in_files(*BYTES)) == (set(), False)
    assert {"where": "orders.FeedImport", "found": 3, "stays": False} in again["report"]
    third = erase(REFERENCE, NAME)["report"]
    own = {"addresses of requests", "orders.IdempotencyRecord"}
    assert not [place for place in third if place["found"] and place["where"] not in own]


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases of commerce are not beside the checkout")
def test_the_case_of_an_erased_customer_whose_file_is_sent_again() -> None:
    content = next(CASES.glob("37-*/orders.csv")).read_bytes()
    canaries = ("ERASE-ME-37", "ERASE%2DME")
    feed_files.run(feed_files.receive(content))
    Order.objects.update(status=OrderStatus.FAILED, closed_at=timezone.now())
    first = erase("ERASE-ME-37")
    feed_files.run(feed_files.receive(content))
    assert found_in_database(*canaries)

    again = erase("ERASE-ME-37")

    assert (found_in_database(*canaries), in_files(*canaries)) == (set(), False)
    assert again["customer"] == first["customer"]
