"""What stands still for one cause is one incident for staff: counted, decided for at once, closed by itself."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from orders.actor import Actor, person, system
from orders.errors import InvalidInput, RequestRefused, WrongState
from orders.models import Command, Incident, Order, StaffTask, SystemEvent
from orders.selectors import incidents as selectors
from orders.services import incident_decisions, incidents, payments, resolving, system_events
from orders.services.sweeping import deadlines
from orders.vocabulary import Channel, CommandKind, IncidentDecision, OrderStatus, TaskKind, TaskStatus
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving
from tests.orders.api_calls import token_client
from tests.orders.staff import make_user, signed_in
from tests.orders.test_sweep_deadlines import late

pytestmark = pytest.mark.django_db
SWEEPER = system("sweeper")
FAILS = "InternalError, caused by RaiseException at orders/services/process.py:70"


@pytest.fixture(autouse=True)
def after_commit(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Iterator[None]:
    """The sweep does the same half a minute later."""
    with django_capture_on_commit_callbacks(execute=True):
        yield


def failing_in_the_database(times: int = 1, *, cause: str = FAILS) -> list[Order]:
    """Orders whose `prepare` the database fails, as `temporal_app.errors` writes it down at the third attempt."""
    orders = [make_order() for _ in range(times)]
    for order in orders:
        system_events.remember(
            "database",
            cause,
            workflow_id=f"order:{order.pk}",
            activity="prepare_order",
            attempt=3,
            order_id=str(order.pk),
            cause=f"prepare_order: {cause}",
        )
    incidents.settle_all()
    return orders


def parked(says: str = "The payment gateway refuses our request: amount_too_small") -> Order:
    order = make_prepared_order()
    with driving.partners(gateway=RequestRefused(says)), pytest.raises(RequestRefused):
        payments.charge(str(order.pk), actor=TEST_ACTOR)
    incidents.settle_all()
    return order


def lead() -> Actor:
    names = ("work_task", "work_lead_task", "decide_incident", "drive_step", "acknowledge_systemevent")
    return person(make_user(*(f"orders.{name}" for name in names), name="lea"), Channel.ADMIN)


def open_incident() -> Incident:
    return selectors.still_open().get()


def listed(path: str) -> list[dict[str, object]]:
    names = ("view_stafftask", "view_incident", "view_order")
    answer = token_client(*names).get(path)
    assert answer.status_code == 200, answer.content
    rows: list[dict[str, object]] = json.loads(answer.content)["results"]
    return rows


def landing(client: Client) -> str:
    return client.get("/admin/").content.decode()


def test_a_hundred_and_twenty_orders_that_fail_for_one_cause_are_one_incident(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    orders = failing_in_the_database(120)
    [incident] = listed("/api/incidents/")
    assert (incident["count"], incident["most"]) == (120, 120)
    assert incident["totals"] == {"GBP": sum(order.total_minor for order in orders)}
    assert "mend" in str(incident["waits_for"]).lower()
    [task] = listed("/api/tasks/")
    assert (task["kind"], task["level"]) == ("incident", "lead")
    assert StaffTask.objects.count() == 1
    client = signed_in("orders.view_order", "orders.view_stafftask", "orders.view_incident", name="vera")
    landing(client)
    with django_assert_max_num_queries(20):
        today = landing(client)
    assert "120 orders for one cause" in today
    assert f"?incident={incident['id']}" in today
    page = client.get(reverse("admin:orders_order_changelist"), {"incident": str(incident["id"])})
    assert page.context["cl"].result_count == 120


def test_one_alone_is_no_incident_and_another_cause_is_another() -> None:
    failing_in_the_database()
    failing_in_the_database(cause="IntegrityError at orders/services/process.py:71")
    assert not selectors.still_open().exists()
    failing_in_the_database()
    assert selectors.shown([open_incident()])[0].figures.count == 2


def test_a_second_sweep_says_nothing_new_and_the_count_grows_with_one_task() -> None:
    failing_in_the_database(2)
    failing_in_the_database(3)
    incidents.settle_all()
    assert open_incident().most == 5
    assert "5 orders" in StaffTask.objects.get().says


def test_it_closes_by_itself_when_the_last_order_has_gone_on_and_stays_in_the_history() -> None:
    first, second = failing_in_the_database(2)
    gone_on(first)
    incidents.settle_all()
    assert selectors.shown([open_incident()])[0].figures.count == 1
    gone_on(second)
    incidents.settle_all()
    assert not selectors.still_open().exists()
    task = StaffTask.objects.get()
    assert (task.status, task.done_by) == (TaskStatus.DONE, "incidents")
    incident = Incident.objects.get()
    assert (incident.most, bool(incident.closed_at)) == (2, True)
    assert incident.system_events.count() == 2
    failing_in_the_database(2)
    assert selectors.told().count() == 2, "the same trouble tomorrow is another incident"


def test_an_order_of_a_known_incident_is_not_overdue_besides() -> None:
    known = failing_in_the_database(2)
    for order in [*known, late(driving.drive(make_order(), gateway=driving.outage()))]:
        Order.objects.filter(pk=order.pk).update(status=OrderStatus.CHARGING)
        late(order)
        SystemEvent.objects.filter(order=order).update(last_at=timezone.now())
    assert deadlines.sweep(actor=SWEEPER) == 1
    assert not StaffTask.objects.filter(order__in=known).exists()


def test_overdue_orders_with_the_same_last_error_are_one_incident() -> None:
    for _ in range(3):
        late(driving.drive(make_order(), gateway=driving.outage()))
    assert deadlines.sweep(actor=SWEEPER) == 3
    incidents.settle_all()
    [task] = listed("/api/tasks/")
    assert (task["kind"], "3 orders" in str(task["says"])) == ("incident", True)
    assert len(listed(f"/api/tasks/?incident={open_incident().pk}")) == 3
    Order.objects.update(status_since=timezone.now())
    deadlines.sweep(actor=SWEEPER)
    incidents.settle_all()
    assert listed("/api/tasks/") == listed("/api/incidents/") == []


def test_parked_orders_are_tried_again_for_all_or_one_by_one() -> None:
    orders = [parked() for _ in range(3)]
    parked("The payment gateway refuses our request: invalid_expand")
    actor, incident = lead(), open_incident()
    one = incident_decisions.decide(
        incident.pk, IncidentDecision.RETRY, note="Mended", numbers=[orders[0].number], actor=actor
    )
    assert (one.done, one.refused) == (1, {})
    rest = incident_decisions.decide(incident.pk, IncidentDecision.RETRY, note="Mended", actor=actor)
    assert (rest.done, list(rest.refused)) == (2, [orders[0].number]), "it is told already"
    assert Command.objects.filter(kind=CommandKind.STEP_RETRY).count() == 3


def test_all_are_resolved_at_once_each_with_what_follows_from_it() -> None:
    orders = [parked() for _ in range(2)]
    incident_decisions.decide(open_incident().pk, IncidentDecision.RESOLVE, note="Talked to the bank", actor=lead())
    assert not selectors.still_open().exists()
    done = StaffTask.objects.filter(order__in=orders)
    assert {task.resolution for task in done} == {"Talked to the bank"}


def test_what_cannot_be_decided_is_refused() -> None:
    failing_in_the_database(2)
    actor, incident = lead(), open_incident()
    with pytest.raises(WrongState, match="goes on by itself"):
        incident_decisions.decide(incident.pk, IncidentDecision.RETRY, note="Now", actor=actor)
    with pytest.raises(InvalidInput, match="Not of this incident"):
        incident_decisions.decide(incident.pk, IncidentDecision.RESOLVE, note="Now", numbers=["SO-1"], actor=actor)
    with pytest.raises(WrongState, match="closes by itself"):
        resolving.resolve(StaffTask.objects.get(kind=TaskKind.INCIDENT).pk, note="Seen", actor=actor)
    incident_decisions.decide(incident.pk, IncidentDecision.RESOLVE, note="Seen", actor=actor)
    with pytest.raises(WrongState, match="was closed"):
        incident_decisions.decide(incident.pk, IncidentDecision.RESOLVE, note="Seen", actor=actor)


def test_what_joins_while_it_is_being_closed_opens_it_again() -> None:
    first, second = failing_in_the_database(2)
    gone_on(first)
    gone_on(second)
    incidents.settle_all()
    SystemEvent.objects.filter(order=second).update(over_at=None)
    incidents.settle(Incident.objects.get().pk)
    assert open_incident().closed_at is None


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("SO-100042 was refused", "… was refused"),
        ("charged 12.50 GBP of pi_3Nabc91", "charged … GBP of …"),
        ("jane.doe@example.com is no address", "… is no address"),
        ("ValueError at orders/services/stock.py:70", "ValueError at orders/services/stock.py:70"),
    ],
)
def test_a_cause_names_neither_order_nor_person(said: str, kept: str) -> None:
    assert incidents.without_names(said) == kept


def gone_on(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(status_since=timezone.now() + timedelta(seconds=1))
