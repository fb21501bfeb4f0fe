"""The stranger's process beside a run, and what it wrote down of its deeds."""

import json
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from backoffice.chaos.facts import Deeds
from backoffice.devstack.paths import ROOT
from backoffice.devstack.processes import wrap
from backoffice.devstack.temporal import NAMESPACE

#: it ends what it started, with a Temporal that may just be coming back
LEAVE_SECONDS = 300.0
PAUSE_SECONDS = 0.3


@dataclass(kw_only=True)
class Intrusion:
    """Starts and ends the process, and reads its deeds; it gets an address and nothing else of ours."""

    address: str
    folder: Path
    seed: int
    pause: float = PAUSE_SECONDS
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def file(self) -> Path:
        return self.folder / "stranger.jsonl"

    def begin(self) -> None:
        command = [sys.executable, "-m", "backoffice.chaos.stranger", "--address", self.address]
        command += ["--namespace", NAMESPACE, "--seed", str(self.seed), "--deeds", str(self.file)]
        command += ["--pause", str(self.pause)]
        with open(self.folder / "stranger.log", "ab") as log:
            self._process = subprocess.Popen(
                wrap(command, death_signal=signal.SIGTERM, private=True, uid=None, gid=None),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PYTHONPATH": str(ROOT)},
                cwd=self.folder,
                start_new_session=True,
            )

    def end(self) -> None:
        """Raises RuntimeError when it had ended before, or leaves something running: neither would prove anything."""
        if self._process is None:
            return
        gone, self._process = self._process, None
        if gone.poll() is not None:
            raise RuntimeError(f"the stranger ended by itself; see {self.folder / 'stranger.log'}")
        gone.terminate()
        try:
            gone.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired as late:
            gone.kill()
            gone.wait()
            raise RuntimeError("the stranger could not end what it had started; Temporal did not answer") from late

    def stop(self) -> None:
        """For a run that ends early: it is gone, whatever it left."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def deeds(self) -> Deeds:
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        told = [json.loads(line) for line in lines]
        return Deeds(
            counts=dict(sorted(Counter(one["deed"] for one in told).items())),
            started=frozenset(one["workflow"] for one in told if one["deed"] == "start"),
            cancelled=frozenset(one["workflow"] for one in told if one["deed"] == "cancel"),
        )
