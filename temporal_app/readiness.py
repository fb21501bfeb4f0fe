"""Whether a worker takes work: not while its database is away, and not with a configuration that cannot do it.

A worker without a connection would take task after task and fail each, away from those that could do them. So every
slot for which the SDK asks before it polls goes through a gate; the gate shuts, the polls that are under way run out
within a minute, and nothing new is taken until it opens again. The worker itself is not stopped: the SDK's shutdown may
hang (`stopping.py`).
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from temporalio.worker import (
    CustomSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
)

from orders.connections import open_beside
from temporal_app.connections import with_fresh_connection

logger = logging.getLogger(__name__)
#: seconds between two looks, for one look, and without a database until the gate shuts
LOOK_EVERY = 2.0
LOOK_TIMEOUT = 4.0
PATIENCE = 10.0
#: looks at the database from one comparison of the configuration to the next
COMPARE_EVERY = 5
READ_ONLY = "SELECT current_setting('transaction_read_only')"
NO_CONNECTION = "The database gives no connection ({})."


class Readiness:
    """The gate of one worker process, and its ready file. Only the loop changes it; slots may ask from any thread."""

    def __init__(self) -> None:
        self.obstacles: dict[str, str] = {"database": "The database has not answered yet."}
        self.open = asyncio.Event()
        self.over = False

    @property
    def why(self) -> str:
        """Why no work is taken; empty while it is."""
        return " ".join(self.obstacles.values())

    def hinder(self, what: str, why: str) -> None:
        if self.obstacles.get(what) != why:
            logger.error("No work is taken: %s", why)
        self.obstacles[what] = why
        self.open.clear()
        not_ready()

    def clear(self, what: str) -> None:
        if self.obstacles.pop(what, None) is None or self.obstacles:
            return
        logger.info("Work is taken")
        self.open.set()
        if not self.over:
            _ready_file(lambda path: path.touch())

    def end(self) -> None:
        """The process stops: it is never ready again."""
        self.over = True
        not_ready()

    async def watch(self, compare: Callable[[], str], stop: asyncio.Event) -> None:
        """Look at the database every few seconds until `stop`; `compare` says what of the configuration is wrong."""
        since, looks = time.monotonic(), 0
        while not stop.is_set():
            if trouble := await database_trouble():
                if time.monotonic() - since >= PATIENCE:
                    self.hinder("database", trouble)
            else:
                since = time.monotonic()
                if looks % COMPARE_EVERY == 0 or "configuration" in self.obstacles:
                    await self._compare(compare)
                looks += 1
                self.clear("database")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY)

    async def _compare(self, compare: Callable[[], str]) -> None:
        try:
            found = await asyncio.to_thread(with_fresh_connection, compare)
        except DatabaseError as error:
            logger.warning("The configuration was not compared: %s", error)
            return
        if found:
            self.hinder("configuration", found)
        else:
            self.clear("configuration")


class GatedSlots(CustomSlotSupplier):
    """So many slots, and none of them while the gate is shut."""

    def __init__(self, size: int, readiness: Readiness) -> None:
        self.readiness = readiness
        self.free = size
        self.lock = threading.Lock()
        self.changed = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        while True:
            await self.readiness.open.wait()
            self.changed.clear()
            if (permit := self.try_reserve_slot(ctx)) is not None:
                return permit
            if self.readiness.open.is_set():
                await self.changed.wait()

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        with self.lock:
            if not self.free or not self.readiness.open.is_set():
                return None
            self.free -= 1
            return SlotPermit()

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        """Taken is taken: it was counted when it was reserved."""

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        with self.lock:
            self.free += 1
        # Called from the SDK's own threads, also when the loop has ended.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.changed.set)


async def database_trouble() -> str:
    """Why no connection could write; empty when one could."""
    try:
        async with asyncio.timeout(LOOK_TIMEOUT), await open_beside(connect_timeout=3) as own:
            answer = await (await own.execute(READ_ONLY)).fetchone()
    except (psycopg.errors.ConnectionTimeout, TimeoutError) as error:
        return NO_CONNECTION.format(type(error).__name__)
    except (psycopg.Error, OSError) as error:
        # It was refused: all that the account may have are in use, perhaps by our own pool, which then works well.
        try:
            answer = await asyncio.to_thread(with_fresh_connection, _ask_the_pool)
        except DatabaseError:
            return NO_CONNECTION.format(type(error).__name__)
    return "The database takes no writes." if answer == ("on",) else ""


def _ask_the_pool() -> Any:
    with connection.cursor() as cursor:
        cursor.execute(READ_ONLY)
        return cursor.fetchone()


def not_ready() -> None:
    """Take the ready file away."""
    _ready_file(lambda path: path.unlink(missing_ok=True))


def _ready_file(do: Callable[[Path], None]) -> None:
    if settings.WORKER_READY_FILE:
        do(Path(settings.WORKER_READY_FILE))
