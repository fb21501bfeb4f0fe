"""A second account is no second person: fresh ones, those who can make accounts, and those that the asker made."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone

from orders.actor import Actor, person
from orders.errors import NotPermitted
from orders.models import AccountChange, Approval, Refund
from orders.services import accounts, deciding, refunding
from orders.vocabulary import AccountEvent, Channel
from tests.factories import make_order
from tests.orders import driving
from tests.orders.staff import make_user, signed_in

pytestmark = pytest.mark.django_db
PERMISSIONS = ("orders.refund_order", "orders.decide_approval")


@pytest.fixture(autouse=True)
def limits(settings: Any) -> None:
    settings.REFUND_SECOND_PERSON_OVER_MINOR = 100
    settings.FRESH_APPROVER_HOURS = 24


def acting(user: User) -> Actor:
    return person(User.objects.get(pk=user.pk), Channel.ADMIN)


def ask(user: User) -> Approval:
    asked = refunding.request(driving.drive(make_order()).number, amount_minor=500, actor=acting(user), reason="Broken")
    assert isinstance(asked, Approval)
    return asked


def later(hours: float) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(hours=hours), tick=False)


def test_an_account_approves_nothing_in_its_first_day() -> None:
    approval, ben = ask(make_user(*PERMISSIONS, name="anna")), make_user(*PERMISSIONS, name="ben")
    with pytest.raises(NotPermitted, match="it approves nothing for 24 hours"):
        deciding.approve(approval.pk, actor=acting(ben))
    with later(24.1):
        deciding.approve(approval.pk, actor=acting(ben))
    assert Refund.objects.get().approval == approval


def new_password(user: User) -> None:
    user.set_password("correct horse battery")
    user.save()


def new_group(user: User) -> None:
    user.groups.add(Group.objects.create(name="helpers"))


def new_member(user: User) -> None:
    Group.objects.create(name="helpers").user_set.add(user)


def new_permission(user: User) -> None:
    user.user_permissions.add(Permission.objects.get(codename="view_order"))


def switched_on(user: User) -> None:
    for active in (False, True):
        user.is_active = active
        user.save(update_fields=["is_active"])


@pytest.mark.parametrize("change", [new_password, new_group, new_member, new_permission, switched_on])
def test_what_makes_an_account_fresh_again(change: Callable[[User], None]) -> None:
    anna, ben = make_user(*PERMISSIONS, name="anna"), make_user(*PERMISSIONS, name="ben")
    with later(30):
        change(ben)
        approval = ask(anna)
        with pytest.raises(NotPermitted, match="approves nothing"):
            deciding.approve(approval.pk, actor=acting(ben))
    with later(55):
        deciding.approve(approval.pk, actor=acting(ben))


def test_signing_in_and_a_better_hash_make_nothing_fresh() -> None:
    ben = make_user(*PERMISSIONS, name="ben", password="correct horse battery")
    before = AccountChange.objects.count()
    cheap = PBKDF2PasswordHasher().encode("correct horse battery", "salt" * 6, iterations=1_000)
    User.objects.filter(pk=ben.pk).update(password=cheap)
    weak = User.objects.get(pk=ben.pk)
    assert weak.check_password("correct horse battery")
    assert User.objects.get(pk=ben.pk).password != cheap
    weak.last_login = timezone.now()
    weak.save(update_fields=["last_login"])
    assert AccountChange.objects.count() == before


@pytest.mark.parametrize("makes", ["auth.add_user", "auth.change_user", ""])
def test_whoever_can_make_accounts_asks_and_approves_nothing(makes: str) -> None:
    anna = make_user(*PERMISSIONS, name="anna")
    chief = make_user(*PERMISSIONS, makes, name="chief") if makes else User.objects.create_superuser("chief")
    with later(30):
        approval = ask(anna)
        with pytest.raises(NotPermitted, match="You can make accounts"):
            deciding.approve(approval.pk, actor=acting(chief))
        assert ask(chief).requested_by == chief
        deciding.decline(approval.pk, actor=acting(chief), reason="Too much")


def test_an_account_that_the_asker_made_in_the_admin_approves_nothing_of_theirs() -> None:
    lead = Group.objects.create(name="leads")
    lead.permissions.set(Permission.objects.filter(codename__in=[one.split(".")[1] for one in PERMISSIONS]))
    browser, boss = signed_in("auth.add_user", name="helper"), User.objects.create_superuser("boss")
    browser.force_login(boss)
    browser.post("/admin/auth/user/add/", {"username": "puppet", "email": "puppet@example.com"})
    puppet = User.objects.get(username="puppet")
    lead.user_set.add(puppet)
    assert AccountChange.objects.get(account=puppet, what=AccountEvent.CREATED).by == boss
    with later(100):
        approval = ask(boss)
        with pytest.raises(NotPermitted, match="made or changed by a person who asks for this"):
            deciding.approve(approval.pk, actor=acting(puppet))
        deciding.approve(ask(make_user(*PERMISSIONS, name="anna")).pk, actor=acting(puppet))


def test_a_role_that_gets_more_makes_its_members_fresh_when_a_person_gave_it() -> None:
    leads, boss = Group.objects.create(name="leads"), User.objects.create_superuser("boss")
    ben = make_user(*PERMISSIONS, name="ben")
    leads.user_set.add(ben)
    before = AccountChange.objects.filter(account=ben).count()
    leads.permissions.add(Permission.objects.get(codename="view_order"))
    assert AccountChange.objects.filter(account=ben).count() == before
    with accounts.changed_by(boss):
        leads.permissions.add(Permission.objects.get(codename="refund_order"))
    assert AccountChange.objects.filter(account=ben, by=boss).count() == 1


def test_a_name_is_never_given_to_somebody_else() -> None:
    boss, anna = User.objects.create_superuser("boss"), make_user(name="anna")
    browser = signed_in(name="helper")
    browser.force_login(boss)
    browser.post(f"/admin/auth/user/{anna.pk}/change/", {"username": "other", "is_active": "on", "is_staff": "on"})
    anna.refresh_from_db()
    assert anna.username == "anna"
