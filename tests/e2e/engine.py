"""A running engine for tests: the real Temporal dev server, the simulator and a worker process on the test database."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pgtrigger
import requests
from django.conf import settings
from django.db import transaction
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, WorkflowExecutionStatus
from temporalio.service import RPCError

from backoffice.database_roles import Role
from backoffice.devstack import http_probe, paths, ports, services, temporal
from orders import clock
from orders.models import StaffTask
from orders.services.sweeping import progress, restoring
from orders.vocabulary import SweepPart, TaskKind
from temporal_app.client import data_converter
from temporal_app.workflow_ids import SWEEP
from tests.accounts import account_url
from tests.e2e.gate import Gate
from tests.simulator.process import SimulatorProcess, start_simulator

#: a process with a clock of its own, so many minutes ahead
UNDER_A_CLOCK = """
import datetime, runpy, sys, time_machine
minutes = int(sys.argv.pop(1))
if minutes:
    shifted = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    time_machine.travel(shifted, tick=True).start()
"""
#: `manage.py run_worker`, with options
RUN_WORKER = f"""{UNDER_A_CLOCK}
import django
django.setup()
from orders.services.sweeping import restoring
# The database is emptied after each test, also under the workers of other modules. Sweeps are remembered for them.
restoring._stands = lambda event: True
sys.argv = ["manage.py", "run_worker", *sys.argv[1:]]
runpy.run_path("manage.py", run_name="__main__")
"""
#: `python -m uvicorn`, with options
RUN_WEB = f"""{UNDER_A_CLOCK}
runpy.run_module("uvicorn", run_name="__main__", alter_sys=True)
"""
#: a worker that decides and relays only: activities are left to whoever takes them
RUN_WITHOUT_ACTIVITIES = """
import functools, django
django.setup()
from temporal_app import worker
worker.Worker = functools.partial(worker.Worker, no_remote_activities=True)
"""
CHECKOUT = Path(__file__).resolve().parents[2]


#: seconds: a limit against hanging; whoever promises less says so
PATIENCE = 240.0


def eventually(condition: Callable[[], object], *, seconds: float = PATIENCE, what: str = "the condition") -> None:
    """Wait until `condition()` is true; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds:.0f} s"
        time.sleep(0.05)


class TemporalServer:
    """A dev server that can be killed and started again on the same file and port."""

    def __init__(self, folder: Path) -> None:
        self.home = paths.Home(path=folder).create()
        self.ports = {
            name: ports.choose(self.home, name)
            for name in ("temporal", "temporal_ui", "temporal_http", "temporal_metrics")
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports['temporal']}"

    def start(self) -> None:
        with open(self.home.logs / "temporal.log", "ab") as log:
            self.process = subprocess.Popen(
                temporal.command(self.home, self.ports),
                stdout=log,
                stderr=log,
                env=temporal.minimal_environment(self.home),
            )
        eventually(lambda: temporal.answers(self.ports), what="the Temporal dev server")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass
