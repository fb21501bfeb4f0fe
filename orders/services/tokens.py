"""Issue and revoke API tokens.

Only a digest is stored, so the token is shown once. Without expiry and revocation a token outlives the job, the person
and the password it was made under.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from knox.crypto import hash_token

from orders import clock
from orders.actor import Actor
from orders.database_errors import is_write_refused
from orders.errors import InvalidInput, NotPermitted
from orders.models import ApiToken
from orders.scopes import Scope

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)
#: the last use is written down this seldom
USE_NOTED_EVERY = timedelta(minutes=1)


def issue(*, name: str, scopes: Sequence[str], days: int | None = None, actor: Actor) -> tuple[ApiToken, str]:
    """A token for the actor, and its secret, which is stored nowhere."""
    actor.require("orders.issue_token")
    if actor.user is None:
        raise NotPermitted("A token belongs to a person.")
    unknown = sorted(set(scopes) - set(Scope))
    if unknown or not scopes:
        raise InvalidInput("scopes", f"Choose from {', '.join(Scope)}{f'; not {unknown[0][:40]}' if unknown else ''}.")
    if not name.strip() or len(name) > 80:
        raise InvalidInput("name", "Give the token a name of at most 80 characters that says what uses it.")
    token, secret = ApiToken.objects.create(
        user=actor.user,
        # knox adds the time of the process
        expiry=_life(days, actor) + clock.now() - timezone.now(),
        name=name.strip(),
        scopes=sorted(set(scopes)),
        issued_by=actor.name,
    )
    logger.info("Token %s with %s was issued by %r", token.public_id, ", ".join(token.scopes), actor.name)
    return token, secret


def _life(days: int | None, actor: Actor) -> timedelta:
    longest: int = settings.TOKEN_MAX_DAYS
    wanted = settings.TOKEN_DEFAULT_DAYS if days is None else days
    if not 1 <= wanted <= longest:
        raise InvalidInput("days", f"A token lives for 1 to {longest} days.")
    life = timedelta(days=wanted)
    end: datetime | None = getattr(actor.token, "expiry", None)
    if end is not None and clock.now() + life > end:
        limit = f"{end:%Y-%m-%d %H:%M} UTC"
        raise InvalidInput("days", f"A token issued with a token ends no later than that one, at {limit}.")
    return life


def live(actor: Actor) -> QuerySet[ApiToken]:
    """The actor's own tokens that work, newest first."""
    actor.require("orders.issue_token")
    unexpired = Q(expiry=None) | Q(expiry__gt=clock.now())
    found: QuerySet[ApiToken] = ApiToken.objects.filter(unexpired, user=actor.user, revoked_at=None)
    return found.order_by("-created")


@transaction.atomic
def revoke(public_id: UUID | str, *, actor: Actor, reason: str) -> ApiToken:
    """End a token now; the first reason stays."""
    actor.require("orders.revoke_token")
    token: ApiToken = ApiToken.objects.select_for_update().get(public_id=public_id)
    if token.revoked_at is None:
        _end(token.public_id, by=actor.name, why=reason)
        token.refresh_from_db()
    return token


def revoke_all(user: User, why: str) -> None:
    """End every token of `user`: their password changed, or their account was closed."""
    live = ApiToken.objects.filter(user=user, revoked_at=None)
    for public_id in live.values_list("public_id", flat=True):
        _end(public_id, by="system", why=why)


def _end(public_id: UUID, *, by: str, why: str) -> None:
    ApiToken.objects.filter(public_id=public_id, revoked_at=None).update(
        revoked_at=clock.now(), revoked_by=by, revoked_why=why[:200]
    )
    logger.info("Token %s was revoked by %r: %r", public_id, by, why[:200])


def remember(secret: str, *, user: User, name: str, days: int) -> None:
    """Keep a secret that was made elsewhere (`./dev`) as the one token of that name, for so many days from now."""
    digest = hash_token(secret)
    for other in ApiToken.objects.filter(user=user, name=name, revoked_at=None).exclude(digest=digest):
        _end(other.public_id, by="system", why="Replaced")
    kept = {"user": user, "name": name, "expiry": clock.now() + timedelta(days=days)}
    ApiToken.objects.update_or_create(
        digest=digest,
        defaults=kept | {"revoked_at": None, "revoked_by": "", "revoked_why": ""},
        create_defaults=kept | {"token_key": secret[:15], "scopes": [Scope.FULL.value], "issued_by": "system"},
    )


def holder(secret: str) -> ApiToken | None:
    """The row of a token, used or not; the digest is the key, so the look-up tells nothing about near misses."""
    found: ApiToken | None = ApiToken.objects.select_related("user").filter(digest=hash_token(secret)).first()
    return found


def note_use(token: ApiToken) -> None:
    now = clock.now()
    if token.last_used_at is None or now - token.last_used_at >= USE_NOTED_EVERY:
        try:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        except DatabaseError as error:
            # A note only: a database that takes no writes can still be read with the token.
            if not is_write_refused(error):
                raise
