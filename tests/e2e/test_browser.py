"""What no request test sees: that the pages move, in a real browser, under our content security policy."""

import re
from collections.abc import Iterator

import pytest
from django.db import connection
from playwright.sync_api import expect
from pytest_django.live_server_helper import LiveServer

from orders.models import Order
from orders.services import invariants
from orders.vocabulary import OrderStatus
from tests.e2e import browser
from tests.e2e.engine import Engine, eventually
from tests.factories import make_order, make_product
from tests.orders import driving
from tests.orders.connections import connections
from tests.orders.staff import START_ORDER, VIEW_ORDER, make_user

pytestmark = [pytest.mark.browser, browser.needs_chromium]
HOLD_ORDER, CANCEL_ORDER, DECIDE_REVIEW = "orders.hold_order", "orders.cancel_order", "orders.decide_review"
PASSWORD = "a-long-pass-phrase-1"
#: the live server's; a worker has an account of its own
OTHER_SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
)


@pytest.fixture(autouse=True)
def no_session_outlives_the_test(transactional_db: None) -> Iterator[None]:
    """The live server's threads let go of the database when the browser hangs up, which takes a moment."""
    yield
    eventually(lambda: _other_sessions() == 0, what="the end of the live server's sessions")


def _other_sessions() -> int:
    with connection.cursor() as cursor:
        cursor.execute(OTHER_SESSIONS)
        return int(cursor.fetchone()[0])


@pytest.mark.e2e
def test_order_started_in_the_browser_moves_to_completed_before_the_eyes(
    running_engine: Engine, live_server: LiveServer
) -> None:
    make_user(VIEW_ORDER, START_ORDER, password=PASSWORD)
    order = make_order()

    with browser.opened(live_server.url) as (page, complaints):
        browser.sign_in(page, "olivia", PASSWORD)
        page.get_by_role("link", name="All orders").first.click()
        page.get_by_role("link", name=order.number).click()
        expect(page.locator("#standing")).to_contain_text("Placed. Nobody has asked")

        browser.give(page, "start", reason="Customer is waiting")

        expect(page.locator("#standing")).to_contain_text("Completed: £20.00 paid", timeout=60_000)
        expect(page.locator(".bo-timeline")).to_contain_text("Customer is waiting")
        expect(page.locator(".bo-timeline")).to_contain_text("Shipment booked")
        # Each part of the page hears that nothing will change any more, and stops asking for longer than any interval.
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for _ in range(8):
            asked.clear()
            page.wait_for_timeout(6_000)
            if not asked:
                break

    assert asked == []
    assert complaints == []
    assert Order.objects.get().status == OrderStatus.COMPLETED


