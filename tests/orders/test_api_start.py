"""POST /api/orders/{number}/start/."""

import pytest

from orders.models import Command, OrderEvent, OutboxMessage
from tests.factories import make_order
from tests.orders.api_calls import PLACER, assert_problem, make_user, post_start, token_client

pytestmark = pytest.mark.django_db


def test_a_start_is_accepted_as_a_command_and_leaves_through_the_outbox() -> None:
    order = make_order()
    user = make_user(*PLACER)
    client = token_client(user=user)
    response = post_start(client, order.number, {"reason": "Customer called"})
    assert response.status_code == 202, response.content
    answer = response.json()
    command = Command.objects.get()
    assert answer["id"] == str(command.id)
    assert (answer["kind"], answer["status"], answer["order"]) == ("start", "accepted", order.number)
    assert (answer["requested_by"], answer["reason"]) == (user.username, "Customer called")
    assert OutboxMessage.objects.get().body["command_id"] == str(command.id)
    assert "Customer called" in [event.reason for event in OrderEvent.objects.filter(actor=user.username)]


def test_a_second_start_says_who_was_first_and_when() -> None:
    order = make_order(started=True)
    client = token_client(*PLACER)
    document = assert_problem(post_start(client, order.number), 409, None, "already started by test at 20")
    assert document["type"] == "/problems/wrong-state"
    assert OutboxMessage.objects.count() == 1


def test_an_unknown_order_cannot_be_started() -> None:
    assert_problem(post_start(token_client(*PLACER), "SO-1"), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": 5}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "line\nbreak"}, "reason"),
        ({"force": True}, "force"),
        ([], "body"),
    ],
)
def test_a_bad_body_starts_nothing(body: object, field: str) -> None:
    order = make_order()
    assert_problem(post_start(token_client(*PLACER), order.number, body), 400, field)
    assert not OutboxMessage.objects.exists()


def test_a_form_is_refused_even_from_a_browser_session(client) -> None:
    client.force_login(make_user(*PLACER))
    assert_problem(client.post(f"/api/orders/{make_order().number}/start/", {"reason": "x"}), 415)
    assert not OutboxMessage.objects.exists()
