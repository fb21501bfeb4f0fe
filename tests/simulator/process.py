"""Start the stand-in partners as a process of their own, for any test that needs partners.

A thread inside the test process could not be killed with `kill -9`, and would share the interpreter lock with the code
under test; both would make the money tests kinder than life.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 15.0
STOP_SECONDS = 5.0


@dataclass(kw_only=True)
class SimulatorProcess:
    """One running simulator; `url` has no trailing slash."""

    url: str
    process: "subprocess.Popen[bytes]"
    log_path: Path

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def port(self) -> int:
        """The port, to start the next one in the same place."""
        return int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """Send SIGTERM and return the exit code; a process that outlives its patience is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """Send SIGKILL and wait until the process is gone and its port is free."""
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)


def start_simulator(store_path: Path | str, *, port: int = 0, extra: tuple[str, ...] = ()) -> SimulatorProcess:
    """Start a simulator on `store_path` and return it once /health answers.

    `port` 0 takes a free one; `extra` are further arguments such as --allow-reset. Raises RuntimeError with the log
    when the process ends or does not answer in 15 s.
    """
    log_path = Path(f"{store_path}.log")
    command = [sys.executable, "-m", "simulator", "--host", "127.0.0.1", "--port", str(port)]
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [*command, "--store", str(store_path), *extra], cwd=ROOT, stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    with process.stdout:
        # The process prints its address once it listens, so no port is guessed and lost to another test.
        words = process.stdout.readline().decode().split()
    if words[:2] != ["simulator", "ready"]:
        process.kill()
        process.wait()
        raise RuntimeError(f"the simulator did not start:\n{log_path.read_text()}")
    running = SimulatorProcess(url=words[2], process=process, log_path=log_path)
    deadline = time.monotonic() + START_SECONDS
    while not _healthy(running.url):
        if process.poll() is not None or time.monotonic() > deadline:
            running.kill()
            raise RuntimeError(f"the simulator does not answer:\n{log_path.read_text()}")
        time.sleep(0.02)
    return running


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
