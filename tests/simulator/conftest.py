"""One simulator for the whole folder; each test works on orders of its own and leaves no fault switched on."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.simulator.double import Double
from tests.simulator.process import SimulatorProcess, start_simulator
from tests.simulator.talk import Http, stripe_client


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """A running simulator on an empty store."""
    running = start_simulator(tmp_path_factory.mktemp("simulator") / "store.sqlite3")
    yield running
    running.stop()


@pytest.fixture
def own_store(tmp_path: Path) -> Path:
    """A store path for tests that start, kill and restart a simulator themselves."""
    return tmp_path / "store.sqlite3"


@pytest.fixture
def launch() -> Iterator[Callable[..., SimulatorProcess]]:
    """`start_simulator`, except that nothing it started outlives the test, also when the test fails."""
    started: list[SimulatorProcess] = []

    def start(*arguments: Any, **options: Any) -> SimulatorProcess:
        started.append(start_simulator(*arguments, **options))
        return started[-1]

    yield start
    for running in started:
        running.kill()


@pytest.fixture
def http(simulator: SimulatorProcess) -> Iterator[Http]:
    """Plain HTTP to the shared simulator; switches every fault off afterwards."""
    with Http(simulator.url) as talk:
        yield talk
        talk.request("DELETE", "/faults")


@pytest.fixture
def client(simulator: SimulatorProcess) -> stripe.StripeClient:
    """The official client, pointed at the shared simulator."""
    return stripe_client(simulator.url)


@pytest.fixture
def order() -> str:
    """An order id that no other test uses."""
    return f"order-{uuid.uuid4()}"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Double]:
    """A gateway in this process, on an empty store, with a clock to turn."""
    gateway = Double.on(tmp_path / "double.sqlite3")
    yield gateway
    gateway.sim.store.close(patience_seconds=1)
