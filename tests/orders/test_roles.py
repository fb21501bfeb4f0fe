"""Roles: exactly the permissions of the table, also after somebody clicked in the admin."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group, Permission

from orders.actor import person, system
from orders.errors import NotPermitted
from orders.services import roles
from orders.vocabulary import Channel

pytestmark = pytest.mark.django_db


def held(role: str) -> set[str]:
    names = Group.objects.get(name=role).permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in names}


def test_each_role_holds_exactly_what_the_table_says() -> None:
    roles.ensure_roles()

    assert {role: held(role) for role in roles.ROLES} == {role: set(names) for role, names in roles.ROLES.items()}


def test_running_again_repairs_what_was_given_and_taken_by_hand() -> None:
    roles.ensure_roles()
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.remove(Permission.objects.get(codename="view_order"))
    viewer.permissions.add(Permission.objects.get(codename="start_order"))

    roles.ensure_roles()

    assert held("viewer") == set(roles.ROLES["viewer"])
    assert Group.objects.count() == len(roles.ROLES)


def test_groups_of_other_names_are_left_alone() -> None:
    auditors = Group.objects.create(name="auditors")
    auditors.permissions.add(Permission.objects.get(codename="view_order"))

    roles.ensure_roles()

    assert held("auditors") == {"orders.view_order"}


def test_misspelt_permission_stops_the_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(roles.ROLES, "agent", ("orders.view_order", "orders.strat_order"))

    with pytest.raises(RuntimeError, match=r"Role agent names unknown permissions: orders\.strat_order"):
        roles.ensure_roles()


def test_viewer_holds_nothing_but_views() -> None:
    assert all(name.startswith("orders.view_") for name in roles.ROLES["viewer"])


def test_no_role_may_change_or_delete_orders_money_or_history() -> None:
    guarded = {"order", "orderline", "orderevent", "payment", "ledgertransfer", "reservation", "stockitem", "step"}
    given = {name.split(".")[1] for names in roles.ROLES.values() for name in names}

    assert not {f"{verb}_{name}" for verb in ("add", "change", "delete") for name in guarded} & given


def test_superuser_holds_every_permission_and_an_inactive_one_none() -> None:
    chief = get_user_model().objects.create_superuser("chief")
    person(chief, Channel.ADMIN).require("orders.start_order")

    chief.is_active = False
    with pytest.raises(NotPermitted):
        person(chief, Channel.ADMIN).require("orders.start_order")


def test_nobody_signed_in_holds_nothing() -> None:
    with pytest.raises(NotPermitted, match="anonymous does not have"):
        person(AnonymousUser(), Channel.API).require("orders.view_order")


def test_processes_of_ours_need_no_permission() -> None:
    system("order process").require("orders.start_order")
