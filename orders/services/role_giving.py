"""Giving an account or a group what it may do: always asked for by one person and decided by another.

What somebody may do decides whether a second person is asked at all. Whoever can make accounts and give them roles
could be as many people as they like; so what is taken away goes at once, and what is given waits. The machine's
operator, who holds the database's password, is asked by nobody (`manage.py give_role`).
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Q, QuerySet

from orders.actor import Actor
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Approval
from orders.services import accounts, approvals
from orders.vocabulary import ActorKind

ACCOUNT, GROUP = "change_user", "change_group"
FLAGS = {
    "is_active": "is switched on",
    "is_staff": "may sign in to the back office",
    "is_superuser": "becomes a superuser",
}
#: what an account has: names of groups, "app.codename" of permissions, and flags
Rights = dict[str, Any]


def rights_of(user: User) -> Rights:
    return {
        "groups": sorted(user.groups.values_list("name", flat=True)),
        "permissions": named(user.user_permissions.all()),
        **{flag: getattr(user, flag) for flag in FLAGS},
    }


def named(permissions: QuerySet[Permission]) -> list[str]:
    """ "app.codename" of each, in order."""
    return sorted(f"{app}.{name}" for app, name in permissions.values_list("content_type__app_label", "codename"))


def permissions_of(group: Group) -> list[str]:
    return named(group.permissions.all())


def change_account(username: str, wanted: Rights, *, actor: Actor, reason: str) -> Approval | None:
    """Take away at once what is not in `wanted`; what it adds waits for a second person, and is the answer then.

    Raises `NotPermitted`, `InvalidInput` for an unknown name, or `WrongState` while another change of it waits.
    """
    actor.require("auth.change_user")
    with transaction.atomic(), accounts.changed_by(actor.user):
        user = lock_account(username)
        before = rights_of(user)
        _require_superuser(user, before, wanted, actor)
        less = {name: _common(before[name], wanted.get(name, before[name])) for name in before}
        more = {name: _union(less[name], wanted.get(name, before[name])) for name in before}
        _refuse_unknown(more)
        _set_account(user, less)
        if more == less:
            return None
        if actor.kind is ActorKind.SYSTEM:
            _set_account(user, more)
            return None
        return approvals.ask(
            ACCOUNT,
            subject=username,
            says=f"The account {username} {_gains(less, more)}.",
            parameters={"username": username, "was": less, "becomes": more},
            reason=reason,
            actor=actor,
        )


def change_group(name: str, wanted: list[str], *, actor: Actor, reason: str) -> Approval | None:
    """As `change_account`, for the permissions of a group ("app.codename")."""
    actor.require("auth.change_group")
    with transaction.atomic(), accounts.changed_by(actor.user):
        group = lock_group(name)
        before = permissions_of(group)
        less, more = _common(before, wanted), sorted({*wanted})
        _refuse_unknown({"permissions": more, "groups": []})
        group.permissions.set(_permissions(less))
        if more == less:
            return None
        if actor.kind is ActorKind.SYSTEM:
            group.permissions.set(_permissions(more))
            return None
        new = ", ".join(one for one in more if one not in less)
        return approvals.ask(
            GROUP,
            subject=name,
            says=f"The group {name} gets {new}.",
            parameters={"name": name, "was": less, "becomes": more},
            reason=reason,
            actor=actor,
        )


def carry_out_account(parameters: dict[str, Any], *, actor: Actor) -> None:
    """The work of an approved gift. Raises `WrongState` when the account is not as it was asked in view of."""
    actor.require("auth.change_user")
    user = lock_account(parameters["username"])
    if rights_of(user) != parameters["was"]:
        raise WrongState(f"The account {user} was changed since; ask again.")
    with accounts.changed_by(actor.user):
        _set_account(user, parameters["becomes"])


def carry_out_group(parameters: dict[str, Any], *, actor: Actor) -> None:
    """The work of an approved gift. Raises `WrongState` when the group is not as it was asked in view of."""
    actor.require("auth.change_group")
    group = lock_group(parameters["name"])
    if permissions_of(group) != parameters["was"]:
        raise WrongState(f"The group {group} was changed since; ask again.")
    with accounts.changed_by(actor.user):
        group.permissions.set(_permissions(parameters["becomes"]))


def account(username: str, users: QuerySet[User] | None = None) -> User:
    """Raises `InvalidInput` for a name that nobody has."""
    user = (User.objects.all() if users is None else users).filter(username=username).first()
    if user is None:
        raise InvalidInput("username", f"There is no account {username}.")
    return user


def lock_account(username: str) -> User:
    """The account's row, locked. Raises `InvalidInput` for a name that nobody has."""
    return account(username, User.objects.select_for_update())


def lock_group(name: str) -> Group:
    """The group's row, locked. Raises `WrongState` when it is gone: groups are deleted, accounts are not."""
    group = Group.objects.select_for_update().filter(name=name).first()
    if group is None:
        raise WrongState(f"There is no group {name} any more.")
    return group


def _require_superuser(user: User, before: Rights, wanted: Rights, actor: Actor) -> None:
    """Whoever may only change accounts must not make a superuser of one of them."""
    roles = any(wanted.get(name, before[name]) != before[name] for name in before if name != "is_active")
    is_superuser = actor.kind is ActorKind.SYSTEM or getattr(actor.user, "is_superuser", False)
    if (roles or user.is_superuser) and not is_superuser:
        raise NotPermitted("Only a superuser gives and takes roles.", permission="auth.change_user")


def _set_account(user: User, rights: Rights) -> None:
    """Only what differs: each change makes the account fresh."""
    now = rights_of(user)
    if now["groups"] != rights["groups"]:
        user.groups.set(Group.objects.filter(name__in=rights["groups"]))
    if now["permissions"] != rights["permissions"]:
        user.user_permissions.set(_permissions(rights["permissions"]))
    changed = [flag for flag in FLAGS if now[flag] != rights[flag]]
    if changed:
        for flag in changed:
            setattr(user, flag, rights[flag])
        user.save(update_fields=changed)


def _gains(before: Rights, after: Rights) -> str:
    roles = [one for one in after["groups"] if one not in before["groups"]]
    permissions = [one for one in after["permissions"] if one not in before["permissions"]]
    parts = [says for flag, says in FLAGS.items() if after[flag] and not before[flag]]
    parts += [f"gets the role {', '.join(roles)}"] if roles else []
    parts += [f"gets the permission {', '.join(permissions)}"] if permissions else []
    return ", ".join(parts)


def _common(before: Any, wanted: Any) -> Any:
    return sorted({*before} & {*wanted}) if isinstance(before, list) else before and wanted


def _union(less: Any, wanted: Any) -> Any:
    return sorted({*less, *wanted}) if isinstance(less, list) else less or wanted


def _refuse_unknown(rights: Rights) -> None:
    known = set(Group.objects.filter(name__in=rights["groups"]).values_list("name", flat=True))
    for name in rights["groups"]:
        if name not in known:
            raise InvalidInput("role", f"There is no role {name}.")
    found = set(named(_permissions(rights["permissions"])))
    for name in rights["permissions"]:
        if name not in found:
            raise InvalidInput("permission", f"There is no permission {name}.")


def _permissions(names: list[str]) -> Any:
    wanted = Q(pk=None)
    for name in names:
        app, _, codename = name.partition(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    return Permission.objects.filter(wanted)
