"""Signing in with a security key, in a real browser with a made-up key, under our strict content policy."""

import re

import pytest
from playwright.sync_api import expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from tests.e2e import browser
from tests.e2e.test_browser import no_session_outlives_the_test
from tests.orders.staff import VIEW_ORDER, make_user

pytestmark = [pytest.mark.browser, browser.needs_chromium, pytest.mark.django_db(transaction=True)]
__all__ = ["no_session_outlives_the_test"]
PASSWORD = "a-long-pass-phrase-1"
KEY = {
    "protocol": "ctap2",
    "transport": "usb",
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def test_a_security_key_is_added_and_asked_for(live_server: LiveServer, settings: Settings) -> None:
    settings.ASK_AGAIN_AFTER_SECONDS = 600
    make_user(VIEW_ORDER, password=PASSWORD)
    # A key belongs to a name, and an address is none.
    url = live_server.url.replace("127.0.0.1", "localhost")
    with browser.opened(url) as (page, complaints):
        developer = page.context.new_cdp_session(page)
        developer.send("WebAuthn.enable")
        developer.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})
        browser.sign_in(page, "olivia", PASSWORD)
        page.goto("/accounts/2fa/")
        page.get_by_role("link", name="Add a security key").click()
        page.get_by_label("Name").fill("Blue key")
        page.get_by_role("button", name="Add it").click()
        expect(page.locator(".acc-codes li")).to_have_count(10)

        page.goto("/accounts/sessions/")
        expect(page.get_by_text("(this one)")).to_be_visible()
        page.get_by_role("link", name="Sign out").click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Username").fill("olivia")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(re.compile("/accounts/2fa/authenticate/"))
        page.get_by_role("button", name="Use a security key").click()
        page.wait_for_url("**/admin/")

        page.goto("/accounts/2fa/webauthn/")
        expect(page.get_by_text("Blue key")).to_be_visible()
    assert complaints == []
