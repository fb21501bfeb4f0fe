"""The worker says that it lives and which queues it polls, and what waits in all of them, in rows that pages read.

A page that asked Temporal for its workers would hang when Temporal does; and "no worker" would look like "no work".
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, timedelta
from functools import partial

from django.db import Error as DatabaseError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from orders import clock
from orders.services import health
from temporal_app.connections import database_now, with_fresh_connection
from temporal_app.readiness import Readiness
from temporal_app.takings import Takings

logger = logging.getLogger(__name__)
BEAT_SECONDS = 5.0
#: what another worker asked so lately need not be asked again
ASK_EVERY = timedelta(seconds=10)
#: a poll waits for a minute at most, and comes again
POLLED_WITHIN = timedelta(seconds=75)


async def beat(
    client: Client,
    *,
    queues: Sequence[str],
    known: Sequence[str],
    stop: asyncio.Event,
    takings: Takings,
    readiness: Readiness,
) -> None:
    """Write a beat every few seconds until `stop` is set, then take the row away.

    `queues` are those that this worker polls, `known` all that there are.
    """
    identity = f"worker {clock.process()}"
    while not stop.is_set():
        seen = await temporal_answers(client)
        try:
            taken, failed = takings.lately()
            detail, why = ", ".join(queues), readiness.why
            told = partial(health.beat, identity, "worker", seen, detail, taken=taken, failed=failed, stopped=why)
            await asyncio.to_thread(with_fresh_connection, told)
            await asyncio.to_thread(with_fresh_connection, health.serve, () if why else queues, known)
            if seen:
                await look_at_queues(client, known)
        except DatabaseError as error:
            logger.warning("The beat was not written: %s", error)
        except RPCError as error:
            logger.warning("Temporal did not say what waits in the queues: %s", error)
        try:
            await asyncio.wait_for(stop.wait(), BEAT_SECONDS)
        except TimeoutError:
            continue
    try:
        await asyncio.to_thread(with_fresh_connection, health.gone, identity)
    except DatabaseError as error:
        logger.warning("The beat was not removed: %s", error)


async def look_at_queues(client: Client, queues: Sequence[str]) -> None:
    """Ask Temporal who polls each queue and what waits in it, unless another worker has just done so."""
    if await asyncio.to_thread(with_fresh_connection, health.asked_lately, ASK_EVERY):
        return
    for queue in queues:
        pollers: set[str] = set()
        backlog, oldest = 0, 0.0
        for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
            found = await client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=client.namespace,
                    task_queue=TaskQueue(name=queue),
                    task_queue_type=kind,
                    report_stats=True,
                ),
                timeout=timedelta(seconds=2),
            )
            # Temporal remembers a poller for minutes after it left.
            recent = await database_now() - POLLED_WITHIN
            pollers |= {one.identity for one in found.pollers if one.last_access_time.ToDatetime(UTC) > recent}
            backlog += found.stats.approximate_backlog_count
            oldest = max(oldest, found.stats.approximate_backlog_age.ToTimedelta().total_seconds())
        noted = partial(health.note_backlog, queue, pollers=len(pollers), backlog=backlog, oldest_seconds=oldest)
        await asyncio.to_thread(with_fresh_connection, noted)


async def temporal_answers(client: Client) -> bool:
    try:
        return await client.service_client.check_health(timeout=timedelta(seconds=2))
    except RPCError:
        return False