class Engine:
    temporal: TemporalServer
    simulator: SimulatorProcess
    folder: Path
    worker: subprocess.Popen[bytes] | None = None
    #: whether that worker was started without options and with the right clock
    worker_is_plain: bool = True
    web: subprocess.Popen[bytes] | None = None
    #: between the processes and PostgreSQL
    gate: Gate | None = None

    def environment(self, role: Role = Role.WORKER) -> dict[str, str]:
        return {
            **os.environ,
            "DATABASE_URL": self.gate.before(account_url(role)) if self.gate else account_url(role),
            "BACKOFFICE_PROCESS": role.value,
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_NAMESPACE": temporal.NAMESPACE,
            "SIMULATOR_URL": self.simulator.url,
            "WORKER_READY_FILE": str(self.folder / "worker.ready"),
            "BACKOFFICE_ENV": "test",
            "DJANGO_SETTINGS_MODULE": "backoffice.settings",
            "BREAKER_FIRST_SECONDS": "0.5",
            "BREAKER_LONGEST_SECONDS": "2",
        }

    def start_worker(self, *options: str, minutes_ahead: int = 0, activities: bool = True) -> None:
        """Start it and wait until it polls; its clock may be wrong by some minutes, or others do its activities."""
        script = RUN_WORKER if activities else RUN_WITHOUT_ACTIVITIES + RUN_WORKER
        ready = self.folder / "worker.ready"
        ready.unlink(missing_ok=True)
        with open(self.folder / "worker.log", "ab") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-c", script, str(minutes_ahead), *options],
                cwd=CHECKOUT,
                env=self.environment(),
                stdout=log,
                stderr=log,
            )
        try:
            eventually(ready.exists, what="the worker")
        except AssertionError:
            self.show_log()
            raise
        self.worker_is_plain = activities and not options and not minutes_ahead

    def start_web(self, *, minutes_ahead: int = 0, **settings: str) -> str:
        """The address of a web server on the test database, with these settings besides; its clock may be wrong."""
        port = ports.choose(self.temporal.home, "web")
        with open(self.folder / "web.log", "ab") as log:
            self.web = subprocess.Popen(
                [*(sys.executable, "-c", RUN_WEB, str(minutes_ahead)), *services.web_options(port)],
                cwd=CHECKOUT,
                env={**self.environment(Role.WEB), "DATABASE_POOL_SIZE": "4", **settings},
                stdout=log,
                stderr=log,
            )
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: http_probe.answers(f"{url}/healthz"), what="the web server")
        return url

    def show_log(self) -> None:
        print(self.log()[-8_000:])

    def kill_worker(self) -> None:
        assert self.worker is not None
        self.worker.kill()
        self.worker.wait()

    def stop_worker(self) -> int:
        """SIGTERM; answers the exit code, and shows how the log ends when it is not 0."""
        assert self.worker is not None
        self.worker.terminate()
        code = self.worker.wait(40)
        if code:
            self.show_log()
        return code

    def stop_web(self) -> None:
        if self.web is not None:
            self.web.kill()
            self.web.wait()
            self.web = None

    def let_the_worker_go(self) -> None:
        """Stop it if one runs."""
        if self.worker is not None and self.worker.poll() is None:
            self.stop_worker()

    @contextlib.contextmanager
    def for_a_test(self) -> Iterator["Engine"]:
        """The engine on the test's empty database, whatever other tests did with it."""
        self.make_ready()
        yield self
        assert not restoring.is_standing(), "this test's database was taken for a restored one, and nothing left it"
        self.tidy_up()

    def make_ready(self) -> None:
        """As new for the next test, whatever the last one killed or left running."""
        assert self.temporal.process is not None
        if self.temporal.process.poll() is not None:
            self.temporal.start()
        asyncio.run(self._end_what_runs())
        # The emptied database of a test would be one that was restored: it has forgotten the sweeps of other tests.
        self._remember(asyncio.run(self._sweeps()))
        _forget_restores()
        if not self.worker_is_plain:
            self.let_the_worker_go()
        if self.worker is None or self.worker.poll() is not None:
            self.start_worker()

    def tidy_up(self) -> None:
        """No faults, no web, and a simulator as empty as the next test's database."""
        self.stop_web()
        self.faults()
        self.forget_the_books()

    def _remember(self, sweeps: Sequence[str]) -> None:
        """These, beside the one that writes itself down at this moment."""
        with transaction.atomic():
            row = progress.locked(SweepPart.RUNS)
            since = [one for one in row.places.get("sweeps", ()) if one not in sweeps]
            row.places = {**row.places, "sweeps": [*sweeps, *since][-restoring.REMEMBERED :]}
            # And whatever a worker has seen of the databases of other tests.
            row.places |= {"recognised_at": clock.now().isoformat()}
            row.save(update_fields=["places"])

    async def _end_what_runs(self) -> None:
        client = await self.client()
        async for left in client.list_workflows("ExecutionStatus = 'Running'"):
            if not left.id.startswith("backoffice:"):  # what schedules start comes to its end by itself
                with contextlib.suppress(RPCError):  # as it just did
                    await client.get_workflow_handle(left.id, run_id=left.run_id).terminate("its test is over")

    async def _sweeps(self) -> list[str]:
        """Run ids of the sweeps so far, the newest last, and of the one that is under way."""
        client = await self.client()
        found = [one async for one in client.list_workflows("WorkflowType = 'SweepWorkflow'")]
        listed = [one.run_id for one in sorted(found, key=lambda one: one.start_time)]
        # The list lags behind what was just started.
        with contextlib.suppress(RPCError):  # a test may have deleted the schedule
            for newest in (await client.get_schedule_handle(SWEEP).describe()).info.recent_actions[-1:]:
                assert isinstance(newest.action, ScheduleActionExecutionStartWorkflow)
                listed += {newest.action.first_execution_run_id} - set(listed)
        return listed

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command as the worker's account."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def verify_invariants(self) -> tuple[int, dict[str, Any]]:
        """The command's exit code and its JSON; run as a process, because its exit is part of the promise."""
        done = self.manage("verify_invariants", "--json")
        return done.returncode, json.loads(done.stdout.splitlines()[-1])

    def processes(self) -> str:
        """A line for each process that runs at Temporal, and for the sweeps so far, with what each waits for."""

        async def lines() -> list[str]:
            client = await self.client()
            query = "ExecutionStatus = 'Running' OR WorkflowType = 'SweepWorkflow'"
            found: list[str] = []
            async for one in client.list_workflows(query, limit=60):
                told = await client.get_workflow_handle(one.id, run_id=one.run_id).describe()
                waits = [
                    f"{it.activity_type.name}#{it.attempt} {it.last_failure.message}"
                    for it in told.raw_description.pending_activities
                ]
                found.append(f"{one.start_time:%T} to {one.close_time or 'now'} {one.id} {told.status} {waits}")
            return sorted(found)

        try:
            return "\n".join(asyncio.run(lines()))
        except (RPCError, RuntimeError) as error:
            return f"Temporal does not answer: {error}"

    def log(self) -> str:
        """What the workers of this engine have logged so far."""
        return (self.folder / "worker.log").read_text(errors="replace")

    def forget_the_books(self) -> None:
        """An empty simulator, for the next test's empty database."""
        requests.delete(f"{self.simulator.url}/store", timeout=30).raise_for_status()

    def faults(self, *rules: dict[str, object]) -> None:
        """Replace the simulator's fault rules."""
        requests.put(f"{self.simulator.url}/faults", json=list(rules), timeout=5).raise_for_status()

    def workflow_status(self, workflow_id: str) -> WorkflowExecutionStatus | None:
        async def status() -> WorkflowExecutionStatus | None:
            return (await (await self.client()).get_workflow_handle(workflow_id).describe()).status

        return asyncio.run(status())

    async def client(self) -> Client:
        return await Client.connect(
            self.temporal.address, namespace=temporal.NAMESPACE, data_converter=data_converter()
        )


