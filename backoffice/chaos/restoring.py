"""A database that is set back to a copy of a minute ago, while Temporal, the partners, web and workers run on.

The copy is made as an operator makes one, from the running server with pg_basebackup. The web server stands still for
the moment in which one folder takes the place of the other, so that nobody is told yes in between.
"""

import calendar
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

import psycopg

from backoffice.chaos import switches
from backoffice.chaos.arena import Arena
from backoffice.chaos.facts import Setback
from backoffice.devstack import postgres
from backoffice.devstack.environment import remembered_secrets
from backoffice.devstack.errors import DevstackError
from backoffice.devstack.postgres_place import place

#: what is compared of every order: where it stands, and how much has happened to it
STANDS = """
    SELECT o.id::text, o.number, o.status, (SELECT count(*) FROM orders_orderevent e WHERE e.order_id = o.id)
    FROM orders_order o
"""
RUNS = " UNION ALL ".join(
    f"SELECT id::text FROM orders_{table}"
    for table in ("partnerrun", "batch", "export", "processrun", "feedimport", "playbookrun")
)
INCIDENTS = "SELECT count(*) FROM orders_stafftask WHERE kind = 'restored'"
#: money and orders that somebody is told of, by what names them
NAMED = """
    SELECT reference || ' ' || says || ' ' || payments::text FROM orders_finding
    UNION ALL SELECT subject || ' ' || says FROM orders_stafftask
    UNION ALL SELECT workflow_id || ' ' || message FROM orders_systemevent
"""
STARTED = "WorkflowType IN ('OrderWorkflow', 'RecoveryWorkflow')"


@dataclass(frozen=True, kw_only=True)
class Stand:
    number: str
    status: str
    events: int


@dataclass(kw_only=True)
class Restoring:
    arena: Arena
    say: Callable[[str], None]
    before: dict[str, Stand] = field(default_factory=dict)
    after: dict[str, Stand] = field(default_factory=dict)
    runs_before: set[str] = field(default_factory=set)
    #: unix times
    restored_at: float | None = None
    decided_at: float | None = None

    def copy(self) -> None:
        """Copy the running server's data. Raises `DevstackError` when that fails."""
        self.arena.tend_until_up("postgres")
        asked = place(self.arena.home)
        command = [asked.program("pg_basebackup"), "--pgdata", str(self._copy), "--checkpoint=fast"]
        command += ["--host=127.0.0.1", f"--port={self.arena.wiring.ports['postgres']}", "--username=backoffice"]
        password = remembered_secrets(self.arena.home)["postgres_password"]
        done = subprocess.run(
            command,
            env={**postgres.minimal_environment(), "PGPASSWORD": password},
            cwd=asked.data.parent,
            capture_output=True,
            text=True,
            check=False,
            **asked.run_as(),
        )
        if done.returncode:
            raise DevstackError(f"pg_basebackup failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")

    def restore(self) -> None:
        """Put the copy in the place of the data. Raises `DevstackError` or `psycopg.Error` when that fails."""
        self.arena.tend_until_up("postgres")
        web, server = self.arena.members["web"], self.arena.members["postgres"]
        web.send(signal.SIGSTOP)
        try:
            self.before, self.runs_before = self._stands(), self._runs()
            if server.process is not None:
                # Not in peace: what was under way is lost with the machine.
                server.process.send_signal(signal.SIGQUIT)
                server.process.wait(30)
            data = place(self.arena.home).data
            os.rename(data, data.with_name("data.lost"))
            os.rename(self._copy, data)
            self.arena.start("postgres")
            self.arena.wait_ready("postgres")
            self.restored_at = time.time()
            self.after = self._stands()
        finally:
            web.send(signal.SIGCONT)
        self.say(f"  {len(self.differing())} of {len(self.before)} orders are older now, {len(self.forgotten())} gone")

    def differing(self) -> dict[str, Stand]:
        """Orders that the database has otherwise now, or not at all, as they were."""
        return {key: stand for key, stand in self.before.items() if self.after.get(key) != stand}

    def forgotten(self) -> dict[str, Stand]:
        return {key: stand for key, stand in self.before.items() if key not in self.after}

    def is_told(self) -> bool:
        """Whether a lead has a task about it; False when nobody answers."""
        try:
            with psycopg.connect(self.arena.wiring.database_url, connect_timeout=2) as connection:
                return connection.execute(INCIDENTS).fetchone() != (0,)
        except psycopg.Error:
            return False

    def setback(self) -> Setback | None:
        """What the verdict needs; None in a run without. Raises RuntimeError when Temporal does not answer."""
        if self.restored_at is None:
            return None
        until = self.decided_at or time.time()
        with psycopg.connect(self.arena.wiring.database_url) as connection:
            incidents = (connection.execute(INCIDENTS).fetchone() or (0,))[0]
            told = "\n".join(row[0] for row in connection.execute(NAMED))
            runs = {row[0] for row in connection.execute(RUNS)}
        return Setback(
            since=self.restored_at,
            until=until,
            incidents=incidents,
            done=frozenset(key for key, stand in self.differing().items() if stand.status == "completed"),
            older=frozenset(stand.number for stand in self.differing().values()),
            forgotten={key: stand.number for key, stand in self.forgotten().items()},
            forgotten_runs=frozenset(self.runs_before - runs),
            started=self._started(until),
            told=told,
        )

    @property
    def _copy(self) -> str:
        return str(place(self.arena.home).data.with_name("copy"))

    def _stands(self) -> dict[str, Stand]:
        with psycopg.connect(self.arena.wiring.database_url) as connection:
            rows = connection.execute(STANDS).fetchall()
        return {key: Stand(number=number, status=status, events=events) for key, number, status, events in rows}

    def _runs(self) -> set[str]:
        with psycopg.connect(self.arena.wiring.database_url) as connection:
            return {row[0] for row in connection.execute(RUNS)}

    def _started(self, until: float) -> frozenset[str]:
        """Ids of the orders of which a run began after the restore and before the decision."""
        assert self.restored_at is not None
        words = urlencode({"query": STARTED, "pageSize": "1000"})
        told = switches.call(f"{self.arena.doors.temporal_http}/workflows?{words}")
        if told is None:
            raise RuntimeError("Temporal does not list what was started after the restore")
        return frozenset(
            one["execution"]["workflowId"].partition(":")[2]
            for one in told.get("executions", [])
            if self.restored_at < _unix(one["startTime"]) < until
        )


def _unix(stamp: str) -> float:
    """Of a moment as Temporal tells it, to the second."""
    return float(calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")))
