"""Whatever is refused leaves a row, apart from what is rolled back, and a flood leaves few."""

from datetime import UTC, datetime
from io import StringIO

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client

from orders.errors import NotPermitted
from orders.models import Command, Order, RefusedAction
from orders.services import placing, refusals
from orders.vocabulary import Channel
from tests.factories import make_order
from tests.orders.api_calls import order_body, post_order, token_client
from tests.orders.staff import START_ORDER, VIEW_ORDER, make_user, signed_in

pytestmark = pytest.mark.django_db
LIST = "/admin/orders/order/"
NOON = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)


def refuse(user: User | None, *, door: str = "Orders.start", subject: str = "SO-1", times: int = 1) -> None:
    for _ in range(times):
        refusals.remember(NotPermitted("No."), user=user, channel=Channel.API, door=door, subject=subject)


@pytest.mark.django_db(transaction=True)
def test_the_row_outlives_the_transaction_of_the_refused_action() -> None:
    """Placed, then refused to start, in one transaction: the order is gone, the refusal is not."""
    response = post_order(token_client("place_order", "view_order"), order_body(process=True))

    assert response.status_code == 403
    assert not Order.objects.exists()
    row = RefusedAction.objects.get()
    assert (row.action, row.permission, row.channel) == ("start", "orders.start_order", "api")
    assert row.user is not None
    assert row.actor == row.user.username
    assert row.request_id == response.json()["request_id"]


def test_what_the_api_hides_as_not_found_is_recorded_all_the_same() -> None:
    order = make_order()

    assert token_client("place_order").get(f"/api/orders/{order.number}/").status_code == 404

    assert RefusedAction.objects.get().subject == order.number


def test_a_service_that_refuses_where_no_view_asked_is_a_403_with_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The permission is taken away between the page's question and the service's."""
    order = make_order()

    def refused(*args: object, **kwargs: object) -> None:
        raise NotPermitted("Not any more.", permission="orders.start_order")

    monkeypatch.setattr(placing, "start", refused)
    client = signed_in(VIEW_ORDER, START_ORDER)

    response = client.post(LIST, {"action": "start_processing", "_selected_action": [str(order.pk)], "index": "0"})

    assert response.status_code == 403
    row = RefusedAction.objects.get()
    assert (row.action, row.detail, row.subject) == ("start", "Not any more.", str(order.pk))


def test_a_forged_delete_is_a_403_with_a_row_for_a_superuser_too(client: Client) -> None:
    order = make_order()
    client.force_login(User.objects.create_superuser("chief"))

    response = client.post(LIST, {"action": "delete_selected", "_selected_action": [str(order.pk)], "post": "yes"})

    assert response.status_code == 403
    assert RefusedAction.objects.get().action == "OrderAdmin.delete_selected"
    users = client.post("/admin/auth/user/", {"action": "delete_selected", "_selected_action": ["1"], "post": "yes"})
    assert users.status_code == 403


def test_a_page_that_sends_a_visitor_to_the_sign_in_refuses_nothing(client: Client) -> None:
    client.get(LIST)
    client.get("/api/orders/")
    assert not RefusedAction.objects.exists()

    client.post(LIST, {"action": "start_processing"})
    assert RefusedAction.objects.get().actor == refusals.NOBODY


def test_the_same_refusal_is_counted_within_the_hour_and_written_again_in_the_next() -> None:
    user = make_user()
    with time_machine.travel(NOON, tick=False):
        refuse(user, times=3)
    with time_machine.travel(NOON.replace(minute=59), tick=False):
        refuse(user)
    with time_machine.travel(NOON.replace(hour=13), tick=False):
        refuse(user)

    first, second = RefusedAction.objects.order_by("hour")
    assert (first.times, first.first_at, first.last_at) == (4, NOON, NOON.replace(minute=59))
    assert second.times == 1


def test_a_flood_cannot_fill_the_table() -> None:
    user = make_user()
    with time_machine.travel(NOON, tick=False):
        for number in range(refusals.MAX_ROWS_AN_HOUR + 30):
            refuse(user, subject=f"SO-{number}")
            refuse(None, subject=f"SO-{number}")

    assert RefusedAction.objects.get(user=None).times == refusals.MAX_ROWS_AN_HOUR + 30
    assert RefusedAction.objects.filter(user=user).count() == refusals.MAX_ROWS_AN_HOUR + 1
    assert RefusedAction.objects.get(subject=refusals.SEVERAL).times == 30


def test_texts_of_a_stranger_cannot_break_the_row_or_forge_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    user = make_user()

    refusals.remember(
        NotPermitted("a\r\nb\x00" * 500), user=user, channel=Channel.API, door="d" * 500, subject="x\ny\x00" * 500
    )

    assert "\n" not in RefusedAction.objects.get().subject
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_a_refusal_stays_a_refusal_when_it_cannot_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "COUNT_UP", "SELECT no_such_function()")
    order = make_order()
    client = signed_in(VIEW_ORDER)
    client.raise_request_exception = False

    # As outside of tests: each statement on its own.
    with transaction.atomic():
        response = client.post(f"/orders/{order.number}/start/")
        transaction.set_rollback(True)

    assert response.status_code == 403


def test_rows_are_only_counted_up() -> None:
    refuse(make_user())
    for change in ("UPDATE orders_refusedaction SET actor = 'eve'", "DELETE FROM orders_refusedaction"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)


def test_leads_read_the_refusals_and_nobody_changes_them() -> None:
    refuse(make_user(name="eve"))
    client = signed_in("orders.view_refusedaction")

    assert "eve" in client.get("/admin/orders/refusedaction/").content.decode()
    assert client.post(f"/admin/orders/refusedaction/{RefusedAction.objects.get().pk}/delete/").status_code == 403
    assert signed_in(VIEW_ORDER, name="agnes").get("/admin/orders/refusedaction/").status_code == 403


# --- The command line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "says"), [("nobody", "There is no account nobody"), ("former", "is not active")])
def test_a_command_acts_for_no_unknown_or_inactive_account(name: str, says: str) -> None:
    User.objects.create_superuser("former", is_active=False)

    with pytest.raises(CommandError, match=says):
        call_command("seal_history", "--as", name)

    assert (RefusedAction.objects.get().action, RefusedAction.objects.get().channel) == ("seal_history", "cli")


def test_a_command_acts_for_the_account_it_is_told_or_for_the_operator() -> None:
    User.objects.create_superuser("chief")
    said = StringIO()

    call_command("seal_history", "--as", "chief", stdout=said)
    call_command("seal_history", stdout=said)

    assert "made" in said.getvalue()
    assert not RefusedAction.objects.exists()
    assert not Command.objects.exists()
