"""A relay without its loop, in the test's own thread and transaction, and a stand-in for Temporal."""

import asyncio
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async

from temporal_app import relay
from tests.orders.connections import PATIENCE


class Temporal:
    """Stands in for the starter: keeps what was delivered, and raises what it was told to."""

    def __init__(self) -> None:
        self.delivered: list[str] = []
        self.errors: list[Exception] = []
        #: numbers that it does not answer about
        self.hung: set[str] = set()

    async def deliver(self, client: object, body: dict[str, Any]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        if body["number"] in self.hung:
            await asyncio.Event().wait()
        self.delivered.append(body["number"])


def new_relay() -> relay.Relay:
    running = relay.Relay(None, asyncio.Event())  # type: ignore[arg-type]

    def in_this_thread(work: Callable[..., Any], *arguments: Any, waits: bool = False) -> Any:
        return work(*arguments)

    # In the test's own thread, and so in its transaction.
    running.in_thread = sync_to_async(in_this_thread)  # type: ignore[method-assign]
    return running


def relay_once() -> int:
    """One look of a relay at the outbox, until all is delivered; answers how many rows it claimed."""

    async def look() -> int:
        running = new_relay()
        async with asyncio.timeout(PATIENCE):
            claimed = await running.begin_due()
            await running.all_delivered()
        return claimed

    return async_to_sync(look)()
