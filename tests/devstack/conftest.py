"""Homes and a deadline for the launcher's tests.

They start real servers, so every home made here is stopped and removed again, also the part that root keeps outside
the home; a forgotten server would hold its port until the machine restarts.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backoffice.devstack import postgres
from backoffice.devstack.paths import ROOT, Home

OURS = ("SIMULATOR_URL", "WORKER_READY_FILE")


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The test run has a database and a home of its own in the environment; these tests must not use them."""
    for name in list(os.environ):
        if name in OURS or name.startswith(("DATABASE_", "TEMPORAL_", "BACKOFFICE_", "DJANGO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return dict(os.environ)


@pytest.fixture
def home(tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[Home]:
    made = Home(path=tmp_path / "home").create()
    yield made
    discard(made)


def discard(made: Home) -> None:
    if (made.path / "postgres").exists() or made.outside.exists():
        postgres.stop(made)
    shutil.rmtree(made.outside, ignore_errors=True)


def wait_until(condition: Callable[[], object], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
