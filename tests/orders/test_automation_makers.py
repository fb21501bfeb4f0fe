"""What a playbook asks for belongs to everybody who made it happen, and none of them is the second person."""

from __future__ import annotations

from typing import Any

import pytest

from orders.actor import Actor
from orders.errors import NotPermitted, WrongState
from orders.models import (
    Approval,
    AutomationChange,
    Order,
    OrderEvent,
    PartnerEndpoint,
    PlaybookRun,
    PlaybookSchedule,
    PlaybookTrigger,
    Refund,
)
from orders.services import approvals, deciding, returning
from orders.services.playbooks import following, naming, publishing, running, setting, triggering
from orders.services.returning import Announced
from orders.vocabulary import ApprovalStatus, AutomationKind, EventType
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
from tests.orders.playbooks import chief, document, note

pytestmark = pytest.mark.django_db
URL, OTHER_URL = "https://1.1.1.1/hook", "https://9.9.9.9/hook"
REFUND: dict[str, Any] = {
    "type": "activity",
    "id": "give",
    "activity": "refund_order",
    "parameters": {"amount_minor": "=order.total_minor", "reason": "Full refund"},
}
CALL: dict[str, Any] = {
    "type": "activity",
    "id": "call",
    "activity": "call_partner",
    "parameters": {"endpoint": "warehouse", "text": "hello"},
}


def decided_by(actor: Actor, approval: object) -> Approval:
    assert isinstance(approval, Approval)
    return deciding.approve(approval.pk, actor=actor)


def publish(*steps: dict[str, Any], by: str = "lead1", second: str = "lead2") -> None:
    version = publishing.save("refund_all", document(*steps), actor=chief("author"))
    approval = publishing.publish("refund_all", version.number, actor=chief(by), reason="Needed")
    decided_by(chief(second), approval)


@pytest.fixture
def order(settings: Any) -> Order:
    """Completed, as far as a refund asks, and over the limit of one person."""
    settings.REFUND_SECOND_PERSON_OVER_MINOR = 100
    return driving.drive(make_order())


def run_of(order: Order) -> PlaybookRun:
    """The run that an event begins on the order, with its first step done."""
    event = OrderEvent.objects.filter(order=order, type=EventType.RETURN_ANNOUNCED).latest("sequence")
    assert triggering.fire(event.pk) == 1
    return PlaybookRun.objects.get(order=order)


def announce(order: Order, by: str) -> None:
    returning.announce(order.number, lines=[Announced(position=1, quantity=1)], actor=chief(by), reason="Broken")


def asked_by_trigger(
    order: Order, *, set_by: str = "setter", second: str = "second", caused_by: str = "agent"
) -> Approval:
    decided_by(chief(second), setting.set_trigger("refund_all", EventType.RETURN_ANNOUNCED, actor=chief(set_by)))
    announce(order, "agent")
    following.execute(str(run_of(order).pk), "steps.0", actor=TEST_ACTOR)
    return Approval.objects.get(command="refund")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("lead2", "approved refund_all v1"),
        ("author", "wrote refund_all v1"),
        ("setter", "set what starts refund_all on order.return_announced"),
        ("second", "approved what starts refund_all on order.return_announced"),
        ("agent", "caused the event that started the playbook"),
    ],
)
def test_nobody_who_made_a_refund_happen_approves_it(order: Order, name: str, part: str) -> None:
    publish(REFUND)
    approval = asked_by_trigger(order)
    assert approval.requested_by.get_username() == "lead1"

    with pytest.raises(NotPermitted, match=f"You {part}, so this happens by your doing too"):
        decided_by(chief(name), approval)
    assert not Refund.objects.exists()

    decided_by(chief("uninvolved"), approval)
    assert Refund.objects.get().amount_minor == order.total_minor


def test_a_maker_who_decided_behind_the_service_is_found_before_the_work_is_done(order: Order) -> None:
    publish(REFUND)
    approval = asked_by_trigger(order)
    approval.decided_by = chief("setter").user  # type: ignore[assignment]
    with pytest.raises(NotPermitted, match="no second person"):
        approvals.confirm(approval)


def test_whoever_set_what_stands_stays_answerable_when_others_switch_it_off_and_on(order: Order) -> None:
    publish(REFUND)
    decided_by(chief("a2"), setting.set_trigger("refund_all", EventType.RETURN_ANNOUNCED, actor=chief("a1")))
    setting.set_trigger("refund_all", EventType.RETURN_ANNOUNCED, enabled=False, actor=chief("b1"))
    approval = asked_by_trigger(order, set_by="c1", second="c2")
    makers = {maker.user.get_username() for maker in approval.makers.select_related("user")}
    assert {"a1", "a2", "c1", "c2"} <= makers
    assert "b1" not in makers


def test_who_answered_the_question_of_a_run_does_not_approve_what_it_asks_for(order: Order) -> None:
    ask = {"type": "ask", "id": "q", "question": "All?", "options": ["yes", "no"], "default": "no"}
    publish(ask, REFUND)
    run = running.start(order.number, "refund_all", actor=chief("starter"), reason="Asked")
    following.settle(str(run.pk), "steps.0", actor=TEST_ACTOR)
    running.answer(run.pk, "steps.0", option="yes", actor=chief("answerer"))
    following.execute(str(run.pk), "steps.1", actor=TEST_ACTOR)
    approval = Approval.objects.get(command="refund")
    with pytest.raises(NotPermitted, match="You answered or drove the run"):
        decided_by(chief("answerer"), approval)


