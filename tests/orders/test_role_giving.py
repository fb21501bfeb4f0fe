"""What an account or a group may do is given by two people, and taken away by one."""

from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.test import Client

from orders.actor import Actor, person
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import AccountChange, Approval
from orders.services import deciding, role_giving
from orders.vocabulary import AccountEvent, ApprovalStatus, Channel
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss")


@pytest.fixture
def lead() -> User:
    return make_user("orders.decide_approval", "orders.view_approval", name="lead")


@pytest.fixture
def anna() -> User:
    return make_user(name="anna")


@pytest.fixture
def refunders() -> Group:
    group = Group.objects.create(name="refunders")
    group.permissions.add(Permission.objects.get(codename="refund_order"))
    return group


def acting(user: User) -> Actor:
    return person(User.objects.get(pk=user.pk), Channel.ADMIN)


def form_of(user: User, **more: object) -> dict[str, object]:
    flags = {name: "on" for name in role_giving.FLAGS if getattr(user, name)}
    groups = list(user.groups.values_list("pk", flat=True))
    return {"date_joined_0": "2026-01-01", "date_joined_1": "10:00:00", "groups": groups, **flags, **more}


def save(by: User, user: User, **more: object) -> str:
    client = Client()
    client.force_login(by)
    form = {name: value for name, value in form_of(user, **more).items() if value is not None}
    answer = client.post(f"/admin/auth/user/{user.pk}/change/", form, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_role_given_in_the_admin_waits_for_a_second_person(
    boss: User, lead: User, anna: User, refunders: Group
) -> None:
    said = save(boss, anna, groups=[refunders.pk], last_name="Ash")

    assert "The account anna gets the role refunders. It waits for a second person. The rest is saved." in said
    assert "changed successfully" not in said
    anna.refresh_from_db()
    assert (anna.last_name, list(anna.groups.all())) == ("Ash", []), "what needs nobody is stored"
    deciding.approve(Approval.objects.get().pk, actor=acting(lead))
    assert list(anna.groups.all()) == [refunders]
    assert AccountChange.objects.get(account=anna, what=AccountEvent.ROLE).by == boss


@pytest.mark.parametrize(
    ("more", "says"),
    [({"is_superuser": "on"}, "becomes a superuser"), ({"user_permissions": "refund_order"}, "orders.refund_order")],
)
def test_other_rights_wait_too(boss: User, anna: User, more: dict[str, str], says: str) -> None:
    if "user_permissions" in more:
        more = {"user_permissions": str(Permission.objects.get(codename="refund_order").pk)}
    before = role_giving.rights_of(anna)

    assert says in save(boss, anna, **more)

    assert role_giving.rights_of(User.objects.get(pk=anna.pk)) == before
    assert says in Approval.objects.get().says


def test_an_account_is_switched_off_at_once_and_on_again_by_two(boss: User, lead: User, anna: User) -> None:
    save(boss, anna, is_active=None)
    anna.refresh_from_db()
    assert not anna.is_active

    save(boss, anna, is_active="on")

    anna.refresh_from_db()
    assert not anna.is_active
    deciding.approve(Approval.objects.get().pk, actor=acting(lead))
    anna.refresh_from_db()
    assert anna.is_active


def test_a_role_is_taken_away_at_once(boss: User, anna: User, refunders: Group) -> None:
    anna.groups.add(refunders)

    save(boss, anna, groups=[])

    assert not anna.groups.exists()
    assert not Approval.objects.exists()


def test_nobody_who_can_make_accounts_is_the_second_person(boss: User, anna: User, refunders: Group) -> None:
    save(boss, anna, groups=[refunders.pk])
    other = User.objects.create_superuser("other")
    with pytest.raises(NotPermitted, match="You can make accounts"):
        deciding.approve(Approval.objects.get().pk, actor=acting(other))


def test_whoever_may_only_change_accounts_gives_no_role(anna: User, refunders: Group) -> None:
    helper = make_user("auth.change_user", "auth.view_user", name="helper")
    with pytest.raises(NotPermitted, match="Only a superuser"):
        role_giving.change_account("anna", {"groups": ["refunders"]}, actor=acting(helper), reason="Please")
    save(helper, anna, groups=[refunders.pk])
    assert not Approval.objects.exists()


def test_a_gift_in_view_of_other_rights_is_void(boss: User, lead: User, anna: User, refunders: Group) -> None:
    save(boss, anna, groups=[refunders.pk])
    anna.user_permissions.add(Permission.objects.get(codename="view_order"))
    approval = Approval.objects.get()
    with pytest.raises(WrongState, match="was changed since"):
        deciding.approve(approval.pk, actor=acting(lead))
    approval.refresh_from_db()
    assert approval.status == ApprovalStatus.VOID


def test_a_second_request_for_the_same_account_says_that_one_waits(boss: User, anna: User, refunders: Group) -> None:
    save(boss, anna, groups=[refunders.pk])
    assert "This waits for a second person since" in save(boss, anna, is_superuser="on")


def test_a_group_gets_a_permission_by_two_and_loses_one_at_once(boss: User, lead: User, refunders: Group) -> None:
    client = Client()
    client.force_login(boss)
    hold = Permission.objects.get(codename="hold_order")
    page = f"/admin/auth/group/{refunders.pk}/change/"

    said = client.post(page, {"name": "refunders", "permissions": [hold.pk]}, follow=True).content.decode()

    assert "The group refunders gets orders.hold_order. It waits for a second person." in said
    assert role_giving.permissions_of(refunders) == []
    deciding.approve(Approval.objects.get().pk, actor=acting(lead))
    assert role_giving.permissions_of(refunders) == ["orders.hold_order"]


def test_the_operator_of_the_machine_gives_the_first_role_alone(anna: User, refunders: Group) -> None:
    call_command("give_role", "anna", "refunders", stdout=StringIO())
    assert list(anna.groups.all()) == [refunders]
    with pytest.raises(CommandError, match="There is no role kings"):
        call_command("give_role", "anna", "kings")
    with pytest.raises(CommandError, match="There is no account nobody"):
        call_command("give_role", "nobody", "refunders")


def test_the_command_for_an_account_waits_like_the_form(boss: User, anna: User, refunders: Group) -> None:
    told = StringIO()
    call_command("give_role", "anna", "refunders", "--as", "boss", stdout=told)
    assert "It waits for a second person." in told.getvalue()
    assert not anna.groups.exists()


def test_an_unknown_permission_is_named() -> None:
    make_user(name="anna")
    boss = User.objects.create_superuser("boss")
    with pytest.raises(InvalidInput, match=r"There is no permission orders\.fly"):
        role_giving.change_account("anna", {"permissions": ["orders.fly"]}, actor=acting(boss), reason="x")
