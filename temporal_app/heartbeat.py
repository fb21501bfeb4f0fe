"""The worker says that it lives, in a row that the landing page reads.

A page that asked Temporal for its workers would hang when Temporal does; and "no worker" would look like "no work".
"""

import asyncio
import logging
import os
import socket
from datetime import timedelta

from django.db import Error as DatabaseError
from django.utils import timezone
from temporalio.client import Client
from temporalio.service import RPCError

from orders.services import health
from temporal_app.connections import with_fresh_connection

logger = logging.getLogger(__name__)
BEAT_SECONDS = 5.0


async def beat(client: Client, *, queues: str, stop: asyncio.Event) -> None:
    """Write a beat every few seconds until `stop` is set, then take the row away."""
    identity = f"worker {os.getpid()}@{socket.gethostname()}"
    while not stop.is_set():
        seen = timezone.now() if await temporal_answers(client) else None
        try:
            await asyncio.to_thread(with_fresh_connection, health.beat, identity, "worker", seen, queues)
        except DatabaseError as error:
            logger.warning("The beat was not written: %s", error)
        try:
            await asyncio.wait_for(stop.wait(), BEAT_SECONDS)
        except TimeoutError:
            continue
    try:
        await asyncio.to_thread(with_fresh_connection, health.gone, identity)
    except DatabaseError as error:
        logger.warning("The beat was not removed: %s", error)


async def temporal_answers(client: Client) -> bool:
    try:
        return await client.service_client.check_health(timeout=timedelta(seconds=2))
    except RPCError:
        return False
