"""Acts that wait for their moment find it, and do not wait for ever."""

import signal
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backoffice.chaos import faults, strikes
from backoffice.chaos.acts import CLOCK, Act
from backoffice.chaos.faults import Tormentor
from backoffice.chaos.runs import OpenRun
from backoffice.devstack.services import Service
from orders.vocabulary import RunKind

KILL = Act(at=0, kind="kill worker in a step", target="worker-1")


class Struck(Tormentor):
    def _strike(self, act: Act) -> None:
        self.say(f"struck {act.target}")


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the workers that are inside a step."""
    busy: set[str] = set()
    monkeypatch.setattr(faults, "inside_a_step", lambda arena, name: name in busy)
    monkeypatch.setattr(faults, "AIM_PAUSE", 0.0)
    return busy


def tormentor(said: list[str], **fields: Any) -> Tormentor:
    nobody = dict.fromkeys(("arena", "watch", "readers", "restoring"), cast(Any, None))
    return Struck(say=said.append, **nobody, **fields)


def test_an_aimed_act_waits_until_a_worker_is_inside_a_step(inside: set[str]) -> None:
    said: list[str] = []
    one = tormentor(said)
    one.perform(KILL)
    one.tick()
    assert said == []
    inside.add("worker-2")
    one.tick()
    assert (said, one.hits, one.aiming) == (["struck worker-2"], 1, [])


def test_its_own_target_comes_first(inside: set[str]) -> None:
    said: list[str] = []
    inside.update({"worker-1", "worker-2"})
    one = tormentor(said)
    one.perform(KILL)
    one.tick()
    assert said == ["struck worker-1"]


def test_a_frozen_worker_is_left_to_wake_up_as_a_stale_one(inside: set[str]) -> None:
    said: list[str] = []
    inside.add("worker-1")
    one = tormentor(said, frozen={"worker-1"})
    one.perform(KILL)
    one.tick()
    assert said == []


def test_it_strikes_in_the_end_whatever_happens_and_says_that_it_proved_nothing(inside: set[str]) -> None:
    said: list[str] = []
    one = tormentor(said, aiming=[(time.monotonic() - 1, KILL)])
    one.tick()
    assert said[-1] == "struck worker-1"
    assert one.hits == 0


class Process:
    """A process that is only told things."""

    def __init__(self) -> None:
        self.service = Service(name="worker-1", command=lambda: ["worker"], ready=lambda: True, environment={"A": "1"})
        self.sent: list[signal.Signals] = []

    def send(self, number: signal.Signals) -> bool:
        self.sent.append(number)
        return True


def test_a_wrong_clock_is_set_right_again() -> None:
    worker, said = Process(), []
    right = worker.service
    nobody = dict.fromkeys(("watch", "readers", "restoring"), cast(Any, None))
    arena = cast(Any, SimpleNamespace(members={"worker-1": worker}))
    one = Tormentor(arena=arena, say=said.append, **nobody)
    one._strike(Act(at=0, kind="wrong clock", target="worker-1", seconds=9.0, shift=-600))
    assert worker.service.environment == {"A": "1", CLOCK: "-600"}
    assert worker.service.command()[-1] == "backoffice.chaos.worker"
    assert worker.sent == [signal.SIGKILL]
    assert said == ["wrong clock worker-1 -600 s for 9.0 s"]
    [(_, set_right)] = one.pending
    set_right()
    assert worker.service is right
    assert worker.sent == [signal.SIGKILL] * 2


def terminating(monkeypatch: pytest.MonkeyPatch, found: dict[RunKind, OpenRun]) -> tuple[Tormentor, list[str]]:
    """A tormentor in an engine where these runs are under way."""
    said: list[str] = []
    monkeypatch.setattr(faults, "AIM_PAUSE", 0.0)
    monkeypatch.setattr(strikes, "pick", lambda arena, kinds: next((found[one] for one in kinds if one in found), None))
    monkeypatch.setattr(strikes, "terminate", lambda arena, watch, run: True)
    nobody = dict.fromkeys(("arena", "watch", "readers", "restoring"), cast(Any, None))
    one = Tormentor(say=said.append, **nobody)
    one.perform(Act(at=0, kind="terminate run", kinds=tuple(RunKind)))
    return one, said


def test_a_run_is_waited_for_until_one_of_the_first_kinds_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[RunKind, OpenRun] = {}
    one, said = terminating(monkeypatch, found)
    first, *_, last = RunKind
    found[last] = OpenRun(kind=last, key="", workflow="last")
    one.tick()
    assert (said, len(one.aiming)) == ([], 1)
    found[first] = OpenRun(kind=first, key="1", workflow="first")
    one.tick()
    assert (said, one.aiming) == (["terminate run first"], [])


def test_in_the_end_any_run_is_ended_and_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    last = tuple(RunKind)[-1]
    for found, words in (({last: OpenRun(kind=last, key="", workflow="last")}, "terminate run last"), ({}, "no run")):
        one, said = terminating(monkeypatch, found)
        one.aiming = [(time.monotonic() - 1, one.aiming[0][1])]
        one.tick()
        assert words in said[0]
        assert one.aiming == []
