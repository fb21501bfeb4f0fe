"""A worker that is made worse is worse in that one way, and only in a chaos run."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest

from backoffice.chaos import worker
from backoffice.devstack.paths import ROOT
from temporal_app import worker as product


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    yield
    mock.patch.stopall()


def test_it_is_refused_outside_of_a_chaos_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKOFFICE_ENV", "dev")
    with pytest.raises(SystemExit, match="in a chaos run only"):
        worker.main()


def test_its_clock_is_as_far_off_as_it_was_told() -> None:
    # In a process of its own: there is no way back.
    script = "from backoffice.chaos import worker; import time; worker.shift_clock(-3600); print(time.time())"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    behind = datetime.now(UTC).timestamp() - float(done.stdout)
    assert 3590 < behind < 3700


def test_it_takes_few_workflow_tasks_whatever_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr("temporalio.worker.Worker", lambda *arguments, **options: given.update(options))
    worker.make_small(6)
    product.Worker(max_concurrent_workflow_tasks=100)  # type: ignore[attr-defined]
    assert given == {"max_concurrent_workflow_tasks": 6}
    given.clear()
    product.Worker(tuner="its own")  # type: ignore[attr-defined]
    assert given == {"tuner": "its own"}
