"""Deployments that migrate at once wait for each other, and nobody else waits for them."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.commands.migrate import Command as Plain
from django.db import OperationalError, connection
from psycopg.errors import LockNotAvailable

from orders.management.commands import migrate
from orders.management.migrating import LOCK, alone
from tests.e2e.engine import eventually
from tests.orders.connections import connections, wait_for_a_blocked_connection

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def empty_database(db: None) -> Iterator[str]:
    """The address of a database in which nobody has migrated anything."""
    where = connection.settings_dict
    server = f"postgres://{where['USER']}:{where['PASSWORD']}@{where['HOST']}:{where['PORT']}"
    name = f"empty_{secrets.token_hex(4)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as administrator:
        administrator.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        yield f"{server}/{name}"
        administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


def test_three_migrations_of_an_empty_database_at_once_all_succeed(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as starter:
        starter.execute("SELECT pg_advisory_lock(hashtext(%s))", [LOCK])
        # Two applications are enough to meet, and take seconds instead of minutes.
        at_once = [
            subprocess.Popen(
                [sys.executable, "manage.py", "migrate", "auth", "--verbosity", "0"],
                cwd=CHECKOUT,
                env={**os.environ, "DATABASE_URL": empty_database, "DATABASE_OWNER_URL": empty_database},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(3)
        ]
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        eventually(lambda: starter.execute(waiting).fetchone() == (3,), seconds=120, what="three that wait")
    said = [process.communicate(timeout=200)[0] for process in at_once]
    assert [process.returncode for process in at_once] == [0, 0, 0], said


@pytest.mark.django_db(transaction=True)
def test_a_bootstrap_waits_for_a_migration() -> None:
    with connections(1) as pool:
        with alone(connection):
            waiting = pool.begin(call_command, "bootstrap", stdout=StringIO())
            wait_for_a_blocked_connection()
            assert not waiting.done()
        waiting.result(60)


def no_lock() -> OperationalError:
    error = OperationalError("canceling statement due to lock timeout")
    error.__cause__ = LockNotAvailable()
    return error


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_gets_no_lock_lets_the_others_pass_and_tries_again() -> None:
    with mock.patch.object(migrate.time, "sleep") as pause:
        with mock.patch.object(Plain, "handle", side_effect=[no_lock(), no_lock(), None]) as tried:
            call_command("migrate", verbosity=0)
    assert (tried.call_count, pause.call_count) == (3, 2)


@pytest.mark.django_db(transaction=True)
def test_a_migration_gives_up_in_the_end_and_at_once_for_any_other_error() -> None:
    broken = OperationalError("broken")
    for raised, count in ((no_lock(), migrate.TRIES), (broken, 1)):
        with mock.patch.object(migrate.time, "sleep"), pytest.raises(OperationalError):
            with mock.patch.object(Plain, "handle", side_effect=[raised] * migrate.TRIES) as tried:
                call_command("migrate", verbosity=0)
        assert tried.call_count == count


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("atomic", "limit"), [(True, "2s"), (False, "10s")])
def test_a_migration_holds_up_others_for_a_moment_only(atomic: bool, limit: str) -> None:
    command = migrate.Command()
    command.database, command.verbosity = connection, 0
    before = lock_timeout()
    command.migration_progress_callback("apply_start", mock.Mock(atomic=atomic))
    assert lock_timeout() == limit
    command.migration_progress_callback("apply_success", mock.Mock(atomic=atomic))
    assert lock_timeout() == before


def lock_timeout() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        return cursor.fetchone()[0]
