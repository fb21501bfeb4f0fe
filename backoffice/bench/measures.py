"""The measurements of `./dev bench`, made from outside: over the API, with the times that the rows themselves carry.

Nothing is measured by code inside the worker: what staff wait for is when the batch's row says that it began and ended.
"""

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import requests

from backoffice.chaos.acts import WORKERS
from backoffice.chaos.arena import Arena
from backoffice.chaos.memory import Memory, resident
from backoffice.devstack.errors import DevstackError

#: a limit for what hangs; a loaded machine needs minutes
PATIENCE = 600.0
#: two measurements of one thing that differ by more are noise
NOISE = 1.5
#: how many times as many orders the larger batch has
LARGER = 4
PLACED = "SELECT number FROM orders_order WHERE status = 'placed' ORDER BY created_at, id LIMIT %s"


@dataclass(kw_only=True)
class Bench:
    arena: Arena
    memory: Memory
    rows: list[dict[str, Any]] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    noisy: bool = False
    #: distinguishes the keys of this run's calls
    calls: int = 0

    def measure(self, name: str, *, orders: int, children: int, rows: int) -> None:
        match name:
            case "chunks":
                self.chunks(orders)
            case "children":
                self.children(children)
            case "import":
                self.imports(rows)
            case "export":
                self.exports()

    def report(self) -> dict[str, Any]:
        by_name = {row["name"]: row for row in self.rows}
        if {"chunks", "children"} <= by_name.keys():
            ratio = by_name["chunks"]["per_second"] / by_name["children"]["per_second"]
            self.ratios["chunks over children, orders a second"] = round(ratio, 1)
        memory = {**self.memory.report(), "workers": {"most_mb": self._worker_mb()}}
        return {"ratios": self.ratios, "rows": self.rows, "noisy": self.noisy, "memory": memory}

    def chunks(self, orders: int) -> None:
        """Hold and release, at one size and at a larger one."""
        self._seed(orders * LARGER)
        small, again = self._hold(orders, "chunks"), self._hold(orders, "chunks again")
        memory = self._worker_mb()
        large = self._hold(orders * LARGER, f"chunks, {LARGER} times as many")
        self.noisy = max(small, again) > NOISE * min(small, again)
        self.ratios["time for one order at four times as many"] = round(large / LARGER / min(small, again), 2)
        self.ratios["memory at four times as many"] = round(self._worker_mb() / max(memory, 1.0), 2)

    def children(self, orders: int) -> None:
        self._seed(orders)
        self._batch("start", self._placed(orders), "children")

    def imports(self, rows: int) -> None:
        """A made-up file, from the start of the command to the last stored order."""
        file = self.arena.home.path / "bench.csv"
        self._manage("seed_feed", str(file), "--rows", str(rows))
        before = time.monotonic()
        told = self._manage(
            "import_orders", str(file), "--create-products", "--initial-stock", "100000", "--wait", "--json"
        )
        self._row("import", rows, time.monotonic() - before, orders=json.loads(told.splitlines()[-1]).get("orders"))

    def exports(self) -> None:
        """All orders that there are by now."""
        self._seed(1)
        export = self._post("exports/", {"format": "csv", "reason": "bench", "filter": {}})
        ended = self._follow(export["links"]["self"])
        if ended["status"] != "completed":
            raise DevstackError(f"bench: the export is {ended['status']}: {ended['note']}")
        self._row("export", ended["rows_written"], _between(ended["created_at"], ended["finished_at"]))

    def _hold(self, orders: int, name: str) -> float:
        """Seconds; the orders are placed again afterwards."""
        batch = self._batch("hold", self._placed(orders), name)
        back = self._follow(self._post(f"batches/{batch['id']}/undo/", {"reason": "bench"})["links"]["self"])
        if back["figures"]["items"]["done"] != orders:
            raise DevstackError(f"bench: the undo brought {back['figures']['items']} of {orders} orders back")
        return _between(batch["started_at"], batch["finished_at"])

    def _batch(self, action: str, numbers: list[str], name: str) -> dict[str, Any]:
        body = {"action": action, "numbers": numbers, "reason": "bench", "auto_pause_percent": 0}
        batch = self._follow(self._post("batches/", body)["links"]["self"])
        ended = batch["figures"]["items"]["done"] + batch["figures"]["items"]["failed"]
        if ended != len(numbers):
            raise DevstackError(f"bench: {ended} of {len(numbers)} orders have an outcome")
        self._row(
            name,
            ended,
            _between(batch["started_at"], batch["finished_at"]),
            failed=batch["figures"]["items"]["failed"],
            history_events=self._events(f"batch:{batch['id']}"),
        )
        return batch

    def _row(self, name: str, count: int, seconds: float, **more: Any) -> None:
        rate = round(count / max(seconds, 0.001), 1)
        self.rows.append({"name": name, "count": count, "seconds": round(seconds, 2), "per_second": rate, **more})

    def _seed(self, orders: int) -> None:
        """As many placed orders as are needed."""
        missing = orders - len(self._placed(orders))
        if missing > 0:
            self._manage("seed_orders", "--count", str(missing))

    def _placed(self, count: int) -> list[str]:
        with psycopg.connect(self.arena.wiring.database_url) as connection:
            return [number for (number,) in connection.execute(PLACED, [count])]

    def _events(self, workflow_id: str) -> int:
        """Of the last run of the workflow."""
        address = f"{self.arena.doors.temporal_http}/workflows/{quote(workflow_id, safe='')}"
        told = requests.get(address, timeout=10).json()
        return int(told["workflowExecutionInfo"]["historyLength"])

    def _worker_mb(self) -> float:
        """The most that one of the workers has held so far, also between two looks."""
        members = [self.arena.members[name] for name in WORKERS]
        return round(max(_peak_mb(member.process.pid) for member in members if member.process is not None), 1)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        headers = {"Authorization": f"Token {self.arena.doors.token}", "Idempotency-Key": f"bench-{self.calls}"}
        answer = requests.post(f"{self.arena.doors.api}{path}", json=body, headers=headers, timeout=60)
        if answer.status_code >= 300:
            raise DevstackError(f"bench: {path} was answered with {answer.status_code}: {answer.text[:300]}")
        return dict(answer.json())

    def _follow(self, address: str) -> dict[str, Any]:
        """What it is when it has ended."""
        headers = {"Authorization": f"Token {self.arena.doors.token}"}

        def look() -> dict[str, Any] | None:
            told = dict(requests.get(address, headers=headers, timeout=60).json())
            return told if told.get("finished_at") else None

        return self._wait(look, address)

    def _wait(self, look: Callable[[], dict[str, Any] | None], what: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.arena.tend()
            self.memory.look()
            found = look()
            if found is not None:
                return found
            time.sleep(0.25)
        raise DevstackError(f"bench: {what} has not ended within {PATIENCE:.0f} s")

    def _manage(self, *arguments: str) -> str:
        done = self.arena.manage(*arguments)
        if done.returncode != 0:
            raise DevstackError(f"manage.py {arguments[0]} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return done.stdout


def _peak_mb(pid: int) -> float:
    """Where the kernel does not tell the peak, what the process holds now."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1_024 / 1_000_000
    return resident(pid)


def _between(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
