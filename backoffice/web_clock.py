"""A web process whose clock is wrong says so, as a worker does with every beat; one that is right writes nothing.

What it stores is the database's time all the same. But django-axes locks sign-ins by the process's own clock, cookies
and certificates end by it, and logs carry it: somebody has to set it.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponseBase

from orders import clock
from orders.selectors.health import CLOCK_OFF
from orders.services import health

logger = logging.getLogger(__name__)
#: seconds between two notes; the health card forgets one after two minutes
NOTED_EVERY = 60.0


class NoteClock:
    """Middleware that looks after each answer, outside its transaction. It asks the database nothing."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.identity = f"web {clock.process()}"
        self.noted_at: float | None = None

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        ahead = clock.ahead()
        if ahead is not None and (abs(ahead) > CLOCK_OFF or self.noted_at is not None):
            # Health pages answer while the database does not.
            with suppress(DatabaseError, InterfaceError):
                self._note(is_off=abs(ahead) > CLOCK_OFF)
        return response

    def _note(self, *, is_off: bool) -> None:
        if not is_off:
            health.gone(self.identity)
            self.noted_at = None
        elif self.noted_at is None or time.monotonic() >= self.noted_at + NOTED_EVERY:
            self.noted_at = time.monotonic()
            logger.warning("The clock of this process differs from the database's by %s", clock.ahead())
            health.beat(self.identity, "web", False, "Noted while its clock is off")
