"""Looks at a page in a real browser, on a desktop and on a phone, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from django.test import Client
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.e2e.browser import ARGUMENTS, executable

DESKTOP, PHONE = (1280, 900), (390, 844)
LOOK, TRY_ENTER = ((Path(__file__).parent / f"{name}.js").read_text() for name in ("look", "enter"))
#: what Enter in a field sent that is no command of the field's own form
SENT = """(field) => window.sent.splice(0)
    .filter(([form, button]) => form !== field.form || (button && button.form !== form))
    .map(([form]) => form.action)"""
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
#: WCAG 2.2 AA, and of the good habits those that keyboards and screen readers live on
RULES: dict[str, Any] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "rules": {
        name: {"enabled": True}
        for name in ("target-size", "landmark-one-main", "heading-order", "region", "skip-link", "empty-heading")
    },
    "resultTypes": ["violations"],
}
RUN_AXE = """async ([everything, options]) => {
    const all = everything ? document : { exclude: ["#nav-sidebar"] };
    const found = await axe.run(all, options);
    return found.violations.map(({ id, help, nodes }) =>
        `${id} (${help}), ${nodes.length} times: ${nodes[0].html.replace(/\\s+/g, " ").slice(0, 160)} ` +
        nodes[0].failureSummary.replace(/\\s+/g, " ").slice(0, 220));
}"""


class Eyes:
    """A browser window in which somebody is signed in."""

    def __init__(self, context: BrowserContext, base_url: str) -> None:
        self.page: Page = context.new_page()
        self.base_url = base_url
        self.complaints: list[str] = []
        self.has_seen_the_frame = False
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        # A form that was typed into asks before it is left.
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.page.on("request", lambda request: self._refuse_strangers(request.url))

    def _refuse_strangers(self, url: str) -> None:
        if not url.startswith((self.base_url, "data:", "blob:")):
            self.complaints.append(f"asked a stranger: {url}")

    def look_at(self, address: str, *, status: int = 200, read: bool = True) -> list[str]:
        """Everything that is wrong with the page at this address; without `read`, all but what axe finds."""
        self.complaints.clear()
        self.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        answer = self.page.goto(address)
        assert answer is not None
        # The browser tells the console about an error page, which is no error of the page.
        told = [said for said in self.complaints if status < 400 or f"status of {status}" not in said]
        wrong = told + ([] if answer.status == status else [f"answered {answer.status}"])
        everything, self.has_seen_the_frame = not self.has_seen_the_frame, True
        wrong += self.look(everything=everything, read=read or everything)
        self.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        wrong += [f"phone {what}" for what in self.page.evaluate(LOOK, everything)]
        return list(dict.fromkeys(wrong))

    def look(self, *, everything: bool = False, read: bool = True) -> list[str]:
        """What is wrong with the page as it stands; the menu and the header are looked at with `everything` only."""
        found = [f"desktop {what}" for what in self.page.evaluate(LOOK, everything)]
        if not read:
            return found
        self.page.evaluate(AXE)
        return found + list(self.page.evaluate(RUN_AXE, [everything, RULES]))

    def press_enter(self) -> list[str]:
        """What Enter in each text field of this page starts besides the command of its form."""
        posted: list[str] = []
        self.page.on("request", noted := lambda request: request.method == "POST" and posted.append(request.url))
        here, wrong = self.page.url, []
        for index in range(self.page.evaluate(TRY_ENTER)):
            field = self.page.locator(f"[data-tried='{index}']")
            if not field.is_visible():
                continue
            field.focus()
            self.page.keyboard.type("1")
            self.page.keyboard.press("Enter")
            name = field.get_attribute("name")
            wrong += [f"Enter in {name} sends {other}" for other in field.evaluate(SENT)]
        self.page.remove_listener("request", noted)
        if self.page.url != here:
            wrong.append(f"Enter leaves for {self.page.url}")
        return wrong + [f"Enter posts to {url}" for url in posted]


@contextmanager
def opened(base_url: str, client: Client | None = None) -> Iterator[Eyes]:
    """Eyes of whoever is signed in with this client, or of nobody."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        context = chromium.new_context(base_url=base_url, reduced_motion="reduce")
        if client:
            cookies = [{"name": name, "value": one.value, "url": base_url} for name, one in client.cookies.items()]
            context.add_cookies(cookies)  # type: ignore[arg-type]
        try:
            yield Eyes(context, base_url)
        finally:
            chromium.close()
