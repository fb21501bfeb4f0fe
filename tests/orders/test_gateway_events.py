"""Signed events of the gateway: what is taken, what is refused, and that nothing but the gateway's books counts."""

import hashlib
import hmac
import json
import random
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.models import GatewayEvent, Order, OutboxMessage, Payment
from orders.partners import gateway_events as partner
from orders.partners import payments as gateway
from orders.services import gateway_events, payments
from orders.vocabulary import EventSource, RefundStatus, Topic
from tests.factories import TEST_ACTOR, make_prepared_order
from tests.orders.api_calls import assert_problem, row_counts
from tests.orders.connections import PATIENCE
from tests.orders.gateway_books import (
    ask,
    assert_all_agree,
    figures,
    later,
    outside,
    paid_order,
    payment,
    send,
)
from tests.simulator.talk import Http

ADDRESS = "/api/gateway/events/"
SECRET, OLD = "whsec_current", "whsec_before"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def secrets(settings: Settings) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET, OLD]


def event(event_id: str = "evt_1", kind: str = "refund.updated", **changes: Any) -> dict[str, Any]:
    about = {"id": "re_1", "object": "refund", "payment_intent": "pi_1"}
    return {
        "id": event_id,
        "object": "event",
        "type": kind,
        "created": int(timezone.now().timestamp()),
        "data": {"object": about},
    } | changes


def sign(body: bytes, secret: str = SECRET, *, seconds_ago: int = 0) -> str:
    at = int(timezone.now().timestamp()) - seconds_ago
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"


def post(tree: Any, *, header: str | None = None, client: Client | None = None, **how: Any) -> HttpResponse:
    body = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    signed = sign(body, **how) if header is None else header
    caller = client or Client(enforce_csrf_checks=True, raise_request_exception=False)
    headers = {"Stripe-Signature": signed} if signed else {}
    return caller.post(ADDRESS, body, content_type="application/json; charset=utf-8", headers=headers)


@pytest.mark.parametrize("secret", [SECRET, OLD])
def test_a_signed_event_is_stored_with_its_message_and_then_answered(secret: str) -> None:
    answer = post(event(), secret=secret)

    assert (answer.status_code, answer.json()) == (200, {"event": "evt_1", "stored": True})
    row = GatewayEvent.objects.get()
    assert (row.payment_reference, row.object_reference, row.source) == ("pi_1", "re_1", EventSource.WEBHOOK)
    message = OutboxMessage.objects.get(topic=Topic.GATEWAY_EVENT)
    assert (message.aggregate, message.body) == ("gateway-payment:pi_1", {"payment": "pi_1"})


def test_an_event_that_comes_again_is_answered_and_does_nothing() -> None:
    post(event())
    again = post(event())
    assert (again.status_code, again.json()["stored"]) == (200, False)
    assert GatewayEvent.objects.count() == OutboxMessage.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_deliveries_at_once_one_is_stored() -> None:
    body, start, answers = event(), threading.Barrier(2), []

    def deliver() -> None:
        start.wait(PATIENCE)
        answers.append(post(body).json()["stored"])
        connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(answers) == [False, True]
    assert OutboxMessage.objects.filter(topic=Topic.GATEWAY_EVENT).count() == 1


@pytest.mark.parametrize("kind", ["customer.created", "invoice.paid"])
def test_an_event_that_means_nothing_to_us_is_answered_and_not_kept(kind: str) -> None:
    assert post(event(kind=kind)).json() == {"event": "evt_1", "stored": False}
    assert not GatewayEvent.objects.exists()


def test_an_event_that_names_no_payment_is_kept_and_needs_nobody() -> None:
    about = {"id": "dp_1", "object": "dispute", "payment_intent": None}
    assert post(event(kind="charge.dispute.created", data={"object": about})).status_code == 200
    assert GatewayEvent.objects.get().outcome == "It names no payment."
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"header": ""}, "missing"),
        ({"header": "t=,v1="}, "No secret of ours"),
        ({"header": "v1=abc"}, "No secret of ours"),
        ({"header": "t=1,v1=\u20ac"}, "No secret of ours"),
        ({"secret": "whsec_stranger"}, "No secret of ours"),
        ({"seconds_ago": 301}, "5 minutes may lie between"),
        ({"seconds_ago": -400}, "5 minutes may lie between"),
    ],
)
def test_what_the_gateway_did_not_sign_just_now_is_refused_and_not_kept(how: dict[str, Any], says: str) -> None:
    before = row_counts()
    assert_problem(post(event(), **how), 400, "Stripe-Signature", says)
    assert (row_counts(), GatewayEvent.objects.count()) == (before, 0)


