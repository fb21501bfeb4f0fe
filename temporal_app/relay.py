"""The message relay: carries outbox rows to Temporal until Temporal has accepted each.

NOTIFY wakes it within milliseconds; a look every second is the guarantee, because notifications are lost with their
connection. A row is marked only after Temporal accepted it, so a relay killed in between delivers twice, and the
starter makes the second time harmless. Several relays may run: rows are leased with SKIP LOCKED.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
from django.db import Error as DatabaseError
from django.db import connection
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orders import outbox
from orders.actor import system
from orders.services import ending, scheduling, stepping
from orders.vocabulary import Topic
from temporal_app.connections import with_fresh_connection
from temporal_app.starter import DELIVER

logger = logging.getLogger(__name__)

BATCH = 20
#: seconds between two looks without a notification
LOOK_EVERY = 1.0
#: Temporal is away or slow; anything else is a message that it does not want
TRANSIENT = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}


def end_command(body: dict[str, Any]) -> None:
    """What it leads to is told to Temporal by further messages."""
    ending.end(body["command_id"], actor=system("clock"))


OBEYED_HERE: dict[Topic, Callable[[dict[str, Any]], None]] = {Topic.COMMAND_OVER: end_command}


class Relay:
    """One relay; `run` ends soon after `stop` is set, with no message half delivered."""

    def __init__(self, client: Client, stop: asyncio.Event, driven: asyncio.Event | None = None) -> None:
        self.client = client
        self.stop = stop
        #: set when a command reached a schedule, so that what became of it is looked at at once
        self.driven = driven or asyncio.Event()
        self.wake = asyncio.Event()
        self.threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="relay")

    async def run(self) -> None:
        listener = asyncio.create_task(self.listen())
        stopper = asyncio.create_task(self.wake_on_stop())
        try:
            while not self.stop.is_set():
                if not await self.deliver_due():
                    await self.sleep()
        finally:
            for task in (listener, stopper):
                task.cancel()
            await asyncio.gather(listener, stopper, return_exceptions=True)
            self.threads.shutdown(wait=True)

    async def deliver_due(self) -> int:
        """Deliver one batch of what is due; answers how many rows were claimed."""
        self.wake.clear()
        try:
            messages = await self.in_thread(outbox.claim, BATCH)
        except DatabaseError as error:
            logger.warning("The outbox cannot be read: %s", error)
            return 0
        await asyncio.gather(*(self.deliver(message) for message in messages))
        return len(messages)

    async def deliver(self, message: outbox.Message) -> None:
        try:
            try:
                taken = await self.carry(message)
            except Exception as error:
                # Whatever it is, one message must not stop the relay, and with it all the others.
                await self.in_thread(postpone, message, error)
            else:
                await self.in_thread(accepted, message, taken)
                if message.topic is Topic.DRIVE_SCHEDULE:
                    self.driven.set()
        except DatabaseError as error:
            # The lease ends by itself and the row comes again.
            logger.warning("Outbox row %d keeps its lease: %s", message.id, error)

    async def carry(self, message: outbox.Message) -> bool | None:
        """Hand the message to Temporal; one that only our own database must obey does not wait for it."""
        work = OBEYED_HERE.get(message.topic)
        if work is None:
            return await DELIVER[message.topic](self.client, message.body)
        await self.in_thread(work, message.body)
        return None

    async def listen(self) -> None:
        """Set `wake` for every notification; reconnects for ever."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    **connection_parameters(), autocommit=True
                ) as listening:
                    await listening.execute(f"LISTEN {outbox.CHANNEL}")
                    self.wake.set()
                    async for _ in listening.notifies():
                        self.wake.set()
            except psycopg.Error as error:
                logger.warning("The relay lost its notifications and looks every second: %s", error)
            await asyncio.sleep(LOOK_EVERY)

    async def sleep(self) -> None:
        try:
            await asyncio.wait_for(self.wake.wait(), LOOK_EVERY)
        except TimeoutError:
            return

    async def wake_on_stop(self) -> None:
        await self.stop.wait()
        self.wake.set()

    async def in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, with_fresh_connection, work, *arguments)


def accepted(message: outbox.Message, taken: bool | None) -> None:
    """Mark the row; a command that Temporal answered about gets its outcome first, so that no crash loses it."""
    if taken is not None and message.topic is Topic.DRIVE_SCHEDULE:
        scheduling.settle(message.body["command_id"], taken=taken)
    elif taken is not None:
        stepping.settle(message.body["command_id"], taken=taken, actor=system("relay"))
    outbox.mark_delivered(message.id)


def postpone(message: outbox.Message, error: Exception) -> None:
    """Back off: seconds while Temporal is away, minutes for a message that it refuses."""
    status = error.status if isinstance(error, RPCError) else None
    transient = status in TRANSIENT
    what = status.name if status else type(error).__name__
    delay = min(0.2 * 2 ** min(message.attempts, 10), 5.0 if transient else 60.0)
    log = logger.info if transient else logger.error
    log("Outbox row %d was not accepted (%s), next try in %.1f s", message.id, what, delay)
    outbox.postpone(message, f"{what}: {error}", delay=timedelta(seconds=delay))


def connection_parameters() -> dict[str, Any]:
    """psycopg's parameters of Django's default database."""
    database = connection.settings_dict
    named = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    return {key: database[name] for key, name in named.items() if database.get(name)} | {"connect_timeout": 5}
