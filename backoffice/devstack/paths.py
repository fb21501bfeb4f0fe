"""Where everything that `./dev` keeps on disk lives.

One folder per checkout (the home) holds data, logs, ports and secrets, so that two checkouts never share a server and
`./dev reset` knows exactly what to delete. The other modules ask here instead of joining paths themselves.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from backoffice.devstack.errors import DevstackError

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Home:
    """The data folder of one checkout (or of one test run)."""

    path: Path

    @property
    def ports(self) -> Path:
        return self.path / "ports.json"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets.json"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def worker_ready(self) -> Path:
        return self.path / "worker.ready"

    @property
    def supervisor_lock(self) -> Path:
        """Held for the whole life of a supervisor, so that its death frees it whatever the cause."""
        return self.path / "supervisor.lock"

    @property
    def database_users_lock(self) -> Path:
        """Shared by commands that need PostgreSQL running without a supervisor; exclusive to the supervisor."""
        return self.path / "database-users.lock"

    @property
    def postgres_lock(self) -> Path:
        return self.path / "postgres.lock"

    @property
    def outside(self) -> Path:
        """Stands in for the home where the account that runs PostgreSQL cannot reach it."""
        digest = hashlib.sha256(str(self.path).encode()).hexdigest()[:12]
        return Path("/var/lib") / f"backoffice-{digest}"

    @property
    def marker(self) -> Path:
        """Written when we made the folder; `reset` deletes no folder without it."""
        return self.path / "made-by-dev"

    def is_ours(self) -> bool:
        return self.marker.exists()

    def create(self) -> "Home":
        """Make the folders; our own folder must be passable (not listable) for the account that runs PostgreSQL."""
        try:
            for folder in (self.path, self.logs):
                if not folder.exists():
                    folder.mkdir(parents=True, exist_ok=True)
                    folder.chmod(0o711)
        except OSError as error:
            raise DevstackError(f"cannot create the data folder {self.path}: {error.strerror}") from error
        if not os.access(self.path, os.W_OK):
            raise DevstackError(f"the data folder {self.path} belongs to another user; set BACKOFFICE_HOME to your own")
        if not self.is_ours() and {entry.name for entry in self.path.iterdir()} <= {"logs"}:
            self.marker.write_text("./dev keeps its data here; ./dev reset deletes this folder\n", encoding="utf-8")
        return self


def home() -> Home:
    """Return the home the environment asks for, by default `.dev` in the checkout."""
    asked = os.environ.get("BACKOFFICE_HOME")
    return Home(path=Path(asked).expanduser().resolve() if asked else ROOT / ".dev")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file while the block runs; waits for whoever holds it."""
    handle = open_lock(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        handle.close()


def open_lock(path: Path) -> IO[str]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")


def try_lock(path: Path, *, shared: bool = False) -> IO[str] | None:
    """Return the open, locked file, or None when another process holds it. Closing it frees the lock."""
    handle = open_lock(path)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle
