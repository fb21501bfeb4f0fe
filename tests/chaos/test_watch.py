"""What is broken is watched from its first trouble on, and only while somebody could mend it."""

from typing import Any, cast

import psycopg
import pytest

from backoffice.chaos import switches
from backoffice.chaos.arena import Arena
from backoffice.chaos.runs import OpenRun, of_row
from backoffice.chaos.watch import MANY, ONE, Item, Silence, Watch
from orders.vocabulary import RunKind
from temporal_app.workflow_ids import HISTORY_SEAL, SWEEP


class Member:
    def __init__(self) -> None:
        self.alive = True
        self.service = self

    def ready(self) -> bool:
        return True


class FakeArena:
    """Two workers that may be down, and no servers."""

    def __init__(self) -> None:
        self.members = {"worker-1": Member(), "worker-2": Member()}
        self.doors = self
        self.temporal_http = "http://temporal"


@pytest.fixture
def arena() -> FakeArena:
    return FakeArena()


def watching(arena: FakeArena, *items: Item) -> Watch:
    watch = Watch(arena=cast(Arena, arena))
    for item in items:
        watch.add(item)
    return watch


def item(**fields: Any) -> Item:
    return Item(**{"what": "refund", "name": "refund:1", "patience": 60.0, "attended": lambda: "", **fields})


def test_seconds_count_until_it_is_looked_after(arena: FakeArena) -> None:
    said = ["", "", "finding"]
    one = item(attended=lambda: said.pop(0))
    watch = watching(arena, one)
    for _ in range(4):
        watch._round(1.0)
    assert (one.how, one.waited, watch.done) == ("finding", 3.0, True)


def test_what_nobody_looks_after_is_over_when_the_patience_is(arena: FakeArena) -> None:
    one = item(patience=2.0)
    watch = watching(arena, one)
    watch._round(1.5)
    assert not watch.done
    watch._round(1.5)
    assert watch.done
    assert (watch.troubles()[0].how, watch.troubles()[0].waited) == ("", 3.0)


def test_it_begins_with_its_trouble(arena: FakeArena) -> None:
    begun = [False, True, True]
    one = item(begun=lambda: begun.pop(0))
    watch = watching(arena, one)
    watch._round(1.0)
    assert (one.waited, watch.done, watch.troubles()) == (0.0, True, [])
    watch._round(1.0)
    assert (one.waited, watch.done) == (1.0, False)


@pytest.mark.parametrize("error", [Silence(), psycopg.OperationalError("away")])
def test_no_second_counts_while_nobody_can_be_asked(arena: FakeArena, error: Exception) -> None:
    def refuse() -> str:
        raise error

    one = item(attended=refuse)
    watching(arena, one)._round(1.0)
    assert one.waited == 0.0


def test_no_second_counts_while_no_worker_is_up(arena: FakeArena) -> None:
    one = item()
    watch = watching(arena, one)
    arena.members["worker-1"].alive = False
    watch._round(1.0)
    arena.members["worker-2"].alive = False
    watch._round(1.0)
    assert one.waited == 1.0


class Told(Watch):
    """A database that says what it is told to say."""

    told_now: frozenset[str] = frozenset()
    row: tuple[Any, ...] | None = (False,)

    def told(self, run: OpenRun) -> frozenset[str]:
        return self.told_now

    def _row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        return self.row


REFUND = of_row(RunKind.REFUND, "1")


@pytest.fixture
def told(arena: FakeArena, monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr(switches, "call", lambda url, *more: {})
    return Told(arena=cast(Arena, arena))


def test_what_was_told_before_is_no_answer(told: Told) -> None:
    told.told_now = frozenset({"finding 1"})
    assert told.run(REFUND)
    told._round(1.0)
    assert told.items[0].how == ""
    told.told_now |= {"task 2"}
    told._round(1.0)
    assert told.items[0].how == "task"


def test_a_row_that_is_over_needs_nobody(told: Told) -> None:
    told.run(REFUND)
    told.row = (True,)
    told._round(1.0)
    assert told.items[0].how == "over"


def test_a_run_that_began_after_is_a_repair(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told.run(REFUND)
    asked: list[str] = []
    monkeypatch.setattr(switches, "call", lambda url, *more: asked.append(url) or {"executions": [{}]})
    told._round(1.0)
    assert told.items[0].how == "again"
    assert "WorkflowId+%3D+%27refund%3A1%27" in asked[0]
    assert "StartTime" in asked[0]


def test_a_run_that_was_not_ended_is_not_watched(told: Told) -> None:
    assert not told.run(REFUND, strike=lambda: False)
    assert (told.items, told.struck) == ([], [])


def test_who_looks_after_all_is_given_time_to_come_back_itself(told: Told) -> None:
    told.run(REFUND)
    told.schedule(HISTORY_SEAL)
    assert {one.patience for one in told.items} == {ONE}
    told.schedule(SWEEP)
    assert [one.patience for one in told.items] == [MANY, ONE, ONE]


def test_a_schedule_is_there_again_when_temporal_lists_it(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told.schedule(HISTORY_SEAL)
    told._round(1.0)
    assert told.items[0].how == ""
    monkeypatch.setattr(switches, "call", lambda url, *more: {"schedules": [{"scheduleId": HISTORY_SEAL}]})
    told._round(1.0)
    assert told.items[0].how == "made again"


def test_a_temporal_that_does_not_answer_is_no_answer(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told.schedule(HISTORY_SEAL)
    monkeypatch.setattr(switches, "call", lambda url, *more: None)
    told._round(1.0)
    assert (told.items[0].how, told.items[0].waited) == ("", 0.0)
