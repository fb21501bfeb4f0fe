"""What every kind of answer tells the browser, whoever made the answer."""

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from tests.factories import make_order
from tests.orders.staff import VIEW_ORDER, make_user

pytestmark = pytest.mark.django_db
STRICT, FRAMED = "script-src 'self';", "script-src 'self' 'unsafe-eval';"
PAGES = [
    ("/admin/", FRAMED, 200),
    ("/accounts/login/", STRICT, 302),
    ("/accounts/sessions/", STRICT, 200),
    ("/accounts/2fa/", STRICT, 200),
    ("/admin/orders/order/", FRAMED, 200),
    ("/orders/{number}/", FRAMED, 200),
    ("/orders/{number}/live/", FRAMED, 200),
    ("/orders/SO-0/", FRAMED, 404),
    ("/api/", STRICT, 200),
    ("/api/orders/", STRICT, 200),
    ("/api/docs/", STRICT, 200),
    ("/api/nothing/", STRICT, 404),
    ("/nothing/", STRICT, 404),
    ("/healthz", STRICT, 200),
    ("/static/orders/live.js", STRICT, 200),
]


@pytest.fixture
def client() -> Client:
    browser = Client(raise_request_exception=False)
    browser.force_login(make_user(VIEW_ORDER))
    return browser


@pytest.mark.parametrize(("path", "script_source", "status"), PAGES, ids=[path for path, _, _ in PAGES])
def test_answer_carries_the_rules_of_its_kind(client: Client, path: str, script_source: str, status: int) -> None:
    response = client.get(path.format(number=make_order().number))

    assert response.status_code == status
    assert_rules(response, script_source)
    is_private = not path.startswith("/static/")
    assert ("no-store" in response.headers.get("Cache-Control", "")) == is_private
    # A static file stays open until its answer is closed.
    response.close()


def test_broken_page_carries_them_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.selectors.orders.find", lambda number: 1 / 0)
    response = client.get("/orders/SO-1/")
    assert response.status_code == 500
    assert_rules(response, FRAMED)


def test_production_speaks_https_only_and_so_do_its_cookies(client: Client, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    make_user(name="oscar", password="a-long-pass-phrase-1")
    browser = Client()

    assert browser.get("/accounts/login/")["Location"] == "https://testserver/accounts/login/"
    form = {"login": "oscar", "password": "a-long-pass-phrase-1"}
    response = browser.post("/accounts/login/", form, secure=True)

    assert response.status_code == 302
    assert response["Strict-Transport-Security"].startswith("max-age=31536000")
    for name, is_hidden in (("sessionid", True), ("csrftoken", False)):
        cookie = response.cookies[name]
        assert (cookie["secure"], bool(cookie["httponly"]), cookie["samesite"]) == (True, is_hidden, "Lax")


def test_program_that_calls_in_clear_text_is_refused_and_not_sent_on(client: Client, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    response = Client().get("/api/orders/", headers={"Authorization": "Token abc"})

    assert response.status_code == 403
    assert "came in clear text" in response.json()["detail"]
    assert_rules(response, STRICT)
    assert Client().get("/api/orders/", secure=True).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probe_is_answered_by_address_and_in_clear_text(path: str, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT, settings.ALLOWED_HOSTS = True, ["backoffice.example.com"]
    probe = Client(raise_request_exception=False)

    assert probe.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200
    assert probe.get("/admin/", headers={"Host": "10.1.2.3:8000"}, secure=True).status_code == 400


def test_sign_out_clears_what_the_browser_kept(client: Client) -> None:
    assert "Clear-Site-Data" not in client.get("/admin/")
    assert client.post("/admin/logout/")["Clear-Site-Data"] == '"cache", "cookies", "storage"'


def assert_rules(response: object, script_source: str) -> None:
    headers = response.headers  # type: ignore[attr-defined]
    policy = headers["Content-Security-Policy"] + ";"
    assert script_source in policy
    for part in ("default-src 'self';", "object-src 'none';", "frame-ancestors 'none';", "base-uri 'none';"):
        assert part in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers.get("X-Frame-Options", "DENY") == "DENY"