def test_who_changed_the_endpoint_of_a_run_does_not_approve_what_it_asks_for(order: Order) -> None:
    naming.name_endpoint("warehouse", url=URL, enabled=True, is_new=True, actor=chief("namer"))
    publish(CALL, REFUND)
    run = running.start(order.number, "refund_all", actor=chief("starter"), reason="Asked")
    changed = naming.name_endpoint("warehouse", url=OTHER_URL, enabled=True, is_new=False, actor=chief("changer"))
    decided_by(chief("other"), changed)
    following.execute(str(run.pk), "steps.1", actor=TEST_ACTOR)
    approval = Approval.objects.get(command="refund")
    for name in ("namer", "changer", "other"):
        with pytest.raises(NotPermitted, match="the endpoint warehouse"):
            decided_by(chief(name), approval)


class TestTwoPeopleSetWhatGivesMoney:
    def test_a_trigger_waits_and_each_change_is_a_row_with_the_old_and_the_new_value(self) -> None:
        publish(REFUND)
        first = setting.set_trigger("refund_all", EventType.HELD, actor=chief("setter"))
        assert isinstance(first, Approval)
        assert not PlaybookTrigger.objects.exists()
        decided_by(chief("second"), first)
        changed = setting.set_trigger("refund_all", EventType.HELD, condition="order.is_guest", actor=chief("setter"))
        with pytest.raises(WrongState, match="waits for a second person"):
            setting.set_trigger("refund_all", EventType.HELD, condition="order.total_minor > 5", actor=chief("lead1"))
        assert PlaybookTrigger.objects.get().condition == "true"
        decided_by(chief("third"), changed)
        setting.set_trigger(
            "refund_all", EventType.HELD, condition="order.is_guest", enabled=False, actor=chief("lead1")
        )

        kept = AutomationChange.objects.filter(kind=AutomationKind.TRIGGER).order_by("id")
        old, new = {"condition": "true", "enabled": True}, {"condition": "order.is_guest", "enabled": True}
        assert [(one.before, one.after, one.actor) for one in kept] == [
            ({}, old, "setter"),
            (old, new, "setter"),
            (new, {**new, "enabled": False}, "lead1"),
        ]
        assert [str(one.approval.decided_by) if one.approval else None for one in kept] == ["second", "third", None]

    def test_a_schedule_waits_too_and_switching_off_does_not(self) -> None:
        publish(REFUND)
        asked = setting.set_schedule("refund_all", every_hours=2, condition="true", actor=chief("setter"))
        decided_by(chief("second"), asked)
        assert PlaybookSchedule.objects.get().every_hours == 2
        off = setting.set_schedule("refund_all", every_hours=2, condition="true", enabled=False, actor=chief("setter"))
        assert isinstance(off, PlaybookSchedule)

    def test_a_request_in_view_of_what_has_changed_since_is_void(self) -> None:
        publish(REFUND)
        decided_by(chief("second"), setting.set_trigger("refund_all", EventType.HELD, actor=chief("setter")))
        asked = setting.set_trigger("refund_all", EventType.HELD, condition="order.is_guest", actor=chief("setter"))
        assert isinstance(asked, Approval)
        setting.set_trigger("refund_all", EventType.HELD, enabled=False, actor=chief("lead1"))
        with pytest.raises(WrongState, match="changed since"):
            decided_by(chief("second"), asked)
        assert Approval.objects.get(pk=asked.pk).status == ApprovalStatus.VOID

    def test_what_was_set_alone_is_shown_to_whoever_approves_the_version_that_gives_money(self) -> None:
        publish(note("a"))
        assert isinstance(setting.set_trigger("refund_all", EventType.HELD, actor=chief("setter")), PlaybookTrigger)
        version = publishing.save("refund_all", document(REFUND), actor=chief("author"))
        asked = publishing.publish("refund_all", version.number, actor=chief("lead1"), reason="Needed")
        assert "It starts by itself at order.held if true." in asked.says
        setting.set_trigger("refund_all", EventType.HELD, condition="order.is_guest", actor=chief("setter"))
        with pytest.raises(WrongState, match="changed since"):
            decided_by(chief("lead2"), asked)

    def test_an_endpoint_waits_once_a_playbook_that_gives_money_calls_it(self) -> None:
        named = naming.name_endpoint("warehouse", url=URL, enabled=True, is_new=True, actor=chief("namer"))
        assert isinstance(named, PartnerEndpoint)
        publish(CALL, REFUND)
        asked = naming.name_endpoint("warehouse", url=OTHER_URL, enabled=True, is_new=False, actor=chief("namer"))
        assert isinstance(asked, Approval)
        assert PartnerEndpoint.objects.get().url == URL
        decided_by(chief("second"), asked)
        assert PartnerEndpoint.objects.get().url == OTHER_URL
        off = naming.name_endpoint("warehouse", url=OTHER_URL, enabled=False, is_new=False, actor=chief("namer"))
        assert isinstance(off, PartnerEndpoint)
        kept = AutomationChange.objects.filter(kind=AutomationKind.ENDPOINT).order_by("id")
        assert [(one.before.get("url"), one.after["url"]) for one in kept] == [
            (None, URL),
            (URL, OTHER_URL),
            (OTHER_URL, OTHER_URL),
        ]
