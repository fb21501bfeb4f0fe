"""Nobody chooses another person's password: a link goes to the owner of the account, by mail, and works once."""

import re
import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django.fixtures import Settings

from orders.models import AccountChange
from orders.vocabulary import AccountEvent
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
PASSWORD = "plum velvet orbit kettle"


@pytest.fixture(autouse=True)
def mail_at_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    monkeypatch.setattr(threading.Thread, "start", threading.Thread.run)


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def link() -> str:
    found = re.search(r"https?://testserver(/accounts/password/reset/key/\S+)", str(mail.outbox[-1].body))
    assert found
    return found.group(1)


def choose(path: str, password: str = PASSWORD) -> Any:
    browser = Client()
    page = browser.get(path)
    if page.status_code != 302:
        return page
    return browser.post(page["Location"], {"password1": password, "password2": password})


def invite(boss: Client, execute: Any, **fields: str) -> Any:
    with execute(execute=True):
        return boss.post("/admin/auth/user/add/", {"username": "anna", "email": "anna@example.com", **fields})


def test_a_new_account_has_no_password_until_its_owner_chooses_one(
    boss: Client, django_capture_on_commit_callbacks: Any
) -> None:
    assert b"password" not in boss.get("/admin/auth/user/add/").content.lower().replace(b"choose a password", b"")
    invite(boss, django_capture_on_commit_callbacks, password1=PASSWORD, password2=PASSWORD, usable_password="true")

    anna = User.objects.get(username="anna")
    assert not anna.has_usable_password()
    assert mail.outbox[-1].to == ["anna@example.com"]
    path = link()
    assert choose(path)["Location"] == "/accounts/password/reset/key/done/"
    anna.refresh_from_db()
    assert anna.check_password(PASSWORD)
    assert b"does not work any more" in choose(path, "another plum velvet orbit").content
    signed = Client().post("/accounts/login/", {"login": "anna", "password": PASSWORD})
    assert signed["Location"] == "/admin/"


def test_no_form_or_address_takes_a_password_for_somebody_else(boss: Client) -> None:
    anna = make_user(name="anna", password=PASSWORD)
    with pytest.raises(NoReverseMatch):
        reverse("admin:auth_user_password_change", args=[anna.pk])
    page = boss.get(f"/admin/auth/user/{anna.pk}/change/")
    assert page.status_code == 200
    assert 'name="password' not in page.content.decode()
    assert "../password/" not in page.content.decode()
    hers = {"email": "", "is_active": "on", "password": "x", "password1": "x", "password2": "x"}
    boss.post(f"/admin/auth/user/{anna.pk}/change/", {**hers, "date_joined_0": "2026-01-01", "date_joined_1": "10:00"})
    assert boss.post(f"/admin/auth/user/{anna.pk}/password/", hers).status_code in {302, 404}
    anna.refresh_from_db()
    assert anna.check_password(PASSWORD)


def test_an_administrator_sends_a_link_and_the_owner_alone_chooses(
    boss: Client, django_capture_on_commit_callbacks: Any
) -> None:
    anna = User.objects.create_user("anna", email="anna@example.com", password=PASSWORD)
    with django_capture_on_commit_callbacks(execute=True):
        boss.post("/admin/auth/user/", {"action": "send_link", "_selected_action": [anna.pk]})
    assert len(mail.outbox) == 1
    anna.refresh_from_db()
    assert anna.check_password(PASSWORD)
    choose(link(), "cobalt walnut siren mosaic")
    anna.refresh_from_db()
    assert anna.check_password("cobalt walnut siren mosaic")
    assert AccountChange.objects.filter(account=anna, what=AccountEvent.PASSWORD).count() == 1


def test_whoever_makes_accounts_sends_a_superuser_no_link_and_moves_no_address() -> None:
    root = User.objects.create_superuser("root", email="root@example.com")
    anna = make_user(name="anna")
    helper = Client()
    helper.force_login(make_user("auth.change_user", "auth.view_user", name="helper"))
    asked = helper.post("/admin/auth/user/", {"action": "send_link", "_selected_action": [root.pk]})
    assert asked.status_code == 403
    helper.post(f"/admin/auth/user/{anna.pk}/change/", {"email": "helper@example.com"})
    anna.refresh_from_db()
    assert (anna.email, mail.outbox) == ("", [])


def test_a_moved_address_is_told_to_the_old_one_and_makes_the_account_fresh(
    django_capture_on_commit_callbacks: Any,
) -> None:
    anna = User.objects.create_user("anna", email="anna@example.com")
    anna.email = "eve@example.com"
    with django_capture_on_commit_callbacks(execute=True):
        anna.save()
    assert mail.outbox[-1].to == ["anna@example.com"]
    assert "goes to another address" in str(mail.outbox[-1].body)
    assert AccountChange.objects.filter(account=anna, what=AccountEvent.EMAIL).count() == 1


def test_the_owner_asks_for_a_link_and_a_stranger_hears_the_same() -> None:
    User.objects.create_user("anna", email="Anna@example.com")
    User.objects.create_user("gone", email="gone@example.com", is_active=False)
    answers = {
        Client().post("/accounts/password/reset/", {"email": email})["Location"]
        for email in ("anna@example.com", "nobody@example.com", "gone@example.com")
    }
    assert answers == {"/accounts/password/reset/done/"}
    assert [letter.to for letter in mail.outbox] == [["anna@example.com"]]
    assert choose(link()).status_code == 302


def test_mail_keeps_no_answer_waiting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: begun.append(thread))
    User.objects.create_user("anna", email="anna@example.com")
    Client().post("/accounts/password/reset/", {"email": "anna@example.com"})
    assert (len(begun), mail.outbox) == (1, [])


def test_a_link_does_not_outlive_its_day(settings: Settings) -> None:
    User.objects.create_user("anna", email="anna@example.com")
    Client().post("/accounts/password/reset/", {"email": "anna@example.com"})
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert b"does not work any more" in choose(link()).content


def test_two_accounts_never_share_an_address(boss: Client, django_capture_on_commit_callbacks: Any) -> None:
    User.objects.create_user("other", email="Anna@example.com")
    assert b"Another account has this address" in invite(boss, django_capture_on_commit_callbacks).content
    assert b"This field is required" in invite(boss, django_capture_on_commit_callbacks, email="").content
    assert User.objects.filter(username="anna").count() == 0


def test_the_owner_changes_the_password_only_with_the_old_one() -> None:
    anna = make_user(name="anna", password=PASSWORD)
    browser = Client()
    browser.force_login(anna)
    new = {"password1": "cobalt walnut siren mosaic", "password2": "cobalt walnut siren mosaic"}
    assert browser.get("/admin/password_change/")["Location"] == "/accounts/password/change/"
    assert browser.post("/accounts/password/change/", {"oldpassword": "wrong", **new}).status_code == 200
    assert browser.post("/accounts/password/change/", {"oldpassword": PASSWORD, **new}).status_code == 302
    assert browser.get("/admin/").status_code == 200


@pytest.mark.parametrize(("environment", "told"), [("dev", True), ("production", False), ("test", False)])
def test_a_letter_that_cannot_leave_stands_in_the_log_of_a_developer_and_of_nobody_else(
    settings: Settings, caplog: pytest.LogCaptureFixture, environment: str, told: bool
) -> None:
    settings.EMAIL_HOST, settings.ENVIRONMENT = "", environment
    User.objects.create_user("anna", email="anna@example.com")
    Client().post("/accounts/password/reset/", {"email": "anna@example.com"})
    assert ("/accounts/password/reset/key/" in caplog.text) is told
    assert not mail.outbox
