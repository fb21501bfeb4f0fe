"""Who acts, through which door, and whether they may.

Every service takes an `Actor` and asks it for the permission itself, so that a new door (an admin button, an API view,
a command) cannot forget the check. Without it, history rows say "system" for everything and a forged admin POST runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orders import scopes
from orders.errors import NotPermitted
from orders.vocabulary import ActorKind, Channel

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Somebody who made an automated act happen."""

    user_id: int
    #: what they did, after "You": "published refund_all v2"
    part: str


@dataclass(frozen=True, kw_only=True)
class Actor:
    kind: ActorKind
    #: shown in the timeline: a username or the name of a process
    name: str
    channel: Channel
    #: the Django user behind a person; None for the system
    user: AbstractBaseUser | AnonymousUser | None = None
    #: the API token a person came with, whose scopes narrow what they may do; None for a session
    token: Any = None
    #: of an automated act: everybody who made it happen, beside the person it acts for
    makers: tuple[Maker, ...] = ()
    #: where the engine acted from; empty for people
    workflow_id: str = ""
    run_id: str = ""
    attempt: int | None = None

    def require(self, permission: str) -> None:
        """Raise `NotPermitted` unless this actor holds `permission` ("app.codename"). The system holds all."""
        if self.may(permission):
            return
        if self.token is not None and not scopes.allow(self.token.scopes, permission):
            why = f"The scopes of this token ({', '.join(self.token.scopes)}) leave out {permission}."
        else:
            why = f"{self.name or 'anonymous'} does not have the permission {permission}."
        raise NotPermitted(why, permission=permission)

    def may(self, permission: str) -> bool:
        """Whether this actor holds `permission`; a token narrows its user and never adds anything."""
        if self.kind is ActorKind.SYSTEM:
            return True
        if self.token is not None and not scopes.allow(self.token.scopes, permission):
            return False
        return self.user is not None and bool(self.user.has_perm(permission))  # type: ignore[union-attr]


def person(user: AbstractBaseUser | AnonymousUser, channel: Channel) -> Actor:
    """The signed-in user behind a request."""
    token = getattr(user, "api_token", None)
    return Actor(kind=ActorKind.PERSON, name=user.get_username(), channel=channel, user=user, token=token)


def system(name: str, channel: Channel = Channel.ENGINE, **where: object) -> Actor:
    """A process of ours; `where` may hold workflow_id, run_id and attempt."""
    return Actor(kind=ActorKind.SYSTEM, name=name, channel=channel, **where)  # type: ignore[arg-type]
