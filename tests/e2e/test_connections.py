"""Workers and web share as few connections as their accounts may have, and a slow partner takes none of them."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.db import connection

from backoffice.database_roles import Role, name_of
from orders.models import SystemEvent
from tests.accounts import account_url
from tests.e2e import engine as engines
from tests.e2e.engine import Engine, eventually
from tests.e2e.test_order_flow import all_closed, sound
from tests.factories import make_order, make_product
from tests.orders.api_calls import make_token

# The servers' start counts for the first test.
pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
WORKERS, POOL = 3, 3
#: each pool, one connection that listens, and one that looks whether there are any
MOST = WORKERS * (POOL + 2)
ORDERS, PARTNER_SECONDS = 40, 2.0
REFUSALS = ("too many connections", "couldn't get a connection", "The database failed an activity")


@pytest.fixture
def workers(transactional_db: None) -> Iterator[Engine]:
    account_url(Role.WORKER)
    name = name_of(Role.WORKER)
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", [name])
        (before,) = cursor.fetchone()
        cursor.execute(f'ALTER ROLE "{name}" CONNECTION LIMIT {MOST}')
    started: list[subprocess.Popen[bytes]] = []
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("DATABASE_POOL_SIZE", str(POOL))
            environment.setenv("DATABASE_PROCESSES", str(WORKERS))
            with engines.running() as engine:
                for _ in range(WORKERS - 1):
                    assert engine.worker is not None
                    started.append(engine.worker)
                    engine.start_worker()
                yield engine
                for one in started:
                    one.terminate()
                for one in started:
                    one.wait(40)
    finally:
        for one in started:
            one.kill()
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER ROLE "{name}" CONNECTION LIMIT {before}')


def in_use(role: Role) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", [name_of(role)])
        return int(cursor.fetchone()[0])


def test_many_orders_wait_for_a_slow_partner_and_nobody_is_refused_a_connection(workers: Engine) -> None:
    workers.faults({"partner": "payments", "mode": "latency", "seconds": PARTNER_SECONDS})
    product = make_product(stock=1_000)
    for _ in range(ORDERS):
        make_order(product=product, started=True)
    seen: list[Any] = []

    def is_over() -> bool:
        seen.append(in_use(Role.WORKER))
        return all_closed()

    eventually(is_over, what="the end of all orders")
    assert max(seen) <= MOST
    assert [words for words in REFUSALS if words in workers.log()] == []
    assert not SystemEvent.objects.exists()
    sound(workers)


def test_a_web_process_answers_many_callers_at_once_from_its_pool(running_engine: Engine) -> None:
    web = running_engine.start_web(DATABASE_POOL_SIZE="3")
    token = make_token(User.objects.create_superuser("root", password="correct horse battery"), "full")
    headers = {"Authorization": f"Token {token}"}

    def ask(_: int) -> int:
        return requests.get(f"{web}/api/orders/", headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(20) as callers:
        assert set(callers.map(ask, range(100))) == {200}
    assert 1 <= in_use(Role.WEB) <= 3
    assert "a pool of 3" in (running_engine.folder / "web.log").read_text()
