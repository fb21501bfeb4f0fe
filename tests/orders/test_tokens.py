"""API tokens: they narrow what their user may do, they end, and nobody reads one twice."""

import hashlib
from datetime import timedelta

import pytest
import time_machine
from django.db import DatabaseError, transaction
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.models import ApiToken
from orders.scopes import Scope
from orders.services import tokens
from tests.factories import make_order
from tests.orders.api_calls import (
    PLACER,
    assert_problem,
    make_token,
    make_user,
    order_body,
    post_order,
    post_start,
    row_counts,
    token_client,
)
from tests.orders.staff import signed_in

pytestmark = pytest.mark.django_db
EVERYTHING = (*PLACER, "import_feed", "view_feedimport", "issue_token", "revoke_token")
FEED = b"a,b\n"


def post(client: Client, path: str, **body: object) -> object:
    return client.post(path, body, content_type="application/json")


@pytest.mark.parametrize(
    ("scopes", "reads", "places", "starts", "imports", "issues"),
    [
        (("full",), 200, 201, 202, 202, 201),
        (("orders:read",), 200, 403, 403, 403, 403),
        (("orders:write",), 403, 201, 202, 403, 403),
        (("imports",), 403, 403, 403, 202, 403),
        (("orders:read", "orders:write"), 200, 201, 202, 403, 403),
    ],
)
def test_token_does_what_its_scopes_say_and_no_more(
    scopes: tuple[str, ...], reads: int, places: int, starts: int, imports: int, issues: int
) -> None:
    order = make_order()
    client = token_client(user=make_user(*EVERYTHING), scopes=scopes)

    answers = {
        "reads": client.get("/api/orders/").status_code,
        "places": post_order(client, order_body()).status_code,
        "starts": post_start(client, order.number).status_code,
        "imports": client.post("/api/imports/", FEED, content_type="text/csv").status_code,
        "issues": post(client, "/api/tokens/", name="n", scopes=["full"]).status_code,  # type: ignore[attr-defined]
    }

    assert answers == {"reads": reads, "places": places, "starts": starts, "imports": imports, "issues": issues}


def test_scope_gives_nothing_that_its_user_does_not_hold() -> None:
    client = token_client("view_order", scopes=("full", "orders:write", "imports"))
    before = row_counts()

    assert_problem(post_order(client, order_body()), 403, None, "orders.place_order")

    assert row_counts() == before


def test_superuser_is_narrowed_too() -> None:
    root = make_user()
    root.is_superuser = True
    root.save()

    refusal = post_order(token_client(user=root, scopes=("orders:read",)), order_body())

    assert_problem(refusal, 403, None, "scopes of this token", "orders.place_order")


def test_token_is_issued_used_listed_and_revoked_through_the_api() -> None:
    client = token_client(user=make_user(*EVERYTHING))
    issued = post(client, "/api/tokens/", name="Web shop", scopes=["orders:read"], days=30).json()  # type: ignore[attr-defined]
    shop = Client(headers={"Authorization": f"Token {issued['token']}"})
    assert shop.get("/api/orders/").status_code == 200

    listed = {row["name"]: row for row in client.get("/api/tokens/").json()}
    assert listed["Web shop"]["last_used_at"]
    assert issued["token"] not in str(listed) + str(ApiToken.objects.values())

    revoked = post(client, f"/api/tokens/{issued['id']}/revoke/", reason="Leaked").json()  # type: ignore[attr-defined]
    assert revoked["revoked_at"]
    assert_problem(shop.get("/api/orders/"), 401, None, "revoked")
    row = ApiToken.objects.get(public_id=issued["id"])
    assert (row.issued_by, row.revoked_by, row.revoked_why) == (row.user.username, row.user.username, "Leaked")
    assert "Web shop" not in {row["name"] for row in client.get("/api/tokens/").json()}


@pytest.mark.parametrize(
    ("body", "field", "word"),
    [
        ({"scopes": ["full"], "name": "n", "days": 366}, "days", "1 to 365"),
        ({"scopes": ["full"], "name": "n", "days": 0}, "days", "1"),
        ({"scopes": [], "name": "n"}, "scopes", ""),
        ({"scopes": ["orders:all"], "name": "n"}, "scopes.0", "orders:all"),
        ({"scopes": ["full"], "name": ""}, "name", ""),
        ({"scopes": ["full"], "name": "n", "user": "root"}, "user", "Unknown"),
    ],
)
def test_wrong_token_request_is_refused_by_field(body: dict[str, object], field: str, word: str) -> None:
    client = token_client("issue_token")

    assert_problem(post(client, "/api/tokens/", **body), 400, field, word)  # type: ignore[arg-type]

    assert ApiToken.objects.count() == 1


def test_token_cannot_prolong_itself_by_issuing_another() -> None:
    user = make_user("issue_token")
    secret = make_token(user, "full", expiry=timedelta(days=2))
    client = Client(headers={"Authorization": f"Token {secret}"})

    assert_problem(post(client, "/api/tokens/", name="n", scopes=["full"], days=3), 400, "days")  # type: ignore[arg-type]
    assert post(client, "/api/tokens/", name="n", scopes=["full"], days=1).status_code == 201  # type: ignore[attr-defined]


