"""Debian's chromium under playwright: nothing is downloaded, and a page that asks the internet for anything fails."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect, sync_playwright

# As long as playwright waits for a click: against hanging, not against slowness.
expect.set_options(timeout=30_000)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
HOW_TO_GET_ONE = "No chromium: apt-get install -y --no-install-recommends chromium fonts-liberation"


def executable() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def opened(base_url: str, *, phone: bool = False) -> Iterator[tuple[Page, list[str]]]:
    """A page, and the complaints about it: script errors, refused resources, requests that leave the house.

    playwright's event loop runs in this thread, so Django refuses queries here: use another thread for them.
    """
    complaints: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        viewport = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 900}
        page = chromium.new_context(viewport=viewport, base_url=base_url).new_page()  # type: ignore[arg-type]
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: _refuse_strangers(request.url, base_url, complaints.append))
        try:
            yield page, complaints
        finally:
            chromium.close()


def sign_in(page: Page, username: str, password: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/")


def give(page: Page, command: str, **typed: str) -> None:
    """Open the form of a command of this page, fill it in and press its button."""
    page.locator(f"#command-{command}-title").click()
    for field, words in typed.items():
        page.locator(f"#command-{command}-{field}").fill(words)
    page.locator(f"#command-{command}-give").click()


def _refuse_strangers(url: str, base_url: str, complain: Callable[[str], None]) -> None:
    if not url.startswith((base_url, "data:", "blob:")):
        complain(f"asked a stranger: {url}")


needs_chromium = pytest.mark.skipif(executable() is None, reason=HOW_TO_GET_ONE)
