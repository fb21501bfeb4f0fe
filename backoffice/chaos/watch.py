"""Is somebody looking after what was broken? Each broken thing is watched until it is mended, or a person has a task.

In a thread of its own, by what can be seen from outside at that moment: rows, and Temporal's lists. A moment that the
product wrote down is not believed, because a worker's clock is among what is broken. Seconds count while PostgreSQL,
Temporal and a worker are up: nobody mends anything for a harness that has just taken the tools away.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import psycopg

from backoffice.chaos import switches
from backoffice.chaos.acts import WORKERS
from backoffice.chaos.arena import Arena
from backoffice.chaos.facts import Trouble
from backoffice.chaos.runs import OVER, OpenRun
from temporal_app.runs import RUNS
from temporal_app.workflow_ids import SWEEP

#: seconds until a broken thing must be looked after, and when so many are broken, or the sweep is, that they wait
ONE, MANY = 60.0, 120.0
#: what the worker's own loop looks after
SCHEDULE, NEXT_SWEEP = "schedule", "next sweep"
WITHOUT_SWEEP = frozenset({SCHEDULE, NEXT_SWEEP})
#: between two rounds
PAUSE = 0.5
#: a round that took longer was itself kept waiting, and says nothing about the product
LONGEST_ROUND = 5.0
#: what tells people of an order or a run: ids of findings, tasks and system events about it
TOLD = """
    SELECT 'finding ' || id || coalesce(resolution, '') FROM orders_finding
        WHERE reference = %(reference)s OR order_id::text = %(key)s
    UNION ALL SELECT 'task ' || id FROM orders_stafftask
        WHERE subject = %(reference)s OR order_id::text = %(key)s OR batch_id::text = %(key)s
    UNION ALL SELECT 'system event ' || id || ' ' || times FROM orders_systemevent
        WHERE workflow_id IN (%(reference)s, %(workflow)s) OR order_id::text = %(key)s