def test_a_signature_of_another_body_is_refused() -> None:
    signed = sign(json.dumps(event()).encode())
    assert_problem(post(event("evt_2"), header=signed), 400, "Stripe-Signature", "No secret of ours")


def test_a_signature_of_four_minutes_ago_still_counts() -> None:
    assert post(event(), seconds_ago=240).status_code == 200


@pytest.mark.parametrize(
    ("tree", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[" * 100 + b"]" * 100, "body"),
        (b'{"id": "evt_1", "id": "evt_2"}', "id"),
        ([], "object"),
        ({"object": "refund"}, "object"),
        (event("evt 1"), "id"),
        (event("e" * 129), "id"),
        (event(id=7), "id"),
        (event(id="evt_\0"), "id"),
        (event(kind=""), "type"),
        (event(type=None), "type"),
        (event(type="x" * 81), "type"),
        (event(created="now"), "created"),
        (event(created=True), "created"),
        (event(created=-1), "created"),
        (event(created=2**40), "created"),
        (event(data=None), "data.object"),
        (event(data={"object": "re_1"}), "data.object"),
        (event(data={"object": {"id": "re 1", "payment_intent": "pi_1"}}), "data.object.id"),
        (event(data={"object": {"id": "re_1", "payment_intent": "pi_1'; --"}}), "data.object.payment_intent"),
        (event(data={"object": {"id": "re_1", "payment_intent": 5}}), "data.object.payment_intent"),
    ],
)
def test_what_is_signed_and_no_event_is_refused_by_the_field(tree: Any, field: str) -> None:
    assert_problem(post(tree), 400, field)
    assert not GatewayEvent.objects.exists()


def test_a_body_beyond_the_bound_is_refused_before_its_signature_is_computed() -> None:
    assert_problem(post(event(padding="x" * 262_144), header="t=1,v1=x"), 413, "body", "262144")


def test_a_body_of_another_kind_is_refused() -> None:
    answer = Client().post(ADDRESS, b"<xml/>", content_type="text/xml", headers={"Stripe-Signature": sign(b"<xml/>")})
    assert_problem(answer, 415)


@pytest.mark.parametrize("configured", [[], [""]])
def test_without_a_secret_nothing_is_taken(settings: Settings, configured: list[str]) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = configured
    assert_problem(post(event(), secret=""), 503, None, "No secret")


def test_no_account_of_ours_opens_this_door_nor_is_one_needed() -> None:
    client = Client(headers={"Authorization": "Token nonsense"}, raise_request_exception=False)
    assert post(event(), client=client).status_code == 200


def test_whoever_calls_too_often_is_told_to_come_back(settings: Settings) -> None:
    settings.CALLS_PER_MINUTE = settings.CALLS_PER_MINUTE | {"gateway_event": 0}
    answer = post(event())
    assert_problem(answer, 429)
    assert int(answer["Retry-After"]) > 0


def test_an_id_as_long_as_the_gateway_may_make_it_is_carried() -> None:
    long = "pi_" + "x" * 125
    assert post(event(data={"object": {"id": "re_1", "payment_intent": long}})).status_code == 200
    assert len(OutboxMessage.objects.get().aggregate) <= 128
    assert OutboxMessage.objects.get().body == {"payment": long}


