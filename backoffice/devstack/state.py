"""What is running, as one file: written by the supervisor, read by every other command.

The file alone is never believed: the supervisor's lock says whether it lives, and each pid is compared with its start
time, so that `status` tells the truth in the moment after a `kill -9` as well.
"""

from typing import Any

from backoffice.devstack import private_json
from backoffice.devstack.paths import Home, try_lock
from backoffice.devstack.processes import Identity

NAMES = ("postgres", "temporal", "simulator", "worker", "web")
PUBLIC = ("web", "api", "temporal_ui", "temporal_address", "database_url", "simulator", "login", "sample_order")


def supervisor_runs(home: Home) -> bool:
    if not home.path.exists():
        return False
    # Shared, so that two commands that look at the same time do not take each other for a supervisor.
    lock = try_lock(home.supervisor_lock, shared=True)
    if lock is None:
        return True
    lock.close()
    return False


def login_words(login: dict[str, str]) -> str:
    """Both people of `./dev`; a state file of before has one."""
    names = [login["username"], login.get("second_username")]
    return f"{' or '.join(name for name in names if name)}  {login['password']}"


def read(home: Home) -> dict[str, Any]:
    return private_json.read(home.state)


def status(home: Home) -> dict[str, Any]:
    """Return the object `./dev status --json` prints."""
    running = supervisor_runs(home)
    kept = read(home)
    recorded = kept.get("processes", {})
    ready = running and bool(kept.get("ready"))
    processes: dict[str, dict[str, Any]] = {}
    for name in NAMES:
        entry = recorded.get(name, {})
        identity = Identity.load(entry)
        alive = identity is not None and identity.alive()
        state = entry.get("state", "stopped")
        if state != "external" and not alive:
            # Died a moment ago and the supervisor has not come round yet, or nobody is there to restart it.
            state = "restarting" if running and state in ("running", "restarting") else state if running else "stopped"
            ready = False
        processes[name] = {"pid": identity.pid if identity and alive else None, "state": state}
    return {"ready": ready, **{name: kept.get(name) for name in PUBLIC}, "processes": processes}