"""


class Silence(Exception):
    """Whoever must be asked does not answer."""


@dataclass(kw_only=True)
class Item:
    """One broken thing."""

    what: str
    name: str
    patience: float
    #: how it is looked after, in words; empty while it is not. Raises `Silence` or `psycopg.Error`
    attended: Callable[[], str]
    #: whether it has met its trouble yet. Raises the same
    begun: Callable[[], bool] = lambda: True
    has_begun: bool = False
    #: seconds that counted so far
    waited: float = 0.0
    how: str = ""

    @property
    def is_over(self) -> bool:
        return bool(self.how) or self.waited > self.patience

    def trouble(self) -> Trouble:
        return Trouble(
            what=self.what, name=self.name, patience=self.patience, waited=round(self.waited, 1), how=self.how
        )


@dataclass(kw_only=True)
class Watch:
    arena: Arena
    items: list[Item] = field(default_factory=list)
    #: runs that were ended at Temporal
    struck: list[OpenRun] = field(default_factory=list)
    #: what went wrong with the watch itself: one that died must not look like one that saw nothing
    complaints: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(5.0)

    @property
    def done(self) -> bool:
        """Whether everything that has met its trouble is looked after, or was waited for long enough."""
        return all(item.is_over or not item.has_begun for item in self._all())

    def troubles(self) -> list[Trouble]:
        """Of everything that has met its trouble."""
        return [item.trouble() for item in self._all() if item.has_begun]

    def run(self, run: OpenRun, *, patience: float = ONE, strike: Callable[[], bool] = lambda: True) -> bool:
        """Watch a run that `strike` ends; False when that did not succeed. Raises `psycopg.Error`."""
        before, since = self.told(run), time.time()
        if not strike():
            return False
        self.struck.append(run)
        self.add(
            Item(
                what=str(run.kind),
                name=run.workflow,
                patience=patience,
                attended=lambda: self._attended(run, before, since),
            )
        )
        if run.workflow.startswith(SWEEP):
            self._be_patient()
        return True

    def schedule(self, name: str, *, patience: float = ONE) -> None:
        """Watch a schedule that was deleted."""
        self.add(Item(what=SCHEDULE, name=name, patience=patience, attended=lambda: self._is_scheduled(name)))
        if name == SWEEP:
            self._be_patient()

    def sweep(self, *, patience: float = ONE) -> None:
        """Watch whether a sweep begins that has not begun yet."""
        since = time.time()

        def swept() -> str:
            query = f"WorkflowType = 'SweepWorkflow' AND StartTime > '{_stamp(since)}'"
            return "swept" if self._listed(query) else ""

        self.add(Item(what=NEXT_SWEEP, name=SWEEP, patience=patience, attended=swept))

    def add(self, item: Item) -> None:
        """Watch anything else."""
        with self._lock:
            self.items.append(item)

    def told(self, run: OpenRun) -> frozenset[str]:
        """What people have been told of it so far. Raises `psycopg.Error`."""
        given = {"reference": f"{run.kind}:{run.key}", "key": run.key or "-", "workflow": run.workflow}
        with psycopg.connect(self.arena.wiring.database_url, connect_timeout=2) as connection:
            return frozenset(row[0] for row in connection.execute(TOLD, given))

    def _attended(self, run: OpenRun, before: frozenset[str], since: float) -> str:
        told = self.told(run) - before
        if told:
            return sorted(told)[0].split(" ")[0]
        if run.kind in OVER and self._row(OVER[run.kind], run.key) == (True,):
            return "over"
        # What a schedule starts has a new id each time.
        which = f"WorkflowType = '{RUNS[run.kind].workflow}'" if not run.key else f"WorkflowId = '{run.workflow}'"
        return "again" if self._listed(f"{which} AND StartTime > '{_stamp(since)}'") else ""

    def _row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        with psycopg.connect(self.arena.wiring.database_url, connect_timeout=2) as connection:
            return connection.execute(sql, values).fetchone()

    def _is_scheduled(self, name: str) -> str:
        told = switches.call(f"{self.arena.doors.temporal_http}/schedules?maximumPageSize=100")
        if told is None:
            raise Silence
        there = {one["scheduleId"] for one in told.get("schedules", [])}
        return "made again" if name in there else ""

    def _listed(self, query: str) -> bool:
        words = urlencode({"query": query, "pageSize": "1"})
        told = switches.call(f"{self.arena.doors.temporal_http}/workflows?{words}")
        if told is None:
            raise Silence
        return bool(told.get("executions"))

    def _work(self) -> None:
        last = time.monotonic()
        while not self._over.wait(PAUSE):
            now = time.monotonic()
            passed, last = min(now - last, LONGEST_ROUND), now
            try:
                self._round(passed)
            except Exception as error:
                self.complaints.append(f"the watch failed: {error!r}")

    def _round(self, passed: float) -> None:
        """Look at everything once; `passed` are the seconds since the last round."""
        up = any(self._works(name) for name in WORKERS)
        for item in self._all():
            if item.is_over:
                continue
            try:
                item.has_begun = item.has_begun or item.begun()
                if item.has_begun:
                    item.how = item.attended()
                    item.waited += passed if up else 0.0
            except (Silence, psycopg.Error):
                continue

    def _works(self, name: str) -> bool:
        member = self.arena.members[name]
        return member.alive and member.service.ready()

    def _be_patient(self) -> None:
        """The sweep, which finds other runs, has to be found first; schedules are found without it."""
        for item in self._all():
            if not item.is_over and item.what not in WITHOUT_SWEEP:
                item.patience = max(item.patience, MANY)

    def _all(self) -> list[Item]:
        with self._lock:
            return list(self.items)


def _stamp(at: float) -> str:
    """As Temporal's queries want it."""
    return datetime.fromtimestamp(at).astimezone().isoformat()
