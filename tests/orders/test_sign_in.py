"""The door that people use: guessing is counted and locked, and a session has an end."""

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt, AccessFailureLog
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.orders.staff import VIEW_ORDER, make_user, signed_in

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-pass-phrase-1"
LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def quick_hashes(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def attempt(username: str = "olivia", password: str = "wrong", address: str = "192.0.2.1", **headers: str) -> Any:
    form = {"login": username, "password": password}
    return Client().post(LOGIN, form, REMOTE_ADDR=address, headers=headers)


def test_eleventh_wrong_password_is_told_when_to_come_back_and_so_is_the_right_one() -> None:
    make_user(password=PASSWORD)
    assert [attempt().status_code for _ in range(9)] == [200] * 9

    attempt()
    eleventh, right = attempt(), attempt(password=PASSWORD)

    for response in (eleventh, right):
        assert response.status_code == 429
        assert 0 < int(response["Retry-After"]) <= 15 * 60
    assert AccessAttempt.objects.get().failures_since_start == 10
    assert AccessFailureLog.objects.filter(username="olivia", locked_out=True).count() == 1


def test_lock_holds_for_one_name_at_one_address() -> None:
    make_user(password=PASSWORD)
    make_user(name="oscar", password=PASSWORD)
    for _ in range(10):
        attempt()

    assert attempt(password=PASSWORD, address="192.0.2.2").status_code == 302
    assert attempt("oscar", PASSWORD).status_code == 302
    assert attempt(password=PASSWORD).status_code == 429


def test_lock_ends_by_itself_although_somebody_kept_trying() -> None:
    make_user(password=PASSWORD)
    for _ in range(10):
        attempt()
    with time_machine.travel(timezone.now() + timedelta(minutes=14), tick=True):
        assert attempt().status_code == 429
    with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
        assert attempt(password=PASSWORD).status_code == 302


def test_operator_lifts_a_lock() -> None:
    make_user(password=PASSWORD)
    for _ in range(10):
        attempt()

    call_command("axes_reset", verbosity=0)

    assert attempt(password=PASSWORD).status_code == 302


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.66, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.66, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", "192.0.2.1"),
        (1, "nonsense", "192.0.2.1"),
        (1, "", "192.0.2.1"),
    ],
)
def test_forwarded_address_is_believed_only_as_far_as_our_proxies_reach(
    settings: Settings, proxies: int, forwarded: str, seen: str
) -> None:
    settings.TRUSTED_PROXIES = proxies

    attempt(**{"X-Forwarded-For": forwarded})

    assert AccessAttempt.objects.get().ip_address == seen


def test_forged_name_writes_no_line_of_its_own_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    attempt("olivia\r\n2026-01-01 INFO backoffice root signed in")

    lines = [record.getMessage() for record in caplog.records if "login failure" in record.getMessage()]
    assert lines
    assert not any("\n" in line or "\r" in line for line in lines)


def test_session_ends_when_it_lies_unused_or_grows_old(settings: Settings) -> None:
    client = signed_in(VIEW_ORDER)
    start = time.time()

    def status(minutes: float, path: str = "/admin/") -> int:
        with time_machine.travel(start + minutes * 60, tick=False):
            return int(client.get(path).status_code)

    # Used every 50 minutes it lasts the working day and no longer.
    assert [status(minutes) for minutes in range(0, 12 * 60, 50)] == [200] * 15
    assert status(12 * 60 + 1) == 302
    client = signed_in(VIEW_ORDER, name="oscar")
    assert [status(0), status(59), status(59 + 61)] == [200, 200, 302]


def test_page_that_polls_does_not_keep_an_abandoned_desk_signed_in() -> None:
    client = signed_in(VIEW_ORDER)
    start = time.time()
    client.get("/admin/")

    for minutes in (30, 59):
        with time_machine.travel(start + minutes * 60, tick=False):
            assert client.get("/orders/dashboard/live/").status_code == 200
    with time_machine.travel(start + 61 * 60, tick=False):
        assert client.get("/orders/dashboard/live/").headers["HX-Redirect"].startswith(LOGIN)


def test_session_is_closed_by_signing_out() -> None:
    client = signed_in(VIEW_ORDER)
    cookie = client.cookies["sessionid"].value

    client.post("/admin/logout/")

    thief = Client()
    thief.cookies["sessionid"] = cookie
    assert thief.get("/admin/").status_code == 302


@pytest.mark.parametrize("path", ["/api/orders/", "/orders/SO-1/start/", "/admin/logout/"])
def test_session_changes_nothing_without_the_csrf_token(path: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_user("orders.place_order", "orders.start_order"))

    response = browser.post(path, b"{}", content_type="application/json", headers={"Idempotency-Key": "k"})

    assert response.status_code == 403
