"""A back office of its own for one chaos run: every process real, each killed at will and started again at once.

It shares nothing with the running `./dev up`: own folder, ports, database and engine. The supervisor of `./dev up` does
not fit, for it waits longer after each death, and here deaths are the subject. Children are started from the main
thread only; the kernel's parent-death signal follows the thread that forked.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import psycopg

from backoffice.chaos.acts import PLACES, WORKERS
from backoffice.chaos.asking import Doors
from backoffice.chaos.plan import HOT_SKU
from backoffice.devstack import environment, services, terminal
from backoffice.devstack.errors import DevstackError
from backoffice.devstack.paths import ROOT, Home
from backoffice.devstack.processes import wrap
from backoffice.devstack.services import Service
from backoffice.devstack.temporal import NAMESPACE

#: a limit for what hangs; a loaded machine needs a minute
READY_SECONDS = 300
FAILPOINTS = "BACKOFFICE_FAILPOINTS"
#: the program of a worker that is not as it should be
WORSE = "backoffice.chaos.worker"
#: a process that ends by itself right after its start is not started in a tight loop
BREATH = 0.5


@dataclass(kw_only=True)
class Member:
    """One service with its process."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    starts: int = 0
    #: the signal with which the run asked it to end; without one it ends by itself
    asked: signal.Signals | None = None
    #: its end was told
    noticed: bool = False
    #: until then it is not started again (monotonic)
    held_until: float = 0.0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> bool:
        """False when there is no process to send it to."""
        if self.process is None or not self.alive:
            return False
        if number not in (signal.SIGSTOP, signal.SIGCONT):
            self.asked = number
        self.process.send_signal(number)
        return True


