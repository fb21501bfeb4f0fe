"""What only the engine knows about the step that is under way: when it is tried next, and by whom it was tried last.

The one place where a request may wait for Temporal, so it is optional and bounded: an answer, or a word why there is
none, within a second, and after a failure nobody waits again for a while. Pages and lists are made without it
(a contract in `pyproject.toml` names the two callers). The engine is found by a setting: `orders` knows no Temporal.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.utils.module_loading import import_string

from orders.models import Order
from orders.vocabulary import MOVING_STATUSES, StepName

logger = logging.getLogger(__name__)

#: in all: loading the client, connecting and asking
TOTAL_SECONDS = 1.0
COOL_DOWN_SECONDS = 5.0
#: more questions at once than this wait for each other, inside their second
THREADS = 4


class LiveState(StrEnum):
    WAITING = "waiting"  # for the next attempt, or for a worker
    RUNNING = "running"
    PAUSING = "pausing"  # the attempt that runs is the last for now
    PAUSED = "paused"
    CANCELLING = "cancelling"


@dataclass(frozen=True, kw_only=True)
class LiveStep:
    step: StepName
    state: LiveState
    #: as the engine counts; "retry now" begins anew at 1
    attempt: int
    #: None while an attempt runs, waits for a worker, or is paused
    next_attempt_at: datetime | None
    #: then the step counts as failed with an unknown outcome and is undone
    gives_up_at: datetime | None
    #: the process that made the newest attempt
    worker: str
    #: the type of the newest failure
    last_failure: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    step: LiveStep | None = None
    #: why nothing is known; empty when the engine answered
    silence: str = ""


class Gateway:
    """Asks in threads of its own, so that neither loading, connecting nor a dead network holds a request longer."""

    def __init__(
        self,
        engine: Callable[[str], LiveStep | None],
        *,
        seconds: float = TOTAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self.seconds = seconds
        self.clock = clock
        self.forget()

    def forget(self) -> None:
        """Begin anew; threads and locks do not survive a fork."""
        self.lock = threading.Lock()
        self.threads: ThreadPoolExecutor | None = None
        self.silent_until = float("-inf")

    def ask(self, order: Order) -> Answer:
        if order.status not in MOVING_STATUSES:
            return Answer(silence="No step is under way.")
        with self.lock:
            if self.clock() < self.silent_until:
                return Answer(silence="Temporal did not answer a moment ago; it is asked again in some seconds.")
            if self.threads is None:
                self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway")
            asked = self.threads.submit(self.engine, str(order.pk))
        # Whoever waits here must not keep one of the few connections of the pool.
        close_old_connections()
        try:
            return Answer(step=asked.result(self.seconds))
        except Exception as error:
            asked.cancel()
            logger.info("Temporal did not say how an order stands: %s", type(error).__name__)
            with self.lock:
                self.silent_until = self.clock() + COOL_DOWN_SECONDS
            return Answer(silence="Temporal does not answer; what stands here is from the database.")


def _configured(order_id: str) -> LiveStep | None:
    describe: Any = import_string(settings.ENGINE_GATEWAY)
    return describe(order_id, seconds=TOTAL_SECONDS)  # type: ignore[no-any-return]


_gateway = Gateway(_configured)
os.register_at_fork(after_in_child=_gateway.forget)


def ask(order: Order) -> Answer:
    """What the engine says about the order's step, within `TOTAL_SECONDS`."""
    if not settings.ENGINE_GATEWAY:
        return Answer(silence="No Temporal is configured for this process.")
    return _gateway.ask(order)
