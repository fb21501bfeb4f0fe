"""Guessing that is spread over names and addresses meets a limit too, and colleagues get in all the same."""

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessFailureLog
from django.contrib.auth import hashers
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
PASSWORD = "plum velvet orbit kettle"


@pytest.fixture(autouse=True)
def few(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WRONG_SIGN_INS_PER_NAME, settings.WRONG_SIGN_INS_PER_ADDRESS = 6, 6
    settings.WRONG_SIGN_INS_IN_ALL, settings.WRONG_SIGN_INS_BEFORE_WARNING = 12, 4
    settings.EMAIL_HOST = "mail.example.com"
    monkeypatch.setattr(threading.Thread, "start", threading.Thread.run)


def attempt(name: str = "lena", password: str = "wrong", address: str = "192.0.2.1") -> Any:
    return Client().post("/accounts/login/", {"login": name, "password": password}, REMOTE_ADDR=address)


def statuses(*tries: tuple[str, str, str]) -> list[int]:
    return [attempt(*one).status_code for one in tries]


def test_one_name_is_not_guessed_from_many_addresses() -> None:
    make_user(name="lena", password=PASSWORD)
    attempt("lena", PASSWORD, "198.51.100.7")
    assert statuses(*(("lena", "wrong", f"192.0.2.{last}") for last in range(8))) == [200] * 6 + [429] * 2
    refused = attempt("lena", PASSWORD, "192.0.2.99")
    assert (refused.status_code, 3500 < int(refused["Retry-After"]) <= 3600) == (429, True)
    # The owner is where she always is, and others are not concerned.
    make_user(name="otto", password=PASSWORD)
    assert statuses(("lena", PASSWORD, "198.51.100.7"), ("otto", PASSWORD, "192.0.2.99")) == [302, 302]


def test_one_address_does_not_guess_at_many_names() -> None:
    for name in ("lena", "otto"):
        make_user(name=name, password=PASSWORD)
    attempt("lena", PASSWORD, "192.0.2.1")
    assert statuses(*((f"name{number}", "wrong", "192.0.2.1") for number in range(8))) == [200] * 6 + [429] * 2
    assert attempt("otto", PASSWORD).status_code == 429
    assert statuses(("lena", PASSWORD, "192.0.2.1"), ("otto", PASSWORD, "192.0.2.2")) == [302, 302]


def test_a_flood_of_names_from_everywhere_leaves_familiar_places_only_and_superusers_hear_of_it(
    django_capture_on_commit_callbacks: Any,
) -> None:
    User.objects.create_superuser("boss", email="boss@example.com")
    make_user(name="lena", password=PASSWORD)
    attempt("lena", PASSWORD, "198.51.100.7")
    with django_capture_on_commit_callbacks(execute=True):
        flood = statuses(*((f"name{number}", "wrong", f"192.0.2.{number}") for number in range(14)))
    assert flood == [200] * 12 + [429] * 2
    assert statuses(("lena", PASSWORD, "203.0.113.1"), ("lena", PASSWORD, "198.51.100.7")) == [429, 302]
    assert [letter.to for letter in mail.outbox] == [["boss@example.com"]]


def test_a_familiar_place_has_the_lock_of_one_name_at_one_address_still() -> None:
    make_user(name="lena", password=PASSWORD)
    attempt("lena", PASSWORD)
    assert statuses(*(("lena", "wrong", "192.0.2.1") for _ in range(11)))[-2:] == [429, 429]


def test_what_is_refused_is_not_counted_so_the_limit_ends_by_itself() -> None:
    make_user(name="lena", password=PASSWORD)
    for last in range(10):
        attempt("lena", "wrong", f"192.0.2.{last}")
    assert AccessFailureLog.objects.count() == 6
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=True):
        assert attempt("lena", PASSWORD, "203.0.113.1").status_code == 302


def test_the_owner_of_a_guessed_name_is_told_once(django_capture_on_commit_callbacks: Any) -> None:
    User.objects.create_user("lena", email="lena@example.com")
    with django_capture_on_commit_callbacks(execute=True):
        for last in range(3):
            attempt("lena", "wrong", f"192.0.2.{last}")
    assert not mail.outbox
    with django_capture_on_commit_callbacks(execute=True):
        for last in range(3, 6):
            attempt("lena", "wrong", f"192.0.2.{last}")
    (letter,) = mail.outbox
    assert letter.to == ["lena@example.com"]
    assert "4 wrong sign-ins as lena" in str(letter.body)
    assert "192.0.2.3" in str(letter.body)


def test_every_wrong_sign_in_hears_the_same_after_one_hash(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """One hash is what takes time; that an account exists, is switched off or has no password must not save it."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    hashed: list[int] = []
    encode = hashers.PBKDF2PasswordHasher.encode

    def counted(self: Any, password: str, salt: str, iterations: int | None = None) -> str:
        hashed.append(iterations or self.iterations)
        return encode(self, password, salt, 1).replace("$1$", f"${hashed[-1]}$")

    monkeypatch.setattr(hashers.PBKDF2PasswordHasher, "encode", counted)
    make_user(name="lena", password=PASSWORD)
    off = make_user(name="off", password=PASSWORD)
    off.is_active = False
    off.save()
    make_user(name="invited")
    answers = {}
    for name, password in (("lena", "wrong"), ("off", PASSWORD), ("invited", PASSWORD), ("nobody", PASSWORD)):
        hashed.clear()
        answer = attempt(name, password)
        page = re.sub(r'value="[^"]*"', "", answer.content.decode())
        answers[name] = (answer.status_code, page, sum(hashed))
    assert len(set(answers.values())) == 1, answers
    assert answers["lena"][2] > 100_000
