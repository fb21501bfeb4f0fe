"""A worker process: the queues it polls, the relay, its beat, and how it stops.

The first signal stops polling and the relay and lets running activities finish; the second ends the process at once.
Without the first step every deploy would look like a crash: activities cut in the middle, and partners asked twice.
"""

import asyncio
import logging
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django_temporalio.interceptors.isolation import ActivityIsolationInterceptor
from django_temporalio.logs.interceptors import ActivityFailureLoggingInterceptor
from temporalio.client import Client
from temporalio.worker import Worker

from temporal_app.client import connect_when_reachable
from temporal_app.heartbeat import beat
from temporal_app.process_exit import hard_exit
from temporal_app.registry import REGISTRY
from temporal_app.relay import Relay
from temporal_app.schedules import keep_schedules
from temporal_app.search_attributes import ensure_registered
from temporal_app.task_queues import TaskQueue

logger = logging.getLogger(__name__)
GRACE = timedelta(seconds=30)


def build_worker(client: Client, queue: TaskQueue, *, task_queue: str | None = None) -> Worker:
    """A worker of one queue; `task_queue` is another name for it, as tests need."""
    contents = REGISTRY[queue]
    threads = settings.TEMPORAL_ACTIVITY_THREADS
    return Worker(
        client,
        task_queue=task_queue or queue,
        workflows=contents.workflows,
        activities=contents.activities,
        # A thread for each slot: an activity that waits for a thread lets its timeout run.
        activity_executor=ThreadPoolExecutor(max_workers=2 * threads, thread_name_prefix=f"{queue}-activity"),
        max_concurrent_activities=threads,
        max_concurrent_local_activities=threads,
        # Held by the server for all workers together: a batch must not be what brings a partner down.
        max_task_queue_activities_per_second=settings.PARTNER_CALLS_PER_SECOND if queue is TaskQueue.PARTNERS else None,
        interceptors=[ActivityIsolationInterceptor(), ActivityFailureLoggingInterceptor()],
        # A killed worker's cached workflows move to another worker after this, not after the default ten seconds.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
        graceful_shutdown_timeout=GRACE,
    )


async def run(queues: Sequence[TaskQueue], *, with_relay: bool) -> None:
    """Work until a signal comes. Raises what stops a worker for good, such as a missing namespace."""
    stop = asyncio.Event()
    _stop_on_signals(stop)
    client = await connect_when_reachable(stop)
    if client is None:
        return
    await ensure_registered(client)
    workers = [build_worker(client, queue) for queue in queues]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    side = [asyncio.create_task(beat(client, queues=", ".join(queues), stop=stop))]
    side.append(asyncio.create_task(keep_schedules(client, stop)))
    if with_relay:
        side.append(asyncio.create_task(Relay(client, stop).run()))
    logger.info("Worker polls %s%s", ", ".join(queues), " and relays the outbox" if with_relay else "")
    if settings.WORKER_READY_FILE:
        await asyncio.to_thread(Path(settings.WORKER_READY_FILE).touch)
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopped, *running, *side], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.gather(*(worker.shutdown() for worker in workers))
    await asyncio.gather(*running, *side)
    for task in done:
        task.result()


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def on_signal(name: str) -> None:
        if stop.is_set():
            logger.warning("Second %s: leaving at once, running activities will be retried", name)
            hard_exit(1)
        logger.info("%s: finishing what runs (up to %d s); a second one leaves at once", name, GRACE.seconds)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number.name)
