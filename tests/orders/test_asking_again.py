"""Money, tokens, accounts and keys ask who it is once more, when nobody showed it for ten minutes."""

import time
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.test import Client
from pytest_django.fixtures import Settings

from orders.access import ASKS_AGAIN, COMMANDS
from orders.access.accounts import ACCOUNT_COMMANDS
from orders.models import ApiToken, Payment, Refund
from orders.services.roles import ensure_roles
from tests.factories import make_order
from tests.orders import driving
from tests.orders.api_calls import new_key, token_client
from tests.orders.staff import make_user
from tests.orders.test_second_factor import PASSWORD, code, enrol, sign_in

pytestmark = pytest.mark.django_db
TOKEN = {"name": "job", "scopes": "full", "days": "9"}
ISSUE = "/admin/orders/apitoken/issue/"


@pytest.fixture(autouse=True)
def as_in_production(settings: Settings) -> None:
    settings.ASK_AGAIN_AFTER_SECONDS = 600
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def lena() -> User:
    ensure_roles()
    user = make_user(name="lena", password=PASSWORD)
    user.groups.add(Group.objects.get(name="lead"))
    return user


def later(minutes: float) -> Any:
    return time_machine.travel(time.time() + minutes * 60, tick=True)


def refund(client: Client, number: str) -> Any:
    left = Payment.objects.get(order__number=number).left_minor
    return client.post(f"/orders/{number}/refund/", {"amount": "1.00", "left_minor": left, "reason": "Broken"})


@pytest.fixture
def number() -> str:
    return driving.drive(make_order()).number


def test_what_was_sent_goes_on_after_the_password_and_nothing_happens_before(lena: User, number: str) -> None:
    client, _ = sign_in()
    with later(11):
        asked = refund(client, number)
        assert asked["Location"].startswith("/accounts/reauthenticate/?next=")
        assert not Refund.objects.exists()
        page = client.get(asked["Location"])
        assert b"Confirm that it is you" in page.content
        wrong = client.post(asked["Location"], {"password": "wrong"})
        assert b"This is not your password" in wrong.content
        assert not Refund.objects.exists()
        assert client.post(asked["Location"], {"password": PASSWORD})["Location"] == f"/orders/{number}/"
        assert Refund.objects.get().reason == "Broken"


def test_nobody_is_asked_within_ten_minutes_of_signing_in_or_confirming(lena: User, number: str) -> None:
    client, _ = sign_in()
    with later(9):
        assert refund(client, number)["Location"] == f"/orders/{number}/"
    with later(12):
        asked = client.post(ISSUE, TOKEN)
        client.post(asked["Location"], {"password": PASSWORD})
    with later(21):
        assert client.post(ISSUE, TOKEN).status_code == 200
    with later(23):
        assert client.post(ISSUE, TOKEN).status_code == 302
    assert ApiToken.objects.count() == 2


def test_reading_and_other_commands_ask_for_nothing(lena: User, number: str) -> None:
    client, _ = sign_in()
    with later(45):
        assert client.get(f"/orders/{number}/refund/").status_code == 200
        assert client.get(ISSUE).status_code == 200
        held = client.post(f"/orders/{make_order().number}/hold/", {"reason": "Wait"})
        assert held["Location"].startswith("/orders/SO-")


def test_whoever_has_a_factor_confirms_with_it_and_a_password_is_not_enough(lena: User, number: str) -> None:
    secret = enrol(lena)
    client, _ = sign_in()
    client.post("/accounts/2fa/authenticate/", {"code": code(secret)})
    with later(11):
        asked = refund(client, number)["Location"]
        assert asked.startswith("/accounts/2fa/reauthenticate/?next=")
        by_password = client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert by_password["Location"].startswith("/accounts/2fa/reauthenticate/")
        assert refund(client, number)["Location"] == asked
        assert not Refund.objects.exists()
        assert client.post(asked, {"code": code(secret)})["Location"] == f"/orders/{number}/"
        assert Refund.objects.count() == 1


def test_a_session_at_the_api_is_asked_and_a_token_is_not(lena: User, number: str) -> None:
    client, _ = sign_in()

    def call(caller: Client, **headers: str) -> Any:
        body = {"amount_minor": 100, "reason": "Broken"}
        path = f"/api/orders/{number}/refunds/"
        return caller.post(path, body, "application/json", headers={"Idempotency-Key": new_key(), **headers})

    with later(11):
        # A header of another kind leaves the call to the session.
        for answer in (call(client), call(client, Authorization="Bearer x")):
            assert (answer.status_code, "Confirm that it is you" in answer.json()["detail"]) == (403, True)
        assert not Refund.objects.exists()
        assert call(token_client(user=lena)).status_code in {201, 202}


def test_keys_and_codes_of_ones_own_ask_too(lena: User) -> None:
    secret = enrol(lena)
    client, _ = sign_in()
    client.post("/accounts/2fa/authenticate/", {"code": code(secret)})
    with later(11):
        for path in (
            "/accounts/2fa/webauthn/add/",
            "/accounts/2fa/totp/deactivate/",
            "/accounts/2fa/recovery-codes/generate/",
        ):
            assert client.get(path)["Location"].startswith("/accounts/2fa/reauthenticate/"), path


def test_whoever_cannot_confirm_here_signs_in_again(lena: User, number: str) -> None:
    lena.set_unusable_password()
    lena.save()
    client = Client()
    client.force_login(lena)
    assert refund(client, number)["Location"].startswith("/accounts/login/?next=")
    assert client.get("/admin/").status_code == 302
    assert not Refund.objects.exists()


def test_money_tokens_and_accounts_are_among_the_commands_that_ask() -> None:
    money = {
        "refund",
        "refund_retry",
        "return_refund",
        "review_approve",
        "decide_approval",
        "playbook_start",
        "batch_run",
    }
    assert money <= ASKS_AGAIN
    assert {rule.name for rule in ACCOUNT_COMMANDS} <= ASKS_AGAIN
    assert {rule.name for rule in COMMANDS if rule.four_eyes} <= ASKS_AGAIN
    assert {rule.name for rule in COMMANDS} >= ASKS_AGAIN
    assert not {"hold", "release", "start", "place"} & ASKS_AGAIN
