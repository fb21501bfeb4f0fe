"""How often a caller may call: one count for all web processes, told with the time to come back."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from orders import limits
from orders.models import RequestCount
from tests.orders.api_calls import assert_problem, make_user, order_body, post_order, token_client

NOON = "2026-06-01T12:00:00Z"


@pytest.fixture
def small(settings: Settings) -> Iterator[None]:
    """Three calls in a minute that does not end while the test runs."""
    settings.CALLS_PER_MINUTE = dict.fromkeys(settings.CALLS_PER_MINUTE, 3)
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.mark.django_db
def test_reader_is_told_when_to_come_back_and_may_still_write(small: None) -> None:
    client = token_client("view_order", "place_order")

    assert [client.get("/api/orders/").status_code for _ in range(3)] == [200] * 3
    refusal = client.get("/api/orders/")

    assert_problem(refusal, 429)
    assert 1 <= int(refusal["Retry-After"]) <= 61
    assert post_order(client, order_body(process=False)).status_code == 201


@pytest.mark.django_db
def test_one_user_spends_nothing_of_another_but_shares_between_tokens(small: None) -> None:
    first, second = make_user("view_order"), make_user("view_order")
    for _ in range(3):
        token_client(user=first).get("/api/orders/")

    assert token_client(user=first).get("/api/orders/").status_code == 429
    assert token_client(user=second).get("/api/orders/").status_code == 200


@pytest.mark.django_db
def test_next_minute_starts_anew(small: None) -> None:
    client = token_client("view_order")
    for _ in range(4):
        client.get("/api/orders/")

    with time_machine.travel("2026-06-01T12:01:00Z", tick=False):
        assert client.get("/api/orders/").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["Token wrong", "Basic b2xpdmlhOnBhc3N3b3Jk", "Bearer abc", ""])
def test_who_does_not_sign_in_is_limited_by_address(small: None, header: str) -> None:
    def call(address: str) -> Any:
        headers = {"Authorization": header} if header else {}
        return Client().get("/api/orders/", headers=headers, REMOTE_ADDR=address)

    assert [call("192.0.2.1").status_code for _ in range(3)] == [401] * 3
    refusal = call("192.0.2.1")
    assert_problem(refusal, 429)
    assert int(refusal["Retry-After"]) >= 1
    assert call("192.0.2.2").status_code == 401
    good = token_client("view_order")
    assert good.get("/api/orders/", REMOTE_ADDR="192.0.2.1").status_code == 200, "a right token is nobody's guess"


@pytest.mark.django_db
def test_right_password_in_a_basic_header_signs_nobody_in(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = make_user("view_order")
    user.set_password("password")
    user.save()
    client = Client()

    secret = base64.b64encode(f"{user.username}:password".encode()).decode()
    assert_problem(client.get("/api/orders/", headers={"Authorization": f"Basic {secret}"}), 401, None, "Token")


@pytest.mark.django_db
def test_count_costs_one_query_and_old_callers_are_forgotten(django_assert_num_queries: Any) -> None:
    with time_machine.travel(NOON, tick=False):
        limits.hit("read", "old")
        with django_assert_num_queries(1):
            limits.hit("read", "old")
    with time_machine.travel("2026-06-01T13:02:00Z", tick=False):
        limits.hit("read", "new")
    assert [row.caller for row in RequestCount.objects.all()] == ["read:new"]


@pytest.mark.django_db(transaction=True)
def test_two_processes_share_one_count(settings: Settings) -> None:
    script = (
        "import datetime, django, json; django.setup(); from orders import limits;"
        "limits.clock.now = lambda: datetime.datetime.fromtimestamp(1_800_000_000, datetime.UTC);"
        "from django.conf import settings; settings.CALLS_PER_MINUTE = {'read': 50};"
        "print(json.dumps([limits.hit('read', '7') for _ in range(40)]))"
    )
    database = connection.settings_dict
    url = (
        f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script], env={**os.environ, "DATABASE_URL": url}, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = [wait for process in both for wait in json.loads(process.communicate(timeout=100)[0])]

    assert len(answers) == 80
    assert answers.count(0) == 50, "each process counted for itself"
