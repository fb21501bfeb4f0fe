"""Connections are few: nobody has one who waits for somebody else, and who gets none tries again."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db import connections as django_connections
from django_temporalio.interceptors.isolation import ActivityIsolationInterceptor
from pytest_django.fixtures import Settings
from temporalio.exceptions import ApplicationError

from backoffice import checks, database_roles
from backoffice.database_roles import Role
from backoffice.database_url import database
from orders import connections as ours
from orders.connections import LIMITS, give_back, look, tell
from orders.models import PartnerHealth, Product, QuestionLease
from orders.paging import pages
from orders.partners import breaker
from orders.partners.cached_questions import rates_of
from orders.services import partner_answers
from orders.vocabulary import PartnerCode
from temporal_app.errors import translated_errors
from tests.e2e.engine import eventually
from tests.e2e.gate import Gate
from tests.factories import make_product
from tests.orders.api_calls import token_client
from tests.orders.connections import PATIENCE, connections

TRANSACTIONAL = pytest.mark.django_db(transaction=True)
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@contextmanager
def pooled(size: int, *, timeout: float = PATIENCE) -> Iterator[None]:
    """Django's connections of this process are those of a pool, as in web and worker."""
    connection.close()
    entry = django_connections.settings["default"]
    before = {name: entry[name] for name in ("OPTIONS", "CONN_MAX_AGE")}
    pool = database("postgres://x/x", name="x", pool_size=size)["OPTIONS"]["pool"] | {"timeout": timeout}
    entry.update({"OPTIONS": before["OPTIONS"] | {"pool": pool}, "CONN_MAX_AGE": 0})
    try:
        yield
    finally:
        connection.close()
        connection.close_pool()
        entry.update(before)


def as_activity(work: Callable[..., Any]) -> Callable[..., Any]:
    """The work as a thread of the worker runs it."""
    run: Callable[..., Any] = ActivityIsolationInterceptor().with_refreshed_thread(work)
    return run


# --- While somebody else is waited for --------------------------------------------------------------------------------


@TRANSACTIONAL
def test_activities_that_wait_for_a_slow_partner_leave_the_pool_to_others() -> None:
    make_product()
    PartnerHealth.objects.get_or_create(pk=PartnerCode.RATES)
    waiting, answer = Barrier(7), Event()

    def ask() -> None:
        with breaker.attempt(PartnerCode.RATES), breaker.observed(PartnerCode.RATES):
            waiting.wait(PATIENCE)
            assert answer.wait(PATIENCE)
        assert Product.objects.count() == 1

    with pooled(2), connections(6) as threads:
        begun = [threads.begin(as_activity(ask)) for _ in range(6)]
        try:
            waiting.wait(PATIENCE)
            assert Product.objects.count() == 1
            with connection.cursor() as cursor:
                cursor.execute(OTHERS)
                assert cursor.fetchone()[0] <= 1
            give_back()
        finally:
            answer.set()
        for one in begun:
            one.result(PATIENCE)


@TRANSACTIONAL
def test_an_activity_gives_its_connection_back_when_it_ends() -> None:
    with pooled(1), connections(3) as threads:
        for _ in range(3):
            assert threads.begin(as_activity(Product.objects.count)).result(PATIENCE) == 0
        assert connection.pool.get_stats()["pool_available"] == 1


@TRANSACTIONAL
def test_whoever_waits_inside_a_transaction_is_refused_before_the_partner_is_asked() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        give_back()
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"), breaker.observed(PartnerCode.RATES):
        pytest.fail("the partner was asked")


@TRANSACTIONAL
def test_a_question_under_way_holds_no_connection_and_no_transaction() -> None:
    asking, answer = Event(), Event()

    def slow() -> dict[str, str]:
        with breaker.observed(PartnerCode.RATES):
            asking.set()
            assert answer.wait(PATIENCE)
            return {"EUR": "1.15"}

    with pooled(1), connections(1) as threads:
        begun = threads.begin(as_activity(partner_answers.get), rates_of("GBP"), slow)
        try:
            assert asking.wait(PATIENCE)
            assert QuestionLease.objects.count() == 1
            give_back()
        finally:
            answer.set()
        begun.result(PATIENCE)
        assert QuestionLease.objects.count() == 0


# --- When there is none -----------------------------------------------------------------------------------------------


@TRANSACTIONAL
def test_an_activity_that_gets_no_connection_is_tried_again() -> None:
    taken, leave = Event(), Event()

    def hold() -> None:
        Product.objects.count()
        taken.set()
        assert leave.wait(PATIENCE)

    with pooled(1, timeout=0.2), connections(1) as threads:
        begun = threads.begin(hold)
        try:
            assert taken.wait(PATIENCE)
            with pytest.raises(OperationalError, match="couldn't get a connection"):
                Product.objects.count()
            with pytest.raises(ApplicationError) as failure, translated_errors():
                Product.objects.count()
            assert (failure.value.type, failure.value.non_retryable) == ("database", False)
        finally:
            leave.set()
        begun.result(PATIENCE)
        assert Product.objects.count() == 0


@TRANSACTIONAL
def test_a_caller_whose_request_gets_no_connection_is_told_to_come_back() -> None:
    client = token_client("view_order")
    taken, leave = Event(), Event()

    def hold() -> None:
        Product.objects.count()
        taken.set()
        assert leave.wait(PATIENCE)

    with pooled(1, timeout=0.2), connections(1) as threads:
        begun = threads.begin(hold)
        try:
            assert taken.wait(PATIENCE)
            answer = client.get("/api/orders/")
            assert answer.status_code == 503
            assert int(answer["Retry-After"]) >= 1
        finally:
            leave.set()
        begun.result(PATIENCE)
        assert client.get("/api/orders/").status_code == 200


