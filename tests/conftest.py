"""What all tests share: a database that protects its history, and a run that ends when it is over."""

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator

import hypothesis
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.db.backends.postgresql.operations import DatabaseOperations
from psycopg.errors import DeadlockDetected
from pytest_django import DjangoDbBlocker
from whitenoise.middleware import WhiteNoiseMiddleware

from tests import clock, migrated

if not os.environ.get("DATABASE_URL"):
    pytest.exit("The tests need PostgreSQL. Run ./dev test, which starts one.", returncode=4)
if not settings.TEMPORAL_PAYLOAD_KEYS:
    # Called without ./dev; the environment is for the processes that tests start.
    os.environ["BACKOFFICE_PAYLOAD_KEYS"] = settings.TEMPORAL_PAYLOAD_KEYS = f"test:{secrets.token_urlsafe(32)}"
if not settings.PERSONAL_DATA_KEYS:
    # Called without ./dev; the environment is for the processes that tests start.
    os.environ["BACKOFFICE_PERSONAL_DATA_KEYS"] = settings.PERSONAL_DATA_KEYS = f"test:{secrets.token_urlsafe(32)}"
if not settings.DIGEST_KEYS:
    os.environ["BACKOFFICE_DIGEST_KEYS"] = settings.DIGEST_KEYS = f"test:{secrets.token_urlsafe(32)}"

# How long an example takes to be made says more about the machine than about the test.
hypothesis.settings.register_profile("shared machine", suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("shared machine")

# As celpy does when it is first used, which hypothesis complains of when that is in one of its tests.
sys.setrecursionlimit(2500)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Each process copies one migrated database instead of migrating its own."""
    with contextlib.ExitStack() as held:
        with django_db_blocker.unblock():
            connection.settings_dict["TEST"]["TEMPLATE"] = held.enter_context(migrated.ready_made())
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The limits of the account begin with the next connection."""
    with django_db_blocker.unblock():
        connection.close()


@pytest.fixture(scope="session", autouse=True)
def history_can_be_emptied_between_tests() -> None:
    """Transactional tests end with TRUNCATE, which our triggers refuse; only here are they asleep for it."""
    plain = DatabaseOperations.sql_flush

    def with_triggers_asleep(self: DatabaseOperations, *args: object, **kwargs: object) -> list[str]:
        statements = plain(self, *args, **kwargs)  # type: ignore[arg-type]
        return ["SET session_replication_role = replica", *statements, "SET session_replication_role = DEFAULT"]

    DatabaseOperations.sql_flush = with_triggers_asleep  # type: ignore[method-assign]

    flush = DatabaseOperations.execute_sql_flush

    def beside_a_worker(self: DatabaseOperations, *args: object, **kwargs: object) -> None:
        # TRUNCATE takes table after table, and the worker of an e2e test may hold one and want another.
        for last in (False, False, True):
            try:
                flush(self, *args, **kwargs)  # type: ignore[arg-type]
            except OperationalError as error:
                if last or not isinstance(error.__cause__, DeadlockDetected):
                    raise
            else:
                return

    DatabaseOperations.execute_sql_flush = beside_a_worker  # type: ignore[method-assign]


# People of tests are made in the test that needs them; how long they must wait has tests of its own.
os.environ["FRESH_APPROVER_HOURS"] = "0"
settings.FRESH_APPROVER_HOURS = 0
# They sign in without a factor and are not asked again; what asks has tests of its own.
os.environ["SECOND_FACTOR_ROLES"], os.environ["ASK_AGAIN_AFTER_SECONDS"] = "", "0"
settings.SECOND_FACTOR_ROLES, settings.ASK_AGAIN_AFTER_SECONDS = [], 0


def pytest_configure() -> None:
    # A statement that asks for the time would be counted in some tests and not in others; and modules of tests make
    # rows that are not saved when they are imported.
    clock.follow_the_process()


@pytest.fixture(scope="session", autouse=True)
def static_files_are_listed_once() -> None:
    """Every test's client loads the middleware anew, and the list of static files took a tenth of the whole run."""
    listed: dict[str, object] = {}
    plain = WhiteNoiseMiddleware.add_files_from_finders

    def once(self: WhiteNoiseMiddleware) -> None:
        if not listed:
            plain(self)
            listed.update(self.files)
        self.files.update(listed)

    WhiteNoiseMiddleware.add_files_from_finders = once


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave with pytest's own exit code: the Temporal client may abort the interpreter's shutdown."""
    if "temporalio" in sys.modules and not hasattr(config, "workerinput"):
        from temporal_app.process_exit import hard_exit

        hard_exit(getattr(config, "exit_code_of_session", 0))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.exit_code_of_session = int(exitstatus)  # type: ignore[attr-defined]
