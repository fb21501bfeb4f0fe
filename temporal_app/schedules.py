"""What happens by itself at a fixed time, as Temporal Schedules written down here.

A schedule lives in Temporal, so it goes on whichever workers come and go; every worker makes sure of it at its start
and ever after (`schedule_care`), and writes down what it sees, because pages ask the database only. Its name begins
with `backoffice:`, and schedules of other names are never touched.
"""

import asyncio
import logging
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import Error as DatabaseError
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)
from temporalio.service import RPCError, RPCStatusCode

from orders.services import scheduling
from orders.vocabulary import ProcessName
from temporal_app.connections import with_fresh_connection
from temporal_app.schedule_care import ScheduleCare, write
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import (
    DAY_END_CLOSE,
    EXPORT_ROUND,
    HISTORY_SEAL,
    PLAYBOOK_SCHEDULE,
    QUALITY_SAMPLE,
    SWEEP,
)
from temporal_app.workflows.export import ExportRoundWorkflow
from temporal_app.workflows.playbook_start import PlaybookScheduleWorkflow
from temporal_app.workflows.process import OpenProcessWorkflow
from temporal_app.workflows.quality import QualitySampleWorkflow
from temporal_app.workflows.seal import SealWorkflow
from temporal_app.workflows.sweep import SweepWorkflow

logger = logging.getLogger(__name__)
#: seconds until the next try when Temporal did not take the schedules
TRY_AGAIN = 10.0
#: seconds between two looks at the schedules; a command makes the next one come at once
LOOK_EVERY = 15.0
#: what another worker wrote down so lately need not be looked at again
FRESH = timedelta(seconds=10)
RPC_TIMEOUT = timedelta(seconds=5)
#: what an operator ends or a deploy wedges is found within this
SWEEP_EVERY = timedelta(seconds=30)
#: looks at what is due; the next one also makes up for one that somebody ended
ROUND_EVERY = timedelta(seconds=45)

SCHEDULES: dict[str, Schedule] = {
    HISTORY_SEAL: Schedule(
        action=ScheduleActionStartWorkflow(
            SealWorkflow.run,
            id=HISTORY_SEAL,
            task_queue=TaskQueue.BATCHES,
            static_summary="Nightly seal over all histories",
        ),
        # Five past midnight, UTC.
        spec=ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=(ScheduleRange(0),), minute=(ScheduleRange(5),))]),
        # A night in which Temporal was away is made up for, once; older ones are in the next seal anyway.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(days=1)),
    ),
    DAY_END_CLOSE: Schedule(
        action=ScheduleActionStartWorkflow(
            OpenProcessWorkflow.run,
            ProcessName.DAY_END_CLOSE,
            id=DAY_END_CLOSE,
            task_queue=TaskQueue.BATCHES,
            static_summary="Day-end close",
        ),
        # Half past ten in the evening, UTC. What happens later is in the close of the next day.
        spec=ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=(ScheduleRange(22),), minute=(ScheduleRange(30),))]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(days=1)),
    ),
    SWEEP: Schedule(
        action=ScheduleActionStartWorkflow(
            SweepWorkflow.run, id=SWEEP, task_queue=TaskQueue.BATCHES, static_summary="Sweep over orders and processes"
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=SWEEP_EVERY)]),
        # The next one sees what a missed one would have seen.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=10)),
    ),
    QUALITY_SAMPLE: Schedule(
        action=ScheduleActionStartWorkflow(
            QualitySampleWorkflow.run,
            id=QUALITY_SAMPLE,
            task_queue=TaskQueue.BATCHES,
            static_summary="Sample of yesterday's shipped orders",
        ),
        # Twenty past midnight, UTC: the day before is over for every worker's clock.
        spec=ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=(ScheduleRange(0),), minute=(ScheduleRange(20),))]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(hours=12)),
    ),
    EXPORT_ROUND: Schedule(
        action=ScheduleActionStartWorkflow(
            ExportRoundWorkflow.run,
            id=EXPORT_ROUND,
            task_queue=TaskQueue.BATCHES,
            static_summary="Planned exports, and files whose days are over",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=ROUND_EVERY)]),
        # A look that was missed is nothing that the next one does not see.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
    ),
    PLAYBOOK_SCHEDULE: Schedule(
        action=ScheduleActionStartWorkflow(
            PlaybookScheduleWorkflow.run,
            id=PLAYBOOK_SCHEDULE,
            task_queue=TaskQueue.BATCHES,
            static_summary="Playbooks that are due",
        ),
        # What is due stands in the database; this only looks.
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=ROUND_EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=10)),
    ),
}


