"""Every early end of an order reaches whoever can act on it: the customer, staff, or whoever runs the system."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from orders.actor import person
from orders.errors import InvalidInput, NotPermitted, ShipmentRefused, WrongState
from orders.models import Command, Notice, Order, ReviewCase, StaffTask, SystemEvent
from orders.services import placing, reviewing, system_events
from orders.vocabulary import (
    CLASS_OF_FAILURE,
    Channel,
    FailureClass,
    FailureType,
    TaskKind,
    TaskLevel,
    TaskStatus,
)
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, order_body, token_client
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db


def ended(failure: FailureType, message: str = "It was no good") -> Order:
    return driving.undo(driving.adopt(make_order()), failure, message)


def told(order: Order) -> set[str]:
    """Which of the three heard of it."""
    found = {
        FailureClass.VALIDATION: Notice.objects.filter(order=order),
        FailureClass.BUSINESS: StaffTask.objects.filter(order=order, kind=TaskKind.ESCALATION),
        FailureClass.SYSTEM: SystemEvent.objects.filter(order=order),
    }
    return {kind for kind, rows in found.items() if rows.exists()}


@pytest.mark.parametrize("failure", list(FailureType))
def test_each_failure_reaches_exactly_those_who_can_act(failure: FailureType) -> None:
    wanted = {CLASS_OF_FAILURE[failure]} if failure in CLASS_OF_FAILURE else set()
    assert told(ended(failure)) == wanted


def test_a_shipment_that_the_carrier_refuses_is_a_task_for_staff_to_take_and_resolve() -> None:
    order = driving.drive(make_order(), carrier=ShipmentRefused("The carrier refused: too heavy"))
    assert (order.failure_type, told(order)) == (FailureType.SHIPMENT_REFUSED, {FailureClass.BUSINESS})
    task = StaffTask.objects.get(order=order)
    assert (task.level, task.status) == (TaskLevel.AGENT, TaskStatus.OPEN)
    assert "too heavy" in task.says
    client = token_client(user=make_user("orders.work_task", "orders.view_stafftask", name="anna"))
    client.post(f"/api/tasks/{task.pk}/acknowledge/", {}, content_type="application/json")
    client.post(f"/api/tasks/{task.pk}/resolve/", {"note": "Asked them"}, content_type="application/json")
    task.refresh_from_db()
    assert (task.status, str(task.owner)) == (TaskStatus.DONE, "anna")


def test_the_third_decline_of_a_customer_within_a_week_is_looked_into() -> None:
    orders = [make_order() for _ in range(3)]
    Order.objects.filter(pk__in=[order.pk for order in orders]).update(customer=orders[0].customer_id)
    tasks = []
    for order in orders:
        driving.drive(Order.objects.get(pk=order.pk), gateway=driving.decline())
        tasks.append(StaffTask.objects.filter(kind=TaskKind.ESCALATION).count())
    assert tasks == [0, 0, 1]


@pytest.mark.parametrize("decided", ["by a person", "by nobody in time"])
def test_a_rejection_that_nobody_gave_is_looked_into_by_the_lead(decided: str) -> None:
    order = driving.make_order_in_review()
    if decided == "by a person":
        chief = person(make_user("orders.decide_review", name="anna"), Channel.ADMIN)
        reviewing.reject(order.number, actor=chief, reason="Misuse")
    else:
        for _ in range(2):  # the deadline, then that of the lead
            ReviewCase.objects.filter(order=order).update(deadline_at=timezone.now() - timedelta(seconds=1))
            try:
                reviewing.settle(str(order.pk), actor=driving.engine(order))
            except Exception as rejected:
                assert getattr(rejected, "failure_type", "") == FailureType.REVIEW_REJECTED  # noqa: PT017
    driving.undo(order, FailureType.REVIEW_REJECTED, "Rejected in review")
    levels = list(StaffTask.objects.filter(order=order).values_list("level", flat=True))
    assert levels == ([] if decided == "by a person" else [TaskLevel.LEAD])


def test_an_end_by_the_system_is_an_event_with_request_workflow_run_and_root_cause() -> None:
    client = token_client("place_order", "start_order", "view_order")
    number = client.post(
        "/api/orders/",
        order_body(),
        content_type="application/json",
        headers={"Idempotency-Key": "k", "X-Request-Id": "shop-4711"},
    ).json()["number"]
    order = driving.drive(Order.objects.get(number=number), gateway=driving.outage())

    driving.undo(order, FailureType.OUTCOME_UNKNOWN, "activity ScheduleToClose timeout")

    event = SystemEvent.objects.get(order=order)
    assert event.request_id == "shop-4711" == Command.objects.get(order=order).request_id
    assert (event.workflow_id, event.run_id) == (f"order:{order.pk}", order.process_run_id)
    assert (event.activity, event.attempt, event.error_type) == ("charge", 1, "outcome_unknown")
    assert "ScheduleToClose" in event.message
    assert "The payment gateway answered 503" in event.message


def test_an_order_of_a_feed_has_no_request_and_says_so() -> None:
    order = make_order()
    placing.start(order.number, actor=TEST_ACTOR)
    assert Command.objects.get(order=order).request_id == ""


def remember(**changes: object) -> SystemEvent:
    system_events.remember(**{"error_type": "unexpected", "message": "KeyError", "workflow_id": "order:1", **changes})  # type: ignore[arg-type]
    return SystemEvent.objects.latest("last_at")


def test_the_same_trouble_is_counted_until_somebody_has_seen_it() -> None:
    remember(attempt=1)
    event = remember(attempt=2)
    assert (SystemEvent.objects.count(), event.times, event.attempt) == (1, 2, 2)
    anna = person(make_user("orders.acknowledge_systemevent", name="anna"), Channel.ADMIN)
    system_events.acknowledge(event.pk, note="Mended", actor=anna)
    with pytest.raises(WrongState, match="anna saw this at"):
        system_events.acknowledge(event.pk, actor=anna)
    remember()
    assert SystemEvent.objects.count() == 2


def test_an_event_that_cannot_be_written_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(system_events, "_write", away)
    system_events.remember("unexpected", "KeyError", workflow_id="order:1")
    assert not SystemEvent.objects.exists()


def test_a_program_or_a_long_note_acknowledges_nothing() -> None:
    event = remember()
    with pytest.raises(NotPermitted):
        system_events.acknowledge(event.pk, actor=TEST_ACTOR)
    anna = person(make_user("orders.acknowledge_systemevent", name="anna"), Channel.ADMIN)
    with pytest.raises(InvalidInput):
        system_events.acknowledge(event.pk, note="x" * 501, actor=anna)


def test_the_list_and_the_call_show_and_acknowledge_an_event(client: Client) -> None:
    event, other = remember(), remember(workflow_id="order:2")
    anna = make_user("orders.acknowledge_systemevent", "orders.view_systemevent", name="anna")
    program = token_client(user=anna)
    listed = program.get("/api/system-events/").json()["results"]
    assert {row["workflow_id"] for row in listed} == {"order:1", "order:2"}
    address = f"/api/system-events/{event.pk}/acknowledge/"
    done = program.post(address, {"note": "Mended"}, content_type="application/json")
    assert (done.status_code, done.json()["acknowledged_by"], done.json()["note"]) == (200, "anna", "Mended")
    assert_problem(program.post(address, {}, content_type="application/json"), 409, None, "anna saw this")
    unknown = f"/api/system-events/{'0' * 8}-0000-4000-8000-{'0' * 12}/acknowledge/"
    assert program.post(unknown, {}, content_type="application/json").status_code == 404
    client.force_login(anna)
    assert "order:2" in client.get("/admin/orders/systemevent/?seen=no").content.decode()
    client.post(f"/admin/orders/systemevent/{other.pk}/acknowledge/", {"_form_submitted": "on", "note": ""})
    assert program.get("/api/system-events/").json()["results"] == []


def test_the_root_cause_is_on_the_page_and_in_the_history(client: Client) -> None:
    order = ended(FailureType.OUTCOME_UNKNOWN, "activity ScheduleToClose timeout; the last attempt: answered 503")
    user = make_user("orders.view_order", name="anna")
    client.force_login(user)
    assert "the last attempt: answered 503" in client.get(f"/orders/{order.number}/").content.decode()
    events = token_client(user=user).get(f"/api/orders/{order.number}/history/").json()["results"]
    assert "the last attempt: answered 503" in events[-1]["reason"]


def test_the_strip_of_steps_shows_the_fraud_check_and_its_review(client: Client) -> None:
    client.force_login(make_user("orders.view_order", name="anna"))

    def mark(order: Order) -> str:
        page = client.get(f"/orders/{order.number}/").content.decode()
        return page.split("<b>Fraud / Review</b> <span>")[1].split("<")[0]

    order = driving.make_order_in_review()
    assert mark(order) == "In review"
    reviewing.reject(
        order.number, actor=person(make_user("orders.decide_review", name="ben"), Channel.ADMIN), reason="X"
    )
    assert mark(order) == "Rejected"
    assert mark(make_order()) == "To come"
    assert mark(driving.drive(make_order())) == "Done"
    old = driving.make_order_that_was_charged_without_a_check()
    assert mark(old) == "Not made"