class TestCarriedOut:
    """Whatever the events are and however they come, our books end where the gateway's are."""

    @pytest.fixture
    def order(self, partners: Http) -> Order:
        """A refund that failed later, and one made outside."""
        order = paid_order("pm_card_refundFail")
        assert send(ask(order)) is RefundStatus.DONE
        later(partners)
        outside(order, 300)
        return order

    def told(self) -> list[partner.Told]:
        since = datetime.fromtimestamp(0, UTC)
        pages = partner.events_between(since, datetime.fromtimestamp(2**32, UTC))
        return [told for page in pages for told in page]

    def carry_out(self, order: Order) -> bool:
        return gateway_events.carry_out(payment(order).gateway_reference, actor=TEST_ACTOR)

    @pytest.mark.parametrize("seed", range(4))
    def test_doubled_shuffled_and_lost_events_end_in_the_same_books(
        self, order: Order, partners: Http, seed: int
    ) -> None:
        told = self.told() * 2
        draw = random.Random(seed)
        draw.shuffle(told)
        for one in told[: max(1, len(told) - seed * 3)]:
            gateway_events.receive(one, EventSource.WEBHOOK)
            self.carry_out(order)

        # What was made outside pays a part of what came back.
        assert figures(order) == (300, 200, 1_500)
        assert sorted(order.refunds.values_list("amount_minor", "status")) == [(200, "refused"), (300, "done")]
        assert not GatewayEvent.objects.filter(handled_at=None).exists()

    def test_what_was_carried_out_says_what_came_of_it(self, order: Order) -> None:
        for one in self.told():
            gateway_events.receive(one, EventSource.WEBHOOK)
        assert self.carry_out(order)
        assert GatewayEvent.objects.filter(outcome__contains="changes booked").exists()

    def test_an_event_that_comes_while_the_gateway_is_read_is_left_for_the_next_look(
        self, order: Order, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second, *_ = self.told()
        gateway_events.receive(first, EventSource.WEBHOOK)
        real = gateway.refunds_of

        def meanwhile(reference: str) -> Any:
            gateway_events.receive(second, EventSource.WEBHOOK)
            return real(reference)

        monkeypatch.setattr(gateway, "refunds_of", meanwhile)
        self.carry_out(order)
        assert list(GatewayEvent.objects.filter(handled_at=None).values_list("id", flat=True)) == [second.id]

    def test_an_order_that_is_being_charged_is_woken_and_nothing_is_booked(self, partners: Http) -> None:
        order = make_prepared_order(payment_method="pm_card_authenticationRequired")
        payments.charge(str(order.pk), actor=TEST_ACTOR)
        reference = payment(order).gateway_reference
        gateway_events.receive(
            partner.Told(
                id="evt_9",
                type="payment_intent.succeeded",
                payment=reference,
                object_id=reference,
                created_at=timezone.now(),
            ),
            EventSource.WEBHOOK,
        )

        assert self.carry_out(order)

        assert payment(order).captured_minor == 0
        told = OutboxMessage.objects.get(topic=Topic.TELL_ORDER)
        assert told.aggregate == f"order:{order.pk}"
        assert told.body == {"command_id": "evt_9", "order_id": str(order.pk), "kind": "gateway_event"}

    def test_an_event_about_no_payment_of_ours_needs_nobody(self, partners: Http) -> None:
        post(event())
        assert gateway_events.carry_out("pi_1", actor=TEST_ACTOR)
        assert GatewayEvent.objects.get().outcome == "No order of ours has this payment."

    def test_a_gateway_that_is_away_leaves_the_event_to_the_next_attempt(self, order: Order, partners: Http) -> None:
        gateway_events.receive(self.told()[0], EventSource.WEBHOOK)
        partners.fault(partner="payments", mode="error_before")
        with pytest.raises(Exception, match="answered 500"):
            self.carry_out(order)
        assert GatewayEvent.objects.filter(handled_at=None).count() == 1

    def test_all_agree_in_the_end(self, order: Order, partners: Http) -> None:
        for one in self.told():
            gateway_events.receive(one, EventSource.WEBHOOK)
        self.carry_out(order)
        assert_all_agree(order, partners)


# --- What needs no look -----------------------------------------------------------------------------------------------
def told_of(reference: str, kind: str) -> bool:
    """Whether an event of that type has the payment looked at."""
    about = {"id": reference, "object": "payment_intent"}
    assert post(event("evt_1", kind, data={"object": about})).status_code == 200
    return OutboxMessage.objects.filter(topic=Topic.GATEWAY_EVENT).exists()


def test_an_order_that_simply_pays_is_not_looked_at_for_what_it_knows(partners: Http) -> None:
    order = make_prepared_order()
    payments.charge(str(order.pk), actor=TEST_ACTOR)

    assert not told_of(payment(order).gateway_reference, "payment_intent.succeeded")

    assert GatewayEvent.objects.get().outcome == "The order knows it from the gateway's own answers."


@pytest.mark.parametrize("kind", ["payment_intent.succeeded", "payment_intent.payment_failed"])
def test_a_payment_that_waits_is_looked_at(partners: Http, kind: str) -> None:
    order = make_prepared_order(payment_method="pm_card_authenticationRequired")
    payments.charge(str(order.pk), actor=TEST_ACTOR)

    assert told_of(payment(order).gateway_reference, kind)


def test_money_of_an_order_that_has_ended_is_looked_at(partners: Http) -> None:
    order = make_prepared_order(payment_method="pm_card_authenticationRequired")
    payments.charge(str(order.pk), actor=TEST_ACTOR)
    Payment.objects.filter(order=order).update(waits_for="", waiting_since=None, status="voided")
    Order.objects.filter(pk=order.pk).update(status="cancelled", closed_at=timezone.now())

    assert told_of(payment(order).gateway_reference, "payment_intent.succeeded")


def test_a_dispute_of_an_order_that_simply_paid_is_looked_at(partners: Http) -> None:
    order = make_prepared_order()
    payments.charge(str(order.pk), actor=TEST_ACTOR)
    about = {"id": "du_1", "object": "dispute", "payment_intent": payment(order).gateway_reference}

    post(event("evt_d", "charge.dispute.created", data={"object": about}))

    assert OutboxMessage.objects.filter(topic=Topic.GATEWAY_EVENT).exists()
