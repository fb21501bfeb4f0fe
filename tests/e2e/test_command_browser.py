"""Enter in a field of any command's form gives that command and no other, in a real browser."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route
from pytest_django.live_server_helper import LiveServer

from tests.e2e import browser
from tests.e2e.test_browser import no_session_outlives_the_test
from tests.orders import test_command_pages as pages

pytestmark = [pytest.mark.browser, browser.needs_chromium, pytest.mark.django_db(transaction=True)]
__all__ = ["no_session_outlives_the_test"]
PASSWORD = "a-long-pass-phrase-1"
OPENED: tuple[Callable[[], str], ...] = (
    pages.placed,
    pages.in_review,
    pages.failing,
    pages.running_batch,
    pages.checked_import,
    pages.process,
    pages.question,
    pages.failed_step,
    pages.cancelling,
    pages.refunding,
)


def pressed(page: Page, sent: list[str]) -> int:
    """Type into each text field of each command and press Enter; the number of fields that were tried."""
    tried = 0
    for form in page.locator(".bo-page form[method=post]").all():
        opener = form.locator("xpath=ancestor::details[not(@open)]/summary")
        if opener.count():
            opener.first.click()
        wanted = form.evaluate("form => new URL(form.getAttribute('action') || location.href, location.href).pathname")
        fields = form.locator("input:not([type=hidden], [type=checkbox], [type=file])").all()
        for field in fields:
            if field.get_attribute("type") in {"text", None}:
                field.fill("discard: wrong file")
        for field in fields:
            sent.clear()
            with page.expect_request(lambda request: request.method == "POST"):
                field.press("Enter")
            page.evaluate("1")
            assert sent == [wanted], f"Enter in {field.get_attribute('name')} sent {sent}, not {wanted}"
            tried += 1
    return tried


def test_enter_in_any_field_gives_the_command_of_its_form(live_server: LiveServer) -> None:
    User.objects.create_superuser("olivia", password=PASSWORD)
    addresses = {opened.__name__: opened() for opened in OPENED}
    sent: list[str] = []

    def keep(route: Route) -> None:
        """Note the command and answer that there is nothing new to show, so that the page stays as it is."""
        sent.append(route.request.url.removeprefix(live_server.url))
        route.fulfill(status=204)

    with browser.opened(live_server.url) as (page, complaints):
        browser.sign_in(page, "olivia", PASSWORD)
        page.route("**/*", lambda route: keep(route) if route.request.method == "POST" else route.continue_())
        for name, address in addresses.items():
            page.goto(address)
            assert pressed(page, sent) > 0, name

    assert complaints == []
