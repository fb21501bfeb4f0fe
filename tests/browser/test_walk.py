"""README's walk, done by keyboard alone: no call of this module clicks."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from tests.browser import looking
from tests.browser.conftest import Office
from tests.e2e.browser import needs_chromium
from tests.factories import make_order
from tests.orders.process_runs import started

pytestmark = [pytest.mark.browser, needs_chromium]
PASSWORD = "a-long-pass-phrase-1"
#: more controls than any page has
FAR = 250
HAS_FOCUS = "element => element === document.activeElement"


class Keyboard:
    def __init__(self, page: Page) -> None:
        self.page = page

    def to(self, wanted: Locator) -> None:
        """Press Tab until this control has the focus."""
        control = wanted.first
        expect(control).to_be_visible()
        for _ in range(FAR):
            if control.evaluate(HAS_FOCUS):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not come to {control}")

    def press(self, wanted: Locator, key: str = "Enter") -> None:
        self.to(wanted)
        self.page.keyboard.press(key)

    def type(self, wanted: Locator, words: str) -> None:
        self.to(wanted)
        self.page.keyboard.type(words)

    def open(self, name: str) -> None:
        """Follow an entry of the menu, and skip the menu of the page that it leads to."""
        link = self.page.locator("#nav-sidebar").get_by_role("link", name=re.compile(rf"{name}( \d+)?$"))
        address = link.first.get_attribute("href")
        self.press(link)
        self.page.wait_for_url(f"**{address}")
        self.skip()

    def skip(self) -> None:
        self.press(self.page.get_by_role("link", name="Skip to the content"))

    def give(self, command: str, reason: str) -> None:
        """Open the form of a command, say why, and give it by Enter."""
        self.press(self.page.locator(f"#command-{command}-title"))
        self.type(self.page.locator(f"#command-{command}-reason"), reason)
        self.page.keyboard.press("Enter")


@pytest.fixture
def walker(office: Office) -> str:
    return User.objects.create_superuser("walker", password=PASSWORD).username


@pytest.fixture
def placed(office: Office) -> list[str]:
    """Pages of two orders that wait for somebody."""
    return [reverse("orders:page", args=[make_order().number]) for _ in range(2)]


@pytest.fixture
def process(office: Office) -> str:
    """The page of a close that is under way."""
    yesterday = timezone.now().date() - timedelta(days=1)
    return reverse("admin:orders_processrun_change", args=[started(business_day=yesterday).pk])


def test_the_walk_of_the_readme_is_done_by_keyboard_alone(
    office: Office, walker: str, placed: list[str], process: str
) -> None:
    with looking.opened(office.url) as eyes:
        page, keyboard = eyes.page, Keyboard(eyes.page)
        page.set_viewport_size({"width": 1280, "height": 900})
        sign_in(page, keyboard, walker)
        review(page, keyboard)
        read_a_failed_order(page, keyboard)
        start_hold_and_cancel(page, keyboard, *placed)
        drive_a_process_and_a_schedule(page, keyboard, process)
        look_at_playbooks(page, keyboard)
        make_a_batch(page, keyboard)
        assert eyes.complaints == []


def sign_in(page: Page, keyboard: Keyboard, name: str) -> None:
    page.goto("/admin/login/")
    keyboard.type(page.get_by_label("Username"), name)
    keyboard.type(page.get_by_label("Password"), PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")


def review(page: Page, keyboard: Keyboard) -> None:
    keyboard.open("Reviews")
    keyboard.press(page.locator("#result_list tbody").get_by_role("link"))
    page.wait_for_url("**/orders/SO-*/")
    keyboard.skip()
    keyboard.press(page.get_by_role("button", name="Claim"))
    expect(page.get_by_text(re.compile(r"The case of .* is yours"))).to_be_visible()
    keyboard.skip()
    keyboard.give("review-approve", "Known wholesaler")
    expect(page.locator("#standing")).not_to_contain_text("a person must decide")


def read_a_failed_order(page: Page, keyboard: Keyboard) -> None:
    keyboard.open("All orders")
    keyboard.press(page.get_by_role("button", name="Filters"))
    keyboard.type(page.locator("#changelist-filter select[name='status__exact'] + * [role=combobox]"), "")
    page.keyboard.press("Enter")
    page.keyboard.type("Failed")
    page.keyboard.press("Enter")
    keyboard.press(page.get_by_role("button", name="Apply Filters"))
    page.wait_for_url("**status__exact=failed**")
    keyboard.skip()
    keyboard.press(page.locator("#result_list tbody").get_by_role("link"))
    expect(page.locator(".bo-timeline")).to_contain_text("Order failed")


def start_hold_and_cancel(page: Page, keyboard: Keyboard, first: str, second: str) -> None:
    page.goto(first)
    keyboard.skip()
    keyboard.give("hold", "Ask first")
    expect(page.locator("#standing")).to_contain_text("On hold")
    keyboard.skip()
    keyboard.give("release", "She said yes")
    expect(page.locator("#standing")).not_to_contain_text("On hold")
    keyboard.skip()
    keyboard.give("start", "The customer waits")
    expect(page.locator("#standing")).to_contain_text("Waiting for the engine")
    page.goto(second)
    keyboard.skip()
    keyboard.press(page.get_by_role("link", name="Cancel…"))
    page.wait_for_url("**/cancel/")
    page.keyboard.type("Changed her mind")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{second}")
    expect(page.locator("#standing")).to_contain_text("Cancelled")


def drive_a_process_and_a_schedule(page: Page, keyboard: Keyboard, process: str) -> None:
    keyboard.open("Processes")
    expect(page.get_by_role("link", name="Start a process")).to_be_visible()
    page.goto(process)
    keyboard.skip()
    keyboard.give("pause", "Lunch")
    expect(page.locator("#command-resume-title")).to_be_visible()
    keyboard.skip()
    keyboard.give("resume", "Back")
    expect(page.locator("#command-pause-title")).to_be_visible()

    keyboard.press(page.locator("#nav-sidebar").get_by_role("button", name="Machinery"))
    keyboard.open("Schedules")
    keyboard.press(page.get_by_role("button", name="Actions"))
    expect(page.get_by_role("link", name="Pause")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    keyboard.type(page.get_by_role("dialog").get_by_role("textbox"), "Counted")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Temporal is told")).to_be_visible()


def look_at_playbooks(page: Page, keyboard: Keyboard) -> None:
    keyboard.open("Playbooks")
    keyboard.press(page.locator("main table").get_by_role("link"))
    keyboard.skip()
    keyboard.press(page.get_by_role("link", name="Simulate"))
    page.wait_for_url("**/simulate/**")
    keyboard.open("Playbooks")
    keyboard.press(page.get_by_role("link", name="New playbook"))
    page.wait_for_url("**/playbook-new/")


def make_a_batch(page: Page, keyboard: Keyboard) -> None:
    keyboard.open("All orders")
    keyboard.press(page.locator("input.action-select"), "Space")
    keyboard.to(page.locator("#changelist-actions-wrapper select"))
    page.keyboard.type("Batch")
    keyboard.press(page.locator("#changelist-actions-wrapper button[type=submit]:visible"))
    page.wait_for_url("**/batch/new/**")
    keyboard.skip()
    keyboard.press(page.get_by_role("button", name="Preview"))
    expect(page.locator("#batch-preview, .bo-banner").first).to_be_visible()
