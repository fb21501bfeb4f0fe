"""Sessions of people: whoever is ended is signed in nowhere, and does not come back with the account.

Django finds a session by its key only, so those of one account are looked for in all that have not run out. The list
that is shown (allauth's) forgets sessions that began in other ways than by signing in; the sessions themselves do not.
"""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from orders.actor import Actor
from orders.paging import pages

#: sessions that are read at once
PAGE = 500


def end_all(user_id: int | None, *, keep: str | None = None) -> int:
    """End every session of the account but the one with the key `keep`; answers how many."""
    ended = 0
    live = Session.objects.filter(expire_date__gt=Now()).exclude(session_key=keep or "")
    for session in pages(live, PAGE):
        if session.get_decoded().get(SESSION_KEY) == str(user_id):
            session.delete()
            ended += 1
    UserSession.objects.filter(user_id=user_id).exclude(session_key=keep or "").delete()
    return ended


def end(session: UserSession, *, actor: Actor) -> None:
    """End somebody's session. Raises `NotPermitted`."""
    actor.require("usersessions.delete_usersession")
    session.end()
