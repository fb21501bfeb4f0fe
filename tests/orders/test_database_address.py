"""What the address of the database says arrives wherever we connect: an option that is dropped is TLS that is not."""

import json
import os
import subprocess
import sys
from functools import cache
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict
from pytest_django.fixtures import Settings

from backoffice import checks
from backoffice.database_url import database
from backoffice.devstack.environment import as_role

GIVEN = {
    "host": "one.example,two.example",
    "port": "5432,6543",
    "sslmode": "verify-full",
    "sslrootcert": "/etc/ca.pem",
    "target_session_attrs": "read-write",
    "application_name": "shop",
    "connect_timeout": "7",
    "keepalives_idle": "30",
}
OPTIONS = "&".join(f"{name}={value}" for name, value in GIVEN.items() if name not in ("host", "port"))
ADDRESS = f"postgres://account:secr%40t@one.example:5432,two.example:6543/orders?{OPTIONS}"
ELSEWHERE = "postgres://nobody@elsewhere.example/none"
#: doors are opened with what psycopg is asked for, and nobody behind them
SPY = """
import asyncio, json, sys
import psycopg
seen = []
def asked(address="", **parameters):
    named = psycopg.conninfo.conninfo_to_dict(address)
    seen.append({name: str(value) for name, value in {**named, **parameters}.items()})
    raise psycopg.OperationalError("nobody is asked")
async def asked_async(**parameters):
    asked(**parameters)
psycopg.connect, psycopg.AsyncConnection.connect = asked, asked_async
"""
#: what runs there -> the environment that it runs in, and the code
DOORS = {
    "a command": ({}, "from django.db import connection as c; c.get_new_connection(c.get_connection_params())"),
    "the web's pool": (
        {"BACKOFFICE_PROCESS": "web"},
        "from django.db import connection as c; asked(**c.pool.kwargs)",
    ),
    "the worker's pool": (
        {"BACKOFFICE_PROCESS": "worker"},
        "from django.db import connection as c; asked(**c.pool.kwargs)",
    ),
    "notifications": ({}, "from orders import connections; asyncio.run(connections.open_direct())"),
    "notifications past a pooler": (
        {"DATABASE_URL": ELSEWHERE, "DATABASE_DIRECT_URL": ADDRESS},
        "from orders import connections; asyncio.run(connections.open_direct())",
    ),
    "a command of the owner": (
        {"DATABASE_URL": ELSEWHERE, "DATABASE_OWNER_URL": ADDRESS},
        "import manage; sys.argv = ['manage.py', 'grant_roles']; manage.main()",
    ),
    "a command that changes tables, past a pooler": (
        {"DATABASE_URL": ELSEWHERE, "DATABASE_DIRECT_URL": ADDRESS},
        "import manage; sys.argv = ['manage.py', 'grant_roles']; manage.main()",
    ),
    "./dev doctor": (
        {},
        "from unittest import mock; from backoffice.devstack import doctor\n"
        "    doctor._postgres(mock.Mock(database_url=os.environ['DATABASE_URL']))",
    ),
}


@cache
def asked_at(door: str) -> dict[str, str]:
    changes, code = DOORS[door]
    setup = "" if "manage" in code else "import django; django.setup()\n"
    script = f"import os\n{SPY}{setup}try:\n    {code}\nexcept Exception:\n    pass\nprint(json.dumps(seen[0]))"
    unset = ("DATABASE_OWNER_URL", "DATABASE_DIRECT_URL", "DATABASE_POOL_SIZE", "BACKOFFICE_PROCESS")
    outer = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**outer, "DATABASE_URL": ADDRESS, **changes},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize("option", GIVEN)
@pytest.mark.parametrize("door", DOORS)
def test_an_option_of_the_address_arrives_at_every_door(door: str, option: str) -> None:
    assert asked_at(door)[option] == GIVEN[option]


