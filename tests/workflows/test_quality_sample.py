"""The daily sample: as many as the frame says, by chance, and the same ones in every replay."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleBackfill,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    WorkflowHistory,
)
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from temporal_app.client import data_converter
from temporal_app.payloads import SampleDay, SampleDrawn, SampleFrame, SampleResult
from temporal_app.workflows.quality import QualitySampleWorkflow
from tests.workflows.test_sweep import eventually


@workflow.defn(name="QualitySampleWorkflow", sandboxed=False)
class Told(QualitySampleWorkflow):
    """Tells what it has drawn."""

    positions: tuple[int, ...] = ()

    @workflow.run
    async def run(self) -> SampleResult:
        result = await super().run()
        Told.positions = result.positions
        return result


class Warehouse:
    """Stands in for the activities: a day's shipped orders, and the samples that were stored."""

    def __init__(self, shipped: int, size: int) -> None:
        self.frame = SampleFrame(shipped=shipped, size=size)
        self.stored: list[SampleDrawn] = []
        self.days: list[str] = []

    def activities(self) -> list[Any]:
        @activity.defn(name="count_shipped")
        async def count_shipped(asked: SampleDay) -> SampleFrame:
            self.days.append(asked.day)
            return self.frame

        @activity.defn(name="store_sample")
        async def store_sample(drawn: SampleDrawn) -> int:
            self.stored.append(drawn)
            return len(drawn.positions)

        return [count_shipped, store_sample]

    async def draw(self, server: WorkflowEnvironment) -> tuple[SampleResult, WorkflowHistory]:
        queue = f"test-{uuid.uuid4()}"
        async with Worker(
            server.client, task_queue=queue, workflows=[QualitySampleWorkflow], activities=self.activities()
        ):
            handle = await server.client.start_workflow(
                QualitySampleWorkflow.run, id=f"sample:{queue}", task_queue=queue
            )
            return await handle.result(), await handle.fetch_history()


async def test_it_draws_as_many_positions_as_the_frame_says_each_once(skipping: WorkflowEnvironment) -> None:
    warehouse = Warehouse(shipped=1_000, size=20)
    result, _ = await warehouse.draw(skipping)
    assert len(set(result.positions)) == 20
    assert all(0 <= position < 1_000 for position in result.positions)
    assert [drawn.positions for drawn in warehouse.stored] == [result.positions]
    assert warehouse.days == [result.day]


async def test_a_replay_draws_the_same_sample_and_two_runs_do_not(skipping: WorkflowEnvironment) -> None:
    first, history = await Warehouse(shipped=1_000_000, size=25).draw(skipping)
    second, _ = await Warehouse(shipped=1_000_000, size=25).draw(skipping)
    assert first.positions != second.positions

    drawn = await replayed(history)

    assert drawn == first.positions


async def replayed(history: WorkflowHistory) -> tuple[int, ...]:
    """What a replay hands to the activity that stores the sample; it would not follow the history otherwise."""
    Told.positions = ()
    replayer = Replayer(workflows=[Told], data_converter=data_converter(), namespace="default")
    await replayer.replay_workflow(history)
    return Told.positions


async def test_a_day_without_shipped_orders_or_with_its_sample_stores_nothing(skipping: WorkflowEnvironment) -> None:
    for warehouse in (Warehouse(shipped=0, size=0), Warehouse(shipped=50, size=0)):
        result, _ = await warehouse.draw(skipping)
        assert result.positions == ()
        assert warehouse.stored == []


async def test_workers_that_were_away_over_midnight_draw_the_day_that_was_planned(
    dev_server: WorkflowEnvironment,
) -> None:
    warehouse, name = Warehouse(shipped=50, size=5), f"test-{uuid.uuid4()}"
    action = ScheduleActionStartWorkflow(QualitySampleWorkflow.run, id=name, task_queue=name)
    spec = ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(0)], minute=[ScheduleRange(20)])])
    schedule = await dev_server.client.create_schedule(
        name, Schedule(action=action, spec=spec, state=ScheduleState(paused=True))
    )
    # As Temporal starts it late: planned for one day, run by a worker on another.
    night = datetime(2026, 3, 2, tzinfo=UTC)
    await schedule.backfill(
        ScheduleBackfill(start_at=night, end_at=night + timedelta(hours=1), overlap=ScheduleOverlapPolicy.ALLOW_ALL)
    )
    async with Worker(
        dev_server.client, task_queue=name, workflows=[QualitySampleWorkflow], activities=warehouse.activities()
    ):

        async def drawn() -> list[SampleDrawn]:
            return warehouse.stored

        (sample,) = await eventually(drawn)
    assert (sample.day, warehouse.days) == ("2026-03-01", ["2026-03-01"])
    await schedule.delete()
