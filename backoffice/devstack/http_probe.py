"""Ask a local server over HTTP whether it answers, with the standard library only.

Readiness must be what a client sees, not what a process says about itself; and it must not import the Temporal SDK,
which can abort the interpreter at exit and would take the supervisor with it.
"""

import http.client
import socket
import urllib.error
import urllib.request

# A proxy from the environment must never get between us and loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str, *, seconds: float = 1.5) -> bool:
    """True when a GET is answered with 200 in time."""
    try:
        with _opener.open(url, timeout=seconds) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False


def accepts(host: str, port: int, *, seconds: float = 1.5) -> bool:
    """True when something accepts a TCP connection there."""
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False


def fetch(url: str, *, seconds: float = 1.5) -> str | None:
    """Return the body of a 200 answer, None for anything else."""
    try:
        with _opener.open(url, timeout=seconds) as response:
            return response.read().decode("utf-8", "replace") if response.status == 200 else None
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return None
