"""Idempotency-Key: a retry is an answer, never a second order."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import close_old_connections, connection
from django.test import Client
from django.utils import timezone

from orders.api import idempotency
from orders.models import Command, IdempotencyRecord, Order
from orders.services import placing
from tests.factories import make_order
from tests.orders.api_calls import (
    PLACER,
    assert_problem,
    make_user,
    order_body,
    post_order,
    post_start,
    row_counts,
    token_client,
)


@pytest.fixture
def client(db: None) -> Client:
    return token_client(*PLACER)


def test_the_same_request_again_gets_the_same_answer_byte_for_byte(client: Client) -> None:
    body = order_body()
    first, second = post_order(client, body, key="k"), post_order(client, body, key="k")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first["Location"] == second["Location"]
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert Order.objects.count() == 1


def test_spaces_and_the_order_of_keys_do_not_make_another_body(client: Client) -> None:
    body = order_body()
    post_order(client, body, key="k")
    again = json.dumps(dict(reversed(body.items())), indent=4).encode()
    assert post_order(client, again, key="k")["Idempotent-Replayed"] == "true"


def test_another_body_under_the_same_key_is_refused(client: Client) -> None:
    body = order_body()
    post_order(client, body, key="k")
    document = assert_problem(post_order(client, body | {"currency": "EUR"}, key="k"), 422, None, "k was used")
    assert document["type"] == "/problems/key-reused"
    assert Order.objects.count() == 1


def test_another_address_under_the_same_key_is_refused(client: Client) -> None:
    number = post_order(client, order_body(process=False), key="k").json()["number"]
    assert_problem(post_start(client, number, key="k"), 422)


def test_two_users_may_use_the_same_key(client: Client) -> None:
    body = order_body()
    post_order(client, body, key="k")
    assert "Idempotent-Replayed" not in post_order(token_client(*PLACER), body, key="k")
    assert Order.objects.count() == 2


def test_a_missing_key_is_named(client: Client) -> None:
    response = client.post("/api/orders/", order_body(), content_type="application/json")
    assert_problem(response, 400, "Idempotency-Key", "is needed")


@pytest.mark.parametrize("key", ["x" * 256, "caf\xe9", "tab\tkey"])
def test_a_key_that_is_not_printable_or_too_long_is_refused(client: Client, key: str) -> None:
    assert_problem(post_order(client, order_body(), key=key), 400, "Idempotency-Key", "255")


def test_a_key_of_the_full_length_is_taken(client: Client) -> None:
    assert post_order(client, order_body(), key="~" * 255).status_code == 201


def test_a_refusal_frees_the_key_for_the_mended_request(client: Client) -> None:
    body = order_body()
    assert_problem(post_order(client, body | {"currency": "XXX"}, key="k"), 400, "currency")
    assert not IdempotencyRecord.objects.exists()
    assert post_order(client, body, key="k").status_code == 201


def test_a_crash_while_answering_frees_the_key_and_stores_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = order_body()
    before = row_counts()

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the secret inside")

    with monkeypatch.context() as patch:
        patch.setattr(placing, "start_locked", broken)
        response = post_order(client, body, key="k")
    document = assert_problem(response, 500)
    assert "secret" not in json.dumps(document)
    assert row_counts() == before
    assert post_order(client, body, key="k").status_code == 201


def test_while_the_first_request_is_answered_the_same_key_is_a_conflict(client: Client) -> None:
    body = order_body()
    post_order(client, body, key="k")
    IdempotencyRecord.objects.update(status_code=None, locked_until=timezone.now() + timedelta(seconds=30))
    response = post_order(client, body, key="k")
    document = assert_problem(response, 409)
    assert document["type"] == "/problems/in-progress"
    assert response["Retry-After"] == "1"


def test_the_lease_of_a_dead_process_ends(client: Client) -> None:
    user = make_user(*PLACER)
    IdempotencyRecord.objects.create(
        key="k", user=user, request_hash="of a request that died", locked_until=timezone.now() - timedelta(seconds=1)
    )
    assert post_order(token_client(user=user), order_body(), key="k").status_code == 201
    assert IdempotencyRecord.objects.get().status_code == 201


def test_who_lost_the_lease_while_working_cannot_store_a_second_order(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = placing.place

    def slow(*args: object, **kwargs: object) -> Order:
        # Another process finds the lease expired and takes the key while we work.
        IdempotencyRecord.objects.update(locked_until=timezone.now() + timedelta(seconds=60))
        return place(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(placing, "place", slow)
    assert_problem(post_order(client, order_body(), key="k"), 409, None, "took over")
    assert not Order.objects.exists()


def test_a_start_with_a_key_is_answered_again_instead_of_refused(client: Client) -> None:
    order = make_order()
    first, second = post_start(client, order.number, key="k"), post_start(client, order.number, key="k")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.content == second.content
    assert Command.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_equal_requests_at_once_make_one_order() -> None:
    user = make_user(*PLACER)
    body = order_body()

    def send(client: Client) -> tuple[int, bytes]:
        try:
            response = post_order(client, body, key="k")
            return response.status_code, response.content
        finally:
            connection.close()

    clients = [token_client(user=user) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, clients))
    close_old_connections()
    assert Order.objects.count() == 1
    assert Command.objects.count() == 1
    created = [content for status, content in answers if status == 201]
    assert created
    assert len(set(created)) == 1
    assert {status for status, _ in answers} <= {201, 409}


def test_the_lease_is_thirty_seconds() -> None:
    assert timedelta(seconds=30) == idempotency.LEASE
