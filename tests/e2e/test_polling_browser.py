"""Parts of pages that poll are morphed: focus, caret, typed text, opened lists and scroll stay where they are."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.e2e import browser
from tests.e2e.test_browser import no_session_outlives_the_test
from tests.factories import make_order
from tests.orders import driving
from tests.orders.connections import connections

pytestmark = [pytest.mark.browser, browser.needs_chromium, pytest.mark.django_db(transaction=True)]
__all__ = ["no_session_outlives_the_test"]
PASSWORD = "a-long-pass-phrase-1"
FOCUSED = "document.activeElement.id || document.activeElement.textContent.trim()"


def polled(page: Page, part: str) -> None:
    """Wait for an answer of this part that was drawn after now."""
    with page.expect_response(lambda answer: part in answer.url and answer.status == 200, timeout=30_000):
        pass


def test_typing_goes_on_while_the_order_moves_elsewhere(live_server: LiveServer) -> None:
    User.objects.create_superuser("olivia", password=PASSWORD)
    order = driving.drive(make_order(), gateway=driving.outage())

    with connections(1) as others, browser.opened(live_server.url) as (page, complaints):
        browser.sign_in(page, "olivia", PASSWORD)
        page.goto(f"/orders/{order.number}/")
        page.locator("#command-step-retry-title").click()
        reason = page.locator("#command-step-retry-reason")
        reason.fill("The gateway  again")
        reason.evaluate("field => { field.setSelectionRange(12, 12); field.was = 'here'; scrollTo(0, 150); }")
        events = page.locator(".bo-timeline > li").count()

        others.begin(driving.drive, order, gateway=driving.outage()).result()
        expect(page.locator(".bo-timeline > li")).not_to_have_count(events, timeout=15_000)
        page.keyboard.type("answers")

        assert page.evaluate(FOCUSED) == "command-step-retry-reason"
        expect(reason).to_have_value("The gateway answers again")
        assert reason.evaluate("field => field.was") == "here", "the field was made anew"
        assert page.evaluate("scrollY") == 150

    assert complaints == []


def test_focus_stays_on_the_landing_page_while_orders_come_in(live_server: LiveServer) -> None:
    User.objects.create_superuser("olivia", password=PASSWORD)
    driving.drive(make_order(), gateway=driving.decline())

    with connections(1) as others, browser.opened(live_server.url) as (page, complaints):
        browser.sign_in(page, "olivia", PASSWORD)
        link = page.locator("#dashboard-live a.bo-tile").nth(2)
        link.focus()
        before = page.evaluate(FOCUSED)
        tile = page.locator("#dashboard-live a.bo-tile").first.inner_text()

        others.begin(make_order).result()
        expect(page.locator("#dashboard-live a.bo-tile").first).not_to_have_text(tile, timeout=20_000)
        polled(page, "/dashboard/live/")

        assert page.evaluate(FOCUSED) == before
        assert page.evaluate("document.activeElement !== document.body")
        expect(page.locator("#orders-chart")).to_be_visible()

    assert complaints == []


def test_a_list_that_was_opened_stays_open_while_the_page_is_drawn_anew(live_server: LiveServer) -> None:
    User.objects.create_superuser("olivia", password=PASSWORD)
    order = driving.drive(make_order(), gateway=driving.outage())

    with connections(1) as others, browser.opened(live_server.url) as (page, _):
        browser.sign_in(page, "olivia", PASSWORD)
        page.goto(f"/orders/{order.number}/")
        page.locator("#command-step-pause-title").click()
        events = page.locator(".bo-timeline > li").count()

        others.begin(driving.drive, order, gateway=driving.outage()).result()
        expect(page.locator(".bo-timeline > li")).not_to_have_count(events, timeout=15_000)

        expect(page.locator("#command-step-pause-give")).to_be_visible()
