"""Sessions are seen and ended, by their owner and by a superuser; who was switched off comes back to none of them."""

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django.fixtures import Settings

from orders.actor import person
from orders.errors import NotPermitted
from orders.services import accounts, sessions
from orders.vocabulary import Channel
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
PASSWORD = "plum velvet orbit kettle"


@pytest.fixture(autouse=True)
def quick_hashes(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def browser(name: str = "anna", agent: str = "Firefox") -> Client:
    client = Client(headers={"User-Agent": agent})
    assert client.post("/accounts/login/", {"login": name, "password": PASSWORD}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def test_the_owner_sees_each_session_and_ends_one() -> None:
    make_user(name="anna", password=PASSWORD)
    make_user(name="ben", password=PASSWORD)
    here, there, of_ben = browser(), browser(agent="Chrome"), browser("ben", "Opera")
    page = here.get("/accounts/sessions/").content.decode()
    assert "Chrome" in page
    assert "(this one)" in page
    assert "Opera" not in page

    for agent, status in (("Opera", 404), ("Chrome", 302)):
        session = UserSession.objects.get(user_agent=agent)
        assert here.post(f"/accounts/sessions/{session.pk}/end/").status_code == status
    assert [is_in(client) for client in (here, there, of_ben)] == [True, False, True]


def test_the_owner_ends_all_others_also_those_that_are_on_no_list() -> None:
    anna = make_user(name="anna", password=PASSWORD)
    here, there, unlisted = browser(), browser(), Client()
    unlisted.force_login(anna)
    here.post("/accounts/sessions/others/")
    assert [is_in(client) for client in (here, there, unlisted)] == [True, False, False]


def test_a_superuser_ends_the_session_of_anybody_and_nobody_else_does() -> None:
    make_user(name="anna", password=PASSWORD)
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss"))
    there = browser()
    session = UserSession.objects.get()
    with pytest.raises(NotPermitted):
        sessions.end(session, actor=person(make_user("auth.change_user", name="hr"), Channel.ADMIN))
    assert "anna" in boss.get("/admin/usersessions/usersession/").content.decode()
    boss.post("/admin/usersessions/usersession/", {"action": "end", "_selected_action": [session.pk]})
    assert not is_in(there)
    assert LogEntry.objects.filter(change_message__contains="Ended the session").count() == 1


def test_whoever_was_switched_off_comes_back_to_no_session() -> None:
    anna = make_user(name="anna", password=PASSWORD)
    there, unlisted = browser(), Client()
    unlisted.force_login(anna)
    for active in (False, True):
        anna.is_active = active
        anna.save()
    assert [is_in(client) for client in (there, unlisted)] == [False, False]
    assert not Session.objects.exists()
    assert is_in(browser())


def test_a_new_password_ends_the_sessions_elsewhere() -> None:
    make_user(name="anna", password=PASSWORD)
    here, there = browser(), browser()
    new = {"password1": "cobalt walnut siren mosaic", "password2": "cobalt walnut siren mosaic"}
    assert here.post("/accounts/password/change/", {"oldpassword": PASSWORD, **new}).status_code == 302
    assert [is_in(client) for client in (here, there)] == [True, False]


def test_a_removed_factor_ends_the_sessions_of_its_owner() -> None:
    anna = make_user(name="anna", password=PASSWORD)
    there = browser()
    accounts.remove_factors(anna, actor=person(User.objects.create_superuser("boss"), Channel.ADMIN))
    assert not is_in(there)
