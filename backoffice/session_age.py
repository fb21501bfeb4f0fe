"""A session ends when nobody used it for a while, and in any case after a working day.

Django counts a session's age from its last change: without this, one that is stored at every request never ends, and
an open page that asks for itself every few seconds keeps an abandoned desk signed in.
"""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.db import Error as DatabaseError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase

from orders import clock
from orders.database_errors import is_write_refused

BEGUN, SEEN = "begun_at", "seen_at"
#: the last use is written down this seldom: a write at every request would cost more than the request
SECONDS_BETWEEN_WRITES = 60


@receiver(user_logged_in)
def begin(request: HttpRequest, **_: object) -> None:
    request.session[BEGUN] = request.session[SEEN] = clock.now().timestamp()


class SessionAge:
    """Stands right behind the session middleware, before anybody asks who is signed in."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        now = clock.now().timestamp()
        session = request.session
        if settings.SESSION_COOKIE_NAME in request.COOKIES and SESSION_KEY in session and BEGUN in session:
            idle, age = now - session[SEEN], now - session[BEGUN]
            if idle > settings.SESSION_IDLE_SECONDS or age > settings.SESSION_COOKIE_AGE:
                self._end(request)
        response = self.get_response(request)
        session = request.session
        # A page that polls is no person at work.
        is_work = session.accessed and SESSION_KEY in session and not getattr(request, "is_poll", False)
        if is_work and now - session.get(SEEN, 0) >= SECONDS_BETWEEN_WRITES:
            session.may_be_lost = not session.modified  # type: ignore[attr-defined]  # backoffice.sessions
            session[SEEN] = now
            session.setdefault(BEGUN, now)
        return response

    def _end(self, request: HttpRequest) -> None:
        try:
            request.session.flush()
        except DatabaseError as error:
            if not is_write_refused(error):
                raise
            # Its row stays for now, and is as old at the next request.
            request.session = type(request.session)()
