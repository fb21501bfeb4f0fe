"""Who acts, through which door, and whether they may.

Every service takes an `Actor` and asks it for the permission itself, so that a new door (an admin button, an API view,
a command) cannot forget the check. Without it, history rows say "system" for everything and a forged admin POST runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orders.errors import NotPermitted
from orders.vocabulary import ActorKind, Channel

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


@dataclass(frozen=True, kw_only=True)
class Actor:
    kind: ActorKind
    #: shown in the timeline: a username or the name of a process
    name: str
    channel: Channel
    #: the Django user behind a person; None for the system
    user: AbstractBaseUser | AnonymousUser | None = None
    #: where the engine acted from; empty for people
    workflow_id: str = ""
    run_id: str = ""
    attempt: int | None = None

    def require(self, permission: str) -> None:
        """Raise `NotPermitted` unless this actor holds `permission` ("app.codename"). The system holds all."""
        if self.kind is ActorKind.SYSTEM:
            return
        if self.user is None or not self.user.has_perm(permission):  # type: ignore[union-attr]
            raise NotPermitted(f"{self.name or 'anonymous'} does not have the permission {permission}.")


def person(user: AbstractBaseUser | AnonymousUser, channel: Channel) -> Actor:
    """The signed-in user behind a request."""
    return Actor(kind=ActorKind.PERSON, name=user.get_username(), channel=channel, user=user)


def system(name: str, channel: Channel = Channel.ENGINE, **where: object) -> Actor:
    """A process of ours; `where` may hold workflow_id, run_id and attempt."""
    return Actor(kind=ActorKind.SYSTEM, name=name, channel=channel, **where)  # type: ignore[arg-type]
