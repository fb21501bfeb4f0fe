"""Calls to the simulator that are not the gateway's own: faults, behaviour, clock and books."""

import json
import urllib.error
import urllib.request
from typing import Any


def call(url: str, method: str = "GET", body: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """The JSON that it answered; None when it did not answer, or refused."""
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return None
    return told