def _forget_restores() -> None:
    """A worker that runs on may have looked while the database was empty, and have seen a sweep that it forgot."""
    with pgtrigger.ignore("orders.StaffTask:never_deleted"):
        StaffTask.objects.filter(kind=TaskKind.RESTORED).delete()


@contextlib.contextmanager
def running(*, gate: Gate | None = None) -> Iterator[Engine]:
    """Temporal, the simulator and one worker, for the duration of the block."""
    with tempfile.TemporaryDirectory(prefix="engine-") as name:
        folder = Path(name)
        server = TemporalServer(folder / "temporal")
        server.start()
        simulator = start_simulator(folder / "simulator.sqlite3", extra=("--allow-reset",))
        engine = Engine(temporal=server, simulator=simulator, folder=folder, gate=gate)
        names = ("SIMULATOR_URL", "PAYMENTS_URL", "CARRIER_URL", "FRAUD_URL", "RATES_URL", "ADDRESSES_URL")
        saved = {name: getattr(settings, name) for name in names}
        for name in names:
            setattr(settings, name, simulator.url)
        try:
            engine.start_worker()
            yield engine
        finally:
            for name in names:
                setattr(settings, name, saved[name])
            engine.let_the_worker_go()
            engine.stop_web()
            simulator.stop()
            server.stop()