@TRANSACTIONAL
def test_a_pool_has_connections_again_as_soon_as_postgresql_is_back() -> None:
    entry = django_connections.settings["default"]
    gate = Gate((entry["HOST"], int(entry["PORT"])))
    with pytest.MonkeyPatch.context() as address:
        address.setitem(entry, "HOST", "127.0.0.1")
        address.setitem(entry, "PORT", gate.port)
        with pooled(2, timeout=0.4):
            assert Product.objects.count() == 0
            gate.shut()
            # For so long that a pool which doubles its pauses would make a long one next.
            until = time.monotonic() + 4
            while time.monotonic() < until:
                with pytest.raises(OperationalError):
                    Product.objects.count()
                give_back()
            gate.open()
            back = time.monotonic()

            def answers() -> bool:
                with suppress(OperationalError):
                    return Product.objects.count() == 0
                return False

            eventually(answers, what="a connection")
            assert time.monotonic() - back < 2
    gate.shut()


# --- What is looked at when a process starts --------------------------------------------------------------------------


@pytest.fixture
def as_worker(settings: Settings) -> Settings:
    settings.PROCESS, settings.DATABASE_POOL_SIZE, settings.DATABASE_PROCESSES = "worker", 2, 1
    return settings


def found() -> list[Any]:
    return checks.connections_are_limited(databases=["default"])


@pytest.mark.django_db
def test_an_account_without_limits_is_told_of_with_the_way_to_set_them(as_worker: Settings) -> None:
    assert found() == []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = 0")
    (message,) = found()
    assert message.id == "backoffice.W005"
    assert "has no lock_timeout" in message.msg
    assert "SET lock_timeout = '10s'" in message.hint
    as_worker.PROCESS = "command"
    assert found() == []


@pytest.mark.django_db
def test_pools_that_may_want_more_than_the_account_may_have_stop_the_start(as_worker: Settings) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER ROLE "{look().role}" CONNECTION LIMIT 66')
    as_worker.DATABASE_POOL_SIZE, as_worker.DATABASE_PROCESSES = 20, 3
    assert found() == [], "three times twenty, and two each to listen and to look"
    as_worker.DATABASE_PROCESSES = 4
    (message,) = found()
    assert message.id == "backoffice.E015"
    assert "may want 88 connections" in message.msg
    assert "may have 66" in message.msg
    assert "DATABASE_POOL_SIZE" in message.hint
    as_worker.DATABASE_POOL_SIZE = 0
    assert [message.id for message in found()] == ["backoffice.E014"]


@pytest.mark.django_db
def test_the_shares_of_the_accounts_fit_three_workers_and_two_webs_into_a_server_as_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database_roles, "_rows", lambda statement: [(100,)])
    assert database_roles.connection_limit(Role.WORKER) >= 3 * (19 + checks.POOLED["worker"])
    assert database_roles.connection_limit(Role.WEB) >= 2 * (10 + checks.POOLED["web"])


@pytest.mark.django_db
def test_one_line_says_what_the_connections_are_like(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATABASE_POOL_SIZE = 10
    with caplog.at_level(logging.INFO, "orders.connections"):
        assert tell()
    (line,) = [record.getMessage() for record in caplog.records]
    for words in ("no TLS", "statement_timeout 30s", "lock_timeout 10s", "a pool of 10", "no pooler", look().role):
        assert words in line

    def away() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(ours, "look", away)
    assert not tell()


@pytest.mark.django_db
def test_the_account_that_migrates_has_the_limits_and_keeps_what_somebody_set() -> None:
    with connection.cursor() as cursor:
        for setting, value in LIMITS.items():
            cursor.execute("SELECT current_setting(%s)::interval = %s::interval", [setting, value])
            assert cursor.fetchone() == (True,), setting
        cursor.execute(f'ALTER ROLE CURRENT_USER IN DATABASE "{connection.settings_dict["NAME"]}" RESET lock_timeout')
        cursor.execute("ALTER ROLE CURRENT_USER SET statement_timeout = '5s'")
        cursor.execute(
            f'ALTER ROLE CURRENT_USER IN DATABASE "{connection.settings_dict["NAME"]}" RESET statement_timeout'
        )
        database_roles.limit_own_role()
        cursor.execute(
            "SELECT setconfig FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole"
            " JOIN pg_database ON pg_database.oid = setdatabase"
            " WHERE rolname = session_user AND datname = current_database()"
        )
        (here,) = cursor.fetchone()
    assert "lock_timeout=10s" in here
    assert not any(one.startswith("statement_timeout") for one in here)


# --- Without cursors at the server ------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("count", [0, 1, 3, 4, 6])
def test_pages_have_every_row_once_and_in_order(count: int) -> None:
    for number in range(count):
        make_product(sku=f"S{number}")
    expected = list(Product.objects.order_by("pk"))
    assert list(pages(Product.objects.order_by("-sku"), 3)) == expected
    assert [key for key, _ in pages(Product.objects.values_list("pk", "sku"), 3)] == [row.pk for row in expected]


def test_no_reader_needs_a_cursor_at_the_server() -> None:
    assert connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] is True
