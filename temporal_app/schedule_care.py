"""What keeps our schedules alive: they are made again when somebody deleted or changed them, without a restart.

The sweep looks after every process, and is itself started by a schedule; so what looks after the schedules, and after
the sweep, is the worker's own loop (`schedules.keep_schedules`), which needs nothing of Temporal's to come round.
"""

import asyncio
import hashlib
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import BackfillRequest, SchedulePatch
from temporalio.api.workflowservice.v1 import PatchScheduleRequest, UpdateScheduleRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleHandle,
    WorkflowExecutionStatus,
)
from temporalio.client import ScheduleOverlapPolicy as RunOverlap
from temporalio.service import RPCError, RPCStatusCode

from orders.services import scheduling
from temporal_app.connections import database_now, with_fresh_connection
from temporal_app.workflow_ids import DAY_END_CLOSE, HISTORY_SEAL, QUALITY_SAMPLE, SWEEP

logger = logging.getLogger(__name__)
RPC_TIMEOUT = timedelta(seconds=5)
#: their next run does not do what a lost one did not: that one is planned again
DAILY = frozenset({HISTORY_SEAL, DAY_END_CLOSE, QUALITY_SAMPLE})
#: how a run ends that somebody ended, as `ScheduleState.last_result` has it
ENDED_FROM_OUTSIDE = frozenset({"terminated", "timed_out"})
#: a sweep comes every half minute; one that has not ended for so long hangs, or is not started any more
SWEEP_LATE = timedelta(minutes=2)
#: and is given so long before it is pushed once more
PUSH_EVERY = 120.0
#: Temporal shows a command to a schedule a moment after it took it: seconds between two looks, and how many
SHOWN_EVERY = 0.05
LOOKS = 100
#: times that a schedule is written when commands come in between
TRIES = 5


async def write(client: Client, name: str, schedule: Schedule) -> None:
    """Create the schedule, or bring it up to this code; whether somebody paused it stays as it is."""
    try:
        await client.create_schedule(name, schedule)
    except ScheduleAlreadyRunningError:
        await _bring_up(client, name, schedule)


async def _bring_up(client: Client, name: str, schedule: Schedule) -> None:
    """Write what this code has over what is there, but for the pause, until no command has come in between."""
    handle = client.get_schedule_handle(name)
    found = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    for _ in range(TRIES):
        seen = found
        request = UpdateScheduleRequest(
            namespace=client.namespace,
            schedule_id=name,
            # The SDK's own update has no public way to send the token, and then writes over a pause that Temporal has
            # taken and does not show yet. With the token Temporal drops the update instead, without a word.
            conflict_token=seen.raw_description.conflict_token,
            schedule=await replace(schedule, state=seen.schedule.state)._to_proto(client),
            identity=client.identity,
            request_id=str(uuid.uuid4()),
        )
        await client.workflow_service.update_schedule(request, retry=True, timeout=RPC_TIMEOUT)
        found = await _changed(handle, seen)
        now = found.schedule
        if (now.spec, now.policy, now.state) == (schedule.spec, schedule.policy, seen.schedule.state):
            return
    logger.warning("Temporal does not show the schedule %s as it was written; the next worker writes it again.", name)


async def _changed(handle: ScheduleHandle, since: ScheduleDescription) -> ScheduleDescription:
    for _ in range(LOOKS):
        found = await handle.describe(rpc_timeout=RPC_TIMEOUT)
        if found.raw_description.conflict_token != since.raw_description.conflict_token:
            break
        await asyncio.sleep(SHOWN_EVERY)
    return found


