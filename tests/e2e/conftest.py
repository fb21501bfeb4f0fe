"""Engines for tests: one set of servers for the folder, since starting them costs more than most tests."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import Error as DatabaseError
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from orders.models import Finding, Order, OutboxMessage, Step
from tests.e2e import engine
from tests.e2e.gate import Gate


@receiver(connection_created)
def let_others_give_in(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Where emptying all tables meets a worker's transaction, PostgreSQL ends the one that looks for it first."""
    with connection.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '60s'")


class Shared:
    """The folder's engine, started by the first test that asks for it."""

    def __init__(self) -> None:
        self.engine: engine.Engine | None = None


@pytest.fixture(scope="package")
def of_the_folder() -> Shared:
    return Shared()


@pytest.fixture(scope="package")
def shared_servers(of_the_folder: Shared, django_db_setup: None, django_db_blocker: Any) -> Iterator[engine.Engine]:
    with django_db_blocker.unblock(), engine.running() as running:
        of_the_folder.engine = running
        yield running
        of_the_folder.engine = None


@pytest.fixture
def running_engine(shared_servers: engine.Engine, transactional_db: None) -> Iterator[engine.Engine]:
    """Temporal, the simulator and a worker on the test database; Temporal remembers what other tests did."""
    with shared_servers.for_a_test() as running:
        yield running


@pytest.fixture(scope="module")
def gated_servers(django_db_setup: None, django_db_blocker: Any) -> Iterator[engine.Engine]:
    """Servers of the module, with a gate between the processes and PostgreSQL."""
    with django_db_blocker.unblock():
        gate = Gate((connection.settings_dict["HOST"], int(connection.settings_dict["PORT"])))
        with engine.running(gate=gate) as running:
            yield running
        gate.shut()


@pytest.fixture
def gated_engine(gated_servers: engine.Engine, transactional_db: None) -> Iterator[engine.Engine]:
    with gated_servers.for_a_test() as running:
        yield running


@pytest.fixture
def new_engine(transactional_db: None) -> Iterator[engine.Engine]:
    """The same, new: for tests that change Temporal itself, or look at all that it knows."""
    with engine.running() as running:
        yield running


@pytest.fixture(autouse=True)
def no_worker_of_others(request: pytest.FixtureRequest, of_the_folder: Shared) -> None:
    """The shared worker would do the work of a test that plays the worker itself, or has one of its own."""
    if of_the_folder.engine is not None and "running_engine" not in request.fixturenames:
        of_the_folder.engine.let_the_worker_go()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These wait for servers, several times each: only a test that hangs meets its limit."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(4 * engine.PATIENCE), append=False)


#: characters of a worker's log that a failure shows
LOG_TAIL = 20_000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure says where the orders stood and how the worker's log ends; both are gone with the test's servers."""
    report = yield
    engines = [one for one in getattr(item, "funcargs", {}).values() if isinstance(one, engine.Engine)]
    if report.failed and call.when == "call" and engines:
        report.sections.append(("open rows", where_it_stood()))
        report.sections.append(("processes at Temporal", engines[0].processes()))
        report.sections.append(("end of the worker's log", engines[0].log()[-LOG_TAIL:]))
    return report


def where_it_stood() -> str:
    try:
        return "\n".join(
            str(row)
            for query in (
                Order.objects.filter(closed_at=None).values("number", "status", "status_since"),
                Step.objects.filter(order__closed_at=None).values("order__number", "name", "status", "last_error"),
                OutboxMessage.objects.filter(delivered_at=None).values(),
                Finding.objects.filter(resolved_at=None).values(),
            )
            for row in query
        )
    except DatabaseError as error:
        return f"the database does not answer: {error}"
