"""Know a process again, and stop it without ever hitting a stranger.

A pid written to a file may belong to somebody else by the time it is read. Every pid we keep is therefore stored with
its start time and compared before a signal is sent; without that a stale file makes `./dev down` kill an editor.
"""

import contextlib
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

CHILD = Path(__file__).with_name("child.py")


def wrap(
    command: list[str],
    *,
    death_signal: int = 0,
    private: bool = False,
    uid: int | None = None,
    gid: int | None = None,
) -> list[str]:
    """Return the command line that becomes `command` through child.py (which says why)."""
    line = [sys.executable, "-I", "-S", str(CHILD), "--parent", str(os.getpid())]
    if death_signal:
        line += ["--death-signal", str(int(death_signal))]
    if private:
        line.append("--private")
    if uid is not None and gid is not None:
        line += ["--uid", str(uid), "--gid", str(gid)]
    return [*line, "--", *command]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A pid together with what makes it unmistakable."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        try:
            return cls(pid=pid, started=psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    @classmethod
    def load(cls, value: Any) -> "Identity | None":
        if isinstance(value, dict) and isinstance(value.get("pid"), int) and "started" in value:
            return cls(pid=value["pid"], started=float(value["started"]))
        return None

    def dump(self) -> dict[str, Any]:
        return asdict(self)

    def alive(self) -> bool:
        """True while this very process runs; a zombie is dead, it only waits to be reaped."""
        try:
            process = psutil.Process(self.pid)
            # Start times are boot time plus ticks; the clock may have been set since, hence the tolerance.
            same: bool = abs(process.create_time() - self.started) < 2
            return same and bool(process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False

    def send(self, signal_number: int) -> None:
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)

    def wait(self, seconds: float) -> bool:
        """Return True when the process is gone within the time."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def stop(self, signal_number: int, grace: float) -> None:
        self.send(signal_number)
        if not self.wait(grace):
            self.send(signal.SIGKILL)
            self.wait(5)


def working_in(folder: Path) -> list[Identity]:
    """Return the live processes whose working directory is this folder (how PostgreSQL marks all its processes)."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.cwd() != str(folder):
                continue
            found.append(Identity(pid=process.pid, started=process.create_time()))
        except (psutil.Error, OSError):
            continue
    return found