def test_token_ends_at_its_time_and_says_so(settings: Settings) -> None:
    user = make_user("view_order", "issue_token")
    issued = post(token_client(user=user), "/api/tokens/", name="n", scopes=["full"]).json()  # type: ignore[attr-defined]
    client = Client(headers={"Authorization": f"Token {issued['token']}"})

    with time_machine.travel(timezone.now() + timedelta(days=settings.TOKEN_DEFAULT_DAYS, minutes=-1), tick=False):
        assert client.get("/api/orders/").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(days=settings.TOKEN_DEFAULT_DAYS, minutes=1), tick=False):
        assert_problem(client.get("/api/orders/"), 401, None, "expired")


@pytest.mark.parametrize("change", ["password", "deactivated"])
def test_tokens_end_with_the_password_or_the_account_and_do_not_come_back(change: str, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = make_user("view_order")
    client = token_client(user=user)
    if change == "password":
        user.set_password("another-long-pass-phrase-1")
    else:
        user.is_active = False
    user.save()
    user.is_active = True
    user.save()

    assert_problem(client.get("/api/orders/"), 401, None, "revoked")
    assert change.split("d")[0][:4] in ApiToken.objects.get().revoked_why


def test_sign_in_that_stores_a_stronger_hash_leaves_the_tokens_alone(settings: Settings) -> None:
    hashers = "django.contrib.auth.hashers."
    settings.PASSWORD_HASHERS = [hashers + "MD5PasswordHasher"]
    user = make_user("view_order")
    user.set_password("a-long-pass-phrase-1")
    user.save()
    client = token_client(user=user)
    settings.PASSWORD_HASHERS = [hashers + "ScryptPasswordHasher", hashers + "MD5PasswordHasher"]

    assert user.check_password("a-long-pass-phrase-1")

    user.refresh_from_db()
    assert user.password.startswith("scrypt")
    assert client.get("/api/orders/").status_code == 200


def test_database_keeps_the_row_of_a_token() -> None:
    make_token(make_user(), "full")

    with pytest.raises(DatabaseError), transaction.atomic():
        ApiToken.objects.all().delete()


def test_database_refuses_a_scope_that_nobody_knows() -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        make_token(make_user(), "everything")


def test_developers_token_survives_a_changed_password() -> None:
    user = make_user("view_order")
    tokens.remember("s" * 48, user=user, name="./dev", days=90)
    tokens.revoke_all(user, "The password was changed.")

    tokens.remember("s" * 48, user=user, name="./dev", days=90)

    row = ApiToken.objects.get()
    assert (row.revoked_at, row.scopes) == (None, [Scope.FULL])
    assert Client(headers={"Authorization": f"Token {'s' * 48}"}).get("/api/orders/").status_code == 200


def test_staff_issue_a_token_that_is_shown_once_and_revoke_it() -> None:
    browser = signed_in("orders.view_apitoken", "orders.issue_token", "orders.revoke_token")
    page = "/admin/orders/apitoken/"
    assert browser.get(f"{page}issue/").status_code == 200

    shown = browser.post(f"{page}issue/", {"name": "Shop", "scopes": ["orders:read"], "days": "30"})

    secret = shown.context["secret"]
    assert secret in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    assert secret not in browser.get(page).content.decode()
    token = ApiToken.objects.get()
    browser.post(page, {"action": "revoke", "_selected_action": [token.pk]})
    token.refresh_from_db()
    assert token.revoked_by == "olivia"


def test_form_names_the_longest_life() -> None:
    browser = signed_in("orders.issue_token")

    response = browser.post("/admin/orders/apitoken/issue/", {"name": "n", "scopes": ["full"], "days": "9999"})

    assert "1 to 365 days" in response.content.decode()
    assert not ApiToken.objects.exists()


def test_who_may_not_issue_or_revoke_does_not() -> None:
    browser = signed_in("orders.view_apitoken")
    make_token(make_user(), "full")

    assert browser.get("/admin/orders/apitoken/issue/").status_code == 403
    forged = {"action": "revoke", "_selected_action": [ApiToken.objects.get().pk]}
    assert browser.post("/admin/orders/apitoken/", forged).status_code == 403
    assert ApiToken.objects.get().revoked_at is None


def test_no_address_names_a_token_by_its_digest() -> None:
    secret = make_token(make_user(), "full")
    row = ApiToken.objects.get()
    assert (row.digest, secret in row.digest) == (hashlib.sha512(secret.encode()).hexdigest(), False)
    browser = signed_in("orders.view_apitoken")
    page = browser.get("/admin/orders/apitoken/").content.decode()
    address = f"/admin/orders/apitoken/{row.public_id}/change/"
    assert address in page
    assert f"{row.digest}/change/" not in page
    assert browser.get(address).status_code == 200
    assert browser.get(f"/admin/orders/apitoken/{row.digest}/change/").status_code == 302
