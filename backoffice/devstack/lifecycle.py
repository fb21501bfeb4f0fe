"""The commands `up`, `down`, `status` and `reset`.

Thin: they take the locks, call the supervisor and print. Kept apart from it so that the supervisor can be tested with
stand-in processes.
"""

import argparse
import json
import os
import shutil
import signal
import time
from typing import IO, Any

from backoffice.devstack import postgres, private_json, state, terminal
from backoffice.devstack.environment import environment, wire
from backoffice.devstack.errors import DevstackError
from backoffice.devstack.paths import Home, home, try_lock
from backoffice.devstack.processes import Identity
from backoffice.devstack.services import build
from backoffice.devstack.supervisor import Supervisor, wait_for_database_users


def up(arguments: list[str]) -> int:
    """start everything in the foreground; Ctrl-C stops it"""
    parser = argparse.ArgumentParser(prog="./dev up", description=up.__doc__)
    parser.add_argument("--only", default="", help="comma-separated parts to run, for example postgres,temporal")
    asked = parser.parse_args(arguments)
    place = home().create()
    lock = become_supervisor(place)
    if lock is None:
        return _already_running(place)
    with lock, wait_for_database_users(place):
        wiring = wire(place, starting=True)
        only = frozenset(name for name in asked.only.split(",") if name)
        plan = build(place, wiring, environment(place, wiring), only)
        unknown = only - {item.name for item in plan.items} - wiring.external
        if unknown:
            raise DevstackError(f"there is no part called {', '.join(sorted(unknown))}")
        return Supervisor(place, plan).run()


def become_supervisor(place: Home) -> IO[str] | None:
    """Take the supervisor's lock, or return None when a supervisor lives."""
    deadline = time.monotonic() + 2
    while (lock := try_lock(place.supervisor_lock)) is None:
        # A `status` holds the lock for the blink of an eye; only a recorded live process is a supervisor.
        recorded = Identity.load(state.read(place).get("supervisor"))
        if (recorded is not None and recorded.alive()) or time.monotonic() > deadline:
            return None
        time.sleep(0.02)
    own = Identity.of(os.getpid())
    # The processes of an earlier run stay recorded: they may still live and must be stopped first.
    kept = {**state.read(place), "supervisor": own.dump() if own else None, "ready": False}
    private_json.write(place.state, kept)
    return lock


def _already_running(place: Home) -> int:
    now = state.status(place)
    print(f"already running, {'ready' if now['ready'] else 'not ready yet'}")
    _print_table(now)
    return 0


def _print_table(now: dict[str, Any]) -> None:
    for label, key in (("back office", "web"), ("api", "api"), ("temporal ui", "temporal_ui")):
        if now.get(key):
            print(f"  {label:<12} {now[key]}")
    if now.get("login"):
        print(f"  {'sign in':<12} {state.login_words(now['login'])}")
    for name, entry in now["processes"].items():
        print(f"  {name:<12} {entry['state']:<11} {entry['pid'] or ''}".rstrip())


def status(arguments: list[str]) -> int:
    """show what is running and where; exit 1 when not ready"""
    parser = argparse.ArgumentParser(prog="./dev status", description=status.__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args(arguments)
    now = state.status(home())
    if asked.json:
        print(json.dumps(now))
    else:
        print("ready" if now["ready"] else "not ready")
        _print_table(now)
    return 0 if now["ready"] else 1


def down(arguments: list[str]) -> int:
    """stop what `up` started, also what a crash left behind"""
    argparse.ArgumentParser(prog="./dev down", description=down.__doc__).parse_args(arguments)
    place = home()
    if not place.path.exists():
        print("nothing is running")
        return 0
    supervisor = Identity.load(state.read(place).get("supervisor"))
    if state.supervisor_runs(place) and supervisor is not None:
        supervisor.send(signal.SIGTERM)
        deadline = time.monotonic() + 120
        while state.supervisor_runs(place):
            if time.monotonic() > deadline:
                raise DevstackError(f"the supervisor (pid {supervisor.pid}) does not stop; see {place.logs}")
            terminal.passing("stopping")
            time.sleep(0.1)
        terminal.clear()
        print("stopped")
        return 0
    print("stopped what was left" if _stop_leftovers(place) else "nothing is running")
    return 0


def _stop_leftovers(place: Home) -> bool:
    found = False
    recorded = state.read(place).get("processes", {})
    for name in reversed(state.NAMES):
        identity = Identity.load(recorded.get(name))
        if identity is not None and identity.alive():
            found = True
            identity.stop(signal.SIGINT if name == "postgres" else signal.SIGTERM, 10)
    if (place.path / "postgres").exists() or place.outside.exists():
        found = postgres.stop(place) or found
    return found


def reset(arguments: list[str]) -> int:
    """delete all data of this checkout (orders, workflows, logs, passwords)"""
    parser = argparse.ArgumentParser(prog="./dev reset", description=reset.__doc__)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    asked = parser.parse_args(arguments)
    place = home()
    folders = [folder for folder in (place.path, place.outside) if folder.exists()]
    if not folders:
        print("there is nothing to delete")
        return 0
    if not place.is_ours():
        raise DevstackError(f"{place.path} was not made by ./dev; it is not deleted")
    lock = try_lock(place.supervisor_lock)
    if lock is None:
        raise DevstackError("it is running; stop it with ./dev down first")
    with lock:
        names = " and ".join(str(folder) for folder in folders)
        if not asked.yes and input(f"Delete {names} with every order in it? [y/N] ").strip().lower() != "y":
            print("nothing was deleted")
            return 1
        _stop_leftovers(place)
        for folder in folders:
            shutil.rmtree(folder)
    print(f"deleted {names}")
    return 0
