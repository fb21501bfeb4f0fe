"""How much one user may ask for in a minute, reads and writes apart: a runaway reader must not stop the placing."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from orders import limits


class PerUser(BaseThrottle):
    def __init__(self) -> None:
        self.seconds = 0

    def allow_request(self, request: Request, view: Any) -> bool:
        if not request.user or not request.user.is_authenticated:
            # Counted by address when they did not sign in; see orders/api/authentication.py.
            return True
        self.seconds = limits.hit("read" if request.method in SAFE_METHODS else "write", str(request.user.pk))
        return not self.seconds

    def wait(self) -> float | None:
        return self.seconds or None
