"""Histories of released versions must replay on the code as it is now, from the first task to the last.

If one of these fails, orders that are under way would stop at the deploy: their workers could no longer follow what
was recorded. Put the change behind `workflow.patched` (docs in ARCHITECTURE.md, "To change a workflow"); never record
the history again to make the test pass.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory

from temporal_app import replay
from temporal_app.workflows.order import OrderWorkflow
from tests.replay.changed_code import changed_order_workflow

HISTORIES = replay.stored_files()
FIRST_VERSION = replay.STORED / "0.1.0"
#: the ways of version 0.1.0 that every later version must still replay
BRANCHES = {"completed", "declined", "out_of_stock", "cancelled", "carrier_rejected", "feed_completed", "feed_failed"}

#: and the ways that came with version 2 of order processing
REVIEWED = {"approved", "rejected", "held_and_released", "cancelled_in_review"}


def named(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


#: and the ways to wait that came with timers, steps outside of the workflow task, and runs that continue as new
WAITING = {
    "held_looked_by_itself",
    "held_and_woken_by_any_signal",
    "step_failed_outside",
    "undo_failed_outside",
    "refund_looked_by_itself",
    "gateway_payment_settled",
    "process_looked_by_itself",
    "feed_looked_by_itself",
    "batch_looked_by_itself",
    "playbook_looked_by_itself",
    "order_continued_1",
    "order_continued_2",
    "order_continued_3",
}


def told(diverged: list[replay.Divergence]) -> str:
    return "\n".join(map(str, diverged))


def test_every_way_of_the_first_version_is_recorded() -> None:
    assert {path.stem for path in HISTORIES if path.parent.name == "0.1.0"} == BRANCHES


def test_every_way_through_a_review_is_recorded() -> None:
    assert {path.stem for path in HISTORIES if path.parent.name == "0.3.0"} == REVIEWED


def test_every_way_to_wait_is_recorded() -> None:
    assert {path.stem for path in HISTORIES if path.parent.name == "0.5.0"} == WAITING


def test_an_undo_that_was_proved_late_is_recorded() -> None:
    """Of a step that another run had claimed."""
    assert {path.stem for path in HISTORIES if path.parent.name == "0.6.0"} == {"undo_of_every_step"}


async def test_every_recorded_history_replays() -> None:
    diverged = await replay.replay(replay.stored(HISTORIES))
    assert not diverged, told(diverged)


async def beginnings(recorded: dict[str, Any]) -> AsyncIterator[WorkflowHistory]:
    """The history as it was whenever the next decision was due, with all that was decided before."""
    events = recorded["events"]
    for end, event in enumerate(events, start=1):
        if event["eventType"] in {"EVENT_TYPE_WORKFLOW_TASK_STARTED", "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED"}:
            yield WorkflowHistory.from_json(recorded["workflowId"], {**recorded, "events": events[:end]})


@pytest.mark.parametrize("path", HISTORIES, ids=named)
async def test_a_workflow_that_stands_at_any_of_its_tasks_goes_on(path: Path) -> None:
    replayed: list[None] = []
    recorded = json.loads(path.read_text())
    diverged = await replay.replay(beginnings(recorded), on_replayed=lambda: replayed.append(None))
    assert not diverged, told(diverged)
    assert len(replayed) >= 2


CHANGES = {
    "two steps swapped": (
        "            await self.unless_held(self.charge)\n            await self.unless_held(self.ship)\n",
        "            await self.unless_held(self.ship)\n            await self.unless_held(self.charge)\n",
        "charge_payment",
        "(ship)",
        replay.ADVICE,
    ),
    "a step left out": (
        "            await self.unless_held(self.ship)\n",
        "",
        "No command scheduled",
        "(complete)",
        replay.ADVICE,
    ),
    "a wait put in": (
        "        self.show(OrderStatus.COMPLETED)\n",
        "        self.show(OrderStatus.COMPLETED)\n        await workflow.sleep(1)\n",
        "Timer",
        "(complete)",
        replay.ADVICE,
    ),
    "a bug": (
        "    async def ship(self) -> None:\n",
        "    async def ship(self) -> None:\n        raise KeyError('no such thing')\n",
        "no such thing",
        "(ship)",
        replay.A_BUG,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_without_a_patch_is_found_with_its_line_and_what_to_do(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after, reason, function, advice = CHANGES[change]
    workflow = changed_order_workflow(before, after, tmp_path, monkeypatch)
    [found] = await replay.replay(replay.stored([FIRST_VERSION / "completed.json"]), workflows=[workflow])
    assert (found.workflow_type, found.order) == ("OrderWorkflow", "SO-100232")
    assert found.workflow_id.startswith("order:")
    assert reason in found.reason
    assert found.where[0].split(" < ")[0].split("/")[-1].startswith(f"{workflow.__module__}.py:")
    assert function in found.where[0].split(" < ")[0]
    assert found.advice == advice


async def test_a_workflow_that_is_under_way_is_stopped_by_a_change_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after, *_ = CHANGES["two steps swapped"]
    workflow = changed_order_workflow(before, after, tmp_path, monkeypatch)
    recorded = json.loads((FIRST_VERSION / "completed.json").read_text())
    begun = [history async for history in beginnings(recorded)]
    diverged = await replay.replay(beginnings(recorded), workflows=[workflow])
    assert len(diverged) == len(begun) - 2, "all but the two in which nothing was decided yet"


async def test_a_workflow_type_that_left_the_code_is_named() -> None:
    [found] = await replay.replay(replay.stored([FIRST_VERSION / "feed_completed.json"]), workflows=[OrderWorkflow])
    assert (found.workflow_type, found.advice) == ("FeedImportWorkflow", replay.NOT_IN_CODE)


@pytest.mark.parametrize("path", HISTORIES, ids=named)
def test_a_recorded_history_goes_to_the_end_and_names_no_machine(path: Path) -> None:
    text = path.read_text()
    last = json.loads(text)["events"][-1]["eventType"]
    assert last.removeprefix("EVENT_TYPE_WORKFLOW_EXECUTION_") in {"COMPLETED", "CANCELED", "CONTINUED_AS_NEW"}
    assert '"stackTrace"' not in text
    assert '"identity"' not in text
