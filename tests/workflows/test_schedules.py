"""Our schedules on a real server: commands reach them once, what is seen is written down, others stay as they are."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleSpec,
)
from temporalio.testing import WorkflowEnvironment

from orders.services import scheduling
from orders.vocabulary import CommandKind
from temporal_app import schedules, starter
from temporal_app.workflow_ids import DAY_END_CLOSE, HISTORY_SEAL, SCHEDULE_PREFIX
from tests.workflows.test_sweep import eventually

NAMES = set(schedules.SCHEDULES)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What would be written into the rows."""
    rows: dict[str, dict[str, Any]] = {}

    def note(name: str, **fields: Any) -> None:
        rows[name] = fields

    def seen_lately(within: timedelta, *, names: set[str]) -> bool:
        return False

    monkeypatch.setattr(scheduling, "note", note)
    monkeypatch.setattr(scheduling, "seen_lately", seen_lately)
    monkeypatch.setattr(scheduling, "forget_old", lambda: None)
    return rows


def command(kind: CommandKind, schedule: str = DAY_END_CLOSE, **more: str) -> dict[str, Any]:
    note = "Paused by lea: Stock-taking"
    return {"schedule": schedule, "kind": kind, "command_id": str(uuid.uuid4()), "note": note, **more}


async def described(client: Client, name: str) -> ScheduleDescription:
    return await client.get_schedule_handle(name).describe()


def test_every_schedule_of_the_code_has_our_prefix_and_a_summary() -> None:
    for name, schedule in schedules.SCHEDULES.items():
        assert name.startswith(SCHEDULE_PREFIX)
        assert isinstance(schedule.action, ScheduleActionStartWorkflow)
        assert schedule.action.id == name
        assert schedule.action.static_summary
    assert {HISTORY_SEAL, DAY_END_CLOSE} <= NAMES


async def test_a_pause_is_seen_with_who_and_why_and_a_resume_ends_it(
    dev_server: WorkflowEnvironment, seen: dict[str, dict[str, Any]]
) -> None:
    client = dev_server.client
    await schedules.ensure_schedules(client)
    assert await starter.drive_schedule(client, command(CommandKind.SCHEDULE_RESUME))
    await look_until(client, seen, paused=False)
    assert set(seen) == NAMES
    assert seen[DAY_END_CLOSE]["summary"] == "Day-end close"
    assert (seen[DAY_END_CLOSE]["next_run_at"].hour, seen[DAY_END_CLOSE]["next_run_at"].minute) == (22, 30)

    assert await starter.drive_schedule(client, command(CommandKind.SCHEDULE_PAUSE))
    await look_until(client, seen, paused=True)
    paused = seen[DAY_END_CLOSE]
    assert (paused["paused"], paused["pause_note"], paused["next_run_at"]) == (
        True,
        "Paused by lea: Stock-taking",
        None,
    )
    assert not seen[HISTORY_SEAL]["paused"]

    assert await starter.drive_schedule(client, command(CommandKind.SCHEDULE_RESUME))
    await look_until(client, seen, paused=False)


async def look_until(client: Client, seen: dict[str, dict[str, Any]], *, paused: bool) -> None:
    """Temporal shows a command a moment after it took it."""

    async def is_seen() -> bool:
        await schedules.look(client)
        return seen[DAY_END_CLOSE]["paused"] is paused

    await eventually(is_seen)


