"""What time it is, for all that is stored and all that is compared with what is stored: the time of the database.

Web and workers run on machines of their own, and a machine's clock may be minutes off. If each wrote its own time,
events would lie in the future, orders would close before they were placed, and a dead worker would count as alive.

The database is asked twice a minute at most. In between its answer is carried on by the machine's timer, which counts
from the start of the machine and which nobody sets; so the time costs no statement. SQL that needs no value in Python
uses `Now()` of the database directly.
"""

import asyncio
import os
import socket
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

#: timers of two machines drift apart by a few milliseconds in so many seconds
ASK_AGAIN_AFTER = 30.0
#: an answer that took longer, in seconds, is asked for again, and the quickest one counts
QUICK = 0.01
TRIES = 3
#: an answer that is older, in seconds, is no witness against a clock
LATELY = 120.0


def _timer() -> float:
    # CLOCK_MONOTONIC stands still while the machine sleeps.
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The database's time when the timer of this machine stood at `timer`."""

    at: datetime
    timer: float
    #: seconds between question and answer, by which `at` may be late
    took: float


_answer: Answer | None = None


def now() -> datetime:
    """The database's time, aware and in UTC: never ahead of it, and late by milliseconds at most.

    Raises `django.db.Error` when the database has to be asked and does not answer. Asynchronous code that may be the
    first to ask calls it in a thread.
    """
    known = _answer
    if known is None or (_timer() - known.timer > ASK_AGAIN_AFTER and _can_ask()):
        known = ask()
    return known.at + timedelta(seconds=_timer() - known.timer)


def ask() -> Answer:
    """Ask the database now, whatever is known. A connection that was opened for it is given back."""
    global _answer
    was_open = connection.connection is not None
    try:
        best = _ask_once()
        for _ in range(TRIES - 1):
            if best.took <= QUICK:
                break
            best = min(best, _ask_once(), key=lambda answer: answer.took)
    finally:
        if not was_open:
            connection.close()
    _answer = best
    return best


def ahead() -> timedelta | None:
    """How far the clock of this machine is ahead of the database's; negative when it is behind.

    Never asks: None when the database has not been asked of late.
    """
    known = _answer
    if known is None or _timer() - known.timer > LATELY:
        return None
    return timezone.now() - known.at - timedelta(seconds=_timer() - known.timer)


def process() -> str:
    """The name of this process among all of ours: "123@host"."""
    return f"{os.getpid()}@{socket.gethostname()}"


def _ask_once() -> Answer:
    with connection.cursor() as cursor:
        asked = _timer()
        cursor.execute("SELECT clock_timestamp()")
        heard = _timer()
        # Of the moment between question and answer only the end is certain not to be ahead.
        return Answer(at=cursor.fetchone()[0], timer=heard, took=heard - asked)


def _can_ask() -> bool:
    """Whether a statement may be run here: not in a transaction that has failed, not in an event loop."""
    if connection.in_atomic_block and connection.needs_rollback:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False
