"""The message relay: carries outbox rows to Temporal until Temporal has accepted each.

NOTIFY wakes it within milliseconds; a look every second is the guarantee, because notifications are lost with their
connection. A row is marked only after Temporal accepted it, so a relay killed in between delivers twice, and the
starter makes the second time harmless. Several relays may run: rows are leased with SKIP LOCKED.

Each message is carried by a task of its own, so a call that hangs keeps one place and delays no other aggregate. It is
given up in time for its lease (`BUDGET`): as long as a call may still reach Temporal, nobody else carries the message,
and nothing younger of its aggregate leaves.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
from django.db import Error as DatabaseError
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orders import outbox
from orders.actor import system
from orders.connections import is_pooled, open_direct
from orders.services import dead_letters, ending, scheduling, stepping
from orders.services.sweeping import restoring
from orders.vocabulary import Topic
from temporal_app.activities.runs import other_sweeps
from temporal_app.connections import with_fresh_connection
from temporal_app.deliveries import RPC_TIMEOUT, NotThere
from temporal_app.starter import DELIVER

logger = logging.getLogger(__name__)

#: messages on their way at a time
AT_ONCE = 20
#: for one message with its retries; a call begun at its very end is over, at Temporal too, before the lease is
BUDGET = outbox.LEASE - RPC_TIMEOUT - timedelta(seconds=1)
#: seconds between two looks without a notification
LOOK_EVERY = 1.0
#: Temporal is away or slow
TRANSIENT = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
#: it will not take this message tomorrow either: malformed, too large, or more signals than one workflow may get
REFUSED = {
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.OUT_OF_RANGE,
    RPCStatusCode.UNIMPLEMENTED,
}
#: raised by our own code when a body is not what it expects
MALFORMED = (LookupError, TypeError, ValueError, AttributeError)


def end_command(body: dict[str, Any]) -> None:
    """What it leads to is told to Temporal by further messages."""
    ending.end(body["command_id"], actor=system("clock"))


#: they leave while a restored database waits for a lead
DO_NOTHING = frozenset({Topic.DRIVE_SCHEDULE})
OBEYED_HERE: dict[Topic, Callable[[dict[str, Any]], None]] = {Topic.COMMAND_OVER: end_command}


class Relay:
    """One relay; `run` ends soon after `stop` is set, with no message half delivered."""

    def __init__(
        self,
        client: Client,
        stop: asyncio.Event,
        driven: asyncio.Event | None = None,
        may: Callable[[], bool] = lambda: True,
    ) -> None:
        self.client = client
        self.stop = stop
        #: set when a command reached a schedule, so that what became of it is looked at at once
        self.driven = driven or asyncio.Event()
        #: a worker that must take no work must not send any: its payloads could be what nobody else can read
        self.may = may
        self.wake = asyncio.Event()
        self.under_way: set[asyncio.Task[None]] = set()
        self.memory = restoring.Memory()
        self.threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="relay")
        self.waiting_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="relay-waiting")

    async def run(self) -> None:
        listener = asyncio.create_task(self.listen())
        stopper = asyncio.create_task(self.wake_on_stop())
        try:
            await self.compare_with_temporal()
            while not self.stop.is_set():
                if not self.may() or not await self.begin_due():
                    await self.sleep()
        finally:
            for task in (listener, stopper):
                task.cancel()
            await asyncio.gather(listener, stopper, return_exceptions=True)
            await self.all_delivered()
            for pool in (self.threads, self.waiting_threads):
                pool.shutdown(wait=True)

    async def begin_due(self) -> int:
        """Begin to deliver what is due, as far as places are free; answers how many rows were claimed."""
        self.wake.clear()
        free = AT_ONCE - len(self.under_way)
        if not free:
            return 0
        try:
            messages = await self.in_thread(self.claim, free)
        except DatabaseError as error:
            logger.warning("The outbox cannot be read: %s", error)
            return 0
        for message in messages:
            task = asyncio.create_task(self.deliver(message))
            self.under_way.add(task)
            task.add_done_callback(self.place_is_free)
        return len(messages)

    def claim(self, free: int) -> list[outbox.Message]:
        """What is due; of a restored database nothing that would do something by itself."""
        held = restoring.holds_back(self.memory, actor=system("relay"))
        return outbox.claim(free, only=DO_NOTHING) if held else outbox.claim(free)

    async def compare_with_temporal(self) -> None:
        """Before the first message: a database that was restored while no worker ran must not be told from."""
        while not self.stop.is_set():
            try:
                known = await self.in_thread(restoring.sweeps)
                unknown = await other_sweeps(self.client, set(known))
                await self.in_thread(partial(restoring.recognise, unknown, actor=system("relay")))
            except (DatabaseError, RPCError) as error:
                logger.warning("The relay cannot compare the database with Temporal yet: %s", type(error).__name__)
                await self.sleep()
            else:
                return

    def place_is_free(self, task: asyncio.Task[None]) -> None:
        """What waited for the place, or for the older message of its aggregate, may leave now."""
        self.under_way.discard(task)
        self.wake.set()

    async def all_delivered(self) -> None:
        """Wait until nothing is on its way any more."""
        while self.under_way:
            await asyncio.wait(self.under_way)

    async def deliver(self, message: outbox.Message) -> None:
        try:
            try:
                taken = await self.carry(message)
            except NotThere:
                await self.in_thread(missed, message, waits=True)
            except Exception as error:
                # Whatever it is, one message must not stop the relay, and with it all the others.
                if is_refused(error):
                    await self.in_thread(refuse, message, error, waits=True)
                else:
                    await self.in_thread(postpone, message, error)
            else:
                await self.in_thread(accepted, message, taken, waits=taken is not None)
                if message.topic is Topic.DRIVE_SCHEDULE:
                    self.driven.set()
        except Exception as error:
            # The lease ends by itself and the row comes again.
            log = logger.warning if isinstance(error, DatabaseError) else logger.exception
            log("Outbox row %d keeps its lease: %s", message.id, error)

    async def carry(self, message: outbox.Message) -> bool | None:
        """Hand the message to Temporal; one that only our own database must obey does not wait for it."""
        work = OBEYED_HERE.get(message.topic)
        if work is None:
            async with asyncio.timeout(BUDGET.total_seconds()):
                return await DELIVER[message.topic](self.client, message.body)
        await self.in_thread(work, message.body, waits=True)
        return None

    async def listen(self) -> None:
        """Set `wake` for every notification; reconnects for ever, unless a pooler would keep them from us."""
        while True:
            try:
                async with await open_direct() as listening:
                    if await is_pooled(listening):
                        logger.warning(
                            "The relay gets no notifications through a pooler and looks every second; "
                            "DATABASE_DIRECT_URL names PostgreSQL itself"
                        )
                        return
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

    async def in_thread(self, work: Callable[..., Any], *arguments: Any, waits: bool = False) -> Any:
        """Run database work; what `waits` for an order's lock keeps no other message from being claimed and marked."""
        pool = self.waiting_threads if waits else self.threads
        return await asyncio.get_running_loop().run_in_executor(pool, with_fresh_connection, work, *arguments)


