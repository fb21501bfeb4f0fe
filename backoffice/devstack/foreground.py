"""Run one command in the foreground as if it had been called directly.

The launcher stays behind it only to stop a database afterwards. Ctrl-C must reach the command alone (it decides how to
end), its exit code must be ours, and a stop signal for us must stop it too.
"""

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from backoffice.devstack.processes import wrap


def run(command: list[str], environment: Mapping[str, str], *, cwd: Path | None = None) -> int:
    """Return the exit code the way a shell reports it (128 + signal number for a killed command)."""
    child: subprocess.Popen[bytes] | None = None

    def forward(number: int, _frame: FrameType | None) -> None:
        if child is not None and child.poll() is None:
            child.send_signal(number)

    old = {signal.SIGTERM: signal.signal(signal.SIGTERM, forward), signal.SIGHUP: signal.signal(signal.SIGHUP, forward)}
    # A terminal sends Ctrl-C to the command as well, it is in our process group; we only must not die of it.
    old[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        child = subprocess.Popen(wrap(command, death_signal=signal.SIGTERM), env=dict(environment), cwd=cwd)
        code = child.wait()
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
