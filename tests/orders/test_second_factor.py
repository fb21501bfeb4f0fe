"""A role that moves money needs more than a password; whoever lacks the factor gets nowhere but to its page."""

import time
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django.fixtures import Settings

from orders.services.roles import ensure_roles
from tests.orders.api_calls import token_client
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-pass-phrase-1"
LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def as_in_production(settings: Settings) -> None:
    settings.SECOND_FACTOR_ROLES = ["lead", "superuser"]
    settings.SECOND_FACTOR_EXEMPT, settings.ASK_AGAIN_AFTER_SECONDS = [], 600
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def a_lead(name: str = "lena") -> User:
    ensure_roles()
    user = make_user(name=name, password=PASSWORD)
    user.groups.add(Group.objects.get(name="lead"))
    return user


def enrol(user: User) -> str:
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(user, secret)
    return secret


def code(secret: str) -> str:
    return totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))


def sign_in(name: str = "lena", password: str = PASSWORD, **more: str) -> tuple[Client, Any]:
    client = Client()
    return client, client.post(LOGIN, {"login": name, "password": password, **more})


def test_a_lead_without_a_factor_gets_nowhere_but_to_its_page() -> None:
    a_lead()
    client, _ = sign_in()
    assert client.get("/admin/")["Location"] == "/accounts/2fa/"
    assert client.get("/orders/SO-1/")["Location"] == "/accounts/2fa/"
    assert client.post("/orders/SO-1/refund/", {"amount": "1"})["Location"] == "/accounts/2fa/"
    assert client.get("/orders/dashboard/live/", headers={"HX-Request": "true"})["HX-Redirect"] == "/accounts/2fa/"
    refused = client.get("/api/orders/")
    assert (refused.status_code, refused.json()["title"]) == (403, "You may not do this")
    assert "second factor" in refused.json()["detail"]
    assert client.get("/accounts/2fa/").status_code == 200
    assert client.post("/admin/logout/")["Location"] == LOGIN


@pytest.mark.parametrize("role", ["lead", "superuser", "agent"])
def test_which_roles_need_one_is_a_setting(settings: Settings, role: str) -> None:
    settings.SECOND_FACTOR_ROLES = [role]
    a_lead()
    User.objects.create_superuser("boss", password=PASSWORD)
    for name, needs in (("lena", role == "lead"), ("boss", role == "superuser")):
        client, _ = sign_in(name)
        assert client.get("/admin/").status_code == (302 if needs else 200), name


def test_a_program_with_a_token_is_asked_for_no_factor() -> None:
    lead = a_lead()
    assert token_client(user=lead).get("/api/orders/").status_code == 200
    # A session does not become a program by another header.
    client, _ = sign_in()
    assert client.get("/api/orders/", headers={"Authorization": "Bearer x"}).status_code == 403


def test_sign_in_with_an_authenticator_app_asks_for_its_code() -> None:
    secret = enrol(a_lead())
    client, response = sign_in()
    assert response["Location"] == "/accounts/2fa/authenticate/"
    assert client.get("/admin/")["Location"] == "/admin/login/?next=/admin/"
    assert client.get("/accounts/2fa/authenticate/").status_code == 200
    assert b"This code is not right" in client.post("/accounts/2fa/authenticate/", {"code": "000000"}).content
    assert client.post("/accounts/2fa/authenticate/", {"code": code(secret)})["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_a_code_works_once() -> None:
    secret = enrol(a_lead())
    with time_machine.travel(1_800_000_000, tick=False):
        for location in ("/admin/", ""):
            client, _ = sign_in()
            answer = client.post("/accounts/2fa/authenticate/", {"code": code(secret)})
            assert answer.get("Location", "") == location


def test_codes_cannot_be_tried_through() -> None:
    secret = enrol(a_lead())
    for _ in range(5):
        client, _ = sign_in()
        client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    client, _ = sign_in()
    assert b"Too many wrong codes" in client.post("/accounts/2fa/authenticate/", {"code": code(secret)}).content
    assert client.get("/admin/").status_code == 302


def test_a_recovery_code_replaces_the_factor_once() -> None:
    lead = a_lead()
    enrol(lead)
    spare = RecoveryCodes.activate(lead).get_unused_codes()[0]
    for location in ("/admin/", ""):
        client, _ = sign_in()
        answer = client.post("/accounts/2fa/authenticate/", {"code": spare})
        assert answer.get("Location", "") == location


@pytest.mark.django_db(transaction=True)
def test_enrolling_shows_recovery_codes_once_and_ends_the_sessions_that_began_without_it() -> None:
    a_lead()
    (other, _), (client, _) = sign_in(), sign_in()
    page = client.get("/accounts/2fa/totp/activate/")
    assert "data:image/svg" in page.content.decode()
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code(page.context["form"].secret)})
    assert answer["Location"] == "/accounts/2fa/recovery-codes/"
    shown = client.get("/accounts/2fa/recovery-codes/")
    assert len(shown.context["unused_codes"]) == 10
    assert client.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302
    assert Session.objects.count() == 1


def test_secrets_of_factors_are_stored_encrypted() -> None:
    lead = a_lead()
    secret = enrol(lead)
    RecoveryCodes.activate(lead)
    stored = [str(row.data) for row in Authenticator.objects.all()]
    assert len(stored) == 2
    assert not any(secret in text for text in stored)
    assert all("test:" in text or "dev:" in text for text in stored)


def test_the_last_factor_of_a_role_that_needs_one_stays() -> None:
    lead = a_lead()
    secret = enrol(lead)
    client, _ = sign_in()
    client.post("/accounts/2fa/authenticate/", {"code": code(secret)})
    refused = client.post("/accounts/2fa/totp/deactivate/")
    assert b"Your role needs a second factor" in refused.content
    assert Authenticator.objects.filter(user=lead).exists()


def test_the_demo_login_is_exempt_and_the_sign_in_page_says_so(settings: Settings) -> None:
    assert b"needs no second factor" not in Client().get(LOGIN).content
    settings.SECOND_FACTOR_EXEMPT = ["admin", "lead"]
    assert b"admin and lead need no second factor here" in Client().get(LOGIN).content
    settings.SECOND_FACTOR_EXEMPT = ["admin"]
    User.objects.create_superuser("admin", password=PASSWORD)
    assert b"admin needs no second factor here" in Client().get(LOGIN).content
    client, _ = sign_in("admin")
    assert client.get("/admin/").status_code == 200


def test_nobody_signs_up_or_changes_the_address_of_the_account() -> None:
    client = Client()
    for path in ("signup/", "email/", "confirm-email/", "confirm-email/a:b/", "3rdparty/", "password/set/"):
        path = f"/accounts/{path}"
        assert client.get(path).status_code == 404, path
        assert client.post(path, {"username": "eve", "password1": PASSWORD}).status_code == 404, path
    assert not User.objects.exists()


def test_admin_and_pages_have_one_sign_in() -> None:
    assert Client().get("/admin/login/?next=/admin/orders/order/")["Location"] == (
        "/accounts/login/?next=%2Fadmin%2Forders%2Forder%2F"
    )
    make_user(name="paul", password=PASSWORD, staff=False)
    client, answer = sign_in("paul", next="/orders/SO-1/")
    assert answer["Location"] == "/orders/SO-1/"
    assert client.get("/admin/login/").status_code == 403
