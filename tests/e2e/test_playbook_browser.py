"""A newcomer's way with playbooks, in a real browser: made without typing JSON, published by two, run to its end."""

import json

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from orders.models import OrderEvent, OrderTag, PlaybookRun, PlaybookVersion
from orders.services.playbooks import following, publishing
from orders.vocabulary import PlaybookRunStatus, VersionStatus
from tests.e2e import browser
from tests.e2e.engine import Engine
from tests.e2e.test_browser import no_session_outlives_the_test
from tests.factories import TEST_ACTOR, make_order
from tests.orders import playbooks
from tests.orders.connections import connections
from tests.orders.playbooks import note
from tests.orders.staff import make_user

__all__ = ["no_session_outlives_the_test"]
pytestmark = [pytest.mark.browser, browser.needs_chromium]
PASSWORD = "a-long-pass-phrase-1"
WRITER = ("edit_playbook", "publish_playbook", "run_playbook", "drive_playbook", "note_order", "decide_approval")
SIGHT = ("playbook", "playbookversion", "playbookrun", "order", "approval", "playbooktrigger")
PHONE = 390


def make_lead(name: str) -> User:
    permissions = [*(f"orders.{one}" for one in WRITER), *(f"orders.view_{one}" for one in SIGHT)]
    return make_user(*permissions, name=name, password=PASSWORD)


def add_step(page: Page, kind: str, section: str = "Steps") -> None:
    adding = page.get_by_role("region", name=section, exact=True).locator(".bo-add").last
    adding.get_by_label("Kind of step to add").select_option(kind)
    adding.get_by_role("button", name="Add step").click()


def fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


@pytest.mark.e2e
def test_a_playbook_is_made_published_and_run_from_the_admin_without_typing_json(
    running_engine: Engine, live_server: LiveServer
) -> None:
    make_lead("wanda"), make_lead("sam")
    order = make_order()

    with browser.opened(live_server.url) as (page, complaints):
        browser.sign_in(page, "wanda", PASSWORD)
        page.get_by_role("link", name="Playbooks").first.click()
        page.get_by_role("link", name="New playbook").click()
        page.get_by_label("Name, as addresses").fill("greet_dear_orders")
        page.get_by_label("Title of the playbook").fill("Greet dear orders")
        page.get_by_role("button", name="Add input").click()
        page.get_by_label("What is asked").fill("Word of greeting")
        page.get_by_label("Name in expressions").fill("word")

        add_step(page, "activity")
        page.get_by_label("What is done").select_option("add_tag")
        page.get_by_label("Tag").fill("dear")
        add_step(page, "ask")
        page.get_by_label("Question").fill("Greet the customer?")
        page.get_by_label("Name in expressions").last.fill("greet")
        add_step(page, "conditional")
        page.get_by_role("textbox", name="Condition").fill('results.greet.answer == "yes"')
        add_step(page, "activity", "If so of conditional_1")
        page.get_by_label("What the note says").fill("=inputs.word + results.gret.by")
        page.get_by_role("button", name="Save as a new version").click()

        # The mistake is told at its field, and nothing that was typed is lost.
        wrong = page.get_by_label("What the note says")
        expect(wrong).to_have_attribute("aria-invalid", "true")
        wrong.fill('=inputs.word + " from " + results.greet.by')
        page.get_by_role("button", name="Save as a new version").click()
        expect(page.get_by_text("Version 1 of greet_dear_orders is saved as draft.")).to_be_visible()
        expect(page.locator(".bo-node")).to_have_count(6)

        page.get_by_role("link", name="Simulate").click()
        page.get_by_label("Number of an order").fill(order.number)
        page.get_by_label("Word of greeting").fill("Hello")
        page.get_by_role("button", name="Simulate").click()
        expect(page.get_by_role("cell", name="add_tag tag: dear")).to_be_visible()
        page.get_by_role("link", name="greet_dear_orders v1").click()

        browser.give(page, "publish", reason="Tried it on an order")
        expect(page.get_by_text("waits for a second person").first).to_be_visible()

    with browser.opened(live_server.url) as (page, others):
        browser.sign_in(page, "sam", PASSWORD)
        page.get_by_role("link", name="Publish version 1 of the playbook greet_dear_orders").click()
        page.get_by_role("button", name="Approve: publish version 1").click()
        expect(page.get_by_text("Done: Publish version 1 of the playbook greet_dear_orders")).to_be_visible()
        complaints += others

    with browser.opened(live_server.url, phone=True) as (page, others):
        browser.sign_in(page, "wanda", PASSWORD)
        page.goto(f"/orders/{order.number}/")
        page.get_by_role("link", name="Run a playbook").click()
        page.get_by_role("link", name="Greet dear orders").click()
        page.get_by_label("Word of greeting").fill("Hello")
        page.get_by_label("Reason").fill("She is dear to us")
        page.get_by_role("button", name="Run it").click()
        expect(page.locator("#standing")).to_contain_text("Waits for an answer: Greet the customer?", timeout=60_000)
        fits(page)
        page.locator("summary", has_text="Yes…").click()
        page.get_by_role("button", name="Answer: Yes").click()
        expect(page.locator("#standing")).to_contain_text("Completed", timeout=60_000)
        expect(page.locator(".bo-step-done")).to_have_count(4)
        page.get_by_role("link", name=order.number).first.click()
        expect(page.locator("#order-playbooks")).to_contain_text("Greet dear orders")
        fits(page)
        complaints += others

    assert complaints == []
    assert PlaybookVersion.objects.get().status == VersionStatus.PUBLISHED
    assert PlaybookRun.objects.get().status == PlaybookRunStatus.COMPLETED
    assert OrderTag.objects.get().tag == "dear"
    assert OrderEvent.objects.get(type="order.note_added").reason == "Hello from wanda"


