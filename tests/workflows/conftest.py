"""Two Temporals for tests of what workflows decide; neither needs a database or partners.

`skipping` jumps over timers, so hours of retries pass in moments. `dev_server` is the real server in memory, for tests
that cancel: the time-skipping server refuses a task for good when a cancellation meets an activity that is just being
dispatched (FAILED_PRECONDITION), which no real server does.
"""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from temporal_app.client import data_converter
from temporal_app.search_attributes import REQUIRED, register

PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="session")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(PROGRAMS / "temporal-test-server"), data_converter=data_converter()
    )
    async with environment:
        await register(environment.client, [key.name for key in REQUIRED])
        yield environment


@pytest.fixture(scope="session")
async def dev_server() -> AsyncIterator[WorkflowEnvironment]:
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(PROGRAMS / "temporal"),
        dev_server_log_level="error",
        data_converter=data_converter(),
        search_attributes=REQUIRED,
    )
    async with environment:
        yield environment
