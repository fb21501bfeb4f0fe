"""Keeping what was refused, after the refused action was rolled back and apart from it.

Called by the doors (the middleware, the base of our management commands), never by the service that refuses: there the
row would be rolled back together with the action.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import DatabaseError, connection

from orders import access, clock
from orders.errors import NotPermitted
from orders.models import RefusedAction
from orders.vocabulary import Channel

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

logger = logging.getLogger(__name__)

NOBODY = "(not signed in)"
SEVERAL = "(several)"
#: rows that one actor can make within an hour; what comes after is counted without its subject
MAX_ROWS_AN_HOUR = 100

# One statement: two requests that are refused at once must end as one row with the count of both.
COUNT_UP = """
    INSERT INTO orders_refusedaction AS known
        (hour, actor, user_id, channel, action, subject, permission, detail, address, request_id,
            first_at, last_at, times)
    VALUES (%(hour)s, %(actor)s, %(user)s, %(channel)s, %(action)s, %(subject)s, %(permission)s, %(detail)s,
            %(address)s, %(request_id)s, %(now)s, %(now)s, 1)
    ON CONFLICT (hour, actor, channel, action, subject)
    DO UPDATE SET times = known.times + 1, last_at = excluded.last_at
"""


def remember(
    refusal: NotPermitted,
    *,
    user: AbstractBaseUser | AnonymousUser | None,
    channel: Channel,
    door: str,
    subject: str = "",
    address: str = "",
    request_id: str = "",
) -> None:
    """Write or count up the row of this refusal. A database that is away does not turn a refusal into an error."""
    now = clock.now()
    known = user if user is not None and user.pk else None
    hour = now.replace(minute=0, second=0, microsecond=0)
    values = {
        "hour": hour,
        "actor": known.get_username() if known else NOBODY,
        "user": known.pk if known else None,
        "channel": channel.value,
        "action": access.command_named(channel, door, refusal.permission)[:100],
        # What nobody asks for says nothing, and its texts would be as many as a flood likes.
        "subject": _plain(subject)[:100] if known else "",
        "permission": refusal.permission[:100],
        "detail": _plain(str(refusal))[:300],
        "address": address[:45],
        "request_id": request_id[:64],
        "now": now,
    }
    logger.warning("Refused %(action)s to %(actor)s by %(channel)s: %(detail)s, request %(request_id)s", values)
    try:
        mine = RefusedAction.objects.filter(actor=values["actor"], hour=hour)
        if known and mine.count() >= MAX_ROWS_AN_HOUR:
            values["subject"] = SEVERAL
        with connection.cursor() as cursor:
            cursor.execute(COUNT_UP, values)
    except DatabaseError:
        logger.exception("A refusal could not be stored")


def _plain(text: str) -> str:
    """Without line breaks, which would forge lines of a log, and without NUL, which PostgreSQL does not take."""
    return "".join(character for character in text if character.isprintable())
