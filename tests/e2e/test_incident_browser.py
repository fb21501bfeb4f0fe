"""An incident in a browser: seen on the landing page, and read in full on a phone."""

import pytest
from django.db import transaction
from playwright.sync_api import expect
from pytest_django.live_server_helper import LiveServer

from orders.services import incidents, tasks
from orders.vocabulary import TaskKind, TaskLevel
from tests.e2e import browser
from tests.e2e.test_browser import PASSWORD
from tests.e2e.test_browser import no_session_outlives_the_test as no_session_outlives_the_test
from tests.factories import TEST_ACTOR, make_order
from tests.orders.staff import make_user

pytestmark = [pytest.mark.browser, browser.needs_chromium]
PERMISSIONS = ("view_order", "view_incident", "view_stafftask", "decide_incident", "work_task", "work_lead_task")
SAYS = "The payment gateway refuses our request, and its sentence about that is a long one that no phone has room for"


def three_orders_for_one_cause() -> None:
    for order in (make_order(), make_order(), make_order()):
        with transaction.atomic():
            tasks.open_task(TaskKind.OVERDUE, order, level=TaskLevel.AGENT, says=SAYS, actor=TEST_ACTOR, cause=SAYS)
    incidents.settle_all()


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_a_lead_finds_the_incident_and_reads_all_of_it(phone: bool, live_server: LiveServer) -> None:
    make_user(*(f"orders.{name}" for name in PERMISSIONS), name="lea", password=PASSWORD)
    three_orders_for_one_cause()
    with browser.opened(live_server.url, phone=phone) as (page, complaints):
        browser.sign_in(page, "lea", PASSWORD)
        tiles = page.locator("#dashboard-live .bo-tiles")
        queues, statuses = tiles.nth(0).bounding_box(), tiles.nth(1).bounding_box()
        assert queues
        assert statuses
        assert statuses["y"] - (queues["y"] + queues["height"]) >= 8, "a gap between queues and statuses"
        page.get_by_role("link", name="3 orders for one cause").click()
        expect(page.locator("#result_list tbody")).to_have_count(3)

        page.goto("/admin/orders/stafftask/")
        says = page.locator("#result_list .field-says")
        expect(says).to_have_count(1)
        expect(says).to_contain_text("3 orders")
        assert says.evaluate("cell => cell.scrollWidth <= cell.clientWidth"), "nothing is cut off"
        if phone:
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

        page.goto("/admin/orders/incident/")
        expect(page.locator("#result_list .field-says")).to_contain_text("no phone has room for")
    assert complaints == []
