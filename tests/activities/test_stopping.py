"""The order in which a worker process ends, and its end when no Python code runs any more; no servers needed."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from temporal_app import worker
from temporal_app.stopping import Stop
from temporal_app.task_queues import TaskQueue

#: native code that sleeps and keeps the interpreter's lock
HOLD_THE_LOCK = """
import ctypes, datetime, sys
from unittest.mock import Mock
from temporal_app import stopping
stopping.GRACE, stopping.LAST = datetime.timedelta(seconds=0.1), datetime.timedelta(seconds=0.5)
def wait_for_a_lock():
    ctypes.PyDLL(None).sleep(60)
stopping.Stop(Mock(), Mock()).begin(0)
wait_for_a_lock()
"""


def test_a_process_whose_interpreter_is_held_by_native_code_leaves_and_says_where_it_stood() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOLD_THE_LOCK], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "in wait_for_a_lock" in done.stderr


class Workers:
    """Workers of the SDK that end when they are told to, and note what was under way by then."""

    def __init__(self, relay: "SlowRelay") -> None:
        self.relay = relay
        self.over = asyncio.Event()
        self.relay_had_ended: bool | None = None

    async def run(self) -> None:
        await self.over.wait()

    async def shutdown(self) -> None:
        self.relay_had_ended = self.relay.ended
        self.over.set()


class SlowRelay:
    """One that has a message on its way when the stop is asked for."""

    def __init__(self, stop: asyncio.Event, seconds: float) -> None:
        self.stop, self.seconds, self.ended = stop, seconds, False

    async def run(self) -> None:
        self.stop.set()
        await asyncio.sleep(self.seconds)
        self.ended = True


async def stopped(monkeypatch: pytest.MonkeyPatch, *, delivery: float, patience: float) -> bool | None:
    """Whether the relay had ended when the workers were told to shut down."""
    stops: list[Stop] = []

    async def nothing(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(namespace="default")

    async def until_the_stop(*_: Any, **__: Any) -> None:
        await stops[0].asked.wait()

    def stop(*arguments: Any) -> Stop:
        stops.append(Stop(*arguments))
        monkeypatch.setattr(stops[0], "begin", lambda code: stops[0].asked.set())
        return stops[0]

    relay = SlowRelay(asyncio.Event(), delivery)
    workers = Workers(relay)
    monkeypatch.setattr("temporal_app.stopping.HAND_OVER", SimpleNamespace(total_seconds=lambda: patience))
    monkeypatch.setattr(worker, "Stop", stop)
    monkeypatch.setattr(worker, "Relay", lambda client, asked, *_: setattr(relay, "stop", asked) or relay)
    monkeypatch.setattr(worker, "build_worker", lambda *_, **__: workers)
    for name in ("connect_when_reachable", "ensure_registered"):
        monkeypatch.setattr(worker, name, nothing)
    for name in ("beat", "_keep_schedules"):
        monkeypatch.setattr(worker, name, until_the_stop)
    monkeypatch.setattr("temporal_app.readiness.Readiness.watch", until_the_stop)
    monkeypatch.setattr("temporal_app.refusals.Refusals.write_down", until_the_stop)
    await worker.run([TaskQueue.ORDERS], with_relay=True)
    return workers.relay_had_ended


def test_the_workers_are_shut_down_when_the_relay_has_nothing_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(stopped(monkeypatch, delivery=0.05, patience=10)) is True


def test_a_relay_that_temporal_keeps_waiting_does_not_keep_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(stopped(monkeypatch, delivery=0.3, patience=0.01)) is False
