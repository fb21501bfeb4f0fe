"""What tests of the domain share: the stand-in partners as a real process, and a hand that passes every trigger."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.client import ClientHandler
from pytest_django.fixtures import Settings

from backoffice.database_roles import Role
from orders import failpoints
from orders.partners import payments as gateway
from orders.vocabulary import StepName
from tests import rights
from tests.simulator.process import SimulatorProcess, start_simulator
from tests.simulator.talk import Http

#: step, point, what is done there; answers the attempts that were struck
Strike = Callable[[StepName, str, Callable[[], None]], list[int]]


@pytest.fixture(scope="session", autouse=True)
def requests_have_the_rights_of_the_web() -> None:
    """And not those of the owner, whom tests are."""
    plain = ClientHandler.__call__

    def with_rights(self: ClientHandler, environ: Any) -> Any:
        with rights.of(Role.WEB):
            return plain(self, environ)

    ClientHandler.__call__ = with_rights  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """The partners in a process of their own, one for the session."""
    running = start_simulator(tmp_path_factory.mktemp("partners") / "store.sqlite3", extra=("--allow-reset",))
    yield running
    running.stop()


@pytest.fixture
def partners(simulator: SimulatorProcess, settings: Settings) -> Iterator[Http]:
    """The product talks to the simulator, whose books are empty and whose faults are off; answers are its switches."""
    settings.SIMULATOR_URL = settings.PAYMENTS_URL = settings.CARRIER_URL = settings.FRAUD_URL = simulator.url
    settings.PAYMENT_RETURN_URL = f"{simulator.url}/paid"
    settings.RATES_URL = settings.ADDRESSES_URL = simulator.url
    settings.STRIPE_API_KEY = "sk_test_simulator"
    # What a step does with each failure is another question than when the breaker stops its calls.
    settings.BREAKER_FAILURES = 1_000
    # The client keeps the address and the timeout that it was made with.
    gateway.client.cache_clear()
    with Http(simulator.url) as switches:
        assert switches.request("DELETE", "/store")[0] == 200
        yield switches
    gateway.client.cache_clear()


@pytest.fixture
def tamper(db: None) -> Callable[..., None]:
    """Run SQL as a superuser who puts our triggers to sleep first; CHECK constraints stay awake."""

    def run(sql: str, *parameters: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(sql, parameters)
            cursor.execute("SET LOCAL session_replication_role = DEFAULT")

    return run


@pytest.fixture
def strike(monkeypatch: pytest.MonkeyPatch) -> Strike:
    """Do something the first time that a step comes to a point; answers the attempts that were struck."""

    def set_up(step: StepName, point: str, act: Callable[[], None]) -> list[int]:
        struck: list[int] = []

        def reach(key: str, token: int, reached: str) -> None:
            if not struck and key.endswith(f":{step}") and reached == point:
                struck.append(token)
                act()

        monkeypatch.setattr(failpoints, "reach", reach)
        return struck

    return set_up
