"""How a worker process stops: within its grace, whatever is under way or hangs.

The first signal stops polling and the relay, and lets running activities finish; the second ends the process at once.
Without the first step every deploy would look like a crash: activities cut in the middle, and partners asked twice.

The SDK ends when every activity has ended and every long poll has been answered, so one call that hangs keeps it for
ever, and a poll that began during the shutdown for a minute (temporalio/sdk-rust#1197). The process waits for neither:
what it leaves behind is tried again by another worker, whose claim and look-up make that safe.

The relay ends before the workers are shut down. An order that it starts eagerly takes a workflow slot of this process:
the SDK asks for it while it holds its list of workers, and our slots (`GatedSlots`) need the interpreter's lock for the
answer. A shutdown holds the interpreter's lock and needs the list, so both would wait for ever; and a first task that
arrives at a worker which has been shut down is lost until Temporal gives it out again, after ten seconds.
"""

import asyncio
import faulthandler
import logging
import signal
import threading
from collections.abc import Coroutine, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from temporal_app.process_exit import hard_exit
from temporal_app.readiness import Readiness
from temporal_app.takings import Takings

logger = logging.getLogger(__name__)
T = TypeVar("T")
#: for everything, from the signal on: whoever stops a process kills it after half a minute
GRACE = timedelta(seconds=25)
#: for a process in which no Python code runs any more, so that not even the grace can be kept
LAST = timedelta(seconds=28)
#: for what the relay has under way
HAND_OVER = timedelta(seconds=5)
#: after which long activities are told to leave
FINISH = timedelta(seconds=15)
#: with nothing under way for so long, the last answers have been sent
SETTLED = timedelta(seconds=3)


class Stop:
    """The stop of one worker process: asked for by a signal or by a failure, and over in time."""

    def __init__(self, takings: Takings, readiness: Readiness) -> None:
        self.asked = asyncio.Event()
        self.takings = takings
        self.readiness = readiness

    def on_signals(self) -> None:
        """Obey SIGTERM and SIGINT from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number.name)

    def _on_signal(self, name: str) -> None:
        if self.asked.is_set():
            logger.warning("Second %s: leaving at once, running activities will be retried", name)
            hard_exit(1)
        logger.info("%s: finishing what runs (up to %d s); a second one leaves at once", name, GRACE.seconds)
        self.begin(0)

    def begin(self, code: int) -> None:
        """Leave with `code` when the grace is over, whatever hangs by then."""
        if self.asked.is_set():
            return
        self.readiness.end()
        # A thread, because the loop may be what hangs.
        deadline = threading.Timer(GRACE.total_seconds(), self._leave, [code])
        deadline.daemon = True
        deadline.start()
        # Native code that keeps the interpreter's lock stops that thread too. This needs no lock: it says where each
        # thread stood and leaves with 1.
        faulthandler.dump_traceback_later(LAST.total_seconds(), exit=True)
        self.asked.set()

    def _leave(self, code: int) -> None:
        left = ", ".join(sorted(self.takings.under_way.values())) or "nothing but connections"
        logger.warning("Leaving after %d s; under way, to be done elsewhere: %s", GRACE.seconds, left)
        hard_exit(code)

    async def unless_asked(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of what may hang; None when the stop was asked for first."""
        working, asked = asyncio.create_task(work), asyncio.create_task(self.asked.wait())
        try:
            await asyncio.wait([working, asked], return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            working.cancel()
            asked.cancel()

    async def handed_over(self, relaying: asyncio.Task[Any]) -> None:
        """Wait for the relay, but not for a Temporal that does not answer: such a call holds no lock."""
        await asyncio.wait([relaying], timeout=HAND_OVER.total_seconds())

    async def all_ended(self, workers: Iterable[asyncio.Task[Any]], side: Iterable[asyncio.Task[Any]]) -> bool:
        """Wait for them; False when workers do nothing any more and have not ended all the same."""
        await asyncio.wait(side)
        left, quiet, step = set(workers), 0.0, 0.25
        while left:
            _, left = await asyncio.wait(left, timeout=step)
            quiet = 0.0 if self.takings.under_way else quiet + step
            if left and quiet >= SETTLED.total_seconds():
                return False
        return True