@dataclass(kw_only=True)
class Arena:
    home: Home
    wiring: environment.Wiring
    #: of the processes under test and of the verifier
    variables: dict[str, str]
    members: dict[str, Member]
    say: Callable[[str], None]

    @property
    def doors(self) -> Doors:
        return Doors(
            api=f"{self.wiring.web_url}/api/",
            token=self.variables["BACKOFFICE_API_TOKEN"],
            second_token=self.variables["BACKOFFICE_SECOND_API_TOKEN"],
            temporal_http=f"http://127.0.0.1:{self.wiring.ports['temporal_http']}/api/v1/namespaces/{NAMESPACE}",
            database_url=self.wiring.database_url,
            simulator=self.wiring.simulator_url,
        )

    def start(self, name: str) -> None:
        member = self.members[name]
        service = member.service
        if service.prepare is not None:
            service.prepare()
        command = service.command()
        given = self.variables if service.environment is None else dict(service.environment)
        with open(self.home.logs / f"{name}.log", "ab") as log:
            member.process = subprocess.Popen(
                wrap(command, death_signal=service.stop_signal, private=True, uid=service.uid, gid=service.gid),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=given,
                cwd=ROOT,
                start_new_session=True,
            )
        member.started, member.asked, member.noticed = time.monotonic(), None, False
        member.starts += 1

    def tend(self) -> None:
        """Start again whatever has ended; called all the time."""
        for name, member in self.members.items():
            if member.process is None or member.alive:
                continue
            if not member.noticed and member.asked is not signal.SIGKILL:
                why = "by itself" if member.asked is None else f"on {member.asked.name}"
                self.say(f"  {name} ended {why} with {member.process.returncode}; it is started again")
            member.noticed = True
            if time.monotonic() > max(member.started + BREATH, member.held_until):
                self.start(name)

    def tend_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tend()
            time.sleep(0.05)

    def tend_until_up(self, name: str) -> None:
        """It may just have been killed by a fault."""
        while not self.members[name].service.ready():
            self.tend_for(0.2)

    def calm(self) -> None:
        """From now on nothing is held down, and a worker that a failpoint kills comes back without failpoints."""
        for name, member in self.members.items():
            member.held_until = 0.0
            if name in WORKERS:
                given = {key: value for key, value in (member.service.environment or {}).items() if key != FAILPOINTS}
                member.service = replace(member.service, environment=given)

    def wait_ready(self, *names: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        for name in names:
            while not self.members[name].service.ready():
                if not self.members[name].alive or time.monotonic() > deadline:
                    raise DevstackError(f"{name} does not come up; see {self.home.logs / f'{name}.log'}")
                time.sleep(0.05)

    def manage(self, *arguments: str, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env={**self.variables, **(variables or {})},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def stop_all(self) -> None:
        for member in reversed(self.members.values()):
            if member.process is None or not member.alive:
                continue
            member.process.send_signal(signal.SIGCONT)
            # Only PostgreSQL minds: the others are killed every few seconds anyway.
            gently = member.service.name == "postgres"
            member.process.send_signal(member.service.stop_signal if gently else signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                member.process.wait(10)
            if member.alive:
                member.process.kill()
                member.process.wait()


def _members(home: Home, wiring: environment.Wiring, variables: dict[str, str], program: str) -> dict[str, Member]:
    plan = services.build(home, wiring, variables, temporal_http=True)
    found = {item.name: item for item in plan.items if isinstance(item, Service)}
    for name in WORKERS:
        found[name] = _worker(found["worker"], home, name, program)
    found["simulator"] = _simulator(found["simulator"], wiring, variables)
    found["web"] = replace(found["web"], command=_web_command(found["web"].command, program))
    order = ("postgres", "temporal", "simulator", *WORKERS, "web")
    return {name: Member(service=found[name]) for name in order}


def _simulator(model: Service, wiring: environment.Wiring, variables: dict[str, str]) -> Service:
    """It sends its events to our web server, signed as we were told."""
    command = model.command
    secret = variables["STRIPE_WEBHOOK_SECRETS"]
    events = ["--events-url", f"{wiring.web_url}/api/gateway/events/", "--events-secret", secret]
    return replace(model, command=lambda: [*command(), *events])


def _worker(model: Service, home: Home, name: str, program: str) -> Service:
    ready = home.path / f"{name}.ready"
    worse = program or PLACES in (model.environment or {})
    return replace(
        model,
        name=name,
        command=(lambda: [sys.executable, "-P", "-m", WORSE]) if worse else model.command,
        prepare=lambda: ready.unlink(missing_ok=True),
        ready=ready.exists,
        environment={**(model.environment or {}), "WORKER_READY_FILE": str(ready)},
    )


def _web_command(command: Callable[[], list[str]], program: str) -> Callable[[], list[str]]:
    if not program:
        return command
    ours = {"backoffice.asgi:application": [f"{program}:web", "--factory"]}
    return lambda: [word for part in command() for word in ours.get(part, [part])]


def variables_for(home: Home, wiring: environment.Wiring, extra: dict[str, str]) -> dict[str, str]:
    """The environment of everything in the arena; nothing of the caller's own back office reaches it."""
    return {
        **environment.environment(home, wiring, _outside()),
        "BACKOFFICE_ENV": "chaos",
        "LOG_LEVEL": "INFO",
        "BACKOFFICE_SECOND_API_TOKEN": secrets.token_urlsafe(36),
        "STRIPE_WEBHOOK_SECRETS": f"whsec_{secrets.token_hex(16)}",
        **extra,
    }


def _outside() -> dict[str, str]:
    ours = ("TEMPORAL_", "BACKOFFICE_", "SIMULATOR_", "DJANGO_", "WORKER_", "DATABASE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@contextlib.contextmanager
def running(
    folder: Home,
    *,
    extra: dict[str, str],
    hot_stock: int,
    program: str,
    say: Callable[[str], None],
    with_workers: bool = True,
) -> Iterator[Arena]:
    """Everything up and answering, for the duration of the block; `program` replaces the worker and web programs."""
    home = folder.create()
    wiring = environment.wire(home, {}, starting=True)
    variables = variables_for(home, wiring, extra)
    arena = Arena(
        home=home, wiring=wiring, variables=variables, members=_members(home, wiring, variables, program), say=say
    )
    try:
        terminal.passing("starting PostgreSQL, Temporal and the simulator")
        for name in ("postgres", "temporal", "simulator"):
            arena.start(name)
        arena.wait_ready("postgres", "temporal", "simulator")
        terminal.passing("migrating")
        _prepare(arena, hot_stock)
        terminal.passing("starting two workers and the web server")
        last = (*WORKERS, "web") if with_workers else ("web",)
        for name in last:
            arena.start(name)
        arena.wait_ready(*last)
        terminal.clear()
        yield arena
    finally:
        arena.stop_all()
        terminal.clear()


def _prepare(arena: Arena, hot_stock: int) -> None:
    """Schema, login, catalogue, and little of what many will want."""
    for arguments in (("migrate", "--noinput"), ("bootstrap", "--json")):
        # The login of `./dev` is made in its environment only.
        done = arena.manage(*arguments, variables={"BACKOFFICE_ENV": "dev"})
        if done.returncode != 0:
            raise DevstackError(f"manage.py {arguments[0]} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    sql = (
        "UPDATE orders_stockitem SET received = %s, on_hand = %s FROM orders_product p"
        " WHERE p.id = product_id AND p.sku = %s"
    )
    with psycopg.connect(arena.wiring.database_url) as connection:
        connection.execute(sql, [hot_stock, hot_stock, HOT_SKU])


@dataclass(kw_only=True)
class Kept:
    """Whether the folder stays when the block has ended: until it says otherwise, for whoever looks for a cause."""

    keep: bool = True


@contextlib.contextmanager
def kept(folder: Home, *, asked: bool, say: Callable[[str], None]) -> Iterator[Kept]:
    """Remove the folder after the block unless it stays; one that is interrupted leaves it only when `asked` to."""
    what = Kept()
    try:
        yield what
    except KeyboardInterrupt:
        what.keep = asked
        raise
    finally:
        if what.keep:
            say(f"data and logs are kept in {folder.path}")
        else:
            remove(folder)


def remove(home: Home) -> None:
    """Delete the arena's folder, and the part that root keeps outside of it."""
    for folder in (home.path, home.outside):
        shutil.rmtree(folder, ignore_errors=True)
