"""Database work in threads that outlive their connections.

A connection that PostgreSQL closed stays in its thread, and every later query there fails "the connection is closed",
for ever. Django looks after this around a request; the worker's own threads need the same. (Activities get it from the
isolation interceptor.)
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import close_old_connections

from orders import clock


def with_fresh_connection(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run database work in a thread that lives longer than any connection."""
    close_old_connections()
    try:
        return work(*arguments)
    finally:
        close_old_connections()


async def database_now() -> datetime:
    """`orders.clock.now()` for code of the event loop, which may not wait for the database itself."""
    return await asyncio.to_thread(with_fresh_connection, clock.now)
