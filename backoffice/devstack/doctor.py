"""`./dev doctor`: walk the wiring from Python to the browser and say which link is broken.

For the moment when something does not come up and the logs are of no help; each line is one fact, tested now.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from backoffice.devstack import http_probe, ports, state, temporal
from backoffice.devstack.environment import Wiring, wire
from backoffice.devstack.errors import DevstackError
from backoffice.devstack.paths import ROOT, Home, home
from backoffice.devstack.postgres_place import place
from backoffice.devstack.project_commands import find_browser

Probe = tuple[str, Callable[[], str]]


def doctor(arguments: list[str]) -> int:
    """test every link between Python and the browser"""
    argparse.ArgumentParser(prog="./dev doctor", description=doctor.__doc__).parse_args(arguments)
    here = home().create()
    failed = 0
    for name, probe in _probes(here, wire(here), state.supervisor_runs(here)):
        try:
            print(f"OK    {name:<18} {probe()}")
        except (DevstackError, psycopg.Error, OSError) as error:
            failed += 1
            print(f"FAIL  {name:<18} {' '.join(str(error).split()) or type(error).__name__}")
    return 1 if failed else 0


def _probes(here: Home, wiring: Wiring, running: bool) -> Iterator[Probe]:
    yield "python", lambda: f"{sys.version.split()[0]} in {sys.prefix}"
    yield "lock in sync", _lock
    yield "data folder", lambda: f"{here.path} ({'running' if running else 'not running'})"
    yield "postgres programs", lambda: _programs(here)
    yield "temporal program", lambda: str(temporal.program())
    yield "ports", lambda: _ports(wiring, running)
    yield "postgres answers", lambda: _postgres(wiring)
    yield "temporal answers", lambda: _temporal(wiring)
    yield "simulator answers", lambda: _http(f"{wiring.simulator_url}/health")
    yield "web answers", lambda: _http(f"{wiring.web_url}/healthz")
    yield "browser for tests", _browser


def _lock() -> str:
    stamp = Path(sys.prefix) / "requirements.sha256"
    wanted = hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text().strip() != wanted:
        raise DevstackError(
            "the installed packages are not those of requirements.lock; any ./dev command installs them"
        )
    return f"requirements.lock {wanted[:12]}"


def _programs(here: Home) -> str:
    asked = place(here)
    return f"{asked.programs}, data in {asked.data}, account {'own' if asked.uid is None else asked.uid}"


def _ports(wiring: Wiring, running: bool) -> str:
    if not running:
        taken = [f"{name} {port}" for name, port in wiring.ports.items() if not ports.is_free(port)]
        if taken:
            raise DevstackError(f"taken by another program: {', '.join(taken)}; the next ./dev up chooses others")
    return ", ".join(f"{name} {port}" for name, port in wiring.ports.items()) or "all services are external"


def _postgres(wiring: Wiring) -> str:
    patience = int(conninfo_to_dict(wiring.database_url).get("connect_timeout") or 3)
    with psycopg.connect(wiring.database_url, connect_timeout=patience) as connection:
        row = connection.execute("SELECT current_setting('server_version'), current_database()").fetchone()
        return " ".join(str(value) for value in row or ())


def _temporal(wiring: Wiring) -> str:
    if "temporal" in wiring.external:
        # A cluster may want TLS or an API key, so only the connection is judged here.
        address = wiring.temporal_address or "127.0.0.1:7233"
        name, _, port = address.rpartition(":")
        if not http_probe.accepts(name, int(port) if port.isdigit() else 7233):
            raise DevstackError(f"nothing accepts connections at {address}")
        return address
    if not temporal.answers(wiring.ports):
        raise DevstackError(f"no answer at {wiring.temporal_address}")
    return f"{wiring.temporal_address}, namespace {temporal.NAMESPACE}, UI {wiring.temporal_ui}"


def _http(url: str) -> str:
    if not http_probe.answers(url):
        raise DevstackError(f"{url} does not answer 200")
    return url


def _browser() -> str:
    found = find_browser()
    if found is None:
        raise DevstackError("none; apt-get install -y --no-install-recommends chromium fonts-liberation")
    return found
