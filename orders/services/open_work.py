"""How much work of one person may be under way: exports, imports, batches. Each costs a worker minutes."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import QuerySet

from orders.actor import Actor
from orders.errors import WrongState


def require_place(what: str, under_way: QuerySet[Any], *, most: int, actor: Actor) -> None:
    """In the transaction that adds one. Raises `WrongState` for somebody who has `most` of `what` under way.

    The operator of the machine, who gives commands to it as nobody in particular, knows what it can take.
    """
    if actor.user is None:
        return
    with connection.cursor() as cursor:
        # Else forty requests at once would each find none under way.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"{what} of {actor.name}"])
    if under_way.filter(actor=actor.name).count() >= most:
        raise WrongState(f"{most} of your {what} are under way. Wait until one of them has ended, or cancel one.")
