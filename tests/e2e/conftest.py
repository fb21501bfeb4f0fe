"""Engines for tests: one set of servers for the folder, since starting them costs more than most tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import engine


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
    shared_servers.make_ready()
    yield shared_servers
    shared_servers.tidy_up()


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
