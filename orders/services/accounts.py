"""What a changed account does to its tokens and to what it may approve, whoever changes it: admin, command or shell.

Nobody chooses another person's password: whoever makes accounts has a link mailed to their owner.

A token made under a password that leaked must not outlive it, and one of somebody who left must not come back with the
account. Django calls the validator after a *changed* password was stored, never for a re-hash at sign-in. Each change
is a row, for a fresh account, password or role approves nothing yet (`require_approver`): a second account is no second
person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from importlib import import_module
from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, User
from django.db import models, transaction
from django.db.models.signals import m2m_changed, post_save, pre_save
from django.dispatch import receiver

from orders import clock
from orders.actor import Actor
from orders.errors import InvalidInput, NotPermitted
from orders.models import AccountChange
from orders.services import sessions, tokens
from orders.vocabulary import AccountEvent

#: who changes accounts in this request; none at the command line and in a shell
_changer: ContextVar[int | None] = ContextVar("changer", default=None)
#: whoever holds one of these can make a second person
MAKES_ACCOUNTS = ("auth.add_user", "auth.change_user")
DECIDE = "orders.decide_approval"
SAYS = {
    AccountEvent.CREATED: "was made",
    AccountEvent.PASSWORD: "got a new password",
    AccountEvent.ROLE: "got another role",
    AccountEvent.ACTIVE: "was switched on again",
    AccountEvent.EMAIL: "got another mail address",
    AccountEvent.FACTOR: "lost its second factor",
}


@contextmanager
def changed_by(user: AbstractBaseUser | AnonymousUser | None) -> Iterator[None]:
    """Whoever changes accounts within the block is `user`; none is the machine's operator."""
    token = _changer.set(user.pk if user is not None else None)
    try:
        yield
    finally:
        _changer.reset(token)


def last_change(user_id: int | None) -> AccountChange | None:
    """What made the account fresh, within `FRESH_APPROVER_HOURS`; none for an account that is not."""
    since = clock.now() - timedelta(hours=settings.FRESH_APPROVER_HOURS)
    return AccountChange.objects.filter(account=user_id, at__gt=since).first()


def require_approver(user: AbstractBaseUser | AnonymousUser, *, behind: Collection[int]) -> None:
    """Raise `NotPermitted` unless the account may be a second person beside the people `behind` the request.

    Whoever can make accounts, superusers too, could be both; an account that is fresh, or that one of those made or
    gave a password or role, may be a second name of theirs.
    """
    if any(user.has_perm(permission) for permission in MAKES_ACCOUNTS):  # type: ignore[union-attr]
        raise NotPermitted(
            "You can make accounts, so you could be two people; somebody who cannot must decide.", permission=DECIDE
        )
    fresh = last_change(user.pk)
    if fresh is not None:
        raise NotPermitted(
            f"Your account {SAYS[AccountEvent(fresh.what)]} at {fresh.at:%Y-%m-%d %H:%M:%S} UTC; it approves nothing "
            f"for {settings.FRESH_APPROVER_HOURS} hours after that.",
            permission=DECIDE,
        )
    if AccountChange.objects.filter(account=user.pk, by__in=behind).exists():
        raise NotPermitted(
            "Your account was made or changed by a person who asks for this; another person must decide.",
            permission=DECIDE,
        )


def send_link(user: User, *, actor: Actor, is_new: bool = False) -> None:
    """Mail the account's owner a link to choose a password. Raises `NotPermitted` or `InvalidInput`."""
    if is_new:
        actor.require("auth.add_user")
    else:
        actor.require("auth.change_user")
    _require_peer(user, actor)
    if not user.email:
        raise InvalidInput("email", f"{user} has no mail address, so no link can be sent.")
    if not user.is_active:
        raise InvalidInput("is_active", f"{user} is switched off, and could not sign in with a new password.")
    _mail().send_link(user, is_new=is_new)


