"""Acts that wait for their moment find it, and do not wait for ever."""

import time
from typing import Any, cast

import pytest

from backoffice.chaos import faults
from backoffice.chaos.arena import Arena
from backoffice.chaos.faults import Tormentor
from backoffice.chaos.plan import Act

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
    return Struck(arena=cast(Arena, None), say=said.append, **fields)


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
