from collections.abc import Iterator

import pytest

from tests.e2e import engine


@pytest.fixture
def running_engine(transactional_db: None) -> Iterator[engine.Engine]:
    """Temporal, the simulator and a worker on the test database, new for each test."""
    with engine.running() as running:
        yield running