def test_form_and_json_stay_in_step_in_both_directions(live_server: LiveServer) -> None:
    User.objects.create_superuser("root", password=PASSWORD)
    steps = [{"type": "parallel", "id": "both", "branches": [[note("left")], [note("right")]]}, note("last")]
    publishing.save("known", playbooks.document(*steps), actor=playbooks.chief())

    with browser.opened(live_server.url) as (page, complaints):
        browser.sign_in(page, "root", PASSWORD)
        page.goto("/orders/playbooks/known/edit/")
        page.get_by_text("The document as JSON").click()
        document = page.get_by_label("JSON", exact=True)

        page.get_by_role("button", name="Move last up").press("Enter")
        assert [step["id"] for step in json.loads(document.input_value())["steps"]] == ["last", "both"]
        # The keyboard stays where it was: at the step that moved.
        expect(page.get_by_role("button", name="Move last down")).to_be_focused()
        page.get_by_role("button", name="Delete right").click()
        assert json.loads(document.input_value())["steps"][1]["branches"][1] == []

        document.fill('{"title": "Typed", "steps": [')
        expect(page.get_by_text("The form waits until this is JSON again")).to_be_visible()
        expect(page.get_by_label("Title of the playbook")).to_have_value("A test")
        document.fill(json.dumps(playbooks.document(note("typed", "by hand"))))
        expect(page.get_by_label("What the note says")).to_have_value("by hand")
        page.get_by_role("button", name="Save as a new version").click()
        expect(page.get_by_text("Version 2 of known is saved as draft.")).to_be_visible()

    assert complaints == []


def test_pages_of_playbooks_fit_a_phone_and_follow_a_run(live_server: LiveServer) -> None:
    User.objects.create_superuser("root", password=PASSWORD)
    ask = {"type": "ask", "id": "question", "question": "Go on?", "options": ["yes", "no"], "default": "no"}
    ways = {"type": "parallel", "id": "ways", "branches": [[note(f"way_{number}")] for number in range(5)]}
    run = playbooks.start(make_order(), ask, ways, {"type": "loop", "id": "again", "most": 2, "body": [note("round")]})
    pages = ["", "test/", "test/edit/", "test/simulate/", "test/starts/", "test/diff/"]

    with connections(1) as elsewhere, browser.opened(live_server.url, phone=True) as (page, complaints):
        browser.sign_in(page, "root", PASSWORD)
        for path in pages:
            page.goto(f"/orders/playbooks/{path}")
            expect(page.locator(".bo-page")).to_be_visible()
            fits(page)
        page.goto(f"/orders/playbook-runs/{run.pk}/")
        expect(page.locator("#standing")).to_contain_text("Waiting for the engine, which is not running")
        # A part that is drawn anew keeps what the reader opened and where the picture was moved to.
        page.get_by_text("The same as a list").click()
        page.locator("#graph-frame").evaluate("element => { element.scrollLeft = 77 }")
        elsewhere.begin(following.settle, str(run.pk), "steps.0", actor=TEST_ACTOR).result()
        expect(page.locator("#standing")).to_contain_text("Waits for an answer: Go on?", timeout=10_000)
        expect(page.locator(".bo-step-waiting")).to_have_count(1)
        expect(page.locator("#graph-list")).to_have_attribute("open", "")
        assert page.locator("#graph-frame").evaluate("element => element.scrollLeft") == 77
        fits(page)

    assert complaints == []