def accepted(message: outbox.Message, taken: bool | None) -> None:
    """Mark the row; a command that Temporal answered about gets its outcome first, so that no crash loses it."""
    if taken is not None and message.topic is Topic.DRIVE_SCHEDULE:
        scheduling.settle(message.body["command_id"], taken=taken)
    elif taken is not None:
        stepping.settle(message.body["command_id"], taken=taken, actor=system("relay"))
    dead_letters.accepted(message, actor=system("relay"))


def is_refused(error: Exception) -> bool:
    """Whether the same message will be refused again, however often it is sent."""
    return isinstance(error, MALFORMED) or (isinstance(error, RPCError) and error.status in REFUSED)


def refuse(message: outbox.Message, error: Exception) -> None:
    what = error.status.name if isinstance(error, RPCError) else type(error).__name__
    logger.error("Outbox row %d is refused for good (%s)", message.id, what)
    dead_letters.refuse(message, f"{what}: {error}"[:250], actor=system("relay"))


def missed(message: outbox.Message) -> None:
    if dead_letters.missed(message, actor=system("relay")):
        logger.warning("Outbox row %d is for a process that is not there (%s)", message.id, message.aggregate)


def postpone(message: outbox.Message, error: Exception) -> None:
    """Back off: seconds while Temporal is away, up to a minute for any other trouble."""
    status = error.status if isinstance(error, RPCError) else None
    gave_up = isinstance(error, TimeoutError)
    transient = status in TRANSIENT or gave_up
    what = status.name if status else type(error).__name__
    delay = min(0.2 * 2 ** min(message.attempts, 10), 5.0 if transient else 60.0)
    if gave_up:
        # Until then the call may still arrive, and must not do so after what is younger in its aggregate.
        delay = max(delay, RPC_TIMEOUT.total_seconds())
    log = logger.info if transient else logger.error
    log("Outbox row %d was not accepted (%s), next try in %.1f s", message.id, what, delay)
    says = "Temporal did not answer in time." if gave_up else str(error)
    outbox.postpone(message, f"{what}: {says}", delay=timedelta(seconds=delay))
