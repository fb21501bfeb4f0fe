"""Following an import from outside until nothing moves any more.

The machinery may be killed while somebody waits: a database that is away is waited for, and silence is explained
instead of being shown as a bar that stands still.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connection

from orders.database_errors import is_passing
from orders.services.feeds.reporting import Progress, progress, why_quiet

T = TypeVar("T")
LOOK_EVERY = 0.5
QUIET_SECONDS = 60.0
AWAY = "The database does not answer; waiting for it."


class TimedOut(Exception):
    """The import still moves, or stands, after the time its follower had."""


def patiently(
    read: Callable[[], T], *, on_remark: Callable[[str], None], pause: Callable[[float], None] = time.sleep
) -> T:
    """The answer of a read, asked for until the database gives one."""
    is_away = False
    while True:
        try:
            return read()
        except DatabaseError as error:
            if not is_passing(error):
                raise
            # Without this every later try would find the same dead connection.
            connection.close()
            if not is_away:
                on_remark(AWAY)
            is_away = True
            pause(LOOK_EVERY)


def follow(
    feed_id: UUID | str,
    *,
    with_orders: bool,
    on_progress: Callable[[Progress], None],
    on_remark: Callable[[str], None],
    timeout: float | None = None,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Progress:
    """Wait for the end of the import and, `with_orders`, until each of its orders is closed or needs a person.

    A dry run that was checked and an import that somebody paused need a person, too.
    Raises `TimedOut`. `on_remark` is told once a minute why nothing moves.
    """
    began = moved = clock()
    last: Progress | None = None
    is_away = False
    while True:
        try:
            now = progress(feed_id)
            is_away = False
            if now != last:
                last, moved = now, clock()
                on_progress(now)
            if now.waits_for_a_person or (now.is_ended and not (with_orders and now.moving_orders)):
                return now
            if clock() - moved >= QUIET_SECONDS:
                moved = clock()
                on_remark(f"Nothing has moved for a minute. {why_quiet(feed_id)}")
        except DatabaseError as error:
            if not is_passing(error):
                raise
            connection.close()
            if not is_away:
                on_remark(AWAY)
            is_away = True
        if timeout is not None and clock() - began >= timeout:
            raise TimedOut
        pause(LOOK_EVERY)
