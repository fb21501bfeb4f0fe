"""Loopback ports that are chosen free once and then kept.

A bookmark, a worker that reconnects and a browser tab all rely on a server coming back where it was. Without the memory
every restart would move it; without the check a port taken by somebody else would fail deep inside a server's log.
"""

import random
import socket
from collections.abc import Callable

from backoffice.devstack import private_json
from backoffice.devstack.errors import DevstackError
from backoffice.devstack.paths import Home, locked

# Below the kernel's range for outgoing connections (32768 and up on Linux, 49152 on macOS): a client that retries a
# dead port inside that range can connect to *itself* and then hold the port its server wants back.
CHOICE = range(20000, 32000)


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of the previous run in TIME_WAIT do not make the port "taken".
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(home: Home, name: str, *, usable: Callable[[int], bool] = is_free) -> int:
    """Return the remembered port of this server, or a new free one when there is none or it is taken."""
    with locked(home.path / "ports.lock"):
        known = private_json.read(home.ports)
        port = known.get(name)
        if isinstance(port, int) and usable(port):
            return port
        for candidate in random.sample(CHOICE, 200):
            if candidate not in known.values() and is_free(candidate):
                known[name] = candidate
                private_json.write(home.ports, known)
                return candidate
    raise DevstackError(f"no free port between {CHOICE.start} and {CHOICE.stop} for {name}")


def remembered(home: Home, name: str) -> int | None:
    port = private_json.read(home.ports).get(name)
    return port if isinstance(port, int) else None
