"""Returns at their doors: the pages with their forms, the buttons, the calls, and what strangers send to them."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders.models import Order, Refund, ReturnCase, StockItem
from orders.services import returning
from orders.services.returning import Announced
from orders.vocabulary import ReturnStatus
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, new_key, token_client
from tests.orders.attempts_returns import make_announced, make_received
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
MAY = ("announce_return", "receive_return", "refund_order", "view_order", "view_returncase", "view_refund")


@pytest.fixture
def order() -> Order:
    """Completed; 2 pieces, 20.00."""
    return driving.drive(make_order())


@pytest.fixture
def agent() -> User:
    return make_user(*(f"orders.{name}" for name in MAY), name="anna")


@pytest.fixture
def browser(agent: User, client: Client) -> Client:
    client.force_login(agent)
    return client


@pytest.fixture
def program(agent: User) -> Client:
    return token_client(user=agent)


def post(program: Client, address: str, body: dict[str, Any], key: str = "") -> Any:
    headers = {"Idempotency-Key": key or new_key()}
    return program.post(f"/api/{address}/", body, content_type="application/json", headers=headers)


def text(response: Any) -> str:
    return str(response.content.decode())


def test_a_return_goes_through_its_pages_and_a_double_click_is_told(order: Order, browser: Client) -> None:
    page, base = f"/orders/{order.number}/", f"/orders/{order.number}/return/"
    assert "Return…" in text(browser.get(page))
    assert "2 of 2" in text(browser.get(base))
    form = {"pieces-1": "2", "reason": "Too dark"}
    assert "is announced" in text(browser.post(base, form, follow=True))
    assert "is open already: announced by anna at" in text(browser.post(base, form, follow=True))
    shown = text(browser.get(page))
    assert "Receive…" in shown
    assert "Return…" not in shown

    case = ReturnCase.objects.get()
    assert str(case.pk) in text(browser.get(f"{base}receive/"))
    came = {"return_id": case.pk, "received-1": "2", "unsellable-1": "1", "why-1": "damaged", "reason": "Parcel 7"}
    assert "No money has moved yet" in text(browser.post(f"{base}receive/", came, follow=True))
    assert "is received: received by anna at" in text(browser.post(f"{base}receive/", came, follow=True))
    item = StockItem.objects.get(product=order.lines.get().product)
    assert (item.on_hand, item.shipped) == (99, 1)

    assert "Refund £20.00" in text(browser.get(f"{base}refund/"))
    pay = {"return_id": case.pk, "amount_minor": "2000", "reason": "Came back"}
    assert "goes to the gateway" in text(browser.post(f"{base}refund/", pay, follow=True))
    assert "asked for by anna at" in text(browser.post(f"{base}refund/", pay, follow=True))
    assert Refund.objects.get().return_case == case
    assert "1 piece in the stock again, 1 piece not to be sold" in text(browser.get(page))


def test_a_mistake_shows_the_form_again_with_what_was_typed(order: Order, browser: Client) -> None:
    base = f"/orders/{order.number}/return/"
    for pieces, reason, says in (
        ("3", "Too dark", "3 is not within 1 to 2 pieces"),
        ("two", "Too dark", "&#x27;two&#x27; is not a number of pieces"),
        ("-1", "Too dark", "is not a number of pieces"),
        ("\u0662", "Too dark", "is not a number of pieces"),
        ("9" * 30, "Too dark", "is not a number of pieces"),
        ("", "Too dark", "At least one line is needed"),
        ("1", " ", "Reason"),
        ("1", "x" * 501, "Reason"),
        ("1", "a\0b", "Reason"),
    ):
        response = browser.post(base, {"pieces-1": pieces, "reason": reason})
        assert response.status_code == 400
        assert says in text(response)
        assert f'value="{pieces}"' in text(response)
    assert not ReturnCase.objects.exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"received-1": "3"}, "3 is not within 0 to the 2 announced"),
        ({"received-1": "0"}, "withdraw the return"),
        ({"received-1": ""}, "At least one line"),
        ({"received-9": "1"}, "Line 9 was not announced"),
        ({"received-x": "1"}, "a line that cannot be"),
        ({"unsellable-1": "1"}, "go together"),
        ({"unsellable-1": "1", "why-1": "smells"}, "is no reason that we know"),
        ({"unsellable-1": "3", "why-1": "used"}, "3 unsellable"),
        ({"return_id": "7"}, "does not say which return"),
    ],
)
def test_a_count_that_cannot_be_is_refused_and_nothing_is_restocked(
    browser: Client, changes: dict[str, str], says: str
) -> None:
    case = make_announced()
    form = {"return_id": str(case.pk), "received-1": "2", "reason": "Parcel 7", **changes}
    response = browser.post(f"/orders/{case.order.number}/return/receive/", form)
    assert response.status_code == 400
    assert says in text(response)
    assert StockItem.objects.get(product=case.order.lines.get().product).shipped == 2


def test_a_return_is_found_only_under_its_own_order(order: Order, browser: Client) -> None:
    case = make_announced()
    form = {"return_id": str(case.pk), "received-1": "2", "reason": "Parcel 7"}
    for verb in ("receive", "withdraw"):
        assert browser.post(f"/orders/{order.number}/return/{verb}/", form).status_code == 404
    for verb in ("", "receive/", "refund/"):
        assert browser.get(f"/orders/SO-0/return/{verb}").status_code == 404
        assert browser.get(f"/orders/a%00b/return/{verb}").status_code == 404
    case.refresh_from_db()
    assert case.status == ReturnStatus.ANNOUNCED


def test_pages_without_anything_to_do_say_so(order: Order, browser: Client) -> None:
    for verb, says in (("receive/", "waits to be received"), ("refund/", "waits for a refund")):
        assert says in text(browser.get(f"/orders/{order.number}/return/{verb}", follow=True))
    placed = make_order()
    assert "is not completed" in text(browser.get(f"/orders/{placed.number}/return/", follow=True))


def test_withdraw_and_close_are_buttons_with_a_reason(browser: Client) -> None:
    announced, received = make_announced(), make_received()
    for case, verb, status in (
        (announced, "withdraw", ReturnStatus.WITHDRAWN),
        (received, "close", ReturnStatus.CLOSED),
    ):
        address = f"/orders/{case.order.number}/return/{verb}/"
        assert "Nothing was done" in text(browser.post(address, {"return_id": case.pk}, follow=True))
        browser.post(address, {"return_id": case.pk, "reason": "Keeps it"})
        case.refresh_from_db()
        assert (case.status, case.note, case.ended_by) == (status, "Keeps it", "anna")


def test_a_viewer_sees_the_return_and_no_button(client: Client) -> None:
    case = make_announced()
    client.force_login(make_user("orders.view_order", name="viewer"))
    page = text(client.get(f"/orders/{case.order.number}/"))
    assert "2 pieces by test" in page
    assert "Receive…" not in page
    assert "Withdraw" not in page
    for verb in ("", "receive/", "refund/"):
        assert client.get(f"/orders/{case.order.number}/return/{verb}").status_code == 403


def test_an_order_with_many_returns_costs_no_more_queries_than_with_one(order: Order, browser: Client) -> None:
    def count() -> int:
        # The sidebar's counter is kept for some seconds: without this a slow machine asks for it anew now and then.
        caches["process"].clear()
        with CaptureQueriesContext(connection) as queries:
            browser.get(f"/orders/{order.number}/")
        return len(queries)

    def announce_and_withdraw() -> None:
        lines = [Announced(position=1, quantity=1)]
        case = returning.announce(order.number, lines=lines, actor=TEST_ACTOR, reason="Too dark")
        returning.withdraw(case.pk, actor=TEST_ACTOR, reason="Keeps it")

    without = count()
    announce_and_withdraw()
    one = count()
    for _ in range(4):
        announce_and_withdraw()
    assert count() == one <= without + 4


def test_the_list_finds_returns_by_status_and_order(client: Client) -> None:
    announced, received = make_announced(), make_received()
    client.force_login(make_user("orders.view_returncase", name="viewer"))
    address = "/admin/orders/returncase/"
    assert announced.order.number in text(client.get(address))
    filtered = text(client.get(f"{address}?status__exact=received"))
    assert received.order.number in filtered
    assert "£10.00" in filtered
    assert announced.order.number not in filtered
    assert announced.order.number in text(client.get(f"{address}?q={announced.order.number}"))
    assert "Parcel" not in text(client.get(f"{address}{received.pk}/change/"))
    assert client.post(f"{address}{received.pk}/change/", {"status": "refunded"}).status_code == 403


def test_a_program_does_it_all_and_each_key_has_one_effect(order: Order, program: Client) -> None:
    address, body = f"orders/{order.number}/returns", {"reason": "Too dark", "lines": [{"position": 1, "quantity": 2}]}
    key = new_key()
    first = post(program, address, body, key)
    assert (first.status_code, first.json()["status"]) == (201, "announced")
    assert post(program, address, body, key).json()["id"] == first.json()["id"]
    assert_problem(post(program, address, body), 409, None, "announced by anna at", "UTC")
    of = f"returns/{first.json()['id']}"

    came = {"reason": "Parcel 7", "lines": [{"position": 1, "received": 1}]}
    key = new_key()
    received = post(program, f"{of}/receive", came, key).json()
    assert (received["status"], received["due_minor"], received["lines"][0]["restocked"]) == ("received", 1_000, 1)
    assert post(program, f"{of}/receive", came, key).json() == received
    assert_problem(post(program, f"{of}/receive", came), 409, None, "received by anna at")
    assert_problem(post(program, f"{of}/withdraw", {"reason": "No"}), 409, None, "is received")
    acts = {act["command"]: act["link"] for act in program.get(f"/api/orders/{order.number}/why/").json()["can_act"]}
    assert acts["return-refund"].endswith(f"/api/{of}/refund/")

    pay = {"reason": "Came back", "amount_minor": 1_000}
    assert_problem(post(program, f"{of}/refund", pay | {"amount_minor": 2_000}), 409, None, "£10.00 are to be refunded")
    refund = post(program, f"{of}/refund", pay)
    assert (refund.status_code, refund.json()["status"]) == (202, "requested")
    assert_problem(post(program, f"{of}/refund", pay), 409, None, "asked for by anna")
    assert_problem(post(program, f"{of}/close", {"reason": "No"}), 409, None, "under way")
    [listed] = program.get(f"/api/{address}/").json()
    assert (listed["status"], listed["refunds"]) == ("received", [refund.json()["id"]])
    assert program.get(f"/api/orders/{order.number}/").json()["returns"] == [listed]
    assert StockItem.objects.get(product=order.lines.get().product).on_hand == 99


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("returns", {"lines": [{"position": 1, "quantity": 3}]}, "lines"),
        ("returns", {"lines": [{"position": 7, "quantity": 1}]}, "lines"),
        ("returns", {"lines": [{"position": 1, "quantity": 0}]}, "lines.0.quantity"),
        ("returns", {"lines": [{"position": 1, "quantity": True}]}, "lines.0.quantity"),
        ("returns", {"lines": [{"position": 1, "quantity": 1, "refund_minor": 9}]}, "lines.0.refund_minor"),
        ("returns", {"lines": [{"position": 1, "quantity": 1}], "status": "refunded"}, "status"),
        ("returns", {"lines": []}, "lines"),
        ("returns", {"lines": [{"position": n, "quantity": 1} for n in range(1, 202)]}, "lines"),
        ("receive", {"lines": [{"position": 1, "received": 3}]}, "lines"),
        ("receive", {"lines": [{"position": 1, "received": -1}]}, "lines.0.received"),
        ("receive", {"lines": [{"position": 1, "received": 1, "unsellable": 1}]}, "lines"),
        (
            "receive",
            {"lines": [{"position": 1, "received": 1, "unsellable_reason": "smells"}]},
            "lines.0.unsellable_reason",
        ),
        ("refund", {"amount_minor": 0}, "amount_minor"),
        ("refund", {"amount_minor": 10.0}, "amount_minor"),
        ("refund", {}, "amount_minor"),
    ],
)
def test_what_strangers_send_is_named_and_changes_nothing(
    program: Client, verb: str, body: dict[str, Any], field: str
) -> None:
    case = make_received() if verb == "refund" else make_announced()
    if verb == "returns":
        returning.withdraw(case.pk, actor=TEST_ACTOR, reason="Keeps it")
    address = f"orders/{case.order.number}/returns" if verb == "returns" else f"returns/{case.pk}/{verb}"
    before = StockItem.objects.values("on_hand", "shipped").get()
    assert_problem(post(program, address, {"reason": "Why", **body}), 400, field)
    assert StockItem.objects.values("on_hand", "shipped").get() == before
    assert ReturnCase.objects.count() == 1
    assert not Refund.objects.exists()


def test_unknown_returns_and_orders_are_not_found(program: Client) -> None:
    unknown = "returns/00000000-0000-4000-8000-000000000000"
    lines = {"receive": {"lines": [{"position": 1, "received": 1}]}, "refund": {"amount_minor": 1}}
    for verb in ("receive", "withdraw", "refund", "close"):
        assert_problem(post(program, f"{unknown}/{verb}", {"reason": "Why", **lines.get(verb, {})}), 404)
    body = {"reason": "Why", "lines": [{"position": 1, "quantity": 1}]}
    assert_problem(post(program, "orders/SO-0/returns", body), 404)
    assert_problem(program.get("/api/orders/SO-0/returns/"), 404)
    assert_problem(
        program.post("/api/orders/SO-0/returns/", body, content_type="application/json"), 400, "Idempotency-Key"
    )