class ScheduleCare:
    """One worker's care for its schedules; it remembers how each one looked when this code had written it."""

    def __init__(self, client: Client, schedules: Mapping[str, Schedule]) -> None:
        self.client = client
        self.schedules = schedules
        self.ensured = False
        self.looked: dict[str, bytes] = {}
        self.pushed_at: float | None = None

    async def ensure(self) -> None:
        """Write every schedule, once."""
        for name in self.schedules:
            await self.write(name)
        self.ensured = True

    async def make_again(self, name: str) -> None:
        """Temporal does not have it: somebody deleted it, or Temporal's own data were lost."""
        await self.write(name, why=f"Temporal did not have the schedule {name}; it was made again.")

    async def compare(self, name: str, found: ScheduleDescription) -> None:
        """Write it again when somebody changed it; not what another version of our code wrote in the meantime."""
        looks = _looks_of(found)
        before = self.looked.setdefault(name, looks)
        if looks == before:
            return
        written = await asyncio.to_thread(with_fresh_connection, scheduling.written, name)
        if written == _name_of(self.schedules[name]):
            await self.write(name, why=f"Somebody had changed the schedule {name} at Temporal; it was written again.")
        else:
            self.looked[name] = looks

    async def make_up_for(self, name: str, found: ScheduleDescription, result: str) -> None:
        """Plan the run of the day again that somebody ended; Temporal takes the same request once."""
        last = max(found.info.recent_actions, key=lambda action: action.started_at, default=None)
        if name not in DAILY or result not in ENDED_FROM_OUTSIDE or last is None:
            return
        assert isinstance(last.action, ScheduleActionExecutionStartWorkflow)
        # One after the other: two closes of a day would overlap.
        span = BackfillRequest(overlap_policy=ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL)
        # What a person had run besides is not among the planned times, and not made again.
        span.start_time.FromDatetime(last.scheduled_at - timedelta(seconds=1))
        span.end_time.FromDatetime(last.scheduled_at + timedelta(seconds=1))
        request = PatchScheduleRequest(
            namespace=self.client.namespace,
            schedule_id=name,
            patch=SchedulePatch(backfill_request=[span]),
            identity=self.client.identity,
            request_id=f"again:{last.action.first_execution_run_id}",
        )
        await self.client.workflow_service.patch_schedule(request, timeout=RPC_TIMEOUT)
        says = f"The run of {name} for {last.scheduled_at:%Y-%m-%d %H:%M} UTC was {result}; it is made again."
        await _in_database(scheduling.wrote, name, _name_of(self.schedules[name]), why=says)

    async def push_the_sweep(self) -> None:
        """A sweep that hangs keeps the next one from starting: end it. One that is not there: start it."""
        now = asyncio.get_running_loop().time()
        if self.pushed_at is not None and now < self.pushed_at + PUSH_EVERY:
            return
        if not await _in_database(scheduling.sweep_is_late, after=SWEEP_LATE):
            return
        self.pushed_at = now
        handle = self.client.get_schedule_handle(SWEEP)
        running = (await handle.describe(rpc_timeout=RPC_TIMEOUT)).info.running_actions
        for action in running:
            assert isinstance(action, ScheduleActionExecutionStartWorkflow)
            if not await self._ended(action.workflow_id):
                return
        await handle.trigger(overlap=RunOverlap.ALLOW_ALL, rpc_timeout=RPC_TIMEOUT)
        if not running:
            await _in_database(scheduling.sweep_was_pushed, "The sweep is late. One was started.")

    async def _ended(self, workflow_id: str) -> bool:
        """End a sweep that hangs; False for one that has only just begun."""
        handle = self.client.get_workflow_handle(workflow_id)
        try:
            found = await handle.describe(rpc_timeout=RPC_TIMEOUT)
            if found.status is not WorkflowExecutionStatus.RUNNING:
                return True
            if found.start_time > await database_now() - SWEEP_LATE:
                return False
            await handle.terminate("It kept the next sweep from starting", rpc_timeout=RPC_TIMEOUT)
            says = "The sweep is late. The one that hung was ended, and another one started."
            await _in_database(scheduling.sweep_was_pushed, says, ended=workflow_id)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        return True

    async def write(self, name: str, *, why: str = "") -> None:
        schedule = self.schedules[name]
        await write(self.client, name, schedule)
        # What it looks like is learned at the next look: Temporal may take a moment.
        self.looked.pop(name, None)
        if why:
            logger.warning("%s", why)
        await _in_database(scheduling.wrote, name, _name_of(schedule), why=why)


async def _in_database(work: Callable[..., Any], *given: Any, **more: Any) -> Any:
    return await asyncio.to_thread(with_fresh_connection, partial(work, *given, **more))


def _name_of(schedule: Schedule) -> str:
    """The same for the same code, and another one for a schedule that is written otherwise."""
    return hashlib.sha256(repr(schedule).encode()).hexdigest()


def _looks_of(found: ScheduleDescription) -> bytes:
    """When and what it starts, as Temporal has it; without payloads, which are encrypted anew each time."""
    raw = found.raw_description.schedule
    start = raw.action.start_workflow
    parts = (
        raw.spec.SerializeToString(deterministic=True),
        raw.policies.SerializeToString(deterministic=True),
        f"{start.workflow_type.name} {start.workflow_id} {start.task_queue.name}".encode(),
    )
    return b"\n".join(parts)
