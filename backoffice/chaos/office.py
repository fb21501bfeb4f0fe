"""What an office runs over many orders while everything is being killed: refreshes, batches, exports, closes, imports.

Each job is asked for over the API like everything else, followed to its end, and noted with its id; whether it ended as
it must, with one result for each of its parts, is read from the rows afterwards (`evidence`, `verdict`).
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from backoffice.chaos.asking import LOOK, PATIENCE, Asker
from backoffice.chaos.plan import IMPORTED, JOBS, Job

#: orders that a batch takes: those that are under way
UNDER_WAY = """
    SELECT array_agg(number) FROM (SELECT number FROM orders_order WHERE closed_at IS NULL ORDER BY number LIMIT 30) o
"""
STATUS = {
    "partner run": "SELECT status, finished_at IS NOT NULL FROM orders_partnerrun WHERE id = %s",
    "batch": "SELECT status, finished_at IS NOT NULL FROM orders_batch WHERE id = %s",
    "export": "SELECT status, finished_at IS NOT NULL FROM orders_export WHERE id = %s",
    "day-end close": "SELECT status, finished_at IS NOT NULL FROM orders_processrun WHERE id = %s",
    "import": "SELECT status, finished_at IS NOT NULL FROM orders_feedimport WHERE id = %s",
}
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A job that the product said yes to."""

    #: a key of `STATUS`
    kind: str
    id: str


@dataclass(kw_only=True)
class Office:
    asker: Asker
    accepted: list[Accepted] = field(default_factory=list)
    #: invoice numbers of the files that were taken
    invoices: list[str] = field(default_factory=list)
    #: one thread a kind: the second refresh of a partner while the first one runs would be refused
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(len(JOBS), thread_name_prefix="office")
    )
    _left: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def done(self) -> bool:
        return self._left == 0

    def figures(self) -> dict[str, int]:
        """How many of each kind were accepted, for the report."""
        return {kind: sum(one.kind == kind for one in self.accepted) for kind in STATUS}

    def begin(self, jobs: tuple[Job, ...], started: float) -> None:
        """Do each job at its moment, counted from `started` (monotonic); those of one kind after each other."""
        by_kind: dict[str, list[Job]] = defaultdict(list)
        for job in jobs:
            by_kind[job.kind].append(job)
        self._left += len(by_kind)
        for kind, some in by_kind.items():
            self._pool.submit(self._work, kind, some, started)

    def leave(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work(self, kind: str, jobs: list[Job], started: float) -> None:
        do: Callable[[int], None] = {
            "partner run": self._refresh_tracking,
            "hold batch": self._hold_and_let_go,
            "export": self._export,
            "day-end close": self._close_a_day,
            "import": self._import,
        }[kind]
        try:
            for number, job in zip(count(1), jobs, strict=False):
                self.asker.over.wait(max(0.0, started + job.at - time.monotonic()))
                do(number)
        except Exception as error:
            self.asker.complain(f"the office failed at {kind}: {error!r}")
        finally:
            with self._lock:
                self._left -= 1

    def _refresh_tracking(self, number: int) -> None:
        self._run("partner run", "partners/carrier/runs/", f"tracking-{number}", json={"reason": "Where are they?"})

    def _hold_and_let_go(self, number: int) -> None:
        """Hold what is under way, then undo that: every order must be where it was, or further."""
        found = self.asker.look(UNDER_WAY)
        if found is None or not found[0]:
            return
        body = {"action": "hold", "numbers": found[0], "reason": "A rumour", "auto_pause_percent": 0}
        batch = self._run("batch", "batches/", f"hold-{number}", json=body)
        held = self.asker.look("SELECT count(*) FROM orders_batchitem WHERE batch_id = %s AND status = 'done'", batch)
        if batch and held and held[0]:
            self._run("batch", f"batches/{batch}/undo/", f"undo-{number}", json={"reason": "It was one"})

    def _export(self, number: int) -> None:
        body = {"format": "csv", "reason": "The accountant asked", "filter": {}}
        export = self._run("export", "exports/", f"export-{number}", json=body)
        counted = self.asker.look("SELECT row_count FROM orders_export WHERE id = %s", export)
        if not export or counted is None:
            return
        lines = self._download(f"exports/{export}/download/")
        if lines is not None and lines != counted[0] + 1:
            self.asker.complain(f"the file of export {export} has {lines} lines for {counted[0]} orders")

    def _close_a_day(self, number: int) -> None:
        day = (datetime.now(UTC) - timedelta(days=number)).date()
        body = {"definition": "day_end_close", "business_day": f"{day:%Y-%m-%d}", "reason": "The day is over"}
        self._run("day-end close", "processes/", f"close-{number}", json=body)

    def _import(self, number: int) -> None:
        invoices = [f"9{number:02}{one:03}" for one in range(IMPORTED)]
        rows = [
            f"{invoice},CHAOS{number},Chaos {number},{1 + at},2011-01-04 10:00:00,2.50,FEED-{invoice},United Kingdom"
            for at, invoice in enumerate(invoices)
        ]
        options = {"create_products": "true", "initial_stock": "1000", "process": "true", "name": f"chaos-{number}.csv"}
        self.invoices += invoices
        taken = self._run(
            "import",
            "imports/",
            f"import-{number}",
            params=options,
            data="\n".join([HEADER, *rows, ""]).encode(),
            headers={"Content-Type": "text/csv"},
        )
        if taken is None:
            self.invoices = [invoice for invoice in self.invoices if invoice not in invoices]

    def _run(self, kind: str, path: str, key: str, **request: Any) -> str | None:
        """Ask for it and stay until it has ended; answers its id, or None when it was not taken."""
        answer = self.asker.insist(f"{kind} {key}", path, key=f"office-{key}", **request)
        if answer is None:
            return None
        run = str(answer.json()["id"])
        self.accepted.append(Accepted(kind=kind, id=run))
        give_up, again = time.monotonic() + PATIENCE, count(1)
        while time.monotonic() < give_up and not self.asker.over.wait(LOOK):
            found = self.asker.look(STATUS[kind], run)
            if found is not None and found[1]:
                return run
            if found is not None and kind == "batch" and found[0] == "paused":
                # By itself: somebody else had released most of it, and each of these is a failure of its item.
                once = f"{key}-on-{next(again)}"
                self.asker.insist(f"resuming {key}", f"batches/{run}/resume/", key=once, json={"reason": "Go on"})
        self.asker.complain(f"{kind} {run} has not ended after {PATIENCE:.0f} s")
        return run

    def _download(self, path: str) -> int | None:
        """Lines of the file; None when nobody sends it."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and not self.asker.over.wait(LOOK):
            answer = self.asker.ask("GET", f"{self.asker.doors.api}{path}")
            if answer is not None and answer.status_code == 200:
                return len(answer.content.decode("utf-8-sig").splitlines())
        return None
