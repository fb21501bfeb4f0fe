"""Keep every process of the plan running, in the right order, and leave nothing behind.

One loop in one thread: the kernel's parent-death signal follows the *thread* that forked, so children must only be
started from the main thread. Without this module a crashed worker stays down, a stop tears the database away under the
worker, and a killed terminal leaves servers holding the ports.
"""

import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from backoffice.devstack import private_json, terminal
from backoffice.devstack.errors import DevstackError
from backoffice.devstack.paths import ROOT, Home, open_lock
from backoffice.devstack.processes import Identity, wrap
from backoffice.devstack.services import Plan, Service, Step
from backoffice.devstack.state import login_words, read

FIRST_BACKOFF, LONGEST_BACKOFF, HEALTHY_AFTER = 0.2, 10.0, 30.0
LOG_LIMIT, LOGS_KEPT = 10 * 1024 * 1024, 3


@dataclass(kw_only=True)
class Child:
    """One item of the plan together with its process."""

    item: Service | Step
    process: subprocess.Popen[bytes] | None = None
    identity: Identity | None = None
    state: str = "stopped"
    started: float = 0.0
    ready_since: float = 0.0
    next_check: float = 0.0
    next_start: float = 0.0
    failures: int = 0
    starts: int = 0
    log_offset: int = 0
    #: how often each needed service had been started when a step began; a change excuses the step's failure
    needs_started: dict[str, int] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return self.state in ("running", "done")


