"""What happens by itself at a fixed time, as Temporal Schedules written down here.

A schedule lives in Temporal, so it goes on whichever workers come and go; every worker makes sure of it at its start.
Its name begins with `backoffice:`, and schedules of other names are never touched.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from functools import partial

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError

from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import HISTORY_SEAL, PLAYBOOK_SCHEDULE
from temporal_app.workflows.playbook_start import PlaybookScheduleWorkflow
from temporal_app.workflows.seal import SealWorkflow

logger = logging.getLogger(__name__)
#: seconds until the next try when Temporal did not take the schedules
TRY_AGAIN = 10.0

SCHEDULES: dict[str, Schedule] = {
    HISTORY_SEAL: Schedule(
        action=ScheduleActionStartWorkflow(
            SealWorkflow.run,
            id=HISTORY_SEAL,
            task_queue=TaskQueue.BATCHES,
            static_summary="Nightly seal over all histories",
        ),
        # Five past midnight, UTC.
        spec=ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(0)], minute=[ScheduleRange(5)])]),
        # A night in which Temporal was away is made up for, once; older ones are in the next seal anyway.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(days=1)),
    ),
    PLAYBOOK_SCHEDULE: Schedule(
        action=ScheduleActionStartWorkflow(
            PlaybookScheduleWorkflow.run,
            id=PLAYBOOK_SCHEDULE,
            task_queue=TaskQueue.BATCHES,
            static_summary="Playbooks that are due",
        ),
        # What is due stands in the database; this only looks.
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(minutes=5))]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=10)),
    ),
}


async def keep_schedules(client: Client, stop: asyncio.Event) -> None:
    """Make sure of every schedule, however long Temporal refuses; then wait for `stop`."""
    while not stop.is_set():
        try:
            await ensure_schedules(client)
            await stop.wait()
        except RPCError as error:
            logger.warning("The schedules were not taken, next try in %.0f s: %s", TRY_AGAIN, error)
            try:
                await asyncio.wait_for(stop.wait(), TRY_AGAIN)
            except TimeoutError:
                continue


async def ensure_schedules(client: Client) -> None:
    """Create what is missing and bring the rest up to this code; whether somebody paused it stays as it is."""
    for name, schedule in SCHEDULES.items():
        try:
            await client.create_schedule(name, schedule)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(name).update(partial(_as_written_here, schedule))


def _as_written_here(schedule: Schedule, found: ScheduleUpdateInput) -> ScheduleUpdate:
    return ScheduleUpdate(replace(schedule, state=found.description.schedule.state))