async def test_run_now_that_is_delivered_twice_starts_one_run(
    dev_server: WorkflowEnvironment, seen: dict[str, dict[str, Any]]
) -> None:
    client = dev_server.client
    await schedules.ensure_schedules(client)
    before = (await described(client, DAY_END_CLOSE)).info.num_actions
    body, other = command(CommandKind.SCHEDULE_RUN), command(CommandKind.SCHEDULE_RUN)
    for delivery in (body, body):
        assert await starter.drive_schedule(client, delivery)
    # Temporal names a run by the second that it is for, and makes one of two that are for the same.
    second = int(time.time())

    async def is_over() -> bool:
        return int(time.time()) > second

    await eventually(is_over)
    assert await starter.drive_schedule(client, other)
    await _end_runs(client, before + 2)
    assert (await described(client, DAY_END_CLOSE)).info.num_actions == before + 2
    await schedules.look(client)
    assert seen[DAY_END_CLOSE]["last_workflow_id"].startswith(DAY_END_CLOSE)
    assert seen[DAY_END_CLOSE]["last_result"] in {"terminated", "running"}


async def _end_runs(client: Client, count: int) -> None:
    """End each run as it begins, since no worker polls here; until there were `count`."""
    info = None
    try:
        async with asyncio.timeout(60):
            while (info := (await described(client, DAY_END_CLOSE)).info).num_actions < count or info.running_actions:
                for running in info.running_actions:
                    await client.get_workflow_handle(running.workflow_id).terminate()  # type: ignore[union-attr]
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"{count} runs did not come: {info}")


async def test_a_backfill_makes_the_runs_that_were_due(dev_server: WorkflowEnvironment) -> None:
    client = dev_server.client
    await schedules.ensure_schedules(client)
    before = (await described(client, DAY_END_CLOSE)).info.num_actions
    since, until = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC)
    body = command(CommandKind.SCHEDULE_BACKFILL, since=since.isoformat(), until=until.isoformat())
    assert await starter.drive_schedule(client, body)
    await _end_runs(client, before + 3)
    days = {
        action.action.workflow_id[-20:-10]  # type: ignore[union-attr]
        for action in (await described(client, DAY_END_CLOSE)).info.recent_actions
    }
    assert {"2026-01-01", "2026-01-02", "2026-01-03"} <= days


async def test_a_schedule_that_is_not_ours_is_never_touched(
    dev_server: WorkflowEnvironment, seen: dict[str, dict[str, Any]]
) -> None:
    client, name = dev_server.client, f"theirs-{uuid.uuid4()}"
    stranger = Schedule(
        action=ScheduleActionStartWorkflow("Theirs", id="theirs", task_queue="theirs"),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=9))]),
    )
    await client.create_schedule(name, stranger)
    before = await described(client, name)
    for kind in (CommandKind.SCHEDULE_PAUSE, CommandKind.SCHEDULE_RUN):
        assert await starter.drive_schedule(client, command(kind, name)) is False
    await schedules.ensure_schedules(client)
    await schedules.look(client)
    after = await described(client, name)
    assert (after.schedule.state, after.info.num_actions, after.info.last_updated_at) == (
        before.schedule.state,
        0,
        before.info.last_updated_at,
    )
    assert name not in seen


async def test_a_schedule_that_temporal_does_not_have_is_an_answer(dev_server: WorkflowEnvironment) -> None:
    assert (
        await starter.drive_schedule(dev_server.client, command(CommandKind.SCHEDULE_PAUSE, "backoffice:never-made"))
        is False
    )


async def test_a_command_is_looked_after_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bool] = []
    looked, stop, driven = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def nothing(care: schedules.ScheduleCare) -> None:
        return None

    async def look(client: Client, *, at_once: bool, care: schedules.ScheduleCare) -> None:
        looks.append(at_once)
        looked.set()

    monkeypatch.setattr(schedules.ScheduleCare, "ensure", nothing)
    monkeypatch.setattr(schedules.ScheduleCare, "push_the_sweep", nothing)
    monkeypatch.setattr(schedules, "look", look)
    keeping = asyncio.create_task(schedules.keep_schedules(None, stop, driven))  # type: ignore[arg-type]
    await asyncio.wait_for(looked.wait(), 10)
    looked.clear()
    driven.set()
    await asyncio.wait_for(looked.wait(), 10)
    stop.set()
    await asyncio.wait_for(keeping, 10)
    assert looks == [False, True]
