"""A supervisor over three small stand-in processes, run by the tests in a process of its own.

Arguments: the home, then options. Each stand-in appends what happens to it to `events.txt` in the home.
"""

import signal
import sys
from pathlib import Path

from backoffice.devstack.lifecycle import become_supervisor
from backoffice.devstack.paths import Home
from backoffice.devstack.services import Plan, Service, Step
from backoffice.devstack.supervisor import Supervisor

SERVER = """
import pathlib, signal, sys, time
home, name = pathlib.Path(sys.argv[1]), sys.argv[2]
def note(what):
    with (home / "events.txt").open("a") as events:
        events.write(f"{name} {what}\\n")
def stop(*_):
    note("stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("started")
(home / f"{name}.up").touch()
while True:
    time.sleep(60)
"""
CRASHER = "import sys; sys.exit(3)"


def service(home: Home, name: str, *needs: str) -> Service:
    mark = home.path / f"{name}.up"
    return Service(
        name=name,
        command=lambda: [sys.executable, "-c", SERVER, str(home.path), name],
        ready=mark.exists,
        prepare=lambda: mark.unlink(missing_ok=True),
        needs=needs,
    )


def main() -> int:
    home, options = Home(path=Path(sys.argv[1])).create(), sys.argv[2:]
    plan = Plan(items=[], environment={"PATH": "/usr/bin:/bin"})
    plan.items += [
        service(home, "postgres"),
        Step(name="prepare", command=lambda: [sys.executable, "-c", "print('{}')"], needs=("postgres",)),
        service(home, "worker", "prepare"),
        service(home, "web", "worker"),
    ]
    if "--crasher" in options:
        crash = [sys.executable, "-c", CRASHER]
        plan.items.append(Service(name="simulator", command=lambda: crash, ready=lambda: False))
    if "--broken-step" in options:
        broken = [sys.executable, "-c", "print('the reason'); raise SystemExit(1)"]
        plan.items.append(Step(name="broken", command=lambda: broken, needs=("web",)))
    if "--optional-step" in options:
        broken = [sys.executable, "-c", "raise SystemExit(1)"]
        plan.items.append(Step(name="demo", command=lambda: broken, needs=("web",), required=False))
    lock = become_supervisor(home)
    if lock is None:
        print("already running")
        return 9
    with lock:
        return Supervisor(home, plan).run()


if __name__ == "__main__":
    # A shell that starts tests in the background ignores SIGINT for everything below it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
