"""The menus of rows: real buttons, worked by keyboard alone, with dialogs that take the focus and give it back."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser import looking
from tests.browser.conftest import Office
from tests.e2e.browser import needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium]
FOCUSED = "document.activeElement?.closest('#modal-content') !== null"


def lists() -> dict[str, int]:
    """Each list whose rows have a menu, with how many actions the menu has."""
    return {
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"): len(shown.actions_row)
        for model, shown in admin.site._registry.items()
        if getattr(shown, "actions_row", ())
    }


def test_every_menu_of_a_row_is_worked_by_keyboard_alone(office: Office) -> None:
    wrong: list[str] = []
    with looking.opened(office.url, office.client("superuser")) as eyes:
        for address, actions in lists().items():
            eyes.page.goto(address)
            wrong += [f"{address}: {what}" for what in work_menu(eyes, actions)]
        assert eyes.complaints == []
    assert wrong == [], "\n".join(wrong)


def work_menu(eyes: looking.Eyes, actions: int) -> list[str]:
    """Open the menu of the first row, walk through it, open the last dialog, look at it and leave it."""
    page = eyes.page
    opener = page.get_by_role("button", name="Actions").first
    opener.focus()
    page.keyboard.press("Enter")
    links = page.get_by_role("navigation", name="Actions of this row").locator("visible=true").get_by_role("link")
    expect(links.first).to_be_focused()
    for _ in range(actions - 1):
        page.keyboard.press("ArrowDown")
    expect(links.last).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()

    page.keyboard.press("Enter")
    expect(links.first).to_be_focused()
    page.keyboard.press("Enter")
    if "/erase/" in page.url:
        return []
    expect(page.get_by_role("dialog")).to_be_visible()
    page.wait_for_function(FOCUSED)
    found = [what for what in eyes.look() if "is covered" not in what]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED), "Tab leaves the dialog"
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(opener).to_be_focused()
    return found


def test_the_filters_of_a_list_open_and_close_by_keyboard(office: Office) -> None:
    with looking.opened(office.url, office.client("superuser")) as eyes:
        eyes.page.goto(reverse("admin:orders_order_changelist"))
        opener = eyes.page.get_by_role("button", name="Filters")
        opener.focus()
        eyes.page.keyboard.press("Enter")
        expect(eyes.page.get_by_role("button", name="Apply Filters")).to_be_visible()
        assert eyes.page.evaluate("document.activeElement.closest('#changelist-filter') !== null")
        eyes.page.keyboard.press("Escape")
        expect(eyes.page.get_by_role("button", name="Apply Filters")).to_be_hidden()


def test_the_first_tab_offers_to_skip_the_menu(office: Office) -> None:
    with looking.opened(office.url, office.client("superuser")) as eyes:
        eyes.page.goto(reverse("admin:index"))
        eyes.page.keyboard.press("Tab")
        expect(eyes.page.get_by_role("link", name="Skip to the content")).to_be_focused()
        eyes.page.keyboard.press("Enter")
        eyes.page.keyboard.press("Tab")
        assert eyes.page.evaluate("document.activeElement.closest('main') !== null")


def test_the_search_and_the_own_menu_open_by_keyboard(office: Office) -> None:
    with looking.opened(office.url, office.client("superuser")) as eyes:
        eyes.page.goto(reverse("admin:index"))
        eyes.page.get_by_role("button", name="Search Ctrl").focus()
        eyes.page.keyboard.press("Enter")
        expect(eyes.page.locator("#search-input-command")).to_be_focused()
        eyes.page.keyboard.press("Escape")
        expect(eyes.page.locator("#search-input-command")).to_be_hidden()
        _own_menu(eyes.page)


def _own_menu(page: Page) -> None:
    page.get_by_role("button", name="superuser").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    expect(page.get_by_role("button", name="Dark")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Log out")).to_be_hidden()
