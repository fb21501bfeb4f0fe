"""The list of what `./dev up` runs: each process, what it waits for, and how one knows that it works.

The supervisor knows nothing about PostgreSQL or Django; it walks this list. Order is start order where nothing is
waited for, and its reverse is the stop order, so that nothing loses a service it still needs.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from backoffice.devstack import http_probe, postgres, temporal
from backoffice.devstack.environment import Wiring, as_role, gateway_events_secret
from backoffice.devstack.paths import ROOT, Home
from backoffice.devstack.postgres_place import place

#: all that a standard library program needs of ours
SIMULATOR_ENVIRONMENT = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
)


@dataclass(frozen=True, kw_only=True)
class Service:
    """A process that is kept running."""

    name: str
    command: Callable[[], list[str]]
    ready: Callable[[], bool]
    #: names of services and steps that must be ready first
    needs: tuple[str, ...] = ()
    #: a file without which this part cannot exist; a missing one keeps the whole product "not ready"
    source: Path | None = None
    #: clears what a crash left, before every start
    prepare: Callable[[], None] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    #: seconds between the stop signal and SIGKILL
    grace: float = 10
    #: None: the supervisor's own environment
    environment: Mapping[str, str] | None = None
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command that runs once per `up`, between services."""

    name: str
    command: Callable[[], list[str]]
    needs: tuple[str, ...] = ()
    source: Path | None = None
    #: a required step that fails ends `up`; another one is reported and passed over
    required: bool = True
    seconds: float = 300
    #: receives the last line of the output
    result: Callable[[str], None] | None = None
    #: None: the supervisor's own environment
    environment: Mapping[str, str] | None = None


@dataclass(kw_only=True)
class Plan:
    """Everything one supervisor runs, with the environment it gives to all of it."""

    items: list[Service | Step]
    environment: dict[str, str]
    external: frozenset[str] = frozenset()
    #: what `status` shows beside the processes
    facts: dict[str, Any] = field(default_factory=dict)


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def build(
    home: Home,
    wiring: Wiring,
    environment: dict[str, str],
    only: frozenset[str] = frozenset(),
    *,
    temporal_http: bool = False,
) -> Plan:
    """Return the plan of the product; services that belong to somebody else are left out.

    `temporal_http` is for tools that ask Temporal over HTTP, on servers of their own.
    """
    facts: dict[str, Any] = {
        "web": wiring.web_url,
        "api": f"{wiring.web_url}/api/",
        "temporal_ui": wiring.temporal_ui,
        "temporal_address": wiring.temporal_address,
        "database_url": wiring.database_url,
        "simulator": wiring.simulator_url,
        "login": None,
        "sample_order": None,
    }

    def keep_login(line: str) -> None:
        answer = json.loads(line)
        # The command prints no secret, for its output is a log.
        secret = {"password": "BACKOFFICE_ADMIN_PASSWORD", "api_token": "BACKOFFICE_API_TOKEN"}
        facts["login"] = answer["login"] | {name: environment[variable] for name, variable in secret.items()}
        facts["sample_order"] = answer["sample_order"]

    ours: dict[str, Callable[[Home, Wiring], Service]] = {
        "postgres": _postgres,
        "temporal": partial(_temporal, http_api=temporal_http),
        "simulator": _simulator,
    }
    items: list[Service | Step] = [make(home, wiring) for name, make in ours.items() if name not in wiring.external]
    manage = ROOT / "manage.py"
    items += [
        Step(
            name="migrate",
            command=lambda: _manage("migrate", "--noinput"),
            needs=("postgres",),
            source=manage,
        ),
        Step(
            name="bootstrap",
            command=lambda: _manage("bootstrap", "--json"),
            needs=("migrate",),
            source=manage,
            result=keep_login,
        ),
        Service(
            name="worker",
            command=lambda: _manage("run_worker"),
            needs=("bootstrap", "temporal", "simulator"),
            source=manage,
            prepare=lambda: home.worker_ready.unlink(missing_ok=True),
            ready=home.worker_ready.exists,
            grace=40,  # activities that talk to a partner are allowed to finish
            environment={**as_role(environment, "worker"), "BACKOFFICE_PROCESS": "worker"},
        ),
        _web(wiring, environment),
        Step(
            name="seed_demo",
            command=lambda: _manage("seed_demo"),
            environment=as_role(environment, "web"),
            needs=("worker", "web"),
            source=manage,
            required=False,
            seconds=120,
        ),
    ]
    if only:
        items = [item for item in items if item.name in only]
    return Plan(items=items, environment=environment, external=wiring.external, facts=facts)


def _postgres(home: Home, wiring: Wiring) -> Service:
    account = place(home)

    def prepare() -> None:
        postgres.stop(home)
        postgres.clear_the_way(home)

    return Service(
        name="postgres",
        command=lambda: postgres.command(home, wiring.ports["postgres"]),
        ready=lambda: postgres.answers(home),
        prepare=prepare,
        stop_signal=signal.SIGINT,  # fast shutdown; SIGTERM would wait for every client to leave
        environment=postgres.minimal_environment(),
        uid=account.uid,
        gid=account.gid,
    )


def _temporal(home: Home, wiring: Wiring, *, http_api: bool = False) -> Service:
    return Service(
        name="temporal",
        command=lambda: temporal.command(
            home, wiring.ports, codec_endpoint=f"{wiring.web_url}/codec", http_api=http_api
        ),
        ready=lambda: temporal.answers(wiring.ports),
        environment=temporal.minimal_environment(home),
    )


def _simulator(home: Home, wiring: Wiring) -> Service:
    port = str(wiring.ports["simulator"])
    store = str(home.path / "simulator.sqlite3")
    return Service(
        name="simulator",
        command=lambda: [
            *(sys.executable, "-P", "-m", "simulator"),
            *("--host", "127.0.0.1", "--port", port, "--store", store),
            *("--events-url", f"{wiring.web_url}/api/gateway/events/"),
        ],
        # The witness knows none of our secrets but the one that it signs with.
        environment={
            **{name: value for name, value in os.environ.items() if name in SIMULATOR_ENVIRONMENT},
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "SIMULATOR_EVENTS_SECRET": gateway_events_secret(home),
        },
        ready=lambda: http_probe.answers(f"{wiring.simulator_url}/health"),
        source=ROOT / "simulator" / "__main__.py",
    )


def web_command(port: int) -> list[str]:
    return [sys.executable, "-P", "-m", "uvicorn", *web_options(port)]


def web_options(port: int) -> list[str]:
    """What uvicorn is told."""
    return [
        "backoffice.asgi:application",
        *("--host", "127.0.0.1", "--port", str(port)),
        # Without it one open streaming client blocks the stop for ever.
        *("--timeout-graceful-shutdown", "3"),
        *("--http", "backoffice.http_protocol:TimedHeaders"),
        "--no-server-header",
        # uvicorn would believe X-Forwarded-For from this machine; backoffice/proxies.py decides whom to believe.
        "--no-proxy-headers",
    ]


def _web(wiring: Wiring, environment: Mapping[str, str]) -> Service:
    return Service(
        name="web",
        command=lambda: web_command(wiring.ports["web"]),
        needs=("bootstrap",),
        source=ROOT / "backoffice" / "asgi.py",
        ready=lambda: http_probe.answers(f"{wiring.web_url}/healthz"),
        environment={**as_role(environment, "web"), "BACKOFFICE_PROCESS": "web"},
    )
