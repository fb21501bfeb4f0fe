"""Playbooks that start by themselves: one event, one run; a condition that is asked; a circle that is broken."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from orders.actor import person
from orders.errors import InvalidInput, NotPermitted
from orders.models import OrderEvent, OutboxMessage, PlaybookRun, PlaybookSchedule, PlaybookTrigger
from orders.services import holding
from orders.services.playbooks import setting, triggering
from orders.vocabulary import Channel, EventType, Topic
from tests.factories import TEST_ACTOR, make_order
from tests.orders.playbooks import chief, note, published
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db


def messages() -> list[int]:
    found = OutboxMessage.objects.filter(topic=Topic.FIRE_TRIGGERS)
    return [body["event_id"] for body in found.values_list("body", flat=True)]


def test_an_event_that_starts_a_playbook_publishes_a_message_and_others_do_not() -> None:
    published(note("a"))
    setting.set_trigger("test", EventType.HELD, actor=chief())
    order = make_order()
    assert messages() == []
    holding.hold(order.number, actor=TEST_ACTOR, reason="wait")
    held = OrderEvent.objects.get(order=order, type=EventType.HELD)
    assert messages() == [held.pk]


def test_an_event_starts_one_run_however_often_it_is_told_and_for_whoever_published() -> None:
    version = published(note("a"))
    setting.set_trigger("test", EventType.HELD, condition="order.total_minor > 1000", actor=chief())
    order = make_order()
    holding.hold(order.number, actor=TEST_ACTOR, reason="wait")
    event = OrderEvent.objects.get(order=order, type=EventType.HELD)
    assert [triggering.fire(event.pk), triggering.fire(event.pk)] == [1, 0]
    run = PlaybookRun.objects.get()
    assert (run.trigger, run.started_by, run.version) == ("event", version.published_by, version)


def test_an_order_that_does_not_meet_the_condition_starts_nothing() -> None:
    published(note("a"))
    setting.set_trigger("test", EventType.PLACED, condition="order.is_guest", actor=chief())
    order = make_order()
    assert triggering.fire(order.events.get().pk) == 0
    setting.set_trigger("test", EventType.PLACED, enabled=False, actor=chief())
    make_order(guest=True)
    assert len(messages()) == 1


def test_a_playbook_that_cannot_start_says_why_and_fails_nothing() -> None:
    published(note("a"), inputs=[{"name": "needed"}])
    setting.set_trigger("test", EventType.PLACED, actor=chief())
    assert triggering.fire(make_order().events.get().pk) == 0
    assert "It is needed" in PlaybookTrigger.objects.get().last_problem


def test_events_start_no_more_than_so_many_runs_on_an_order_in_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    published(note("a"))
    setting.set_trigger("test", EventType.PLACED, actor=chief())
    monkeypatch.setattr(triggering, "MOST_PER_ORDER", 0)
    assert triggering.fire(make_order().events.get().pk) == 0
    assert "no more are started" in PlaybookTrigger.objects.get().last_problem


@pytest.mark.parametrize(
    ("event", "condition", "field"),
    [
        ("order.nix", "true", "event"),
        (EventType.PLAYBOOK_ENDED, "true", "event"),
        (EventType.PLACED, "order.nix", "condition"),
        (EventType.PLACED, "results.a.done", "condition"),
    ],
)
def test_a_trigger_that_could_not_work_is_refused(event: str, condition: str, field: str) -> None:
    published(note("a"))
    with pytest.raises(InvalidInput) as caught:
        setting.set_trigger("test", event, condition=condition, actor=chief())
    assert caught.value.field == field
    with pytest.raises(NotPermitted):
        setting.set_trigger("test", EventType.PLACED, actor=person(make_user(name="nobody"), Channel.ADMIN))
    assert not PlaybookTrigger.objects.exists()


def test_a_schedule_starts_each_order_once_a_round_and_a_missed_round_once() -> None:
    published(note("a"))
    orders = [make_order(), make_order(guest=True)]
    setting.set_schedule("test", every_hours=2, condition="order.is_guest", actor=chief())
    assert triggering.start_due() == 0
    PlaybookSchedule.objects.update(next_at=timezone.now() - timedelta(days=3, minutes=30))
    assert [triggering.start_due(), triggering.start_due()] == [1, 0]
    assert PlaybookRun.objects.get().order == orders[1]
    left = PlaybookSchedule.objects.get().next_at - timezone.now()
    assert timedelta(minutes=80) < left < timedelta(minutes=91), "the rhythm of two hours goes on"


def due_schedule() -> None:
    """The only schedule is due, for every order."""
    setting.set_schedule("test", every_hours=2, condition="true", actor=chief())
    PlaybookSchedule.objects.update(next_at=timezone.now() - timedelta(minutes=1))


def test_a_round_goes_on_through_all_its_pages_and_says_when_it_looked_at_a_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(triggering, "MOST_LOOKED_AT", 2)
    published(note("a"))
    orders = [make_order() for _ in range(5)]
    due_schedule()

    assert triggering.start_due() == 2

    schedule = PlaybookSchedule.objects.get()
    assert schedule.last_problem.startswith(f"Looked at the orders up to {orders[1].number} only")
    assert schedule.next_at < timezone.now(), "the round is not over"
    assert [triggering.start_due(), triggering.start_due(), triggering.start_due()] == [2, 1, 0]
    assert set(PlaybookRun.objects.values_list("order_id", flat=True)) == {order.pk for order in orders}
    schedule.refresh_from_db()
    assert (schedule.last_started, schedule.last_problem, schedule.cursor) == (5, "", "")
    assert schedule.next_at > timezone.now()


def test_the_round_after_one_that_started_as_many_as_it_may_goes_on_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggering, "MOST_STARTED", 3)
    monkeypatch.setattr(triggering, "MOST_LOOKED_AT", 2)
    published(note("a"))
    orders = [make_order() for _ in range(5)]
    due_schedule()
    assert [triggering.start_due() for _ in range(3)] == [2, 1, 0]
    schedule = PlaybookSchedule.objects.get()
    assert (
        schedule.last_problem
        == f"Only 3 runs are started in one round. The next one goes on behind {orders[2].number}."
    )
    PlaybookSchedule.objects.update(
        next_at=timezone.now() - timedelta(minutes=1), last_fired_at=timezone.now() - timedelta(hours=2)
    )
    assert [triggering.start_due() for _ in range(3)] == [2, 0, 0]
    assert PlaybookRun.objects.filter(order__in=orders).count() == 5
    assert PlaybookSchedule.objects.get().last_started == 2
