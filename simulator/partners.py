"""The partners of one process: what every connection of it shares, and the clock that moves their books on."""

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator import behaviour, due, intents
from simulator.clock import Clock
from simulator.context import Context
from simulator.faults import FaultBook
from simulator.idempotency import InFlight
from simulator.store import Store
from simulator.wire import Request, refuse

CLOCK_SECONDS = 0.1


@dataclass(kw_only=True)
class Simulator:
    """Everything one process shares between its connections."""

    store: Store
    seed: str
    base_url: str
    allow_reset: bool
    wall: Callable[[], float] = time.time
    stopping: threading.Event = field(default_factory=threading.Event)
    in_flight: InFlight = field(default_factory=InFlight)
    faults: FaultBook = field(init=False)
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.faults = FaultBook(self.store)
        self.clock = Clock(self.store, self.wall)
        with self.store.write() as tx:
            intents.make_all_searchable(self.context(tx))

    def pause(self, seconds: float) -> None:
        """Spend time as a slow partner. Raises RefusedError with 503 when the process stops meanwhile."""
        if seconds > 0 and self.stopping.wait(seconds):
            refuse(503, "stopping", "the simulator is stopping")

    def context(self, tx: sqlite3.Connection, request: Request | None = None) -> Context:
        """Return what a rule of the gateway works with in this transaction; without a request, for what was due."""
        return Context(
            tx=tx,
            now=self.clock.now(tx),
            wall=int(self.wall()),
            behaviour=behaviour.load(tx),
            faults=self.faults,
            seed=self.seed,
            base_url=self.base_url,
            request_id=request.id if request else None,
            key=request.idempotency_key if request else None,
        )

    def catch_up(self) -> None:
        """Apply everything that has become due."""
        with self.store.read() as snapshot:
            more = due.waits(snapshot, self.clock.now(snapshot))
        while more:
            with self.store.write() as tx:
                more = due.apply(self.context(tx))

    def run_clock(self) -> None:
        """Apply what becomes due until the process stops, for events that nobody asks for."""
        while not self.stopping.wait(CLOCK_SECONDS):
            try:
                self.catch_up()
            except sqlite3.Error:
                # Closed at the end of the process; before that the next call or the next turn tries again.
                self.stopping.wait(1.0)