class Supervisor:
    def __init__(self, home: Home, plan: Plan) -> None:
        self.home = home
        self.plan = plan
        self.children = {item.name: Child(item=item) for item in plan.items}
        self.stop_requests = 0
        self.failed = False
        self.announced = False
        self._written: dict[str, object] = {}
        self._wake_reader, self._wake_writer = socket.socketpair()

    # --- life -----------------------------------------------------------------------------------------------------
    def run(self) -> int:
        """Run until a stop signal (0) or a required step fails (1). The caller holds the supervisor lock."""
        with self._signals():
            self._stop_leftovers()
            try:
                while not self.stop_requests and not self.failed:
                    self._tick()
                    self._wait(0.1)
            finally:
                self._stop_all()
        return 1 if self.failed else 0

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        old_wakeup = signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        # SIGCHLD needs a handler of its own, or it would not wake the loop at all.
        old = {number: signal.signal(number, self._note_stop) for number in numbers}
        old[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield
        finally:
            signal.set_wakeup_fd(old_wakeup)
            for number, handler in old.items():
                signal.signal(number, handler)

    def _note_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_requests += 1

    def _wait(self, seconds: float) -> None:
        if select.select([self._wake_reader], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                self._wake_reader.recv(4096)

    # --- one round ------------------------------------------------------------------------------------------------
    def _tick(self) -> None:
        for child in self.children.values():
            if self.stop_requests:
                return
            self._look(child)
            due = child.process is None and child.state != "done" and time.monotonic() >= child.next_start
            if due and self._needs_met(child) and self._source_exists(child):
                self._start(child)
            if child.process is not None and isinstance(child.item, Service):
                self._check_ready(child, child.item)
        self._write_state()
        self._report()

    def _needs_met(self, child: Child) -> bool:
        return all(self.children[name].ready for name in child.item.needs if name in self.children)

    def _source_exists(self, child: Child) -> bool:
        source = child.item.source
        if source is None or source.exists():
            return True
        if child.state != "missing":
            child.state = "missing"
            terminal.say(child.item.name, f"left out, {source.relative_to(ROOT)} does not exist")
        child.next_start = time.monotonic() + 5
        return False

    def _start(self, child: Child) -> None:
        item = child.item
        child.starts += 1
        child.state = "restarting" if child.starts > 1 else "starting"
        child.started = time.monotonic()
        self._write_state()
        try:
            if isinstance(item, Service) and item.prepare is not None:
                item.prepare()
            command = item.command()
        except (DevstackError, OSError) as error:
            self._failed_once(child, str(error))
            return
        environment = dict(self.plan.environment if item.environment is None else item.environment)
        uid = gid = None
        # A step that is cut off is repeated by the next `up`, so it may die at once with the supervisor.
        death_signal = signal.SIGTERM
        if isinstance(item, Service):
            uid, gid, death_signal = item.uid, item.gid, item.stop_signal
        with self._log(child) as log:
            child.process = subprocess.Popen(
                wrap(command, death_signal=death_signal, private=isinstance(item, Service), uid=uid, gid=gid),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=ROOT,
                # Ctrl-C goes to the whole process group; the children must hear it from us, in order.
                start_new_session=True,
            )
        child.identity = Identity.of(child.process.pid)
        child.needs_started = {name: self.children[name].starts for name in item.needs if name in self.children}
        child.next_check = 0.0
        self._write_state()

    def _look(self, child: Child) -> None:
        """Notice that a process ended."""
        if child.process is None:
            return
        code = child.process.poll()
        if isinstance(child.item, Service):
            if code is not None:
                if child.ready and time.monotonic() - child.ready_since >= HEALTHY_AFTER:
                    child.failures = 0
                self._failed_once(child, _how_it_ended(code))
            return
        if code is None and time.monotonic() - child.started > child.item.seconds:
            child.process.kill()
            code = child.process.wait()
        if code is not None:
            self._finish_step(child, child.item, code)

    def _failed_once(self, child: Child, reason: str) -> None:
        delay = min(FIRST_BACKOFF * 2**child.failures, LONGEST_BACKOFF)
        child.failures += 1
        child.process = child.identity = None
        child.state = "restarting"
        child.next_start = time.monotonic() + delay
        terminal.say(child.item.name, f"{reason}; starting again in {delay:.1f} s (log: {self._log_path(child)})")

    def _finish_step(self, child: Child, step: Step, code: int) -> None:
        child.process = child.identity = None
        seconds = time.monotonic() - child.started
        reason = _how_it_ended(code)
        output = self._output(child)
        if code == 0:
            try:
                if step.result is not None:
                    step.result(output[-1] if output else "")
            except (ValueError, KeyError, TypeError) as error:
                code, reason = 1, f"its last line is not the expected JSON ({type(error).__name__}: {error})"
        if code == 0:
            child.state = "done"
            terminal.say(step.name, f"done in {seconds:.1f} s")
            return
        for line in output[-15:]:
            terminal.say(step.name, f"| {line}")
        if any(self.children[name].starts != count for name, count in child.needs_started.items()):
            self._failed_once(child, f"{reason} while a service it needs was restarted")
        elif step.required:
            terminal.say(step.name, f"{reason}; cannot go on without it (log: {self._log_path(child)})")
            self.failed = True
        else:
            terminal.say(step.name, f"{reason}; going on without it (log: {self._log_path(child)})")
            child.state = "done"

    def _check_ready(self, child: Child, service: Service) -> None:
        now = time.monotonic()
        if child.ready or now < child.next_check:
            return
        child.next_check = now + 0.1
        if service.ready():
            child.state = "running"
            child.ready_since = time.monotonic()
            pid = child.process.pid if child.process else 0
            terminal.say(service.name, f"ready in {child.ready_since - child.started:.1f} s (pid {pid})")

    # --- logs -----------------------------------------------------------------------------------------------------
    def _log_path(self, child: Child) -> Path:
        return self.home.logs / f"{child.item.name}.log"

    def _log(self, child: Child) -> IO[bytes]:
        path = self._log_path(child)
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            for number in range(LOGS_KEPT - 1, 0, -1):
                older = path.with_suffix(f".log.{number}")
                if older.exists():
                    older.replace(path.with_suffix(f".log.{number + 1}"))
            path.replace(path.with_suffix(".log.1"))
        # 0600: the output of bootstrap holds a password.
        log = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
        child.log_offset = path.stat().st_size
        return log

    def _output(self, child: Child) -> list[str]:
        with self._log_path(child).open("rb") as log:
            log.seek(child.log_offset)
            return [line for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]

    # --- state ----------------------------------------------------------------------------------------------------
    @property
    def ready(self) -> bool:
        return not self.stop_requests and not self.failed and all(child.ready for child in self.children.values())

    def _write_state(self) -> None:
        processes: dict[str, object] = {name: {"pid": None, "state": "external"} for name in self.plan.external}
        for name, child in self.children.items():
            if isinstance(child.item, Service):
                identity = child.identity.dump() if child.identity else {"pid": None}
                processes[name] = {**identity, "state": "stopped" if child.state == "missing" else child.state}
        own = Identity.of(os.getpid())
        value = {
            "supervisor": own.dump() if own else None,
            "ready": self.ready,
            **self.plan.facts,
            "processes": processes,
        }
        if value != self._written:
            private_json.write(self.home.state, value)
            self._written = value

    def _report(self) -> None:
        if self.ready:
            terminal.clear()
            if not self.announced:
                self.announced = True
                announce(self.plan)
            return
        now = time.monotonic()
        waiting = [
            f"{name} ({now - child.started:.0f} s)"
            for name, child in self.children.items()
            if child.state in ("starting", "restarting")
        ]
        if waiting:
            terminal.passing(f"waiting for {', '.join(waiting)}")

    # --- stopping -------------------------------------------------------------------------------------------------
    def _stop_leftovers(self) -> None:
        """Stop what a killed supervisor left; the pids are compared with their start times first."""
        recorded = read(self.home).get("processes", {})
        for item in reversed(self.plan.items):
            identity = Identity.load(recorded.get(item.name))
            if identity is not None and identity.alive() and isinstance(item, Service):
                terminal.say(item.name, f"stopping what an earlier run left (pid {identity.pid})")
                identity.stop(item.stop_signal, item.grace)

    def _stop_all(self) -> None:
        asked = self.stop_requests
        self._written = {}
        for child in reversed(self.children.values()):
            process = child.process
            if process is None:
                continue
            terminal.say(child.item.name, "stopping")
            service = child.item if isinstance(child.item, Service) else None
            process.send_signal(service.stop_signal if service else signal.SIGTERM)
            deadline = time.monotonic() + (service.grace if service else 5)
            while process.poll() is None:
                # A second Ctrl-C means "now".
                if time.monotonic() > deadline or self.stop_requests > max(asked, 1):
                    terminal.say(child.item.name, "does not stop, killing it")
                    process.kill()
                    process.wait()
                    break
                terminal.passing(f"waiting for {child.item.name} to stop ({deadline - time.monotonic():.0f} s left)")
                self._wait(0.1)
            child.process = child.identity = None
            child.state = "stopped"
            self._write_state()
        for child in self.children.values():
            child.state = "stopped"
        self._write_state()
        terminal.say("dev", "everything is stopped")


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def announce(plan: Plan) -> None:
    """Print where everything is; the last thing a newcomer reads before the browser."""
    facts = plan.facts
    login = facts.get("login") or {}
    terminal.say("dev", "ready")
    parts = {item.name for item in plan.items} | plan.external
    rows = [("back office", facts.get("web")), ("api", facts.get("api"))] if "web" in parts else []
    rows += [("temporal ui", facts.get("temporal_ui"))] if "temporal" in parts else []
    rows += [("sign in", login_words(login))] if login else []
    for label, value in rows:
        if value:
            terminal.say("", f"{label:<12} {value}")
    terminal.say("", "Ctrl-C stops everything; ./dev status shows this again")


def wait_for_database_users(home: Home) -> IO[str]:
    """Take the database for the supervisor; commands that use it on their own are allowed to finish first."""
    lock = open_lock(home.database_users_lock)
    said = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if not said:
                terminal.say("dev", "waiting for another ./dev command that uses the database")
                said = True
            time.sleep(0.2)