def remove_factors(user: User, *, actor: Actor) -> None:
    """For somebody who lost it: the next sign-in asks the role's owner for a new one. Ends the account's sessions."""
    actor.require("mfa.delete_authenticator")
    _require_peer(user, actor)
    with transaction.atomic(), changed_by(user if actor.user is None else actor.user):
        if Authenticator.objects.filter(user=user).delete()[0]:
            _keep([user.pk], AccountEvent.FACTOR)
    sessions.end_all(user.pk)


def _require_peer(user: User, actor: Actor) -> None:
    if user.is_superuser and not getattr(actor.user, "is_superuser", False):
        raise NotPermitted("Only a superuser changes how a superuser signs in.")


def _mail() -> Any:
    """The composition root's letters, whose links are addresses that the domain does not know."""
    return import_module(settings.ACCOUNT_MAIL)


class RevokesTokens:
    """One of AUTH_PASSWORD_VALIDATORS; it refuses no password."""

    def validate(self, password: str, user: Any = None) -> None:
        return None

    def get_help_text(self) -> str:
        return "A new password ends your API tokens."

    def password_changed(self, password: str, user: Any = None) -> None:
        if user is not None and user.pk:
            tokens.revoke_all(user, "The password was changed.")


@receiver(post_save, sender=User, dispatch_uid="tokens-of-a-closed-account")
def account_saved(instance: User, update_fields: frozenset[str] | None = None, **_: object) -> None:
    if not instance.is_active and (update_fields is None or "is_active" in update_fields):
        tokens.revoke_all(instance, "The account was deactivated.")
        sessions.end_all(instance.pk)


@receiver(pre_save, sender=User, dispatch_uid="what-becomes-fresh")
def account_changes(instance: User, **_: object) -> None:
    # By which links find it: allauth asks for addresses in small letters.
    instance.email = instance.email.lower()
    before = User.objects.filter(pk=instance.pk).first() if instance.pk else None
    found = []
    if before is None:
        found.append(AccountEvent.CREATED)
    else:
        # A re-hash at sign-in stores another hash of the same password, and no raw one is at hand.
        if before.password != instance.password and getattr(instance, "_password", None) is not None:
            found.append(AccountEvent.PASSWORD)
        if instance.is_active and not before.is_active:
            found.append(AccountEvent.ACTIVE)
        if instance.is_superuser and not before.is_superuser:
            found.append(AccountEvent.ROLE)
        if instance.email != before.email.lower():
            # Links to choose a password go there from now on.
            found.append(AccountEvent.EMAIL)
            _mail().tell_of_move(before)
    instance.fresh_by = found  # type: ignore[attr-defined]


@receiver(post_save, sender=User, dispatch_uid="fresh-accounts")
def keep_changes(instance: User, **_: object) -> None:
    for what in getattr(instance, "fresh_by", ()):
        _keep([instance.pk], what)


@receiver(m2m_changed, sender=User.groups.through, dispatch_uid="fresh-groups")
@receiver(m2m_changed, sender=User.user_permissions.through, dispatch_uid="fresh-permissions")
def keep_role(instance: models.Model, action: str, reverse: bool, pk_set: set[int] | None = None, **_: object) -> None:
    if action == "post_add" and pk_set:
        _keep(sorted(pk_set) if reverse else [instance.pk], AccountEvent.ROLE)


@receiver(m2m_changed, sender=Group.permissions.through, dispatch_uid="fresh-role")
def keep_role_of_members(
    instance: models.Model, action: str, reverse: bool, pk_set: set[int] | None = None, **_: object
) -> None:
    # What `bootstrap` gives a role came with the version and was decided by nobody here.
    if action == "post_add" and pk_set and _changer.get() is not None:
        groups = pk_set if reverse else {instance.pk}
        members = User.objects.filter(groups__in=groups).order_by("pk").values_list("pk", flat=True).distinct()
        _keep(members, AccountEvent.ROLE)


def _keep(accounts: Iterable[int], what: AccountEvent) -> None:
    by = _changer.get()
    AccountChange.objects.bulk_create(
        AccountChange(account_id=account, what=what, by_id=by if by != account else None) for account in accounts
    )