async def keep_schedules(client: Client, stop: asyncio.Event, driven: asyncio.Event | None = None) -> None:
    """Make sure of every schedule, however long Temporal refuses; then watch it and write down what is seen.

    Until `stop`; `driven` is set when a command reached a schedule.
    """
    driven = driven or asyncio.Event()
    care = ScheduleCare(client, SCHEDULES)
    while not stop.is_set():
        wait = LOOK_EVERY
        # Cleared before the look: a command that comes during it is looked after by the next one.
        at_once = driven.is_set()
        driven.clear()
        try:
            if not care.ensured:
                await care.ensure()
            await look(client, at_once=at_once, care=care)
            await care.push_the_sweep()
        except RPCError as error:
            logger.warning(
                "The schedules were not %s, next try in %.0f s: %s",
                "seen" if care.ensured else "taken",
                TRY_AGAIN,
                error,
            )
            wait = TRY_AGAIN
        except DatabaseError as error:
            logger.warning("What the schedules do was not written down: %s", error)
        await _first_of(stop, driven, seconds=wait)


async def ensure_schedules(client: Client) -> None:
    """Create what is missing and bring the rest up to this code; whether somebody paused it stays as it is."""
    for name, schedule in SCHEDULES.items():
        await write(client, name, schedule)


async def look(client: Client, *, at_once: bool = False, care: ScheduleCare | None = None) -> None:
    """Write down how each of our schedules stands, unless another worker has just done so.

    With `care` what is wrong is mended.
    """
    lately = partial(scheduling.seen_lately, FRESH, names=set(SCHEDULES))
    if not at_once and await asyncio.to_thread(with_fresh_connection, lately):
        return
    for name, schedule in SCHEDULES.items():
        try:
            found = await client.get_schedule_handle(name).describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            if care is not None:
                await care.make_again(name)
            continue
        if care is not None:
            await care.compare(name, found)
        seen = await _seen(client, schedule, found)
        await asyncio.to_thread(with_fresh_connection, partial(scheduling.note, name, **seen))
        if care is not None:
            await care.make_up_for(name, found, seen.get("last_result", ""))
    await asyncio.to_thread(with_fresh_connection, scheduling.forget_old)


async def _seen(client: Client, schedule: Schedule, found: ScheduleDescription) -> dict[str, Any]:
    summary = getattr(schedule.action, "static_summary", None)
    last = max(found.info.recent_actions, key=lambda action: action.started_at, default=None)
    state = found.schedule.state
    seen: dict[str, Any] = {
        "summary": str(summary or "")[:200],
        "next_run_at": None if state.paused else next(iter(found.info.next_action_times), None),
        "paused": state.paused,
        "pause_note": state.note or "",
        "missed": found.info.num_actions_missed_catchup_window + found.info.num_actions_skipped_overlap,
    }
    if last is not None and isinstance(last.action, ScheduleActionExecutionStartWorkflow):
        seen |= {
            "last_run_at": last.started_at,
            "last_workflow_id": last.action.workflow_id[:200],
            "last_result": await _result(client, last.action),
        }
    return seen


async def _result(client: Client, run: ScheduleActionExecutionStartWorkflow) -> str:
    """How the run stands or ended; "forgotten" once Temporal has dropped it."""
    try:
        found = await client.get_workflow_handle(run.workflow_id, run_id=run.first_execution_run_id).describe(
            rpc_timeout=RPC_TIMEOUT
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return "forgotten"
        raise
    return found.status.name.lower() if found.status else ""


async def _first_of(*events: asyncio.Event, seconds: float) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
