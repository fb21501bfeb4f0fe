"""The product through PgBouncer in transaction mode: each transaction has another session of PostgreSQL."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.db import connection

from backoffice.database_roles import Role, name_of
from orders.models import Export, FeedImport, HistorySeal, Order, PartnerAnswer, PartnerRun, Refund
from orders.services import exports, partner_runs, refunding
from orders.vocabulary import ExportFormat, ExportStatus, PartnerCode, PartnerRunStatus, RefundStatus
from tests.accounts import account_url
from tests.e2e import engine as engines
from tests.e2e import pooler
from tests.e2e.engine import Engine, eventually
from tests.e2e.test_order_flow import all_closed
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders.api_calls import make_token, order_body
from tests.orders.feed_files import csv_of, receive, row

# The servers' start counts for the first test.
pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
HOW_MANY = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND application_name <> 'listens'"
NO_NOTIFICATIONS = "The relay gets no notifications through a pooler"


@pytest.fixture(scope="module")
def shared_engine(django_db_setup: None, django_db_blocker: Any) -> Iterator[Engine]:
    pooler.program()
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_DIRECT_URL", f"{account_url(Role.WORKER)}?application_name=listens")
        with pooler.running() as between, engines.running(gate=between) as running:
            yield running


@pytest.fixture
def engine(shared_engine: Engine, transactional_db: None) -> Iterator[Engine]:
    with shared_engine.for_a_test() as running:
        yield running


def sessions(role: Role) -> int:
    with connection.cursor() as cursor:
        cursor.execute(HOW_MANY, [name_of(role)])
        return int(cursor.fetchone()[0])


def is_listening() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'listens'"
            " AND query LIKE 'LISTEN %'"
        )
        return cursor.fetchone() is not None


def test_orders_an_import_an_export_a_refund_and_the_rates_go_through_a_pooler(engine: Engine) -> None:
    account_url(Role.WORKER)
    eventually(is_listening, what="the relay that listens past the pooler")
    web = engine.start_web()
    token = make_token(User.objects.create_superuser("root", password="correct horse battery"), "full")
    product = make_product(stock=1_000)
    placed = []
    for number in range(8):
        headers = {"Authorization": f"Token {token}", "Idempotency-Key": f"key-{number}"}
        headers["Content-Type"] = "application/json"
        body = json.dumps(order_body())
        answer = requests.post(f"{web}/api/orders/", data=body, headers=headers, timeout=60)
        assert answer.status_code == 201, answer.text
        placed.append(answer.json()["number"])
    orders = [make_order(product=product, started=True) for _ in range(8)]
    feed = receive(csv_of(*(row(str(number), customer="A") for number in range(1, 6))), process=True)
    rates = partner_runs.start(PartnerCode.RATES, actor=TEST_ACTOR, reason="New rates")
    eventually(
        lambda: all_closed() and FeedImport.objects.get(pk=feed.pk).status == "completed",
        what="the end of the orders and of the import",
    )
    assert Order.objects.filter(number__in=placed, status="completed").count() == 8
    eventually(
        lambda: PartnerRun.objects.get(pk=rates.pk).status == PartnerRunStatus.COMPLETED, what="the rates' refresh"
    )
    assert PartnerAnswer.objects.filter(endpoint="rates").exists()

    refunding.request(orders[0].number, amount_minor=500, actor=TEST_ACTOR, reason="Broken lamp")
    eventually(lambda: Refund.objects.get().status in (RefundStatus.DONE, RefundStatus.SETTLED), what="the refund")

    selection = exports.Selection(orders=Order.objects.all(), asked={})
    export = exports.request(selection, ExportFormat.CSV, actor=TEST_ACTOR, reason="Books")
    eventually(lambda: Export.objects.get(pk=export.pk).status == ExportStatus.COMPLETED, what="the file")
    found = requests.get(
        f"{web}/api/exports/{export.pk}/download/", headers={"Authorization": f"Token {token}"}, timeout=60
    )
    assert (found.status_code, len(found.text.splitlines())) == (200, 1 + Order.objects.count())
    page = requests.get(f"{web}/api/orders/", headers={"Authorization": f"Token {token}"}, timeout=60)
    assert page.status_code == 200

    assert engine.manage("seal_history").returncode == 0
    assert HistorySeal.objects.exists()
    code, told = engine.verify_invariants()
    assert (code, told["violations"]) == (0, [])
    for role in (Role.WEB, Role.WORKER):
        assert 1 <= sessions(role) <= pooler.SIZE
    for log in (engine.log(), (engine.folder / "web.log").read_text()):
        assert "through a pooler" in log
        assert "statement_timeout 30s, lock_timeout 10s, idle_in_transaction_session_timeout 1min" in log
    assert NO_NOTIFICATIONS not in engine.log()


def test_without_an_address_past_the_pooler_the_relay_says_so_once_and_looks_every_second(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.let_the_worker_go()
    monkeypatch.delenv("DATABASE_DIRECT_URL")
    engine.start_worker()
    for _ in range(3):
        make_order(product=make_product(), started=True)
    eventually(all_closed, what="the end of all orders")
    assert engine.log().count(NO_NOTIFICATIONS) == 1
