"""The gateway's own list makes up for events that nobody brought."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from orders.errors import RequestRefused
from orders.models import GatewayEvent, OutboxMessage, PartnerHealth, SweepProgress
from orders.partners import gateway_events as partner
from orders.services import gateway_events
from orders.services.sweeping import events
from orders.vocabulary import EventSource, SweepPart, Topic
from tests.factories import TEST_ACTOR
from tests.orders.gateway_books import (
    ask,
    assert_all_agree,
    figures,
    later,
    outside,
    paid_order,
    payment,
    send,
    settle,
)
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db


def progress() -> SweepProgress:
    return SweepProgress.objects.get(part=SweepPart.EVENTS)


def told_again() -> list[str]:
    """The payments that are to be looked at, since the last question."""
    messages = OutboxMessage.objects.filter(topic=Topic.GATEWAY_EVENT)
    found = [message.body["payment"] for message in messages]
    messages.update(delivered_at=timezone.now(), topic=Topic.TELL_PROCESS)
    return found


def test_what_no_event_told_is_read_from_the_list_and_booked(partners: Http) -> None:
    order = paid_order()
    outside(order, 400)

    events.sweep()

    assert set(GatewayEvent.objects.values_list("source", flat=True)) == {EventSource.POLL}
    assert set(told_again()) == {payment(order).gateway_reference}
    gateway_events.carry_out(payment(order).gateway_reference, actor=TEST_ACTOR)
    assert figures(order) == (400, 0, 1_600)
    assert_all_agree(order, partners)


def test_the_next_look_overlaps_and_passes_over_what_is_known(partners: Http) -> None:
    order = paid_order()
    events.sweep()
    known = GatewayEvent.objects.count()
    assert known
    told_again()

    events.sweep()

    assert GatewayEvent.objects.count() == known
    assert progress().looked_at == known, "they were listed again"
    assert told_again() == []
    outside(order, 400)
    events.sweep()
    assert GatewayEvent.objects.count() > known


def test_an_event_that_was_brought_is_not_stored_twice(partners: Http) -> None:
    order = paid_order()
    page = next(iter(partner.events_between(timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=1))))
    gateway_events.receive(page[0], EventSource.WEBHOOK)
    events.sweep()
    assert GatewayEvent.objects.get(pk=page[0].id).source == EventSource.WEBHOOK
    assert payment(order).gateway_reference


def test_a_long_absence_is_made_up_for_in_steps(partners: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, Any]] = []
    SweepProgress.objects.create(part=SweepPart.EVENTS, cursor=(timezone.now() - timedelta(days=3)).isoformat())
    monkeypatch.setattr(partner, "events_between", lambda since, until: asked.append((since, until)) or iter(()))
    events.sweep()
    events.sweep()
    (first, reached), (second, _) = asked
    assert reached - first == events.OVERLAP + events.LONGEST_LOOK
    assert second == reached - events.OVERLAP


def test_a_gateway_that_does_not_answer_is_asked_the_same_again(partners: Http) -> None:
    events.sweep()
    cursor = progress().cursor
    partners.fault(partner="payments", operation="events.list", mode="error_before", times=1)
    events.sweep()
    assert (progress().cursor, "answered 500" in progress().skipped) == (cursor, True)


def test_a_gateway_that_is_out_of_order_is_not_asked(partners: Http) -> None:
    PartnerHealth.objects.update_or_create(partner="payments", defaults={"state": "held", "opened_at": timezone.now()})
    events.sweep()
    assert progress().skipped == "The payment gateway is not called now"


class TestWithoutEvents:
    """A gateway that has no list, or whose list is empty: what is open is asked for all the same."""

    @pytest.fixture(autouse=True)
    def no_list(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(since: Any, until: Any) -> Any:
            raise RequestRefused("The payment gateway refuses our request: invalid_request.")

        monkeypatch.setattr(partner, "events_between", refuse)

    def test_a_payment_with_an_open_dispute_is_looked_at_once_in_a_round(self, partners: Http) -> None:
        order = paid_order("pm_card_createDispute")
        later(partners)
        settle(order)
        events.sweep()
        assert told_again() == [payment(order).gateway_reference]
        assert "cannot be read" in progress().skipped
        events.sweep()
        assert told_again() == [], "not in every sweep"
        SweepProgress.objects.update(closed_cursor=(timezone.now() - events.ROUND).isoformat())
        events.sweep()
        assert told_again() == [payment(order).gateway_reference]

    def test_a_refund_on_its_way_is_looked_at_and_an_ordinary_payment_is_not(self, partners: Http) -> None:
        paid_order()
        order = paid_order("pm_card_pendingRefund")
        send(ask(order))
        events.sweep()
        assert told_again() == [payment(order).gateway_reference]

    def test_an_event_that_was_not_carried_out_is_looked_at_again(self, partners: Http) -> None:
        order = paid_order()
        GatewayEvent.objects.create(
            id="evt_1",
            type="refund.updated",
            payment_reference=payment(order).gateway_reference,
            source=EventSource.WEBHOOK,
            created_at=timezone.now(),
            received_at=timezone.now() - timedelta(hours=1),
        )
        events.sweep()
        assert told_again() == [payment(order).gateway_reference]

    def test_many_open_payments_are_looked_at_in_turn(self, partners: Http, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "PAGE", 1)
        orders = [paid_order("pm_card_pendingRefund") for _ in range(2)]
        for order in orders:
            send(ask(order))
        looked = []
        for _ in range(3):
            events.sweep()
            looked += told_again()
        assert looked == [payment(order).gateway_reference for order in orders]