@pytest.mark.e2e
def test_orders_are_reviewed_held_and_cancelled_in_the_browser(running_engine: Engine, live_server: LiveServer) -> None:
    make_user(VIEW_ORDER, HOLD_ORDER, CANCEL_ORDER, DECIDE_REVIEW, START_ORDER, password=PASSWORD)
    dear = make_product(unit_price="6000.00")
    approved, cancelled = (make_order(product=dear, quantity=1, started=True) for _ in range(2))
    held = make_order(product=make_product())

    with browser.opened(live_server.url, phone=True) as (page, complaints):
        browser.sign_in(page, "olivia", PASSWORD)
        page.goto(f"/orders/{approved.number}/")
        expect(page.locator("#standing")).to_contain_text("In review: a person must decide", timeout=60_000)
        page.get_by_role("button", name="Claim").click()
        expect(page.get_by_text(f"The case of {approved.number} is yours.")).to_be_visible(timeout=30_000)
        page.locator("#command-review-approve-title").click()
        expect(page.get_by_role("button", name="Approve: takes £6,000.00")).to_be_visible()
        page.locator("#command-review-approve-reason").fill("Known wholesaler")
        page.locator("#command-review-approve-give").click()
        expect(page.locator("#standing")).to_contain_text("Completed: £6,000.00 paid", timeout=60_000)

        page.goto(f"/orders/{held.number}/")
        browser.give(page, "hold", reason="Ask the customer first")
        expect(page.locator("#standing")).to_contain_text("On hold", timeout=30_000)
        browser.give(page, "release", reason="She said yes")
        expect(page.locator("#standing")).to_contain_text("Placed", timeout=30_000)

        page.goto(f"/orders/{cancelled.number}/")
        expect(page.locator("#standing")).to_contain_text("In review", timeout=60_000)
        page.get_by_role("link", name="Cancel").click()
        expect(page.get_by_text("1 piece goes back into the stock.")).to_be_visible(timeout=30_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_label("Reason").fill("Changed her mind")
        page.get_by_role("button", name="Cancel the order").click()
        expect(page.locator("#standing")).to_contain_text("Cancelled. No money was taken.", timeout=60_000)

    assert complaints == []
    assert list(invariants.check_books()) == []


def test_open_pages_follow_what_happens_elsewhere(live_server: LiveServer) -> None:
    make_user(VIEW_ORDER, START_ORDER, password=PASSWORD)
    order = make_order()

    with connections(1) as others, browser.opened(live_server.url) as (page, complaints):
        browser.sign_in(page, "olivia", PASSWORD)
        expect(page.locator("#orders-chart-words")).to_contain_text("1 received and 0 completed")
        landing = page
        page = page.context.new_page()
        page.goto(f"/orders/{order.number}/")
        page.locator("#command-start-title").click()
        page.locator("#command-start-reason").fill("half a sen")
        page.wait_for_timeout(2_500)
        expect(page.locator("#command-start-reason")).to_have_value("half a sen")

        others.begin(driving.drive, order, gateway=driving.outage()).result()
        expect(page.locator("#standing")).to_contain_text("Taking the payment of £20.00", timeout=10_000)
        others.begin(driving.drive, order).result()
        expect(page.locator("#standing")).to_contain_text("Completed", timeout=10_000)
        expect(landing.locator("#orders-chart-words")).to_contain_text("1 received and 1 completed", timeout=15_000)
        drawn = landing.evaluate("Chart.getChart('orders-chart').data.datasets.map(series => Math.max(...series.data))")

    assert drawn == [1, 1]
    assert complaints == []


def test_pages_fit_a_phone_and_a_keyboard(live_server: LiveServer) -> None:
    make_user(VIEW_ORDER, START_ORDER, "orders.import_feed", "orders.view_feedimport", password=PASSWORD)
    driving.drive(make_order(product=make_product("SKU-" + "X" * 50)))
    placed = make_order()
    pages = ["/admin/", "/admin/orders/order/", "/admin/orders/feedimport/import/", "/orders/SO-1/"]
    pages += [f"/orders/{order.number}/" for order in Order.objects.all()]

    with browser.opened(live_server.url, phone=True) as (page, _):
        browser.sign_in(page, "olivia", PASSWORD)
        for path in pages:
            page.goto(path)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 390, f"{path} is {width} wide"

        page.goto(f"/orders/{placed.number}/")
        page.locator("#command-start-title").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        button = page.get_by_role("button", name="Start processing: takes £20.00")
        expect(button).to_be_focused()
        assert re.match("[1-9]", button.evaluate("element => getComputedStyle(element).outlineWidth"))
        page.keyboard.press("Enter")
        expect(page.locator("#standing")).to_contain_text("Waiting for the engine, which is not running")
        expect(page.get_by_text("The engine is not running; this order goes on when it is back.")).to_be_visible()


def test_row_action_and_bulk_action_work_with_the_mouse(live_server: LiveServer) -> None:
    make_user(VIEW_ORDER, START_ORDER, password=PASSWORD)
    first, second = make_order(), make_order()

    with browser.opened(live_server.url) as (page, complaints):
        browser.sign_in(page, "olivia", PASSWORD)
        page.goto("/admin/orders/order/")
        row = page.locator("tr", has_text=first.number)
        row.get_by_text("more_horiz").click()
        page.locator("nav a:visible", has_text="Start processing").click()
        page.locator("#modal-content").get_by_role("button", name="Start processing").click()
        expect(page.get_by_text(f"Processing of {first.number} was asked for.")).to_be_visible()

        page.locator("tr", has_text=second.number).locator("input.action-select").check()
        page.locator("#changelist-actions-wrapper select").select_option("start_processing")
        page.locator("#changelist-actions-wrapper button[type=submit]:visible").first.click()
        expect(page.get_by_text("Started 1, skipped 0.")).to_be_visible()

    assert complaints == []
    assert set(Order.objects.values_list("status", flat=True)) == {OrderStatus.QUEUED}


def test_no_page_asks_for_more_than_its_content_policy_allows(live_server: LiveServer) -> None:
    make_user(VIEW_ORDER, START_ORDER, "orders.import_feed", "orders.view_feedimport", password=PASSWORD)
    order = driving.drive(make_order())
    framed = ("/admin/", "/admin/orders/order/", "/admin/orders/feedimport/import/", f"/orders/{order.number}/")

    with browser.opened(live_server.url) as (page, complaints):
        browser.sign_in(page, "olivia", PASSWORD)
        for path in framed:
            page.goto(path)
            expect(page.locator("#nav-sidebar, nav").first).to_be_attached()
        page.goto("/api/docs/")
        # Swagger draws its page by script, from the schema it asks for, and of a long one only what is in sight.
        expect(page.get_by_role("link", name="approvals", exact=True)).to_be_visible(timeout=30_000)
        page.mouse.wheel(0, 3_000)
        expect(page.get_by_text("Place an order").first).to_be_visible(timeout=30_000)
        page.get_by_text("Place an order").first.click()
        expect(page.get_by_role("button", name="Try it out").first).to_be_visible(timeout=30_000)

    assert complaints == []