@pytest.mark.parametrize("door", DOORS)
def test_no_door_asks_with_what_a_pooler_refuses(door: str) -> None:
    asked = asked_at(door)
    assert "options" not in asked
    assert asked.get("prepare_threshold", "None") == "None"
    assert (asked["user"], asked["password"], asked["dbname"]) == ("account", "secr@t", "orders")


def test_the_accounts_of_web_and_worker_have_the_options_of_their_owner() -> None:
    known = {"DATABASE_OWNER_URL": ADDRESS, "DATABASE_WEB_PASSWORD": "x"}
    address = as_role(known, "web")["DATABASE_URL"]
    assert dict(parse_qsl(urlsplit(address).query)).items() <= GIVEN.items()
    assert conninfo_to_dict(address).items() >= {**GIVEN, "user": "backoffice_web"}.items()


@pytest.mark.parametrize(
    ("address", "warned"),
    [
        ("postgres://u@db.example/orders", True),
        ("postgres://u@db.example/orders?sslmode=require", True),
        ("postgres://u@localhost,db.example/orders", True),
        ("postgres://u@db.example/orders?sslmode=verify-full", False),
        ("postgres://u@127.0.0.1:5433/orders", False),
        ("postgres://u@%2Fvar%2Frun/orders", False),
    ],
)
def test_production_is_warned_when_another_server_could_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, address: str, warned: bool
) -> None:
    monkeypatch.setitem(settings.DATABASES, "default", database(address, name="x"))
    assert checks.database_is_the_one_we_mean() == []
    settings.IS_PRODUCTION = True
    found = checks.database_is_the_one_we_mean()
    assert [message.id for message in found] == ["backoffice.W006"] * warned


def test_an_option_that_does_not_exist_stops_the_start() -> None:
    with pytest.raises(ImproperlyConfigured, match='invalid URI query parameter: "sslmod"'):
        database("postgres://u:secret@db.example/orders?sslmod=require", name="x")


def test_an_address_may_be_a_socket_and_may_leave_everything_out() -> None:
    assert database("postgres://u@%2Fvar%2Frun/orders", name="x")["HOST"] == "/var/run"
    assert database("postgresql:///orders", name="x")["NAME"] == "orders"
    assert database("sqlite:///file", name="x")["ENGINE"] == "django.db.backends.sqlite3"


#: the same doors before the PostgreSQL of these tests, which speaks no TLS
REFUSED = """
import asyncio, json, os, sys
from unittest import mock
import django
django.setup()
from django.db import connection, DatabaseError
import psycopg
from backoffice.devstack import doctor
from orders import connections
def refused(work):
    try:
        work()
    except (DatabaseError, psycopg.Error) as error:
        return str(error)
    return "let in"
print(json.dumps({
    "pool" if connection.pool else "Django": refused(connection.ensure_connection),
    "notifications": refused(lambda: asyncio.run(connections.open_direct())),
    "doctor": refused(lambda: doctor._postgres(mock.Mock(database_url=os.environ["DATABASE_URL"]))),
}))
"""


@pytest.mark.parametrize("process", ["command", "web"])
def test_a_server_without_tls_is_refused_at_every_door_where_the_address_asks_for_it(process: str) -> None:
    address = f"{os.environ['DATABASE_URL']}?sslmode=require"
    given = {**os.environ, "BACKOFFICE_PROCESS": process, "DATABASE_URL": address, "LOG_LEVEL": "CRITICAL"}
    done = subprocess.run([sys.executable, "-c", REFUSED], env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    # A pool does not say why, it only never gets one.
    wanted = {"pool": "couldn't get a connection", "Django": "does not support SSL"}
    for door, words in told.items():
        assert wanted.get(door, "does not support SSL") in words, door
    owner = {**os.environ, "DATABASE_OWNER_URL": address}
    command = [sys.executable, "manage.py", "grant_roles"]
    done = subprocess.run(command, env=owner, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "does not support SSL" in done.stderr
