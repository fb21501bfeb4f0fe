"""The supervisor keeps its processes up, in order, and leaves none behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from backoffice.devstack import state
from backoffice.devstack.paths import ROOT, Home
from backoffice.devstack.processes import Identity
from tests.devstack.conftest import wait_until

pytestmark = pytest.mark.devstack

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(home: Home) -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.devstack.stand_in", str(home.path), *options],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)


def children(home: Home) -> dict[str, Identity]:
    found = {name: Identity.load(entry) for name, entry in state.read(home).get("processes", {}).items()}
    return {name: identity for name, identity in found.items() if identity is not None}


def events(home: Home) -> list[str]:
    return (home.path / "events.txt").read_text().splitlines()


def ready(home: Home) -> bool:
    return bool(state.read(home).get("ready")) and all(child.alive() for child in children(home).values())


def test_children_start_in_order_and_stop_in_reverse(home: Home, start: Start) -> None:
    supervisor = start()
    wait_until(lambda: ready(home), "ready")

    supervisor.send_signal(signal.SIGTERM)

    assert supervisor.wait(20) == 0
    started = ["postgres started", "worker started", "web started"]
    assert events(home) == [*started, "web stopped", "worker stopped", "postgres stopped"]
    assert not state.status(home)["ready"]


def test_a_killed_child_comes_back_and_ready_says_so_meanwhile(home: Home, start: Start) -> None:
    start()
    wait_until(lambda: ready(home), "ready")
    before = children(home)["worker"]

    os.kill(before.pid, signal.SIGKILL)

    wait_until(lambda: not before.alive(), "the worker is dead")
    wait_until(lambda: ready(home) and children(home)["worker"].pid != before.pid, "another worker")
    assert events(home).count("worker started") == 2
    assert events(home).count("web started") == 1


def test_status_does_not_call_a_dead_child_running(home: Home, start: Start) -> None:
    supervisor = start()
    wait_until(lambda: ready(home), "ready")
    worker = children(home)["worker"]
    # A stopped supervisor cannot notice; the truth must not depend on it.
    supervisor.send_signal(signal.SIGSTOP)
    try:
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: not worker.alive(), "the worker is dead")

        now = state.status(home)

        assert now["ready"] is False
        assert now["processes"]["worker"] == {"pid": None, "state": "restarting"}
    finally:
        supervisor.send_signal(signal.SIGCONT)


def test_a_child_that_keeps_dying_is_restarted_more_and_more_slowly(home: Home, start: Start) -> None:
    supervisor = start("--crasher")
    assert supervisor.stderr is not None
    delays = []
    for line in supervisor.stderr:
        if "starting again in" in line:
            assert "ended with exit code 3" in line
            delays.append(float(line.split("starting again in ")[1].split()[0]))
        if len(delays) == 4:
            break
    assert delays == [0.2, 0.4, 0.8, 1.6]
    assert not state.read(home)["ready"]


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal exists on Linux only")
def test_kill_9_of_the_supervisor_leaves_no_orphan(home: Home, start: Start) -> None:
    supervisor = start()
    wait_until(lambda: ready(home), "ready")
    before = children(home)
    assert len(before) == 3

    supervisor.kill()
    supervisor.wait()

    wait_until(lambda: not any(child.alive() for child in before.values()), "all children are gone")
    assert not state.supervisor_runs(home)


def test_the_next_up_stops_a_leftover_but_no_stranger(home: Home, start: Start) -> None:
    # Their parent is this test, so no parent-death signal helps: only the recorded identity does.
    leftover, stranger = (subprocess.Popen(["sleep", "600"]) for _ in range(2))
    try:
        known = Identity.of(leftover.pid)
        assert known is not None
        reused = {"pid": stranger.pid, "started": known.started - 3600}
        state.private_json.write(home.state, {"processes": {"web": known.dump(), "worker": reused}})

        start()

        assert leftover.wait(10) == -signal.SIGTERM
        wait_until(lambda: ready(home), "ready")
        assert stranger.poll() is None
    finally:
        for process in (leftover, stranger):
            process.kill()
            process.wait()


def test_a_second_supervisor_refuses_while_the_first_lives(home: Home, start: Start) -> None:
    start()
    wait_until(lambda: ready(home), "ready")

    assert start().wait(20) == 9
    assert ready(home)


def test_a_required_step_that_fails_ends_up_and_shows_why(home: Home, start: Start) -> None:
    supervisor = start("--broken-step")
    _, errors = supervisor.communicate(timeout=20)

    assert supervisor.returncode == 1
    assert "| the reason" in errors
    assert not any(child.alive() for child in children(home).values())


def test_an_optional_step_that_fails_is_reported_and_passed_over(home: Home, start: Start) -> None:
    supervisor = start("--optional-step")
    wait_until(lambda: ready(home), "ready")

    supervisor.terminate()
    _, errors = supervisor.communicate(timeout=20)

    assert "going on without it" in errors
