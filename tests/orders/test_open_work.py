"""One person has so many imports and batches under way, and no more."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.actor import Actor, person, system
from orders.errors import WrongState
from orders.models import Batch, FeedImport, Order
from orders.services import batches, feeds
from orders.services.selection import Selection
from orders.vocabulary import BatchAction, BatchStatus, Channel, FeedStatus
from tests.factories import make_order
from tests.orders.api_calls import new_key, token_client
from tests.orders.feed_files import csv_of, row
from tests.orders.playbooks import chief

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def one_at_a_time(settings: Settings) -> None:
    settings.IMPORTS_OPEN_PER_PERSON = settings.BATCHES_OPEN_PER_PERSON = 1


def receive(actor: Actor) -> FeedImport:
    return feeds.receive(
        csv_of(row("1")),
        name="a.csv",
        actor=actor,
        create_products=False,
        initial_stock=0,
        process=False,
        max_bytes=10_000,
        max_rows=100,
    )


def hold(actor: Actor) -> Batch:
    order = make_order()
    selection = Selection(orders=Order.objects.filter(pk=order.pk), asked={"numbers": [order.number]})
    return batches.create(selection, BatchAction.HOLD, actor=actor, reason="Stocktaking")


def test_a_second_import_waits_for_the_end_of_the_first() -> None:
    first = receive(chief())
    with pytest.raises(WrongState, match="1 of your imports are under way"):
        receive(chief())
    receive(chief("colleague"))
    FeedImport.objects.filter(pk=first.pk).update(status=FeedStatus.CANCELLED)
    receive(chief())


def test_a_second_batch_waits_for_the_end_of_the_first() -> None:
    first = hold(chief())
    with pytest.raises(WrongState, match="1 of your batches are under way"):
        hold(chief())
    hold(chief("colleague"))
    Batch.objects.filter(pk=first.pk).update(status=BatchStatus.COMPLETED, finished_at=timezone.now())
    hold(chief())


def test_the_operator_of_the_machine_is_not_bounded() -> None:
    operator = system("import_orders", Channel.CLI)
    assert len({receive(operator).pk for _ in range(3)}) == 3


def test_the_api_says_so_with_a_conflict(settings: Settings) -> None:
    client = token_client(user=chief().user)

    def send(address: str, content: Any, kind: str) -> Any:
        return client.post(address, content, content_type=kind, headers={"Idempotency-Key": new_key()})

    answers = [send("/api/imports/?name=a.csv", csv_of(row("1")), "text/csv") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 409], answers[-1].content
    assert "1 of your imports are under way" in answers[1].json()["detail"]

    body = {"numbers": [make_order().number], "action": "hold", "reason": "Stocktaking"}
    answers = [send("/api/batches/", json.dumps(body), "application/json") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 409], answers[-1].content


def test_the_page_says_so_and_keeps_the_form(client: Client) -> None:
    user = chief().user
    receive(person(user, Channel.ADMIN))
    client.force_login(user)
    form = {"file": SimpleUploadedFile("b.csv", csv_of(row("1"))), "layout": "online-retail", "initial_stock": "0"}
    answer = client.post("/admin/orders/feedimport/import/", form)
    assert "1 of your imports are under way" in answer.content.decode()
    assert FeedImport.objects.count() == 1


def test_the_command_says_so_to_whom_it_acts_for(tmp_path: Path) -> None:
    receive(chief())
    file = tmp_path / "b.csv"
    file.write_bytes(csv_of(row("1")))
    with pytest.raises(CommandError, match="1 of your imports are under way"):
        call_command("import_orders", str(file), "--as", "chief", stdout=StringIO())
