"""Schedules that somebody deletes or changes, ends a run of, or keeps from starting: mended by a worker that runs."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleBackfill,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleUpdate,
    WorkflowExecutionStatus,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from orders.services import scheduling
from temporal_app import schedule_care, schedules
from temporal_app.schedule_care import ScheduleCare
from temporal_app.schedules import SCHEDULES, look
from temporal_app.workflow_ids import DAY_END_CLOSE, SWEEP
from tests.workflows.test_sweep import eventually


class Rows:
    """What stands in the database of the schedules."""

    def __init__(self) -> None:
        self.written: dict[str, str] = {}
        self.why: list[str] = []
        self.ended: list[str] = []
        self.late = False

    def wrote(self, name: str, code: str, *, why: str = "") -> None:
        self.written[name] = code
        if why:
            self.why.append(why)

    def pushed(self, what: str, *, ended: str = "") -> None:
        self.why.append(what)
        self.ended += [ended] if ended else []


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    found = Rows()
    monkeypatch.setattr(scheduling, "wrote", found.wrote)
    monkeypatch.setattr(scheduling, "written", lambda name: found.written.get(name, ""))
    monkeypatch.setattr(scheduling, "sweep_is_late", lambda *, after: found.late)
    monkeypatch.setattr(scheduling, "sweep_was_pushed", found.pushed)
    monkeypatch.setattr(scheduling, "note", lambda name, **seen: None)
    monkeypatch.setattr(scheduling, "seen_lately", lambda within, *, names: False)
    monkeypatch.setattr(scheduling, "forget_old", lambda: None)
    return found


def every(span: timedelta) -> Schedule:
    """Nobody polls the queue of what it starts."""
    return Schedule(
        action=ScheduleActionStartWorkflow("Nobody", id=f"nobody-{uuid.uuid4()}", task_queue=f"test-{uuid.uuid4()}"),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=span)]),
    )


@pytest.fixture
async def name(dev_server: WorkflowEnvironment) -> AsyncIterator[str]:
    """Of a schedule that is deleted after the test."""
    name = f"test-{uuid.uuid4()}"
    yield name
    await dev_server.client.get_schedule_handle(name).delete()


async def described(client: Client, name: str) -> ScheduleDescription:
    return await client.get_schedule_handle(name).describe()


async def look_at(care: ScheduleCare, name: str) -> None:
    await care.compare(name, await described(care.client, name))


async def cared_for(client: Client, name: str) -> ScheduleCare:
    """Written by a worker that has looked at it once since."""
    care = ScheduleCare(client, {name: every(timedelta(days=1))})
    await care.ensure()
    await look_at(care, name)
    return care


async def change(client: Client, name: str, span: timedelta) -> None:
    """Somebody changes it at Temporal; ends when that is to be seen."""

    def other(found: Any) -> ScheduleUpdate:
        spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=span)])
        return ScheduleUpdate(replace(found.description.schedule, spec=spec))

    await client.get_schedule_handle(name).update(other)
    await eventually(lambda: has_span(client, name, span))


async def is_paused(client: Client, name: str) -> bool:
    return (await described(client, name)).schedule.state.paused


async def has_span(client: Client, name: str, span: timedelta) -> bool:
    return (await described(client, name)).schedule.spec.intervals[0].every == span


async def test_all_of_the_code_come_back_when_temporal_has_none(
    dev_server: WorkflowEnvironment, rows: Rows, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client = dev_server.client
    mine = {name: every(timedelta(days=1))}
    monkeypatch.setattr("temporal_app.schedules.SCHEDULES", mine)
    care = ScheduleCare(client, mine)
    await care.ensure()
    await client.get_schedule_handle(name).delete()

    await look(client, care=care)

    assert (await described(client, name)).schedule.spec.intervals[0].every == timedelta(days=1)
    assert rows.why == [f"Temporal did not have the schedule {name}; it was made again."]


async def test_a_command_that_comes_after_the_look_is_not_written_over(
    dev_server: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client = dev_server.client
    handle = await client.create_schedule(name, every(timedelta(days=1)))
    between(monkeypatch, client, partial(handle.pause, note="Paused by lea: Stock-taking"))

    await schedule_care.write(client, name, every(timedelta(days=3)))

    assert await is_paused(client, name)
    assert await has_span(client, name, timedelta(days=3))


async def test_a_change_that_comes_after_the_look_is_written_over(
    dev_server: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client = dev_server.client
    await client.create_schedule(name, every(timedelta(days=1)))
    between(monkeypatch, client, partial(change, client, name, timedelta(days=9)))

    await schedule_care.write(client, name, every(timedelta(days=3)))

    assert await has_span(client, name, timedelta(days=3))


def between(monkeypatch: pytest.MonkeyPatch, client: Client, command: Callable[[], Awaitable[None]]) -> None:
    """Give the command right after Temporal was first asked how the schedule stands."""
    service = client.workflow_service
    describe = service.describe_schedule

    async def answer(*given: Any, **more: Any) -> Any:
        found = await describe(*given, **more)
        monkeypatch.setattr(service, "describe_schedule", describe)
        await command()
        return found

    monkeypatch.setattr(service, "describe_schedule", answer)


async def test_every_schedule_is_written_as_temporal_shows_it(dev_server: WorkflowEnvironment, name: str) -> None:
    for schedule in SCHEDULES.values():
        await schedule_care.write(dev_server.client, name, schedule)
        found = (await described(dev_server.client, name)).schedule
        assert (found.spec, found.policy) == (schedule.spec, schedule.policy)


async def test_a_worker_goes_on_while_temporal_refuses_the_schedules(
    dev_server: WorkflowEnvironment, rows: Rows, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client, create, refused = dev_server.client, Client.create_schedule, 0

    async def refuse_three_times(self: Client, *given: Any, **more: Any) -> Any:
        nonlocal refused
        if refused < 3:
            refused += 1
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        return await create(self, *given, **more)

    monkeypatch.setattr(Client, "create_schedule", refuse_three_times)
    monkeypatch.setattr(schedules, "SCHEDULES", {name: every(timedelta(days=1))})
    monkeypatch.setattr(schedules, "TRY_AGAIN", 0.01)
    stop = asyncio.Event()
    keeping = asyncio.create_task(schedules.keep_schedules(client, stop))

    await eventually(lambda: is_there(client, name))

    assert not keeping.done(), "a task that ends would end the worker"
    assert refused == 3
    stop.set()
    await asyncio.wait_for(keeping, 30)


async def is_there(client: Client, name: str) -> bool:
    try:
        await described(client, name)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def test_one_that_somebody_changed_is_written_again(
    dev_server: WorkflowEnvironment, rows: Rows, name: str
) -> None:
    client = dev_server.client
    care = await cared_for(client, name)
    await change(client, name, timedelta(days=9))

    await look_at(care, name)

    await eventually(lambda: has_span(client, name, timedelta(days=1)))
    assert len(rows.why) == 1
    await look_at(care, name)
    await look_at(care, name)
    assert len(rows.why) == 1, "once"


async def test_one_that_nobody_changed_is_left_alone(dev_server: WorkflowEnvironment, rows: Rows, name: str) -> None:
    care = await cared_for(dev_server.client, name)
    await dev_server.client.get_schedule_handle(name).pause(note="Paused by lea: Stock-taking")
    await eventually(lambda: is_paused(dev_server.client, name))
    before = (await described(dev_server.client, name)).info.last_updated_at
    await look_at(care, name)
    found = await described(dev_server.client, name)
    assert (found.schedule.state.paused, found.info.last_updated_at, rows.why) == (True, before, [])


async def test_one_that_another_version_of_the_code_wrote_is_left_as_it_is(
    dev_server: WorkflowEnvironment, rows: Rows, name: str
) -> None:
    client = dev_server.client
    care = await cared_for(client, name)
    newer = ScheduleCare(client, {name: replace(care.schedules[name], spec=every(timedelta(days=3)).spec)})
    await newer.ensure()
    await eventually(lambda: has_span(client, name, timedelta(days=3)))
    for worker in (care, newer, care, newer):
        await look_at(worker, name)
    assert await has_span(client, name, timedelta(days=3))
    assert rows.why == []


async def test_a_run_of_the_day_that_somebody_ended_is_made_again_once(
    dev_server: WorkflowEnvironment, rows: Rows, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client = dev_server.client
    monkeypatch.setattr(schedule_care, "DAILY", {name})
    care = await cared_for(client, name)
    day = datetime(2026, 1, 1, tzinfo=UTC)
    planned = ScheduleBackfill(start_at=day - timedelta(seconds=1), end_at=day + timedelta(seconds=1))
    await client.get_schedule_handle(name).backfill(planned)
    first = await eventually(lambda: newest(client, name, 1))
    assert first.scheduled_at == day
    await client.get_workflow_handle(first.action.workflow_id).terminate("A slip")

    for _ in range(2):
        await care.make_up_for(name, await described(client, name), "terminated")

    again = await eventually(lambda: newest(client, name, 2))
    assert again.scheduled_at == day, "it is about the day that was planned"
    assert (await described(client, name)).info.num_actions == 2, "two workers that look at once ask for it once"
    assert rows.why
    assert rows.why[0].endswith("was terminated; it is made again.")
    await client.get_workflow_handle(again.action.workflow_id).terminate()


async def newest(client: Client, name: str, count: int) -> Any:
    found = (await described(client, name)).info
    return found.recent_actions[-1] if found.num_actions >= count else None


async def test_a_run_that_ended_by_itself_or_of_a_round_is_not_made_again(
    dev_server: WorkflowEnvironment, rows: Rows, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client = dev_server.client
    care = await cared_for(client, name)
    await client.get_schedule_handle(name).trigger()
    first = await eventually(lambda: newest(client, name, 1))
    await client.get_workflow_handle(first.action.workflow_id).terminate("A slip")
    await care.make_up_for(name, await described(client, name), "terminated")
    assert rows.why == [], "the next round does what this one did not"
    monkeypatch.setattr(schedule_care, "DAILY", {name})
    await care.make_up_for(name, await described(client, name), "completed")
    assert rows.why == []


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    monkeypatch.setattr(schedule_care, "SWEEP", name)
    return name


async def test_a_sweep_that_hangs_is_ended_and_the_next_one_started(
    dev_server: WorkflowEnvironment, rows: Rows, monkeypatch: pytest.MonkeyPatch, sweep: str
) -> None:
    client = dev_server.client
    care = await cared_for(client, sweep)
    await client.get_schedule_handle(sweep).trigger()
    hung = await eventually(lambda: newest(client, sweep, 1))
    await eventually(lambda: is_listed(client, sweep))
    rows.late = True
    await care.push_the_sweep()
    assert rows.why == [], "it has only just begun"
    monkeypatch.setattr(schedule_care, "SWEEP_LATE", timedelta())
    care.pushed_at = None

    await care.push_the_sweep()

    # Two that begin within one second have the same id.
    ended = client.get_workflow_handle(hung.action.workflow_id, run_id=hung.action.first_execution_run_id)
    assert (await ended.describe()).status is WorkflowExecutionStatus.TERMINATED
    started = await eventually(lambda: newest(client, sweep, 2))
    assert rows.why == ["The sweep is late. The one that hung was ended, and another one started."]
    assert rows.ended == [hung.action.workflow_id], "whoever finds it terminated must see who did that"
    await care.push_the_sweep()
    assert len(rows.why) == 1, "it is given some time"
    await client.get_workflow_handle(started.action.workflow_id).terminate()


async def is_listed(client: Client, name: str) -> bool:
    return bool((await described(client, name)).info.running_actions)


async def test_a_sweep_that_is_in_time_is_left_alone(dev_server: WorkflowEnvironment, rows: Rows, sweep: str) -> None:
    care = await cared_for(dev_server.client, sweep)
    await care.push_the_sweep()
    assert (await described(dev_server.client, sweep)).info.num_actions == 0


def test_what_is_watched_is_a_schedule_of_the_code() -> None:
    assert set(SCHEDULES) >= {SWEEP, *schedule_care.DAILY}
    assert DAY_END_CLOSE in schedule_care.DAILY
    assert scheduling.SWEEP_NAME == SWEEP
