"""A worker process: the queues it polls, the relay and its beat."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.conf import settings
from django_temporalio.interceptors.isolation import ActivityIsolationInterceptor
from django_temporalio.logs.interceptors import ActivityFailureLoggingInterceptor
from temporalio.client import Client
from temporalio.worker import FixedSizeSlotSupplier, Worker, WorkerTuner

from temporal_app.authenticity import BelievingRunner, Refusal
from temporal_app.client import connect_when_reachable
from temporal_app.comparing import comparison
from temporal_app.heartbeat import beat
from temporal_app.lanes import Lanes
from temporal_app.process_exit import hard_exit
from temporal_app.readiness import GatedSlots, Readiness
from temporal_app.refusals import Refusals
from temporal_app.registry import REGISTRY
from temporal_app.relay import Relay
from temporal_app.rowless import Rowless
from temporal_app.schedules import keep_schedules
from temporal_app.search_attributes import ensure_registered
from temporal_app.stopping import FINISH, Stop
from temporal_app.takings import Takings
from temporal_app.task_queues import LANE_THREADS, TaskQueue

logger = logging.getLogger(__name__)
#: long polls for activities at a time: a lane's calls take seconds, so two fetch more than its slots can hold
POLLS, LANE_POLLS = 5, 2
#: of one queue at a time; each takes milliseconds
WORKFLOW_TASKS = 100
#: queues whose activities have a rate
PER_SECOND: dict[TaskQueue, Callable[[], float]] = {TaskQueue.PARTNERS: lambda: settings.PARTNER_CALLS_PER_SECOND}


def threads_of(queue: TaskQueue) -> int:
    """Activity slots, and so threads, of the queue in one worker process."""
    configured: dict[str, int] = settings.TEMPORAL_QUEUE_THREADS
    usual: int = LANE_THREADS.get(queue, settings.TEMPORAL_ACTIVITY_THREADS)
    return configured.get(queue, usual)


def build_worker(
    client: Client,
    queue: TaskQueue,
    *,
    tell: Callable[[Refusal], None],
    takings: Takings,
    readiness: Readiness,
) -> Worker:
    """A worker of one queue; one of a lane has no workflows, and does not ask for them.

    `tell` hears what is refused, `takings` how each activity ended, and `readiness` says whether anything is taken.
    """
    contents = REGISTRY[queue]
    threads = threads_of(queue)
    return Worker(
        client,
        task_queue=queue,
        workflows=contents.workflows,
        activities=[*contents.activities, *contents.from_before],
        # A thread for each slot: an activity that waits for a thread lets its timeout run.
        activity_executor=ThreadPoolExecutor(max_workers=2 * threads, thread_name_prefix=f"{queue}-activity"),
        tuner=WorkerTuner.create_composite(
            workflow_supplier=GatedSlots(WORKFLOW_TASKS, readiness),
            activity_supplier=GatedSlots(threads, readiness),
            # They belong to a workflow task that was taken.
            local_activity_supplier=FixedSizeSlotSupplier(threads),
            nexus_supplier=FixedSizeSlotSupplier(1),
        ),
        max_concurrent_activity_task_polls=LANE_POLLS if queue in LANE_THREADS else POLLS,
        # Temporal keeps it for the whole queue, however many workers poll it.
        max_task_queue_activities_per_second=PER_SECOND[queue]() if queue in PER_SECOND else None,
        workflow_runner=BelievingRunner(tell=tell),
        interceptors=[
            takings,
            Lanes(),
            Rowless(),
            ActivityIsolationInterceptor(),
            ActivityFailureLoggingInterceptor(),
        ],
        # A killed worker's cached workflows move to another worker after this, not after the default ten seconds.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
        graceful_shutdown_timeout=FINISH,
    )


async def run(queues: Sequence[TaskQueue], *, with_relay: bool) -> None:
    """Work until a signal comes. Raises what stops a worker for good, such as a missing namespace."""
    takings, readiness = Takings(), Readiness()
    stop = Stop(takings, readiness)
    stop.on_signals()
    client = await stop.unless_asked(connect_when_reachable(stop.asked))
    if client is None:
        return
    await stop.unless_asked(ensure_registered(client))
    if stop.asked.is_set():
        return
    refusals = Refusals()
    how: dict[str, Any] = {"tell": refusals.tell, "takings": takings, "readiness": readiness}
    workers = [build_worker(client, queue, **how) for queue in queues]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    driven = asyncio.Event()
    told: dict[str, Any] = {"takings": takings, "readiness": readiness}
    side = [asyncio.create_task(beat(client, queues=queues, known=list(REGISTRY), stop=stop.asked, **told))]
    side.append(asyncio.create_task(readiness.watch(comparison(client.namespace), stop.asked)))
    side.append(asyncio.create_task(refusals.write_down(stop.asked)))
    side.append(asyncio.create_task(_keep_schedules(client, stop, driven, readiness)))
    relay = Relay(client, stop.asked, driven, readiness.open.is_set) if with_relay else None
    relaying: asyncio.Task[Any] = asyncio.create_task(relay.run() if relay else stop.asked.wait())
    side.append(relaying)
    logger.info("Worker polls %s%s", ", ".join(queues), " and relays the outbox" if with_relay else "")
    asked = asyncio.create_task(stop.asked.wait())
    first, _ = await asyncio.wait([asked, *running, *side], return_when=asyncio.FIRST_COMPLETED)
    stop.begin(1 if any(task.exception() for task in first) else 0)
    await stop.handed_over(relaying)
    shutting_down = [asyncio.create_task(worker.shutdown()) for worker in workers]
    ended = await stop.all_ended(running, side)
    for task in (*running, *side):
        if task.done():
            task.result()
    if not ended:
        logger.info("Nothing is under way; long polls of %d queues are left behind", len(shutting_down))
        hard_exit(0)


async def _keep_schedules(client: Client, stop: Stop, driven: asyncio.Event, readiness: Readiness) -> None:
    """Not from a worker of another namespace or with other keys."""
    await stop.unless_asked(readiness.open.wait())
    await keep_schedules(client, stop.asked, driven)
