"""Single sign-on finds accounts and makes none; the other side is played by answers of its published addresses."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from backoffice.single_sign_on import SingleSignOn
from tests.orders.test_second_factor import code, enrol

pytestmark = pytest.mark.django_db
SERVER = "https://id.example.com"
CONFIGURATION = {
    "authorization_endpoint": f"{SERVER}/authorize",
    "token_endpoint": f"{SERVER}/token",
    "userinfo_endpoint": f"{SERVER}/userinfo",
    "jwks_uri": f"{SERVER}/keys",
    "issuer": SERVER,
}


class Answer:
    def __init__(self, body: dict[str, Any]) -> None:
        self.body, self.status_code, self.headers = body, 200, {"content-type": "application/json"}
        self.text = json.dumps(body)

    def json(self) -> dict[str, Any]:
        return self.body

    def raise_for_status(self) -> None:
        return None


class Provider:
    """Says who somebody is."""

    def __init__(self) -> None:
        self.person: dict[str, Any] = {"sub": "7", "email": "anna@example.com", "email_verified": True}

    def request(self, method: str, url: str, **_: Any) -> Answer:
        if url.endswith("/token"):
            return Answer({"access_token": "t", "token_type": "Bearer", "expires_in": 60})
        return Answer(self.person if url.endswith("/userinfo") else CONFIGURATION)

    def get(self, url: str, **more: Any) -> Answer:
        return self.request("GET", url, **more)

    def post(self, url: str, **more: Any) -> Answer:
        return self.request("POST", url, **more)


@pytest.fixture
def provider(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Provider:
    app = {"provider_id": "sso", "name": "Example", "client_id": "c", "secret": "s", "settings": {"server_url": SERVER}}
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}
    settings.SSO_SERVER_URL, settings.SSO_NAME = SERVER, "Example"
    found = Provider()

    @contextmanager
    def session(_: SingleSignOn) -> Iterator[Provider]:
        yield found

    monkeypatch.setattr(SingleSignOn, "get_requests_session", session)
    return found


def come_back(client: Client, path: str = "/accounts/oidc/sso/login/") -> Any:
    """Begin here, agree there, and come back with the answer."""
    away = client.post(path)
    assert away["Location"].startswith(f"{SERVER}/authorize?"), away
    asked = parse_qs(urlsplit(away["Location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    return client.get("/accounts/oidc/sso/login/callback/", {"code": "x", "state": asked["state"][0]})


def is_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def account(**more: Any) -> User:
    return User.objects.create_user("anna", email="Anna@example.com", is_staff=True, **more)


def test_it_is_off_unless_somebody_configures_it() -> None:
    assert b"Sign in with" not in Client().get("/accounts/login/").content
    assert Client().post("/accounts/oidc/sso/login/").status_code == 404


def test_the_account_with_the_verified_address_is_found_and_keeps_its_password(provider: Provider) -> None:
    anna = account(password="plum velvet orbit kettle")
    client = Client()
    assert b"Sign in with Example" in client.get("/accounts/login/").content
    assert come_back(client)["Location"] == "/admin/"
    assert is_in(client)
    anna.refresh_from_db()
    assert anna.check_password("plum velvet orbit kettle")
    # From now on the provider's id counts, whatever the address.
    provider.person["email"] = "anna.hart@example.com"
    again = Client()
    come_back(again)
    assert is_in(again)


@pytest.mark.parametrize(
    ("person", "users"),
    [
        ({"email": "stranger@example.com"}, [{}]),
        ({"email_verified": False}, [{}]),
        ({}, [{"is_active": False}]),
        ({"email": ""}, [{}]),
    ],
)
def test_whoever_has_no_account_gets_none(
    provider: Provider, person: dict[str, Any], users: list[dict[str, Any]]
) -> None:
    provider.person |= person
    for more in users:
        account(**more)
    client = Client()
    assert come_back(client)["Location"] == "/accounts/login/"
    assert b"There is no account here" in client.get("/accounts/login/").content
    assert not is_in(client)
    assert (User.objects.count(), SocialAccount.objects.count()) == (len(users), 0)


def test_an_address_of_two_accounts_finds_neither(provider: Provider) -> None:
    account()
    User.objects.create_user("other", email="anna@example.com")
    client = Client()
    come_back(client)
    assert not is_in(client)


def test_an_account_that_was_switched_off_does_not_come_back_by_it(provider: Provider) -> None:
    anna = account()
    come_back(Client())
    assert SocialAccount.objects.filter(user=anna).count() == 1
    anna.is_active = False
    anna.save()
    client = Client()
    come_back(client)
    assert not is_in(client)


def test_nobody_adds_a_sign_in_to_a_desk_that_is_open(provider: Provider) -> None:
    desk = Client()
    desk.force_login(User.objects.create_user("lena", email="lena@example.com", is_staff=True))
    come_back(desk, "/accounts/oidc/sso/login/?process=connect")
    assert not SocialAccount.objects.exists()


def test_the_second_factor_is_asked_for_all_the_same(provider: Provider) -> None:
    secret = enrol(account())
    client = Client()
    assert come_back(client)["Location"] == "/accounts/2fa/authenticate/"
    assert not is_in(client)
    client.post("/accounts/2fa/authenticate/", {"code": code(secret)})
    assert is_in(client)


def test_an_answer_that_nobody_asked_for_signs_nobody_in(provider: Provider) -> None:
    account()
    client = Client()
    token = base64.urlsafe_b64encode(b"x").decode()
    answer = client.get("/accounts/oidc/sso/login/callback/", {"code": "x", "state": token})
    assert b"did not let you in" in answer.content
    assert not is_in(client)
